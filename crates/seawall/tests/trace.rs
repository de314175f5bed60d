//! A trace says what became of each attempt, and never stands in the way of one.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use seawall::{
    CircuitBreaker, Classify, Jitter, Pipeline, RetryPolicy, Timeout, Verdict,
    testing::{ManualClock, Scope},
    trace::TraceWriter,
};
use std::{
    future::pending,
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::sleep;

const S: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn rows(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        assert_eq!(lines.next().as_deref(), Some("at_ms,took_ms,outcome,call,key"));
        lines.collect()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn retry(attempts: u32) -> RetryPolicy {
    RetryPolicy::builder().max_attempts(attempts).jitter(Jitter::None).build()
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_call_share_its_number_and_say_when_they_began() {
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let stack = Pipeline::new((trace.calls(), retry(3), trace.attempts().of("eu")));
    let left = Mutex::new(2);
    let op = async || {
        sleep(Duration::from_millis(20)).await;
        let mut left = left.lock().unwrap();
        if *left == 0 {
            return Ok(7);
        }
        *left -= 1;
        Err("busy")
    };
    assert_eq!(stack.run(op).await, Ok(7));
    assert_eq!(stack.run(op).await, Ok(7));
    let written = trace.finish().unwrap();
    assert_eq!((written.rows, written.dropped), (4, 0));
    assert_eq!(
        page.rows(),
        [
            "0,20,transient,1,eu",
            "1020,20,transient,1,eu",
            "3040,20,success,1,eu",
            "3060,20,success,2,eu"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_a_callers_cancel_and_a_failure_are_told_apart() {
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let stack = Pipeline::new((trace.calls(), retry(2), Timeout::new(S), trace.attempts()));
    assert!(stack.run(async || pending::<Result<(), &str>>().await).await.is_err());
    let left = tokio::time::timeout(S / 2, stack.run(async || pending::<Result<(), &str>>().await));
    assert!(left.await.is_err());
    assert!(stack.run(async || Err::<(), _>("down")).await.is_err());
    trace.finish().unwrap();
    assert_eq!(
        page.rows(),
        [
            "0,1000,timed_out,1,",
            "2000,1000,timed_out,1,",
            "3000,500,cancelled,2,",
            "3500,0,transient,3,",
            "4500,0,transient,3,",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_came_to_no_attempt_is_rejected() {
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    let stack = Pipeline::new((trace.calls(), &breaker, trace.attempts()));
    for _ in 0..2 {
        assert!(stack.run(async || Err::<(), _>("down")).await.is_err());
    }
    trace.finish().unwrap();
    assert_eq!(page.rows(), ["0,0,transient,1,", "0,0,rejected,2,"]);
}

struct ByNumber;

impl Classify<(), i32> for ByNumber {
    fn classify(&self, outcome: Result<&(), &i32>) -> Verdict {
        match outcome {
            Err(0) => Verdict::Ignored,
            Err(1) => Verdict::TRANSIENT,
            Err(_) => Verdict::Permanent,
            Ok(()) => Verdict::Success,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_classifier_gives_the_words() {
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let attempts = trace.attempts().classify_with(ByNumber);
    for error in 0..3 {
        let _ = attempts.run(async || Err::<(), _>(error)).await;
    }
    trace.finish().unwrap();
    assert_eq!(page.rows(), ["0,0,ignored,,", "0,0,transient,,", "0,0,permanent,,"]);
}

#[test]
fn blocking_code_is_recorded_alike_and_a_panic_passes_on() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let stack = Pipeline::new((trace.calls(), retry(2), trace.attempts()));
    let down = || {
        clock.advance(S);
        Err::<(), _>("down")
    };
    assert!(stack.run_blocking(down).is_err());
    std::panic::set_hook(Box::new(|_| {}));
    let panics = || -> Result<(), &str> { panic!("as a test") };
    assert!(catch_unwind(AssertUnwindSafe(|| stack.run_blocking(panics))).is_err());
    let mut later = pin!(stack.run(async || -> Result<(), &str> { panic!("as a test") }));
    let poll = || later.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    drop(std::panic::take_hook());
    assert!(
        trace.attempts().run_blocking(|| Ok::<_, &str>(())).is_ok(),
        "nothing is left of the call"
    );
    trace.finish().unwrap();
    assert_eq!(
        page.rows(),
        [
            "0,1000,transient,1,",
            "2000,1000,transient,1,",
            "3000,0,panicked,2,",
            "3000,0,panicked,3,",
            "3000,0,success,,"
        ]
    );
}

#[test]
fn a_writer_that_hangs_holds_up_no_call_and_what_does_not_fit_is_counted() {
    /// Hangs until it is told to go on.
    struct Hangs(mpsc::Receiver<()>);
    impl Write for Hangs {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (go_on, wait) = mpsc::channel();
    let trace = TraceWriter::new(Hangs(wait)).unwrap();
    let attempts = trace.attempts();
    let made = 2 * TraceWriter::QUEUE as u64;
    for _ in 0..made {
        assert_eq!(attempts.run_blocking(|| Ok::<_, &str>(7)), Ok(7));
    }
    assert!(trace.dropped() > 0);
    drop(go_on);
    let written = trace.finish().unwrap();
    assert_eq!(written.rows + written.dropped, made);
}

#[test]
fn a_full_disk_costs_the_trace_and_no_call() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("disk full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let trace = TraceWriter::new(Full).unwrap();
    assert_eq!(trace.attempts().run_blocking(|| Ok::<_, &str>(7)), Ok(7));
    assert_eq!(trace.finish().unwrap_err().to_string(), "disk full");
    assert_eq!(trace.attempts().run_blocking(|| Ok::<_, &str>(7)), Ok(7));
    assert!(trace.dropped() > 0);
    assert!(trace.finish().is_err(), "it has ended already");
}

#[test]
fn a_key_that_is_too_long_is_cut_between_characters() {
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let attempts = trace.attempts().of("ü".repeat(100));
    attempts.run_blocking(|| Ok::<_, &str>(())).unwrap();
    trace.finish().unwrap();
    assert!(page.rows()[0].ends_with(&format!(",success,,{}", "ü".repeat(64))));
}
