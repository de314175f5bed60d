#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{Answer, Client, Contender, Failure};
use seawall::{
    CircuitBreaker, Error, FallbackChain, Jitter, Pipeline, RetryPolicy, Timeout,
    trace::TraceWriter,
};
use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
};

const S: Duration = Duration::from_secs(1);
const HEADER: &str = "at_ms,took_ms,outcome,call,key\n";

fn read(rows: &str) -> Trace {
    Trace::read(format!("{HEADER}{rows}").as_bytes()).unwrap()
}

fn refused(text: &str) -> String {
    Trace::read(text.as_bytes()).unwrap_err().to_string()
}

/// A call each 100 ms for a minute, of which those from second 20 to 40 fail.
fn outage(outcome: &str) -> Trace {
    let mut rows = String::new();
    for n in 0..600 {
        let outcome = if (200..400).contains(&n) { outcome } else { "success" };
        writeln!(rows, "{},5,{outcome},,", n * 100).unwrap();
    }
    read(&rows)
}

fn none() -> Contender {
    Contender::policy("none", |_| ())
}

fn retry(attempts: u32, jitter: Jitter) -> RetryPolicy {
    RetryPolicy::builder().max_attempts(attempts).jitter(jitter).build()
}

fn one(trace: &Trace, contender: Contender) -> Replayed {
    replay(trace, &[contender], 1).policies.remove(0)
}

#[test]
fn a_breaker_trips_at_the_failure_that_meets_its_threshold() {
    let seen = one(&outage("transient"), Contender::policy("b", |_| CircuitBreaker::new()));
    // Failures begin at 20 s, end 5 ms later, and the fifth is 400 ms after the first.
    assert_eq!(seen.tripped, Some(Duration::from_millis(20_405)));
    let first = &seen.transitions[0];
    assert_eq!((first.from, first.to, first.cause), ("closed", "open", "consecutive_failures"));
    assert_eq!((first.at_ms, first.open_for), (20_405.0, Some(60 * S)));
    // From the sixth on, all are rejected: it is open for longer than the trace.
    assert_eq!((seen.caught.rejected, seen.total.rejected), (395, 395));
    assert_eq!((seen.total.good, seen.total.failed), (200, 400));
}

#[test]
fn a_breaker_whose_time_is_over_probes_and_closes() {
    let breaker = |_: Client| CircuitBreaker::builder().recovery_timeout(15 * S).build();
    let seen = one(&outage("transient"), Contender::policy("b", breaker));
    let moves: Vec<_> =
        seen.transitions.iter().map(|moved| (moved.to, moved.at.as_secs())).collect();
    assert_eq!(
        moves,
        [("open", 20), ("half_open", 35), ("open", 35), ("half_open", 50), ("closed", 50)]
    );
    // 15 s from 20.405 and 35.505 to the next call after each.
    assert_eq!(seen.open, Duration::from_millis(35_500 - 20_405 + 50_600 - 35_505));
}

#[test]
fn a_policy_without_a_breaker_never_trips_and_sees_what_was_recorded() {
    let trace = outage("transient");
    let replay = replay(&trace, &[none()], 1);
    let seen = &replay.policies[0];
    assert_eq!((seen.tripped, seen.opened, seen.transitions.len()), (None, 0, 0));
    assert_eq!(seen.bins, replay.recorded.bins, "bin by bin");
    assert_eq!(seen.answered, Answered { own: 600, ..Answered::default() });
}

#[test]
fn permanent_is_not_tried_again_and_ignored_counts_for_nothing() {
    let stack = || Contender::policy("s", |_| (CircuitBreaker::new(), retry(3, Jitter::None)));
    let transient = one(&outage("transient"), stack());
    let permanent = one(&outage("permanent"), stack());
    let ignored = one(&outage("ignored"), stack());
    assert!(transient.total.attempts > transient.total.calls - transient.total.rejected);
    assert_eq!(permanent.total.attempts, permanent.total.calls - permanent.total.rejected);
    assert_eq!(permanent.tripped, Some(Duration::from_millis(20_405)), "a failure to a breaker");
    assert_eq!((ignored.tripped, ignored.total.attempts), (None, 600));
    assert_eq!(
        (ignored.total.failed, ignored.total.rejected),
        (200, 0),
        "as failures of their own"
    );
}

