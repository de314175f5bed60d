//! The whole breaker on eight threads, in many schedules drawn by shuttle. Run by `ci/shuttle`.
#![cfg(all(seawall_shuttle, feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use seawall::{
    CircuitBreaker, CircuitBreakers, CircuitState, Error, Event, RetryBudget, Verdict,
    breaker::Transition,
    testing::{ManualClock, Scope},
};
use shuttle::{
    rand::{Rng, thread_rng},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
};
use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

const THREADS: usize = 8;
const HOUR: Duration = Duration::from_secs(3600);

/// Draws schedules in both ways: few switches at unlikely places, and many anywhere.
fn in_many_schedules(test: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("SHUTTLE_SCHEDULES").ok().and_then(|s| s.parse().ok());
    let schedules = schedules.unwrap_or(1000);
    let test = Arc::new(move || {
        // Shuttle's threads are all on this one, so all see this clock.
        let _entered = Scope::new(ManualClock::new()).enter();
        test();
    });
    shuttle::check_random(
        {
            let test = Arc::clone(&test);
            move || test()
        },
        schedules,
    );
    shuttle::check_pct(move || test(), schedules, 4);
}

fn on_threads<S: Send + Sync + 'static>(
    shared: &Arc<S>,
    each: impl Fn(&S, usize) + Send + Sync + 'static,
) {
    let each = Arc::new(each);
    let threads: Vec<_> = (0..THREADS)
        .map(|n| {
            let (shared, each) = (Arc::clone(shared), Arc::clone(&each));
            thread::spawn(move || each(&shared, n))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn fail<C>(breaker: &CircuitBreaker<C>) {
    if let Ok(permit) = breaker.try_acquire() {
        permit.record(Verdict::TRANSIENT);
    }
}

/// Law 2, and law 7: probes that end in every way but by failing keep to their slots.
#[test]
fn eight_threads_never_hold_more_slots_than_there_are() {
    in_many_schedules(|| {
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .recovery_timeout(Duration::ZERO)
            .probes(2)
            .successes_to_close(255)
            .build();
        fail(&breaker);
        let shared = Arc::new((breaker, AtomicU64::new(0)));
        on_threads(&shared, |(breaker, inside), n| {
            for turn in 0..3 {
                let Ok(permit) = breaker.try_acquire() else { continue };
                assert!(inside.fetch_add(1, SeqCst) < 2, "a stampede");
                assert!(breaker.counters().probes_in_flight <= 2);
                // Out before it ends: the slot may be another's at once.
                inside.fetch_sub(1, SeqCst);
                match (n + turn) % 3 {
                    0 => permit.record(Verdict::Success),
                    1 => permit.record(Verdict::Ignored),
                    _ => drop(permit),
                }
            }
        });
        let breaker = &shared.0;
        assert_eq!(breaker.counters().probes_in_flight, 0, "a slot is lost");
        assert!(breaker.try_acquire().is_ok(), "wedged");
    });
}

/// What a story of calls comes to.
#[derive(Default)]
struct Sums {
    asked: AtomicU64,
    called: AtomicU64,
    rejected: AtomicU64,
    panicked: AtomicU64,
}

struct Story {
    breaker: CircuitBreaker,
    sums: Sums,
    told: Arc<Mutex<Vec<Transition>>>,
    /// How many observers are at work.
    telling: Arc<AtomicU64>,
}

impl Story {
    fn new(breaker: CircuitBreaker) -> Arc<Self> {
        let (told, telling) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(AtomicU64::new(0)));
        breaker.observe({
            let (told, telling) = (Arc::clone(&told), Arc::clone(&telling));
            move |event: &Event<'_>| {
                if let Event::CircuitBreakerTransition { transition, .. } = event {
                    assert_eq!(telling.fetch_add(1, SeqCst), 0, "two at a time are told");
                    // A chance for the next one to overtake.
                    thread::yield_now();
                    told.lock().unwrap().push(*transition);
                    telling.fetch_sub(1, SeqCst);
                }
            }
        });
        Arc::new(Self { breaker, sums: Sums::default(), told, telling })
    }

    /// One whole call, which succeeds, fails, panics, or is cancelled.
    fn call(&self, how: u32) {
        let Sums { asked, called, rejected, panicked } = &self.sums;
        asked.fetch_add(1, SeqCst);
        if how == 3 {
            let op = || {
                called.fetch_add(1, SeqCst);
                pending::<Result<(), &str>>()
            };
            let mut cancelled = pin!(self.breaker.run(op));
            let polled = cancelled.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            rejected.fetch_add(u64::from(polled.is_ready()), SeqCst);
            return;
        }
        let op = || {
            called.fetch_add(1, SeqCst);
            thread::yield_now();
            match how {
                0 => Ok(()),
                1 => Err("down"),
                _ => resume_unwind(Box::new("a panic on purpose")),
            }
        };
        match catch_unwind(AssertUnwindSafe(|| self.breaker.run_blocking(op))) {
            Ok(Err(Error::Rejected(_))) => rejected.fetch_add(1, SeqCst),
            Ok(_) => 0,
            Err(_) => panicked.fetch_add(1, SeqCst),
        };
    }

    fn assert_all_is_told(&self) {
        let Sums { asked, called, rejected, .. } = &self.sums;
        let counters = self.breaker.counters();
        assert_eq!(asked.load(SeqCst), called.load(SeqCst) + rejected.load(SeqCst));
        assert_eq!(counters.rejected, rejected.load(SeqCst));
        assert_eq!((counters.probes_in_flight, counters.untold), (0, 0));
        assert_eq!(self.telling.load(SeqCst), 0);
        let told = self.told.lock().unwrap();
        let mut state = CircuitState::Closed;
        for transition in told.iter() {
            assert_eq!(transition.from, state, "out of order: {told:?}");
            state = transition.to;
        }
        assert_eq!(state, self.breaker.state());
        assert_eq!(told.last().copied(), self.breaker.last_transition());
        let opened = told.iter().filter(|transition| transition.to == CircuitState::Open).count();
        assert_eq!(counters.opened, opened as u64);
    }
}

/// Laws 1, 4, 7 and 16: trip, reject, probe, close, all at once, with panics and cancelled calls.
#[test]
fn eight_threads_tell_each_transition_once_and_in_order() {
    in_many_schedules(|| {
        let story = Story::new(
            CircuitBreaker::builder()
                .failure_threshold(2)
                .recovery_timeout(Duration::ZERO)
                .probes(2)
                .successes_to_close(2)
                .build(),
        );
        on_threads(&story, |story, _| {
            for _ in 0..4 {
                story.call(thread_rng().gen_range(0..4));
            }
        });
        story.assert_all_is_told();
        assert!(story.breaker.try_acquire().is_ok(), "wedged");
    });
}

/// The same, with a window, an open time, and hands that isolate, close and reset.
#[test]
fn eight_threads_and_hands_tell_each_transition_once_and_in_order() {
    in_many_schedules(|| {
        let clock = ManualClock::new();
        let _entered = Scope::new(clock.clone()).enter();
        let story = Story::new(
            CircuitBreaker::builder()
                .failure_rate(0.5)
                .over_calls(4)
                .minimum_calls(2)
                .recovery_timeout(Duration::from_secs(1))
                .build(),
        );
        on_threads(&story, move |story, n| {
            for _ in 0..3 {
                match (n, thread_rng().gen_range(0..6)) {
                    (0, 0) => story.breaker.isolate(),
                    (0, 1) => story.breaker.close(),
                    (0, 2) => story.breaker.reset(),
                    (1, 0..3) => clock.advance(Duration::from_secs(1)),
                    (_, how) => story.call(how % 4),
                }
            }
        });
        story.assert_all_is_told();
    });
}

/// Law 3: a success from before the trip never closes; whoever holds one over it is told nothing.
#[test]
fn eight_threads_with_late_successes_leave_an_open_breaker_open() {
    in_many_schedules(|| {
        let breaker = CircuitBreaker::builder().failure_threshold(4).recovery_timeout(HOUR);
        let breaker = Arc::new(breaker.build());
        on_threads(&breaker, |breaker, n| {
            let Ok(permit) = breaker.try_acquire() else { return };
            thread::yield_now();
            permit.record(if n < 4 { Verdict::Success } else { Verdict::TRANSIENT });
        });
        // As many failures as are needed come after the last success, and the rest are late.
        (0..4).for_each(|_| fail(&breaker));
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.counters().opened, 1);
    });
}

