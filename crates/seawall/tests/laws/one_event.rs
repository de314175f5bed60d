//! Law 4: one event per transition, in order, outside every lock, each under catch_unwind; an
//! observer may call back into the breaker.

use crate::common::{
    Log, Outcome, S, fail, poll_once, quiet_panic, together, transitions, watched,
};
use seawall::{
    CircuitBreaker, CircuitState, Event, Random, Verdict,
    breaker::{Mode, Transition, TransitionCause},
    event::observe_all,
    testing::{ManualClock, Scope},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use CircuitState::{Closed, HalfOpen, Isolated, Open};

/// Moves at almost every call.
fn restless() -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(1).recovery_timeout(Duration::ZERO).build()
}

fn states(log: &[Transition]) -> Vec<CircuitState> {
    log.iter().map(|transition| transition.to).collect()
}

/// Each begins where the one before ended.
fn assert_chain(log: &[Transition]) {
    let mut state = Closed;
    for (n, transition) in log.iter().enumerate() {
        assert_eq!(transition.from, state, "transition {n}: {transition:?}");
        state = transition.to;
    }
}

/// Law 4: the whole life of a breaker, and why.
#[test]
fn each_transition_is_told_once_with_its_cause() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(S).build();
    let log = transitions(&breaker);
    fail(&breaker);
    clock.advance(S);
    fail(&breaker);
    clock.advance(S);
    let hung = breaker.try_acquire().unwrap();
    clock.advance(62 * S);
    breaker.try_acquire().unwrap().record(Verdict::Success);
    hung.record(Verdict::Success);
    breaker.isolate();
    breaker.isolate();
    breaker.close();
    breaker.close();
    breaker.reset();
    let log = log.all();
    let told: Vec<_> = log.iter().map(|t| (t.from, t.to, t.cause.as_str())).collect();
    assert_eq!(
        told,
        [
            (Closed, Open, "consecutive_failures"),
            (Open, HalfOpen, "recovery_timeout"),
            (HalfOpen, Open, "probe_failed"),
            (Open, HalfOpen, "recovery_timeout"),
            (HalfOpen, HalfOpen, "lease_ended"),
            (HalfOpen, Closed, "probe_succeeded"),
            (Closed, Isolated, "manual"),
            (Isolated, Closed, "manual"),
            (Closed, Closed, "reset"),
        ]
    );
    assert_eq!(breaker.last_transition().as_ref(), log.last());
}

/// Law 4: the causes of the windows.
#[test]
fn rates_are_told_by_their_names() {
    let by_failures = CircuitBreaker::builder().failure_rate(1.0).over_calls(1).build();
    fail(&by_failures);
    let by_slowness =
        CircuitBreaker::builder().slow_call_rate(1.0, Duration::ZERO).over_calls(1).build();
    by_slowness.try_acquire().unwrap().record(Verdict::Success);
    let causes = [by_failures, by_slowness].map(|b| b.last_transition().unwrap().cause);
    assert_eq!(causes, [TransitionCause::FailureRate, TransitionCause::SlowCallRate]);
}

/// Law 4: eight threads that all move it about.
#[test]
fn transitions_under_eight_threads_form_a_chain_with_none_missing_or_doubled() {
    let breaker = restless();
    let (log, other) = (transitions(&breaker), transitions(&breaker));
    let (resets, opened) = (AtomicU64::new(0), AtomicU64::new(0));
    together(8, |n| {
        let mut random = Random::seeded(n as u64);
        for _ in 0..2000 {
            match random.next_u64() % 16 {
                0 => breaker.isolate(),
                1 => breaker.close(),
                2 => {
                    breaker.reset();
                    resets.fetch_add(1, SeqCst);
                }
                3..8 => drop(breaker.run_blocking(|| Outcome::Ok(1))),
                _ => drop(breaker.run_blocking(|| Outcome::Err(crate::common::Down(1)))),
            }
        }
    });
    let log = log.all();
    assert!(log.len() > 1000, "it moved only {} times", log.len());
    assert_chain(&log);
    assert_eq!(log.last().unwrap().to, breaker.state());
    assert_eq!(log.last(), breaker.last_transition().as_ref());
    let told = |cause| log.iter().filter(|t| t.cause == cause).count() as u64;
    assert_eq!(told(TransitionCause::Reset), resets.into_inner());
    opened.store(log.iter().filter(|t| t.to == Open).count() as u64, SeqCst);
    assert_eq!(breaker.counters().opened, opened.into_inner());
    assert_eq!(other.all(), log, "every observer hears the same");
}

/// Law 4: outside every lock, so that a breaker can be asked anything by whoever hears of it.
#[test]
fn an_observer_may_call_every_public_method_of_the_breaker() {
    watched(|| {
        let breaker = Arc::new(
            CircuitBreaker::builder()
                .failure_threshold(1)
                .recovery_timeout(Duration::ZERO)
                .build()
                .named(String::from("watched")),
        );
        let calls_back = Arc::new(AtomicU64::new(0));
        breaker.observe({
            let (breaker, calls_back) = (Arc::clone(&breaker), Arc::clone(&calls_back));
            move |_: &Event<'_>| {
                // Each of these may tell of more: not without end.
                if calls_back.fetch_add(1, SeqCst) < 50 {
                    every_method(&breaker);
                }
            }
        });
        every_method(&breaker);
        assert!(calls_back.load(SeqCst) > 50);
        breaker.reset();
        assert_eq!(breaker.state(), Closed);
    });
}