#[test]
fn a_fallback_answers_in_place_of_a_rejection_which_is_counted_all_the_same() {
    let stack = |_: Client| {
        let fallback = FallbackChain::new().value(Answer::Degraded);
        Pipeline::new((fallback, CircuitBreaker::new()))
    };
    let seen = one(&outage("transient"), Contender::policy("f", stack));
    assert_eq!((seen.total.degraded, seen.total.failed, seen.caught.rejected), (400, 0, 395));
}

#[test]
fn what_timed_out_gives_no_answer_however_long_one_waits() {
    let trace = read("0,1000,timed_out,,\n10000,20,success,,\n");
    let patient = one(&trace, Contender::policy("5 s", |_| Timeout::new(5 * S)));
    assert_eq!((patient.total.timed_out, patient.total.good), (1, 1));
    assert_eq!((patient.answered.never, patient.unfinished), (1, 0));
    let waits = one(&trace, none());
    assert_eq!((waits.total.good, waits.unfinished), (1, 1));
}

#[test]
fn a_caller_who_went_away_goes_away() {
    let trace = read("0,300,transient,1,\n1300,500,cancelled,1,\n5000,1,success,2,\n");
    let seen = one(&trace, Contender::policy("r", |_| retry(5, Jitter::None)));
    assert_eq!((seen.caught.left, seen.unfinished, seen.total.good), (1, 0, 1));
    assert_eq!(seen.total.attempts, 3);
}

#[test]
fn a_call_that_was_rejected_comes_again_and_is_answered_by_its_neighbours() {
    let trace = read("0,5,success,1,\n100,0,rejected,2,\n200,5,success,3,\n");
    assert_eq!((trace.calls(), trace.attempts()), (3, 2));
    let replay = replay(&trace, &[none()], 1);
    assert_eq!((replay.recorded.total.good, replay.recorded.total.rejected), (2, 1));
    assert_eq!((replay.policies[0].total.good, replay.policies[0].answered.near), (3, 1));
}

#[test]
fn a_retry_into_the_outage_fails_and_one_after_it_succeeds() {
    // The call at 39.9 s fails; its retry comes at 40.905 s, when all is well.
    let seen = one(&outage("transient"), Contender::policy("r", |_| retry(2, Jitter::None)));
    assert!(seen.answered.near > 0 && seen.answered.far == 0);
    let failed_at_40: u64 = seen.bins[40..42].iter().map(|bin| bin.failed).sum();
    // Calls from 38.9 s on are tried again from 39.9 on: 10 of them where the well are near.
    assert!(failed_at_40 <= 15, "{failed_at_40}");
    assert_eq!(seen.bins[30].failed, 10, "in the middle of it nothing succeeds");
}

#[test]
fn a_key_is_answered_by_its_own_and_can_have_a_policy_of_its_own() {
    let mut rows = String::new();
    for n in 0..100 {
        let (at, next) = (n * 100, n * 100 + 50);
        writeln!(rows, "{at},1,success,,eu\n{next},1,transient,,us").unwrap();
    }
    let trace = read(&rows);
    assert_eq!(trace.keys(), ["eu", "us"]);
    let breaker = || Contender::policy("b", |_| CircuitBreaker::new());
    assert_eq!(one(&trace, breaker()).tripped, None, "never five in a row");
    let apart = one(&trace, breaker().per_shard());
    assert_eq!(apart.transitions[0].key.as_deref(), Some("us"));
    assert_eq!((apart.total.good, apart.total.rejected), (100, 95));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let trace = outage("transient");
    let contenders = [none(), Contender::policy("r", |_| retry(3, Jitter::Full))];
    let json = |seed| serde_json::to_string(&replay(&trace, &contenders, seed)).unwrap();
    assert_eq!(json(7), json(7));
    assert_ne!(json(7), json(8));
    assert_eq!(
        replay(&trace, &contenders, 7).to_string(),
        replay(&trace, &contenders, 7).to_string()
    );
}

