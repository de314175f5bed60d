//! Other settings for a breaker that is in use.

use super::*;
use std::sync::{Mutex, Weak};

/// A setting that nothing depends on, so that a breaker with another one behaves the same.
fn with_another_detail(builder: CircuitBreakerBuilder, n: u32) -> CircuitBreakerBuilder {
    builder.max_recovery_timeout(HOUR + n * S)
}

fn fails(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().record(Verdict::TRANSIENT);
}

fn succeeds(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().record(Verdict::Success);
}

#[test]
fn failures_in_a_row_go_on_under_another_threshold() {
    let of = |threshold| CircuitBreaker::builder().failure_threshold(threshold).build();
    for (held, threshold, more) in
        [(2, 4, 2), (2, 3, 1), (3, 3, 1), (4, 2, 1), (4, 1, 1), (0, 2, 2)]
    {
        let old = of(5);
        (0..held).for_each(|_| fails(&old));
        let new = of(threshold).keeping(&old);
        assert!(new.state().is_closed(), "settings by themselves open nothing");
        for n in 1..=more {
            assert!(new.state().is_closed(), "{held} held, {threshold} allowed");
            fails(&new);
            assert_eq!(
                new.state().is_open(),
                n == more,
                "{held} held, {threshold} allowed, {n} more"
            );
        }
        assert_eq!(old.state(), CircuitState::Open);
    }
    let old = of(5);
    (0..4).for_each(|_| fails(&old));
    let new = of(2).keeping(&old);
    succeeds(&new);
    fails(&new);
    assert!(new.state().is_closed(), "a success ends the row as ever");
}

#[test]
fn an_open_breaker_stays_open_for_what_is_left_and_no_longer_than_the_new_settings_say() {
    for (timeout, left) in [(10, 7), (60, 7), (7, 7), (5, 5), (1, 1)] {
        let (clock, _scope) = virtual_time();
        let old = sensitive().build();
        fails(&old);
        clock.advance(3 * S);
        let new = sensitive().recovery_timeout(timeout * S).build().keeping(&old);
        assert_eq!(new.state(), CircuitState::Open);
        assert!(new.time_until_probe().unwrap().abs_diff(left * S) <= MS);
        clock.advance(left * S - MS - MS);
        assert!(new.try_acquire().is_err() && old.try_acquire().is_err());
        clock.advance(3 * MS);
        assert!(new.try_acquire().unwrap().is_probe());
    }
}

#[test]
fn an_isolated_breaker_stays_isolated_and_is_closed_by_either_handle() {
    for by_the_old_one in [true, false] {
        let old = sensitive().build();
        old.isolate();
        let new = CircuitBreaker::builder().failure_threshold(9).build().keeping(&old);
        assert_eq!((new.state(), old.state()), (CircuitState::Isolated, CircuitState::Isolated));
        assert!(new.try_acquire().is_err() && old.try_acquire().is_err());
        if by_the_old_one {
            old.close()
        } else {
            new.close()
        }
        assert_eq!((new.state(), old.state()), (CircuitState::Closed, CircuitState::Closed));
    }
}

#[test]
fn a_probe_in_flight_keeps_its_slot_and_its_voice() {
    for end in [Some(Verdict::Success), Some(Verdict::TRANSIENT), Some(Verdict::Ignored), None] {
        let (clock, _scope) = virtual_time();
        let old = sensitive().build();
        fails(&old);
        clock.advance(10 * S);
        let probe = old.try_acquire().unwrap();
        let new = sensitive().recovery_timeout(20 * S).successes_to_close(2).build().keeping(&old);
        assert_eq!(new.state(), CircuitState::HalfOpen);
        assert!(new.try_acquire().is_err(), "the slot is taken");
        match end {
            Some(verdict) => probe.record(verdict),
            None => drop(probe),
        }
        match end {
            Some(Verdict::Success) => {
                assert_eq!(
                    (new.state(), new.counters().probe_successes),
                    (CircuitState::HalfOpen, 1)
                );
                succeeds(&new);
                assert_eq!(new.state(), CircuitState::Closed);
            }
            Some(Verdict::TRANSIENT) => {
                assert_eq!(new.state(), CircuitState::Open);
                assert!(new.time_until_probe().unwrap() > 19 * S, "by the new settings");
            }
            _ => assert!(new.try_acquire().unwrap().is_probe(), "the slot is free"),
        }
    }
}

