//! The word's swaps, in every schedule of a few threads. Run by `ci/loom`.

use super::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitState,
    permit::Core,
    window::{CountWindow, Rates, Window},
    word::{Answer, Input, Rules, Word},
};
use crate::{event::Event, verdict::Verdict};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// Opens on the second failure in a row, probes at once, one at a time.
const RULES: Rules = Rules {
    threshold: 2,
    recovery: 0,
    growth: 1.0,
    longest: 0,
    jitter: 0.0,
    probes: 1,
    successes: 1,
    lease: 3_600_000,
    bound: 0,
};

fn core(rules: Rules) -> Core {
    Core::new(rules.bounded(), Window::Nothing, None, None)
}

fn open(rules: Rules) -> Core {
    let core = core(rules);
    for _ in 0..rules.threshold {
        core.ask().record(Verdict::TRANSIENT);
    }
    assert_eq!(core.word().state(), CircuitState::Open);
    core
}

/// A permit as `try_acquire` gives it.
fn acquire(core: &Core) -> Option<super::Permit<'_>> {
    let mut permit = core.ask();
    if !permit.is_free() {
        permit.acquire().ok()?;
    }
    Some(permit)
}

/// A probe that is under way somewhere else: the word that its permit has seen.
fn hung_probe(core: &Core) -> Word {
    let step = core.step(Input::Acquire);
    assert_eq!(step.answer, Answer::Admit);
    step.word
}

/// Law 2, with every way a probe can end.
#[test]
fn no_schedule_lets_more_probes_in_than_there_are_slots() {
    for ends in [[Some(Verdict::Success), None], [Some(Verdict::TRANSIENT), None], [None, None]] {
        loom::model(move || {
            let shared = Arc::new((open(RULES), AtomicUsize::new(0)));
            let threads: Vec<_> = ends
                .into_iter()
                .map(|end| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        let (core, inside) = &*shared;
                        let Some(permit) = acquire(core) else { return };
                        if permit.is_probe() {
                            assert_eq!(inside.fetch_add(1, SeqCst), 0, "a stampede");
                            inside.fetch_sub(1, SeqCst);
                        }
                        match end {
                            Some(verdict) => permit.record(verdict),
                            None => drop(permit),
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            // Law 1: whatever happened, the next caller is let in.
            assert!(acquire(&shared.0).is_some(), "wedged: {:?}", shared.0.word());
        });
    }
}

/// Law 3: a success that races the trip comes before it or is stale; it never closes the breaker.
#[test]
fn no_schedule_lets_a_late_success_undo_the_trip() {
    loom::model(|| {
        let core = Arc::new(core(Rules { threshold: 1, ..RULES }));
        let late = {
            let core = Arc::clone(&core);
            thread::spawn(move || {
                let permit = core.ask();
                if permit.is_free() {
                    permit.record(Verdict::Success);
                }
            })
        };
        core.ask().record(Verdict::TRANSIENT);
        late.join().expect("no panic");
        assert_eq!(core.word().state(), CircuitState::Open);
    });
}

/// Two failures at once meet a threshold of two: no update is lost.
#[test]
fn no_schedule_loses_a_failure() {
    loom::model(|| {
        let core = Arc::new(core(RULES));
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.ask().record(Verdict::TRANSIENT))
        };
        core.ask().record(Verdict::TRANSIENT);
        other.join().expect("no panic");
        assert_eq!(core.word().state(), CircuitState::Open);
    });
}

/// Law 3: a probe's outcome that races a reset by hand changes nothing after it.
#[test]
fn no_schedule_lets_a_probe_outlive_a_reset() {
    loom::model(|| {
        let core = Arc::new(open(RULES));
        let probe = {
            let core = Arc::clone(&core);
            thread::spawn(move || {
                if let Some(permit) = acquire(&core) {
                    permit.record(Verdict::TRANSIENT);
                }
            })
        };
        core.by_hand(Input::Reset);
        probe.join().expect("no panic");
        // Either the probe ended before the reset, or it was a call of the reset breaker, whose first
        // failure is one short of the threshold, or it is stale.
        let word = core.word();
        assert_eq!(word.state(), CircuitState::Closed);
        assert!(word.failures() <= 1);
    });
}

