//! The buckets beside a plain account of them, in the order in which a breaker asks for its ways in.

use super::*;
use crate::random::Random;
use std::collections::HashMap;

const ALL: [Outcome; 4] =
    [Outcome::Success, Outcome::SlowSuccess, Outcome::Failure, Outcome::SlowFailure];

/// A window of one generation: for each shard and each of ten places, the bucket's number and counts.
#[derive(Debug, Default)]
struct Naive {
    buckets: HashMap<(Option<usize>, u64), (u64, Reading)>,
    /// For each shard, the bucket in which the minimum of calls was last seen met.
    met: HashMap<Option<usize>, u64>,
}

impl Naive {
    /// Counts it. A bucket of another number is over, whether that is behind or ahead.
    fn count(&mut self, slot: Option<usize>, number: u64, outcome: Outcome) {
        let (held, counts) = self.buckets.entry((slot, number % 10)).or_default();
        if *held != number {
            (*held, *counts) = (number, Reading::default());
            self.met.remove(&slot);
        }
        counts.calls += 1;
        counts.failures += u64::from(outcome.is_failure());
        counts.slow += u64::from(outcome.is_slow());
    }

    fn reading(&self, number: u64) -> Reading {
        let mut sum = Reading::default();
        for (_, counts) in self.buckets.values().filter(|(held, _)| held.abs_diff(number) < 10) {
            sum.calls += counts.calls;
            sum.failures += counts.failures;
            sum.slow += counts.slow;
        }
        sum
    }
}

/// How many outcomes went in by which way.
#[derive(Debug, Default)]
struct Ways {
    short: u32,
    long: u32,
    trips: u32,
}

struct History {
    bucket: u64,
    minimum: u64,
    start: u64,
    goes_back: bool,
    ill: u64,
}

fn play(history: &History, ways: &mut Ways) {
    let History { bucket, minimum, start, goes_back, ill } = *history;
    let rates =
        Rates { minimum_calls: minimum, failure_rate: Some(0.5), slow_call_rate: Some(0.75) };
    let window = TimeWindow::new(bucket, rates);
    let own = thread_slot();
    // Whoever owns these slots does not know this window.
    let slots = [own, own, Some((own.unwrap_or(0) + 1) % SLOTS), None];
    let mut random = Random::seeded(bucket ^ minimum << 8 ^ ill << 16);
    let (mut now, mut generation) = (start, 3);
    let mut naive = Naive::default();
    assert!(!window.takes_success(generation, || Tick::from_millis(now)), "nothing is there yet");
    for _ in 0..600 {
        let draw = random.next_u64();
        // Within a bucket mostly, into the next ones at times, and past the window once in a while.
        now += match draw % 16 {
            0..8 => 0,
            8..12 => draw >> 8 & 3,
            12..15 => bucket * (draw >> 8 & 3) / 2,
            _ => bucket * (draw >> 8 & 15),
        };
        if goes_back && draw >> 16 & 31 == 0 {
            now -= bucket * (draw >> 24 & 15);
        }
        let (number, tick) = (now / bucket, Tick::from_millis(now));
        let slot = slots[(draw >> 32) as usize % 4];
        let outcome =
            if (draw >> 40) % ill == 0 { ALL[(draw >> 60) as usize % 4] } else { Outcome::Success };
        let fast = outcome == Outcome::Success;
        let mut trip = None;
        if fast && slot == own {
            // It is taken in without a decision exactly if none is due, and the bucket still holds it.
            let holds = naive.buckets.get(&(slot, number % 10)).is_some_and(|b| b.0 == number);
            let is_met = naive.met.get(&slot) == Some(&number);
            let taken = window.takes_success(generation, || tick);
            assert_eq!(taken, is_met && holds, "{naive:?} at {number}");
            naive.count(slot, number, outcome);
            if taken {
                ways.short += 1;
                assert_eq!(window.reading(generation, tick), naive.reading(number));
                continue;
            }
            trip = window.record(generation, tick, outcome, || false);
        } else {
            naive.count(slot, number, outcome);
            if slot == own {
                trip = window.record(generation, tick, outcome, || false);
            } else {
                let decided = window.record_in(slot, (generation, tick), outcome, || false);
                trip = trip.or(decided);
            }
        }
        ways.long += 1;
        let Reading { calls, failures, slow } = naive.reading(number);
        assert_eq!(window.reading(generation, tick), naive.reading(number));
        assert_eq!(window.reading(generation + 1, tick), Reading::default());
        let is_met = naive.met.get(&slot) == Some(&number);
        let mut expected = None;
        if (!fast || !is_met) && calls >= minimum {
            naive.met.insert(slot, number);
            // 0.5 and 0.75, in whole numbers.
            if failures * 2 >= calls {
                expected = Some(TransitionCause::FailureRate);
            } else if slow * 4 >= calls * 3 {
                expected = Some(TransitionCause::SlowCallRate);
            }
        }
        assert_eq!(trip, expected, "{naive:?} at {number}");
        if trip.is_some() {
            ways.trips += 1;
            generation += 1;
            naive = Naive::default();
            assert_eq!(window.reading(generation, tick), Reading::default());
        }
    }
}

#[test]
fn the_window_is_the_calls_of_ten_buckets_whichever_way_they_come_in() {
    let mut ways = Ways::default();
    for bucket in [1, 7, 100] {
        for minimum in [1, 2, 10, 40] {
            for ill in [1, 3, 50] {
                for goes_back in [false, true] {
                    let start = 1_000_000;
                    play(&History { bucket, minimum, start, goes_back, ill }, &mut ways);
                }
            }
        }
    }
    let Ways { short, long, trips } = ways;
    assert!(short > 1000 && long > 1000 && trips > 1000, "{ways:?}");
}

/// Numbers wrap, and so does the window.
#[test]
fn a_bucket_counts_while_it_is_less_than_a_window_away() {
    for now in [5, NUMBER] {
        let tag = |ahead: u64| Tag::new(1, now.wrapping_add(ahead));
        let is_in_window = |ahead: u64| tag(ahead).is_in_window(tag(0));
        assert!(is_in_window(0) && is_in_window(1) && is_in_window(9));
        assert!(!is_in_window(10) && !is_in_window(NUMBER / 2));
        assert!(is_in_window(NUMBER + 1 - 9) && !is_in_window(NUMBER + 1 - 10));
        assert!(!Tag::new(2, now).is_in_window(tag(0)));
    }
}

/// Whether the clock went on or back.
#[test]
fn a_bucket_of_another_number_turns() {
    for (before, after) in [(3, 13), (13, 3)].map(|(b, a)| (Tag::new(1, b), Tag::new(1, a))) {
        let bucket = Bucket::new();
        assert!(bucket.turn(Tag(CHANGING), before, || false));
        bucket.count(Outcome::Failure);
        assert!(bucket.turn(before, after, || false));
        assert_eq!(bucket.read(after), Some(Reading::default()));
        assert_eq!(bucket.read(before), None);
    }
}