#[test]
fn a_probe_that_hangs_loses_its_slot_to_the_new_breaker_when_its_lease_ends() {
    let (clock, _scope) = virtual_time();
    let old = sensitive().probe_lease(60 * S).build();
    fails(&old);
    clock.advance(10 * S);
    let hung = old.try_acquire().unwrap();
    clock.advance(20 * S);
    let new = sensitive().probe_lease(30 * S).build().keeping(&old);
    clock.advance(28 * S);
    assert!(new.try_acquire().is_err());
    clock.advance(4 * S);
    let probe = new.try_acquire().unwrap();
    hung.record(Verdict::Success);
    assert_eq!(new.state(), CircuitState::HalfOpen, "it has no voice any more");
    probe.record(Verdict::Success);
    assert_eq!(new.state(), CircuitState::Closed);
}

#[test]
fn more_probes_in_flight_than_there_are_slots_now_let_no_other_one_in() {
    let (clock, _scope) = virtual_time();
    let old = sensitive().probes(3).successes_to_close(9).build();
    fails(&old);
    clock.advance(10 * S);
    let [one, two, three] = [(), (), ()].map(|()| old.try_acquire().unwrap());
    let new = sensitive().probes(2).successes_to_close(9).build().keeping(&old);
    assert_eq!(new.counters().probes_in_flight, 3);
    drop(one);
    assert!(new.try_acquire().is_err(), "two are left");
    two.record(Verdict::Success);
    let other = new.try_acquire().unwrap();
    assert!(new.try_acquire().is_err());
    drop((three, other));
    assert_eq!(new.counters().probes_in_flight, 0);
}

#[test]
fn a_call_in_flight_counts_at_the_new_breaker_and_a_stale_one_nowhere() {
    let old = CircuitBreaker::builder().failure_threshold(5).build();
    let stale = old.try_acquire().unwrap();
    old.reset();
    let [one, two] = [(), ()].map(|()| old.try_acquire().unwrap());
    let new = CircuitBreaker::builder().failure_threshold(5).build().keeping(&old);
    one.record(Verdict::TRANSIENT);
    assert_eq!(new.counters().consecutive_failures, 1);
    stale.record(Verdict::Success);
    assert_eq!(new.counters().consecutive_failures, 1, "law 3");
    new.reset();
    two.record(Verdict::TRANSIENT);
    assert_eq!(new.counters().consecutive_failures, 0, "law 3");
}

#[test]
fn totals_mode_and_observers_go_on_and_each_transition_is_told_once_and_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listen = |breaker: &CircuitBreaker, who: &'static str| {
        let told = Arc::clone(&told);
        breaker.observe(move |event: &Event<'_>| {
            let what = match event {
                Event::CircuitBreakerTransition { transition, .. } => transition.to.as_str(),
                Event::CircuitBreakerRejected { .. } => "rejected",
                _ => return,
            };
            told.lock().unwrap().push((who, what));
        });
    };
    let old = sensitive().build();
    listen(&old, "before");
    fails(&old);
    assert!(old.try_acquire().is_err());
    old.set_mode(Mode::DryRun);
    let heir = CircuitBreaker::builder().failure_threshold(3).build();
    listen(&heir, "own");
    let new = heir.keeping(&old);
    listen(&old, "after");
    assert_eq!(new.mode(), Mode::DryRun);
    old.set_mode(Mode::Enforce);
    assert_eq!(new.mode(), Mode::Enforce);
    assert!(new.try_acquire().is_err());
    new.close();
    old.isolate();
    let Counters { opened, rejected, untold, .. } = new.counters();
    assert_eq!((opened, rejected, untold), (1, 2, 0));
    assert_eq!(new.last_transition().unwrap().to, CircuitState::Isolated);

    let told = told.lock().unwrap();
    let heard =
        |who| told.iter().filter(|(by, _)| *by == who).map(|(_, what)| *what).collect::<Vec<_>>();
    assert_eq!(heard("before"), ["open", "rejected", "rejected", "closed", "isolated"]);
    for late in ["own", "after"] {
        assert_eq!(heard(late), ["rejected", "closed", "isolated"]);
    }
}