/// A breaker that opens when the last two calls have failed, after two that have not.
fn with_window() -> Arc<Core> {
    let rates = Rates { minimum_calls: 2, failure_rate: Some(1.0), slow_call_rate: None };
    let window = Window::Count(CountWindow::new(2, rates));
    let core = Core::new(Rules { threshold: 0, ..RULES }.bounded(), window, None, None);
    for _ in 0..2 {
        core.ask().record(Verdict::Success);
    }
    Arc::new(core)
}

/// Word and window together: two failures at once, each the last one that was missing.
#[test]
fn no_schedule_loses_a_trip_between_word_and_window() {
    loom::model(|| {
        let core = with_window();
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.ask().record(Verdict::TRANSIENT))
        };
        core.ask().record(Verdict::TRANSIENT);
        other.join().expect("no panic");
        assert_eq!(core.word().state(), CircuitState::Open);
    });
}

/// Word and window together: a success that finds nothing to write, beside a failure.
#[test]
fn no_schedule_lets_a_silent_success_cover_a_failure() {
    loom::model(|| {
        let core = with_window();
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.ask().record(Verdict::Success))
        };
        core.ask().record(Verdict::TRANSIENT);
        other.join().expect("no panic");
        assert_eq!(core.counters().failures, 1);
        for _ in 0..2 {
            core.ask().record(Verdict::TRANSIENT);
        }
        assert_eq!(core.word().state(), CircuitState::Open);
    });
}

/// The failure that trips races a success: the success comes before it, or is stale. It never
/// clears what the trip has put there.
#[test]
fn no_schedule_mixes_a_trip_with_a_success() {
    loom::model(|| {
        let core = Arc::new(core(RULES));
        core.ask().record(Verdict::TRANSIENT);
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || {
                let permit = core.ask();
                if permit.is_free() {
                    permit.record(Verdict::Success);
                }
            })
        };
        core.ask().record(Verdict::TRANSIENT);
        other.join().expect("no panic");
        let word = core.word();
        match word.state() {
            CircuitState::Open => assert_eq!(core.counters().opened, 1),
            _ => assert_eq!(word.failures(), 1, "the failure after the success is lost"),
        }
    });
}

/// One probe fails while another succeeds: open if the failure was first, and if the success was
/// first, closed with the late failure dropped. Nothing in between.
#[test]
fn no_schedule_lets_probes_undo_one_another() {
    loom::model(|| {
        let core = Arc::new(open(Rules { probes: 2, ..RULES }));
        let one = hung_probe(&core);
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.step(Input::Failure { seen: one, trip: None }).answer)
        };
        let probe = acquire(&core);
        let probed = probe.as_ref().is_some_and(|permit| permit.is_probe());
        if let Some(permit) = probe {
            permit.record(Verdict::Success);
        }
        let failed = other.join().expect("no panic");
        let word = core.word();
        match word.state() {
            // The success came first, and the failure was dropped; or it failed, and the caller
            // after that was the probe of the next round.
            CircuitState::Closed => assert!(probed),
            CircuitState::Open => assert_eq!((failed, word.reopenings()), (Answer::Noted, 1)),
            state => panic!("{state}"),
        }
    });
}

/// A probe comes back just as the end of its lease gives its slot to another.
#[test]
fn no_schedule_lets_a_probe_speak_once_its_slot_is_anothers() {
    loom::model(|| {
        let core = Arc::new(open(Rules { lease: 0, ..RULES }));
        let hung = hung_probe(&core);
        let late = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.step(Input::Success { seen: hung, trip: None }).answer)
        };
        let permit = acquire(&core).expect("the lease is over, or it is closed");
        let took_over = permit.is_probe();
        let late = late.join().expect("no panic");
        assert_eq!(late == Answer::Stale, took_over);
        let half_open = core.word().state() == CircuitState::HalfOpen;
        assert_eq!((half_open, core.counters().probes_in_flight), (took_over, took_over.into()));
        drop(permit);
        assert_eq!(core.counters().probes_in_flight, 0);
    });
}

/// Law 4: transitions of two threads are told one by one, and each goes on from the one before.
#[test]
fn no_schedule_tells_transitions_out_of_order() {
    loom::model(|| {
        let core = Arc::new(core(Rules { threshold: 1, ..RULES }));
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        core.history.observe({
            let told = std::sync::Arc::clone(&told);
            std::sync::Arc::new(move |event: &Event<'_>| {
                if let Event::CircuitBreakerTransition { transition, .. } = event {
                    told.lock().expect("no panic").push((transition.from, transition.to));
                }
            })
        });
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.by_hand(Input::Reset))
        };
        core.ask().record(Verdict::TRANSIENT);
        drop(acquire(&core));
        other.join().expect("no panic");
        let mut state = CircuitState::Closed;
        for (from, to) in told.lock().expect("no panic").iter() {
            assert_eq!(*from, state);
            state = *to;
        }
        assert_eq!(state, core.word().state(), "a transition is untold");
    });
}

