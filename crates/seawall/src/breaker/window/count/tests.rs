//! The ring beside a plain list, in the order in which a breaker asks for its ways in.

use super::*;
use crate::random::Random;
use std::collections::VecDeque;

const ALL: [Outcome; 4] =
    [Outcome::Success, Outcome::SlowSuccess, Outcome::Failure, Outcome::SlowFailure];

fn rates(minimum_calls: u64) -> Rates {
    Rates { minimum_calls, failure_rate: Some(0.5), slow_call_rate: Some(0.75) }
}

fn counted<'a>(list: impl Iterator<Item = &'a Outcome>) -> Reading {
    list.fold(Reading::default(), |sum, outcome| Reading {
        calls: sum.calls + 1,
        failures: sum.failures + u64::from(outcome.is_failure()),
        slow: sum.slow + u64::from(outcome.is_slow()),
    })
}

fn cause(list: &VecDeque<Outcome>, rates: Rates) -> Option<TransitionCause> {
    let Reading { calls, failures, slow } = counted(list.iter());
    // 0.5 and 0.75, in whole numbers.
    if calls < rates.minimum_calls {
        None
    } else if failures * 2 >= calls {
        Some(TransitionCause::FailureRate)
    } else {
        (slow * 4 >= calls * 3).then_some(TransitionCause::SlowCallRate)
    }
}

/// How many outcomes went in by which way.
#[derive(Debug, Default)]
struct Ways {
    quiet: u32,
    short: u32,
    long: u32,
    trips: u32,
}

/// Plays a history of which one in `ill` calls is not a fast success.
fn play(calls: u32, minimum: u64, generation: u64, ill: u64, ways: &mut Ways) {
    let rates = rates(minimum);
    let window = CountWindow::new(calls, rates);
    let mut random = Random::seeded(u64::from(calls) << 32 | minimum << 8 | ill);
    let mut generation = generation;
    let mut list = VecDeque::new();
    // What an earlier generation has left in the ring decides which way, and nothing else.
    let mut first = true;
    assert!(!window.takes_success(generation), "there is no ring yet");
    for _ in 0..400 {
        let draw = random.next_u64();
        let outcome =
            if draw % ill == 0 { ALL[(draw >> 32) as usize % 4] } else { Outcome::Success };
        let full = list.len() == calls as usize;
        let is_quiet = full && list.iter().all(|outcome| *outcome == Outcome::Success);
        assert_eq!(window.is_quiet(generation), is_quiet, "{list:?}");
        assert!(!window.is_quiet(generation + 1));
        let with = list.len() as u64 + 1;
        let decides = if full {
            list[0] != Outcome::Success
        } else {
            list.is_empty() || with == u64::from(calls) || with == minimum
        };
        if full {
            list.pop_front();
        }
        list.push_back(outcome);
        if outcome == Outcome::Success && is_quiet {
            ways.quiet += 1;
        } else if outcome == Outcome::Success && window.takes_success(generation) {
            assert!(!decides, "{list:?}");
            ways.short += 1;
        } else {
            assert!(outcome != Outcome::Success || decides || !first, "the long way for {list:?}");
            let trip = window.record(generation, outcome, || false);
            assert_eq!(trip, cause(&list, rates), "{list:?}");
            ways.long += 1;
        }
        assert_eq!(window.reading(generation), counted(list.iter()));
        assert_eq!(window.reading(generation + 1), Reading::default());
        if cause(&list, rates).is_some() {
            ways.trips += 1;
            generation += 1;
            first = false;
            assert_eq!(window.reading(generation), Reading::default());
            assert!(!window.takes_success(generation), "not into what is left of the last one");
            list.clear();
        }
    }
}