#[test]
fn a_handle_from_before_is_a_handle_to_the_new_breaker() {
    let (clock, _scope) = virtual_time();
    let old = Arc::new(CircuitBreaker::builder().failure_threshold(9).build());
    let new = sensitive().build().keeping(&old);
    fails(&old);
    assert_eq!((old.state(), new.state()), (CircuitState::Open, CircuitState::Open));
    assert!(old.run_blocking(|| Outcome::Ok(1)).is_err());
    assert_eq!(old.time_until_probe(), new.time_until_probe());
    clock.advance(10 * S);
    assert!(old.run_blocking(|| Outcome::Ok(1)).is_ok());
    assert_eq!(new.state(), CircuitState::Closed);
    assert_eq!(old.counters(), new.counters());
    old.reset();
    assert_eq!(new.last_transition().unwrap().cause, TransitionCause::Reset);
}

#[test]
fn who_takes_over_from_a_retired_one_takes_over_from_the_one_that_goes_on() {
    let of = |threshold| CircuitBreaker::builder().failure_threshold(threshold).build();
    let first = of(9);
    fails(&first);
    let second = of(8).keeping(&first);
    fails(&second);
    let third = of(7).keeping(&first);
    assert_eq!(third.counters().consecutive_failures, 2);
    fails(&second);
    fails(&first);
    assert_eq!(third.counters().consecutive_failures, 4);
    assert_eq!([&*second, &first].map(|old| old.counters()), [third.counters(); 2]);
}

/// Law 12: whoever keeps an old handle keeps the newest breaker, and none of those between.
#[test]
fn breakers_between_the_oldest_handle_and_the_newest_one_are_dropped() {
    let first = sensitive().build();
    let mut last = sensitive().build().keeping(&first);
    let mut between: Vec<Weak<CircuitBreaker>> = Vec::new();
    for _ in 0..10 {
        between.push(Arc::downgrade(&last));
        last = sensitive().build().keeping(&last);
    }
    assert!(between.iter().all(|breaker| breaker.strong_count() == 0));
    let newest = Arc::downgrade(&last);
    drop(last);
    fails(&first);
    assert!(first.state().is_open());
    drop(first);
    assert_eq!(newest.strong_count(), 0);
}

/// Bad is 1, slow is 2.
fn record(breaker: &CircuitBreaker, clock: &ManualClock, outcome: u8) {
    let verdict = if outcome & 1 == 1 { Verdict::TRANSIENT } else { Verdict::Success };
    takes(breaker, clock, if outcome & 2 == 2 { S } else { Duration::ZERO }, verdict);
}

/// Never opens by itself: the first call is none of those that the rates are about.
fn over_calls(calls: u32) -> CircuitBreaker {
    CircuitBreaker::builder()
        .failure_rate(1.0)
        .slow_call_rate(1.0, S)
        .over_calls(calls)
        .minimum_calls(calls)
        .build()
}

fn over_time(time: Duration) -> CircuitBreaker {
    CircuitBreaker::builder()
        .failure_rate(1.0)
        .slow_call_rate(1.0, S)
        .over_time(time)
        .minimum_calls(1_000_000)
        .build()
}