/// One thread does something to the old breaker while another one takes over from it.
fn beside_a_handover(
    old: impl Fn() -> CircuitBreaker + Sync + Send + 'static,
    new: impl Fn() -> CircuitBreaker + Sync + Send + 'static,
    before: impl Fn(&CircuitBreaker) -> Option<Word> + Sync + Send + 'static,
    beside: impl Fn(&CircuitBreaker, Option<Word>) + Clone + Sync + Send + 'static,
    after: impl Fn(&CircuitBreaker) + Sync + Send + 'static,
) {
    loom::model(move || {
        let old = Arc::new(old());
        let seen = before(&old);
        let other = {
            let (old, beside) = (Arc::clone(&old), beside.clone());
            thread::spawn(move || beside(&old, seen))
        };
        let new = new().keeping(&old);
        other.join().expect("no panic");
        after(&new);
    });
}

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder().recovery_timeout(std::time::Duration::ZERO)
}

fn fails(breaker: &CircuitBreaker) {
    breaker.try_acquire().expect("closed").record(Verdict::TRANSIENT);
}

#[test]
fn no_schedule_loses_or_doubles_a_failure_beside_a_handover() {
    beside_a_handover(
        || builder().failure_threshold(3).build(),
        || builder().failure_threshold(4).build(),
        |_| None,
        |old, _| fails(old),
        |new| assert_eq!(new.counters().consecutive_failures, 1),
    );
}

#[test]
fn no_schedule_loses_or_doubles_a_call_of_a_window_beside_a_handover() {
    // Rings of one size are handed over, those of two are copied.
    for size in [4, 3] {
        let of =
            |size| move || builder().failure_rate(1.0).over_calls(size).minimum_calls(3).build();
        let success = |old: &CircuitBreaker| {
            old.try_acquire().expect("closed").record(Verdict::Success);
        };
        beside_a_handover(
            of(4),
            of(size),
            move |old| {
                success(old);
                None
            },
            |old, _| fails(old),
            |new| {
                let counters = new.counters();
                assert_eq!((counters.calls, counters.failures), (2, 1));
            },
        );
        beside_a_handover(
            of(4),
            of(size),
            move |old| {
                success(old);
                None
            },
            move |old, _| success(old),
            |new| assert_eq!(new.counters().calls, 2),
        );
    }
}

/// Laws 1 and 2.
#[test]
fn no_schedule_loses_or_doubles_a_slot_beside_a_handover() {
    let half_open = |old: &CircuitBreaker| {
        fails(old);
        Some(hung_probe(&old.core))
    };
    let of =
        |successes| move || builder().failure_threshold(1).successes_to_close(successes).build();
    beside_a_handover(
        of(2),
        of(3),
        half_open,
        |old, seen| {
            let _ = old.core.settle(Input::Abandon { seen: seen.expect("a probe") });
        },
        |new| {
            assert_eq!(new.counters().probes_in_flight, 0);
            let permit = new.try_acquire().expect("the slot is free");
            assert!(new.try_acquire().is_err(), "a stampede");
            drop(permit);
        },
    );
    beside_a_handover(
        of(2),
        of(3),
        |old| {
            fails(old);
            None
        },
        |old, _| {
            // Kept for good, as it were: nobody else may have the slot.
            std::mem::forget(old.try_acquire().expect("a probe is due"));
        },
        |new| assert!(new.try_acquire().is_err(), "a stampede"),
    );
}

#[test]
fn no_schedule_loses_what_is_done_by_hand_beside_a_handover() {
    beside_a_handover(
        || builder().failure_threshold(3).build(),
        || builder().failure_threshold(4).build(),
        |_| None,
        |old, _| {
            old.isolate();
            old.set_mode(super::Mode::DryRun);
        },
        |new| {
            assert_eq!(new.state(), CircuitState::Isolated);
            assert_eq!(new.mode(), super::Mode::DryRun);
        },
    );
}