#[test]
fn the_window_is_the_last_calls_whichever_way_they_come_in() {
    let mut ways = Ways::default();
    // Around the 32 outcomes of a word of the ring.
    for calls in [1, 2, 3, 31, 32, 33, 64, 65, 100] {
        for minimum in [1, 2, 30, 31, 32, 33, 64, 100] {
            if minimum > u64::from(calls) {
                continue;
            }
            for ill in [1, 2, 4, 50] {
                play(calls, minimum, 0, ill, &mut ways);
                play(calls, minimum, 1 << 20, ill, &mut ways);
            }
        }
    }
    let Ways { quiet, short, long, trips } = ways;
    assert!(quiet > 1000 && short > 1000 && long > 1000 && trips > 1000, "{ways:?}");
}

#[test]
fn the_largest_window_reaches_its_last_place_and_starts_over() {
    let never = Rates { minimum_calls: u64::MAX, failure_rate: Some(1.0), slow_call_rate: None };
    let window = CountWindow::new(MAX_CALLS, never);
    for n in 0..MAX_CALLS {
        let _ = window.record(7, ALL[n as usize % 4], || false);
    }
    let half = u64::from(MAX_CALLS) / 2;
    let full = Reading { calls: 2 * half, failures: half, slow: half };
    assert_eq!(window.reading(7), full);
    // In the place of a fast success.
    let _ = window.record(7, Outcome::SlowFailure, || false);
    assert_eq!(window.reading(7), Reading { failures: half + 1, slow: half + 1, ..full });
}

/// Places are 20 bits wide; each of them is gone through by the short way.
#[test]
fn the_largest_window_fills_by_single_successes_and_stays_quiet() {
    let window = CountWindow::new(MAX_CALLS, rates(1));
    let mut short = 0;
    for n in 0..MAX_CALLS {
        if window.takes_success(9) {
            short += 1;
        } else {
            assert_eq!(window.record(9, Outcome::Success, || false), None);
        }
        if n % 4096 == 0 {
            assert_eq!(window.reading(9).calls, u64::from(n) + 1);
        }
    }
    assert_eq!(short, MAX_CALLS - 2, "all but the first and the last");
    // As if another thread had made it quiet on the way here.
    for _ in 0..3 {
        assert!(window.is_quiet(9));
        assert_eq!(window.record(9, Outcome::Success, || false), None);
    }
    let full = Reading { calls: MAX_CALLS.into(), failures: 0, slow: 0 };
    assert_eq!(window.reading(9), full);
}

/// Often enough for threads to meet inside the lock, on one busy processor too.
#[test]
fn four_threads_lose_and_double_no_outcome() {
    let never = Rates { minimum_calls: u64::MAX, failure_rate: Some(1.0), slow_call_rate: None };
    let window = CountWindow::new(MAX_CALLS, never);
    let work = |generation| {
        for n in 0..MAX_CALLS / 4 {
            let outcome = if n % 2 == 0 { Outcome::Success } else { Outcome::Failure };
            if outcome == Outcome::Failure || !window.takes_success(generation) {
                assert_eq!(window.record(generation, outcome, || false), None);
            }
        }
    };
    for generation in 0..16 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| work(generation));
            }
        });
        let calls = u64::from(MAX_CALLS);
        let all = Reading { calls, failures: calls / 2, slow: 0 };
        assert_eq!(window.reading(generation), all);
    }
}

/// Law 3.
#[test]
fn an_outcome_of_an_older_generation_changes_nothing_and_reads_nothing() {
    let window = CountWindow::new(2, rates(1));
    let _ = window.record(5, Outcome::Success, || false);
    let held = Reading { calls: 1, failures: 0, slow: 0 };
    for generation in [0, 3, 4] {
        for outcome in ALL {
            assert_eq!(window.record(generation, outcome, || false), None);
        }
        assert!(!window.takes_success(generation) && !window.is_quiet(generation));
        assert_eq!(window.reading(generation), Reading::default());
        assert_eq!(window.reading(5), held);
    }
    let _ = window.record(5, Outcome::Success, || false);
    assert!(window.is_quiet(5) && !window.is_quiet(4) && !window.is_quiet(0));
}