proptest! {
    /// What goes on, goes on exactly: a breaker that is replaced again and again and one that never is
    /// look the same after each step.
    #[test]
    fn a_breaker_that_is_replaced_does_what_it_would_have_done(
        kind in 0..3_u8,
        steps in prop::collection::vec((0..12_u8, 1..4000_u32), 1..80),
    ) {
        let (clock, _scope) = virtual_time();
        let builder = CircuitBreaker::builder().recovery_timeout(10 * S).probes(2).successes_to_close(3);
        let builder = match kind {
            0 => builder.failure_threshold(3),
            1 => builder.failure_rate(0.5).slow_call_rate(0.5, S).over_calls(8).minimum_calls(4),
            _ => builder.failure_rate(0.5).slow_call_rate(0.5, S).over_time(20 * S).minimum_calls(4),
        };
        let plain = builder.build();
        let mut line = vec![builder.build().keeping(&builder.build())];
        let mut held = Vec::new();
        for (n, (step, ms)) in (0..).zip(steps) {
            let now = Arc::clone(&line[line.len() - 1]);
            // By the newest handle, or by any of those before.
            let any = Arc::clone(&line[usize::try_from(ms).unwrap() % line.len()]);
            match step {
                0 => clock.advance(ms * MS),
                1 => clock.advance(ms * 4 * MS),
                2..=4 => {
                    let any: &'static CircuitBreaker = Box::leak(Box::new(any));
                    let plain: &CircuitBreaker = &plain;
                    let (one, other) = (plain.try_acquire(), any.try_acquire());
                    prop_assert_eq!(one.is_ok(), other.is_ok());
                    if let (Ok(one), Ok(other)) = (one, other) {
                        prop_assert_eq!(one.is_probe(), other.is_probe());
                        held.push((one, other));
                    }
                }
                5..=7 if !held.is_empty() => {
                    let at = usize::try_from(ms).unwrap() % held.len();
                    let (one, other) = held.swap_remove(at);
                    let verdict = match ms % 4 {
                        0 => Verdict::Success,
                        1 => Verdict::Ignored,
                        _ => Verdict::TRANSIENT,
                    };
                    one.record(verdict);
                    other.record(verdict);
                }
                8 if !held.is_empty() => drop(held.pop()),
                9 if ms % 5 == 0 => [&plain, &*any].into_iter().for_each(CircuitBreaker::isolate),
                9 if ms % 5 == 1 => [&plain, &*any].into_iter().for_each(CircuitBreaker::close),
                9 if ms % 5 == 2 => [&plain, &*any].into_iter().for_each(CircuitBreaker::reset),
                _ => line.push(with_another_detail(builder, n).build().keeping(&now)),
            }
            let now = &line[line.len() - 1];
            prop_assert_eq!(plain.state(), now.state(), "step {}", n);
            prop_assert_eq!(plain.counters(), now.counters(), "step {}", n);
            prop_assert_eq!(plain.time_until_probe().is_some(), now.time_until_probe().is_some());
        }
    }

    /// A count window of another size holds the last calls, in their order.
    #[test]
    fn a_window_over_other_calls_holds_the_last_of_them(
        before in prop::collection::vec(0..4_u8, 0..60),
        after in prop::collection::vec(0..4_u8, 0..60),
        (from, to) in (2..40_u32, 2..40_u32),
    ) {
        let (clock, _scope) = virtual_time();
        let old = over_calls(from);
        let mut model: VecDeque<u8> = VecDeque::new();
        let mut goes_in = |breaker: &CircuitBreaker, outcome: u8, size: u32| {
            record(breaker, &clock, outcome);
            model.push_back(outcome);
            while model.len() > usize::try_from(size).unwrap() {
                model.pop_front();
            }
            let all = u64::try_from(model.len()).unwrap();
            let of = |bit| u64::try_from(model.iter().filter(|call| **call & bit > 0).count()).unwrap();
            (all, of(1), of(2))
        };
        let figures = |breaker: &CircuitBreaker| {
            let Counters { calls, failures, slow_calls, .. } = breaker.counters();
            (calls, failures, slow_calls)
        };
        // A good call every other time: no rate is ever reached.
        for outcome in before {
            prop_assert_eq!(goes_in(&old, outcome, from), { figures(&old) });
            prop_assert_eq!(goes_in(&old, 0, from), figures(&old));
        }
        let new = over_calls(to).keeping(&old);
        for outcome in after {
            prop_assert_eq!(goes_in(&new, 0, to), figures(&new));
            prop_assert_eq!(goes_in(&new, outcome, to), figures(&new));
        }
    }

    /// A time window of another length: nothing is made up, nothing of the new time is left out, and
    /// what is out of it goes.
    #[test]
    fn a_window_over_another_time_holds_the_calls_of_that_time(
        calls in prop::collection::vec((0..3_u8, 0..3000_u32), 1..60),
        (from, to) in (10..30_000_u32, 10..30_000_u32),
    ) {
        let (clock, _scope) = virtual_time();
        let (from, to) = (from * MS, to * MS);
        clock.advance(HOUR);
        let old = over_time(from);
        old.try_acquire().unwrap().record(Verdict::Success);
        let mut made = vec![(clock.now(), 0)];
        for (outcome, ms) in calls {
            clock.advance(ms * MS);
            let verdict = if outcome == 1 { Verdict::TRANSIENT } else { Verdict::Success };
            old.try_acquire().unwrap().record(verdict);
            made.push((clock.now(), outcome));
        }
        let before = old.counters();
        let new = over_time(to).keeping(&old);
        let after = new.counters();
        let now = clock.now();
        let since = |back: Duration| {
            let recent = made.iter().filter(|(at, _)| now - *at < back);
            let (all, bad): (Vec<_>, Vec<_>) = recent.map(|(_, outcome)| ((), *outcome == 1)).unzip();
            (u64::try_from(all.len()).unwrap(), u64::try_from(bad.iter().filter(|bad| **bad).count()).unwrap())
        };
        prop_assert!(after.calls <= before.calls && after.failures <= before.failures);
        prop_assert!(after.failures <= after.calls);
        if to >= from + from / 10 {
            prop_assert_eq!((after.calls, after.failures), (before.calls, before.failures));
        }
        // Surely within: both windows hold nine tenths of their time at least, and a bucket of the old
        // one is spread over a tenth of its time.
        let surely = from.min(to) * 9 / 10;
        if let Some(surely) = surely.checked_sub(from / 10 + MS * 20) {
            let (calls, failures) = since(surely);
            prop_assert!(after.calls >= calls && after.failures >= failures, "{:?} of {:?}", after, since(surely));
        }
        // Surely without.
        let (calls, failures) = since(from.min(to) + from / 10 + to / 10 + MS * 20);
        prop_assert!(after.calls <= calls && after.failures <= failures);
        clock.advance(to + to / 10 + MS * 20);
        prop_assert_eq!(new.counters().calls, 0, "all of it ages out");
    }
}