#[test]
fn the_report_says_whether_when_and_what_callers_would_have_seen() {
    let trace = outage("transient");
    let contenders = [none(), Contender::policy("guarded", |_| CircuitBreaker::new())];
    let report = replay(&trace, &contenders, 1).to_string();
    for line in [
        "600 calls in 59.9 s, 600 attempts recorded; seed 1",
        "  would not have tripped",
        "  would have tripped at 20.4 s (consecutive failures), once in all, and been open for 39.5 s",
        "  would have rejected 395 of 600 calls (66 %)",
        "      20.405 s  closed -> open: consecutive failures, for 1 min",
    ] {
        assert!(report.lines().any(|one| one == line), "no line `{line}` in\n{report}");
    }
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Ended = Result<Answer, Error<Failure>>;

/// Records a run of this stack under tokio's paused clock, over a service with an outage.
async fn record<P: seawall::Policy<Answer, Failure>>(policy: P) -> (Trace, Vec<Ended>) {
    let page = Page::default();
    let trace = TraceWriter::new(page.clone()).unwrap();
    let stack = Pipeline::new((trace.calls(), policy, trace.attempts()));
    let began = tokio::time::Instant::now();
    let service = async || {
        let up = !(10..20).contains(&began.elapsed().as_secs());
        let took = if up { 30 } else { 200 };
        tokio::time::sleep(Duration::from_millis(took)).await;
        if up { Ok(Answer::Full) } else { Err(Failure::Failed) }
    };
    let mut outcomes = Vec::new();
    while began.elapsed() < 40 * S {
        outcomes.push(stack.run(service).await);
        tokio::time::sleep(Duration::from_millis(270)).await;
    }
    trace.finish().unwrap();
    let text = page.0.lock().unwrap().clone();
    (Trace::read(&*text).unwrap(), outcomes)
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_the_library_recorded_comes_out_again_under_the_same_policy() {
    let stack = |_: Client| {
        let breaker = CircuitBreaker::builder().failure_threshold(2).recovery_timeout(5 * S);
        (breaker.build(), retry(3, Jitter::None), Timeout::new(S))
    };
    let (trace, outcomes) = record(stack(Client { tier: 0, process: 0, shard: 0 })).await;
    let count = |is: fn(&Ended) -> bool| outcomes.iter().filter(|one| is(one)).count() as u64;
    let good = count(Result::is_ok);
    let rejected = count(|one| one.as_ref().is_err_and(|error| error.rejection().is_some()));
    assert!(good > 0 && rejected > 0 && good + rejected < outcomes.len() as u64, "all kinds");

    let replay = replay(&trace, &[Contender::policy("same", stack)], 1);
    let same = &replay.policies[0];
    assert_eq!(same.total.calls, outcomes.len() as u64);
    assert_eq!((same.total.good, same.total.rejected), (good, rejected));
    assert_eq!(same.total.attempts, trace.attempts() as u64);
    assert_eq!(same.answered.own, same.total.attempts, "nothing was guessed");
    assert_eq!(same.total.latencies, replay.recorded.total.latencies);
}

#[test]
fn what_spreadsheets_make_of_a_trace_is_read() {
    let plain = Trace::read(
        "at_ms,took_ms,outcome,call,key\n0,12.5,success,1,a b\n9,1,transient,1,a b\n".as_bytes(),
    );
    let plain = plain.unwrap();
    for text in [
        "\u{feff}at_ms,took_ms,outcome,call,key\r\n0,12.5,success,1,a b\r\n9,1,transient,1,a b\r\n,,,,\r\n",
        "\"at_ms\";\"took_ms\";\"outcome\";\"call\";\"key\"\n\"0\";\"12.5\";\"success\";\"1\";\"a b\"\n9;1;transient;1;a b",
        "key\tnote\tcall\toutcome\ttook_ms\tat_ms\na b\tx\t1\ttransient\t1\t1.009E+03\n\n a b \t\t1\tsuccess\t1.25E+01\t1000\n",
    ] {
        let trace = Trace::read(text.as_bytes()).unwrap();
        assert_eq!((&trace.0.rows, &trace.0.calls), (&plain.0.rows, &plain.0.calls), "{text}");
    }
    // A reader that gives a byte at a time.
    struct Slow<'a>(&'a [u8]);
    impl io::Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }
    let text =
        "\u{feff}at_ms,took_ms,outcome,call,key\r\n0,12.5,success,1,a b\r\n9,1,transient,1,a b\r\n";
    assert_eq!(Trace::read(Slow(text.as_bytes())).unwrap(), plain);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let times = "a time in ms from 0 to 10000000000000";
    for (row, error) in [
        ("NaN,1,success,,", format!("line 2, column 1 (`at_ms`): `NaN` is not {times}")),
        ("-1,1,success,,", format!("line 2, column 1 (`at_ms`): `-1` is not {times}")),
        ("1e300,1,success,,", format!("line 2, column 1 (`at_ms`): `1e300` is not {times}")),
        (",1,success,,", format!("line 2, column 1 (`at_ms`): `` is not {times}")),
        ("1,inf,success,,", "line 2, column 2 (`took_ms`): `inf` is not a time in ms from 0 to 604800000".into()),
        ("1,1,ok,,", "line 2, column 3 (`outcome`): `ok` is not an outcome: one of success, transient, permanent, ignored, timed_out, cancelled, panicked, rejected".into()),
        ("1,1,success,x,", format!("line 2, column 4 (`call`): `x` is not a number from 0 to {}", u64::MAX)),
        ("1,1,success,,a,b", "line 2: 6 fields, where the header has 5".into()),
        ("\n\r\n1,1,oops,,", "line 4, column 3 (`outcome`): `oops` is not an outcome: one of success, transient, permanent, ignored, timed_out, cancelled, panicked, rejected".into()),
        ("0,1,success,,\n\"1,1", "line 3, column 1 (`at_ms`): `1,1` is not a time in ms from 0 to 10000000000000, written with a point".into()),
        ("1,1,rejected,,", "every row is `rejected`: there is no answer to replay".into()),
        ("0,1,success,,\n9e12,1,success,,", "`at_ms` goes from 0 to 9000000000000: a trace spans 31622400000 ms, a year, at most".into()),
    ] {
        assert_eq!(refused(&format!("{HEADER}{row}")), error, "{row}");
    }
    assert!(refused("").starts_with("the file is empty: a trace begins with a header"));
    assert_eq!(refused(HEADER), "there is a header and no row below it");
    let wide = refused(&format!("{}\n", "\u{1}".repeat(50) + &",a column that is none".repeat(60)));
    assert!(wide.len() < 500, "a message is short, whatever the file: {wide}");
    assert!(
        refused("0,1,success\n")
            .starts_with("line 1: there is no column `at_ms` in `0, 1, success`")
    );
    assert_eq!(
        refused("at_ms,took_ms,outcome,at_ms\n"),
        "line 1: the column `at_ms` is there twice"
    );
    let long = format!("{HEADER}0,1,success,,\n\"{}", "x\n".repeat(100_000));
    assert_eq!(
        refused(&long),
        "line 3: the line is longer than 4096 bytes; is a quote not closed?"
    );
    assert_eq!(
        refused(&format!("{HEADER}{}", ",".repeat(100))),
        "line 2: the line has more than 64 columns"
    );
}

#[test]
fn times_of_unix_are_told_by_their_own_clock() {
    let mut rows = String::new();
    for n in 0..10 {
        writeln!(rows, "{},1,transient,,", 1_764_500_000_000_u64 + n * 1000).unwrap();
    }
    let seen = one(&read(&rows), Contender::policy("b", |_| CircuitBreaker::new()));
    assert_eq!(seen.tripped, Some(Duration::from_millis(4001)));
    assert!((seen.transitions[0].at_ms - 1_764_500_004_001.0).abs() < 0.01);
}