/// Law 11: no window loses a call, and the last failure that is missing trips.
#[test]
fn eight_threads_fill_a_window_exactly() {
    in_many_schedules(|| {
        let rate =
            CircuitBreaker::builder().failure_rate(1.0).minimum_calls(8).recovery_timeout(HOUR);
        for breaker in [rate.over_calls(8).build(), rate.over_time(HOUR).build()] {
            let breaker = Arc::new(breaker);
            on_threads(&breaker, |breaker, _| fail(breaker));
            assert_eq!(breaker.state(), CircuitState::Open);
        }
        for breaker in [rate.over_calls(20).build(), rate.over_time(HOUR).build()] {
            let breaker = Arc::new(breaker);
            on_threads(&breaker, |breaker, n| {
                let permit = breaker.try_acquire().unwrap();
                permit.record(if n % 2 == 0 { Verdict::Success } else { Verdict::TRANSIENT });
            });
            assert_eq!((breaker.counters().calls, breaker.counters().failures), (8, 4));
        }
    });
}

/// Law 6: what a budget has is spent once.
#[test]
fn eight_threads_spend_no_more_than_a_budget_has() {
    in_many_schedules(|| {
        let shared = Arc::new((RetryBudget::new(0.5, 5), AtomicU64::new(0)));
        let before = shared.0.available();
        on_threads(&shared, |(budget, retries), _| {
            for _ in 0..2 {
                if budget.try_retry() {
                    retries.fetch_add(1, SeqCst);
                }
            }
        });
        assert_eq!(shared.1.load(SeqCst), before.min(16));
        assert_eq!(shared.0.available(), before.saturating_sub(16));
    });
}

/// Law 12: a registry keeps to its limit, and threads that meet at a key share its breaker.
#[test]
fn eight_threads_share_the_breaker_of_a_key_and_keep_to_the_limit() {
    in_many_schedules(|| {
        let breakers = CircuitBreakers::new(CircuitBreaker::builder().failure_threshold(1));
        let breakers = Arc::new(breakers.max_keys(3));
        on_threads(&breakers, |breakers, n| {
            let sick = breakers.get("sick");
            fail(&sick);
            let _ = breakers.get(&(n % 4));
            assert!(breakers.len() <= 3);
            assert!(breakers.get("sick").state().is_open(), "a sick key has lost its state");
        });
        assert_eq!(breakers.get("sick").counters().opened, 1);
    });
}