#[test]
fn a_window_beyond_a_rate_opens_with_the_next_failure_and_not_before() {
    for by_time in [true, false] {
        let (_clock, _scope) = virtual_time();
        let of = |rate, size: u32, minimum| {
            let builder = CircuitBreaker::builder().failure_rate(rate).minimum_calls(minimum);
            if by_time {
                builder.over_time(size * S).build()
            } else {
                builder.over_calls(size).build()
            }
        };
        for (size, minimum) in [(20, 20), (20, 4), (30, 4), (15, 4)] {
            let old = of(1.0, 20, 20);
            for n in 0..10 {
                if n % 2 == 0 { fails(&old) } else { succeeds(&old) }
            }
            let new = of(0.2, size, minimum).keeping(&old);
            assert_eq!((new.counters().calls, new.counters().failures), (10, 5));
            assert_eq!(new.failure_rate(), Some(0.5));
            assert!(new.state().is_closed(), "settings by themselves open nothing");
            fails(&new);
            assert_eq!(new.state().is_open(), minimum <= 11, "{size} {minimum}");
        }
    }
}

#[test]
fn a_window_of_another_kind_begins_empty_and_state_goes_on_all_the_same() {
    let (_clock, _scope) = virtual_time();
    let kinds: [fn() -> CircuitBreaker; 3] =
        [|| over_calls(20), || over_time(20 * S), || CircuitBreaker::builder().build()];
    for (a, from) in kinds.iter().enumerate() {
        for (b, to) in kinds.iter().enumerate().filter(|(b, _)| *b != a) {
            let old = from();
            succeeds(&old);
            fails(&old);
            let new = to().keeping(&old);
            assert_eq!(new.counters().calls, 0, "{a} to {b}");
            old.isolate();
            assert_eq!(from().keeping(&new).state(), CircuitState::Isolated, "{a} to {b}");
        }
    }
}

#[test]
fn rejections_of_the_new_breaker_are_heard_by_who_listened_to_the_old_one() {
    let heard = Arc::new(Mutex::new(0));
    let old = sensitive().build();
    old.observe({
        let heard = Arc::clone(&heard);
        move |event: &Event<'_>| {
            *heard.lock().unwrap() +=
                u32::from(matches!(event, Event::CircuitBreakerRejected { .. }));
        }
    });
    old.isolate();
    let new = sensitive().recovery_timeout(S).build().keeping(&old);
    assert!(new.try_acquire().is_err());
    assert_eq!(*heard.lock().unwrap(), 1);
}