fn every_method(breaker: &Arc<CircuitBreaker>) {
    breaker.observe(|_: &Event<'_>| {});
    drop(breaker.try_acquire());
    let _ = breaker.run_blocking(|| Outcome::Err(crate::common::Down(1)));
    let _ = breaker.call_blocking(|| Err::<(), _>(seawall::Error::Operation("down")));
    let (_, _, _) = (breaker.state(), breaker.name(), breaker.counters());
    let (_, _) = (breaker.failure_rate(), breaker.time_until_probe());
    let (_, _) = (breaker.last_transition(), breaker.mode());
    breaker.isolate();
    let _ = breaker.run_blocking(|| Outcome::Ok(1));
    breaker.close();
    breaker.set_mode(Mode::DryRun);
    breaker.set_mode(Mode::Enforce);
    breaker.reset();
    let _ = format!("{breaker:?} {}", seawall::Pipeline::new(Arc::clone(breaker)));
}

/// Law 4: the order of the telling is the order of the transitions, for every observer.
#[test]
fn a_transition_that_an_observer_causes_is_told_after_the_one_being_told() {
    watched(|| {
        let breaker = Arc::new(restless());
        breaker.observe({
            let breaker = Arc::clone(&breaker);
            move |event: &Event<'_>| {
                if let Event::CircuitBreakerTransition { transition, .. } = event {
                    match transition.to {
                        Open => breaker.isolate(),
                        Isolated => breaker.close(),
                        _ => {}
                    }
                }
            }
        });
        // Second in the row: hears of the opening only after the first has moved on twice.
        let log = transitions(&breaker);
        fail(&breaker);
        assert_eq!(states(&log.all()), [Open, Isolated, Closed]);
        assert_chain(&log.all());
    });
}

/// Law 4: the caller and the other observers go on.
#[test]
fn observers_that_panic_lose_nothing() {
    let breaker = restless();
    breaker.observe(|_: &Event<'_>| quiet_panic());
    let log = transitions(&breaker);
    breaker.observe(|_: &Event<'_>| quiet_panic());
    for _ in 0..3 {
        assert_eq!(
            breaker.run_blocking(|| Outcome::Err(crate::common::Down(4))),
            Err(seawall::Error::Operation(crate::common::Down(4)))
        );
        assert_eq!(breaker.run_blocking(|| Outcome::Ok(1)), Ok(1));
    }
    let round = [Open, HalfOpen, Closed];
    assert_eq!(states(&log.all()), [round, round, round].concat());
}

/// Laws 4 and 16: an observer that panics while the operation's panic unwinds does not end the
/// process.
#[test]
fn observers_that_panic_while_the_operation_unwinds_lose_nothing() {
    let breaker = restless();
    breaker.observe(|_: &Event<'_>| quiet_panic());
    let log = transitions(&breaker);
    let call = || breaker.run_blocking(|| -> Outcome { quiet_panic() });
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    let mut call = Box::pin(breaker.run(async || -> Outcome { quiet_panic() }));
    let poll = || poll_once(call.as_mut()).is_ready();
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    assert_eq!(states(&log.all()), [Open, HalfOpen, Open]);
}

/// Law 4: those who hear every policy are held to the same.
#[test]
fn an_observer_of_the_process_that_panics_harms_nobody() {
    let breaker = restless().named(String::from("law 4: everywhere"));
    let log: Log<CircuitState> = Log::default();
    observe_all(|event: &Event<'_>| {
        if let Event::CircuitBreakerTransition { name: Some(name), .. } = event {
            if **name == *"law 4: everywhere" {
                quiet_panic();
            }
        }
    });
    observe_all({
        let log = log.clone();
        move |event: &Event<'_>| {
            if let Event::CircuitBreakerTransition { name: Some(name), transition, .. } = event {
                if **name == *"law 4: everywhere" {
                    log.push(transition.to);
                }
            }
        }
    });
    fail(&breaker);
    assert_eq!(log.all(), [Open]);
}

/// Law 4: no lock is held while an observer runs, however long that takes.
#[test]
fn other_threads_go_on_while_an_observer_runs() {
    watched(|| {
        let breaker = Arc::new(restless());
        let (entered, wait_entered) = mpsc::channel();
        let (leave, wait_leave) = mpsc::channel::<()>();
        let (first, wait_leave) = (AtomicBool::new(true), Mutex::new(wait_leave));
        breaker.observe(move |_: &Event<'_>| {
            if first.swap(false, SeqCst) {
                entered.send(()).unwrap();
                wait_leave.lock().unwrap().recv().unwrap();
            }
        });
        let log = transitions(&breaker);
        let slow = std::thread::spawn({
            let breaker = Arc::clone(&breaker);
            move || fail(&breaker)
        });
        wait_entered.recv().unwrap();
        every_method(&breaker);
        assert!(log.all().is_empty(), "all the rest waits for its turn");
        leave.send(()).unwrap();
        slow.join().unwrap();
        let log = log.all();
        assert_chain(&log);
        assert_eq!(log.last().unwrap().cause, TransitionCause::Reset);
    });
}

/// Law 4: an observer that was added later hears what comes after.
#[test]
fn an_observer_hears_what_happens_from_when_it_was_added() {
    let breaker = restless();
    fail(&breaker);
    let log = transitions(&breaker);
    breaker.close();
    assert_eq!(states(&log.all()), [Closed]);
}
