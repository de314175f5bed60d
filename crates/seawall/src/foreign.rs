//! A narrow door for drivers in other languages, which cannot borrow: the same decisions by value;
//! and for those who keep the state of breakers and budgets elsewhere: the same state as plain data.
//!
//! Nobody's API: it changes with the packages that use it.

pub use crate::breaker::held::{Held, HeldBucket, HeldWindow};

use crate::{
    breaker::CircuitBreaker,
    random::Random,
    retry::{Next, RetryBudget, RetryPolicy, Settings},
    time::Tick,
    verdict::Verdict,
};
use std::{cell::Cell, time::Duration};

thread_local! {
    static NOW: Cell<Option<Tick>> = const { Cell::new(None) };
}

/// The time that the caller has given, while it is inside [`at`].
#[inline]
pub(crate) fn now() -> Option<Tick> {
    NOW.try_with(Cell::get).ok().flatten()
}

/// How far [`Tick::now`] may lag behind, in ms.
pub fn step() -> u64 {
    Tick::step()
}

/// Runs `decide` with the clock standing at `now`, for callers with a clock of their own.
pub fn at<R>(now: Tick, decide: impl FnOnce() -> R) -> R {
    /// Puts back what was there, also after a panic.
    struct Before(Option<Tick>);
    impl Drop for Before {
        fn drop(&mut self) {
            let _ = NOW.try_with(|cell| cell.set(self.0));
        }
    }
    let _before = Before(NOW.try_with(|cell| cell.replace(Some(now))).ok().flatten());
    decide()
}

/// The decisions of one call, owned.
#[derive(Debug, Clone)]
pub struct Decisions {
    settings: Settings,
    state: crate::retry::State,
}

impl Decisions {
    /// Those of a call under `policy`, with its jitter drawn from `random`.
    pub fn new<C>(policy: &RetryPolicy<C>, random: Random) -> Self {
        let settings = policy.settings;
        Self { settings, state: crate::retry::State::new(&settings, random) }
    }

    /// Has the call make so many attempts, whatever the policy says.
    pub fn limit(&mut self, max_attempts: u32) {
        self.state.max_attempts = max_attempts;
    }

    /// Outcomes seen.
    pub fn made(&self) -> u64 {
        self.state.made
    }

    /// Takes the verdict on an attempt of a call that is `elapsed` old, and says what follows.
    pub fn next(&mut self, verdict: Verdict, elapsed: Duration) -> Next {
        self.settings.decide(&mut self.state, verdict, elapsed)
    }
}

/// The delay before the retry that follows attempt `n`, as far as it depends on nothing else.
pub fn delay<C>(policy: &RetryPolicy<C>, n: u64, random: &mut Random) -> Duration {
    policy.settings.backoff.nth(n, random)
}

/// Has this thread's jitter come from `seed`: a forked process must not draw what its parent draws.
pub fn reseed(seed: u64) {
    Random::reseed(seed);
}

/// Whether a success earns `budget` nothing.
#[inline]
pub fn is_full(budget: &RetryBudget) -> bool {
    budget.is_full()
}

/// Whether a call may be made, and what to hand in with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It may; the ticket goes with its outcome.
    Admitted(u64),
    /// It may, since the breaker only tells what it would reject. Its outcome counts for nothing.
    Passed,
    /// It may not; one may ask again after this long, if that is known.
    Rejected(Option<Duration>),
}

/// Asks `breaker` for leave to make one call.
///
/// Whoever has a ticket hands it in once, by [`record`] or [`abandon`].
pub fn acquire<C>(breaker: &CircuitBreaker<C>) -> Leave {
    breaker.core.acquire_ticket()
}

/// [`acquire`], where the answer is plainly no: else none, and nothing has happened. Observers are not
/// told; whoever calls it knows that there are none, or tells them.
pub fn reject<C>(breaker: &CircuitBreaker<C>) -> Option<Leave> {
    breaker.core.reject_ticket()
}

/// Tells how the call of `ticket` went. `took` counts where slow calls are.
pub fn record<C>(
    breaker: &CircuitBreaker<C>,
    ticket: u64,
    verdict: Verdict,
    took: Option<Duration>,
) {
    breaker.core.record_ticket(ticket, verdict, took);
}

/// Gives the ticket back without an outcome.
pub fn abandon<C>(breaker: &CircuitBreaker<C>, ticket: u64) {
    breaker.core.abandon_ticket(ticket);
}

/// A ticket without asking, while the breaker is closed and times no calls; and whether one more success
/// changes nothing that can be seen. Tickets of one generation are as good as one another.
pub fn closed<C>(breaker: &CircuitBreaker<C>) -> Option<(u64, bool)> {
    breaker.core.closed_ticket()
}

/// Whether two tickets are of one generation.
pub const fn same_generation(one: u64, other: u64) -> bool {
    crate::breaker::same_generation(one, other)
}

/// What `breaker` remembers now.
pub fn hold<C>(breaker: &CircuitBreaker<C>) -> Held {
    breaker.core.hold()
}

/// Has `breaker`, which was just made, remember `held`. What its settings do not allow is cut: it
/// stays open no longer than they say, and a window of another kind stays empty.
pub fn remember<C>(breaker: &CircuitBreaker<C>, held: &Held) {
    breaker.core.remember(held);
}

/// What `budget` has, in billionths of a token.
pub fn tokens(budget: &RetryBudget) -> u64 {
    budget.tokens()
}

/// Has `budget`, which was just made, hold so much, or as much as it can.
pub fn set_tokens(budget: &RetryBudget, tokens: u64) {
    budget.set_tokens(tokens);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BackoffStrategy, CircuitState, Jitter};

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_breaker_follows_the_clock_that_it_is_given() {
        let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(S).build();
        let tick = |ms| Tick::from_millis(ms);
        let Leave::Admitted(ticket) = at(tick(0), || acquire(&breaker)) else {
            unreachable!("it is closed")
        };
        assert_eq!(closed(&breaker), Some((ticket, true)));
        at(tick(0), || record(&breaker, ticket, Verdict::TRANSIENT, None));
        assert_eq!(closed(&breaker), None);
        assert_eq!(at(tick(999), || acquire(&breaker)), Leave::Rejected(Some(S / 1000)));
        let Leave::Admitted(probe) = at(tick(1000), || acquire(&breaker)) else {
            unreachable!("its time is over")
        };
        assert_eq!(at(tick(1000), || acquire(&breaker)), Leave::Rejected(None));
        at(tick(1000), || abandon(&breaker, probe));
        let Leave::Admitted(probe) = at(tick(1000), || acquire(&breaker)) else {
            unreachable!("the slot is free again")
        };
        at(tick(1000), || record(&breaker, ticket, Verdict::Success, None));
        assert_eq!(breaker.state(), CircuitState::HalfOpen, "what began before the trip is stale");
        at(tick(1000), || record(&breaker, probe, Verdict::Success, None));
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[test]
    fn a_closed_breaker_tells_whether_a_success_matters() {
        let breaker = CircuitBreaker::builder().failure_threshold(2).build();
        let Some((ticket, true)) = closed(&breaker) else { unreachable!("nothing is on record") };
        record(&breaker, ticket, Verdict::TRANSIENT, None);
        let Some((other, false)) = closed(&breaker) else { unreachable!("a failure is on record") };
        assert!(same_generation(ticket, other));
        breaker.reset();
        let Some((other, true)) = closed(&breaker) else { unreachable!("nothing is on record") };
        assert!(!same_generation(ticket, other));
    }

    #[test]
    fn a_call_that_only_passes_has_no_ticket() {
        let breaker = CircuitBreaker::builder().failure_threshold(1).build();
        breaker.set_mode(crate::breaker::Mode::DryRun);
        breaker.isolate();
        assert_eq!(acquire(&breaker), Leave::Passed);
        assert_eq!(breaker.counters().rejected, 1);
    }

    #[test]
    fn a_plain_rejection_decides_nothing() {
        let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(S).build();
        let at = |ms| at(Tick::from_millis(ms), || reject(&breaker));
        assert_eq!(at(0), None, "it is closed");
        super::at(Tick::from_millis(0), || record(&breaker, 0, Verdict::TRANSIENT, None));
        assert_eq!(at(400), Some(Leave::Rejected(Some(Duration::from_millis(600)))));
        assert_eq!(at(1000), None, "a probe is due");
        assert_eq!((breaker.state(), breaker.counters().rejected), (CircuitState::Open, 1));
        breaker.isolate();
        assert_eq!(at(0), Some(Leave::Rejected(None)));
        breaker.set_mode(crate::breaker::Mode::DryRun);
        assert_eq!(at(0), None);
    }

    #[test]
    fn slow_calls_are_told_by_how_long_they_took() {
        let breaker = CircuitBreaker::builder().slow_call_rate(1.0, S).over_calls(1).build();
        assert_eq!(closed(&breaker), None, "each call has to be timed");
        let Leave::Admitted(ticket) = acquire(&breaker) else { unreachable!("it is closed") };
        record(&breaker, ticket, Verdict::Success, Some(S));
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[test]
    fn a_thread_that_is_seeded_anew_draws_anew() {
        let draw = |seed| {
            reseed(seed);
            Random::new().next_u64()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_budget_is_full_until_a_retry_is_paid() {
        let budget = RetryBudget::new(1.0, 1);
        assert!(is_full(&budget) && budget.try_retry() && !is_full(&budget));
        budget.record_success(false);
        assert!(is_full(&budget));
    }

    #[test]
    fn decisions_are_those_of_the_policy() {
        let policy = RetryPolicy::builder()
            .backoff_strategy(BackoffStrategy::Linear)
            .jitter(Jitter::None)
            .build();
        let mut decisions = Decisions::new(&policy, Random::seeded(1));
        assert_eq!(decisions.next(Verdict::TRANSIENT, S), Next::RetryAfter(S));
        assert_eq!(decisions.next(Verdict::TRANSIENT, S), Next::RetryAfter(2 * S));
        assert_eq!(delay(&policy, 5, &mut Random::seeded(1)), 5 * S);
        decisions.limit(4);
        assert_eq!(decisions.next(Verdict::TRANSIENT, S), Next::RetryAfter(3 * S));
        assert_eq!(decisions.made(), 3);
    }

    /// As one invocation after another does it: each makes the breaker anew.
    fn next(from: &CircuitBreaker, now: Tick) -> CircuitBreaker {
        let to = CircuitBreaker::builder().failure_threshold(2).recovery_timeout(S).build();
        at(now, || remember(&to, &hold(from)));
        assert_eq!(at(now, || hold(&to)), at(now, || hold(from)));
        to
    }

    #[test]
    fn a_breaker_made_anew_goes_on_where_the_last_one_was() {
        let tick = Tick::from_millis;
        let breaker = CircuitBreaker::builder().failure_threshold(2).recovery_timeout(S).build();
        let fail = |breaker: &CircuitBreaker, ms| {
            at(tick(ms), || {
                let Leave::Admitted(ticket) = acquire(breaker) else { unreachable!("closed") };
                record(breaker, ticket, Verdict::TRANSIENT, None);
            });
        };
        fail(&breaker, 5);
        let breaker = next(&breaker, tick(6));
        fail(&breaker, 7);
        let breaker = next(&breaker, tick(8));
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(at(tick(1006), || acquire(&breaker)), Leave::Rejected(Some(S / 1000)));
        let breaker = next(&breaker, tick(1007));
        let Leave::Admitted(probe) = at(tick(1007), || acquire(&breaker)) else {
            unreachable!("its time is over")
        };
        // The lease is the same however often it is handed on, and ends when it should.
        let mut breaker = breaker;
        for ms in 1008..1108 {
            breaker = next(&breaker, tick(ms));
        }
        assert_eq!(at(tick(61_000), || acquire(&breaker)), Leave::Rejected(None));
        let late = next(&breaker, tick(62_500));
        assert!(matches!(at(tick(62_500), || acquire(&late)), Leave::Admitted(_)));
        at(tick(62_000), || record(&breaker, probe, Verdict::Success, None));
        assert_eq!(next(&breaker, tick(62_001)).state(), CircuitState::Closed);
    }

    #[test]
    fn other_settings_cut_what_they_do_not_allow() {
        let long =
            CircuitBreaker::builder().recovery_timeout(3600 * S).failure_threshold(1).build();
        let short = CircuitBreaker::builder().recovery_timeout(S).build();
        let now = Tick::from_millis(1);
        at(now, || {
            let Leave::Admitted(ticket) = acquire(&long) else { unreachable!("closed") };
            record(&long, ticket, Verdict::TRANSIENT, None);
            remember(&short, &hold(&long));
        });
        let rejected = |ms| at(Tick::from_millis(ms), || acquire(&short));
        assert!(matches!(rejected(900), Leave::Rejected(Some(_))));
        assert!(matches!(rejected(1100), Leave::Admitted(_)));
    }

    #[test]
    fn windows_are_handed_on_in_their_order() {
        let by_calls = || CircuitBreaker::builder().failure_rate(0.5).over_calls(4).build();
        let by_time =
            || CircuitBreaker::builder().failure_rate(0.5).over_time(S).minimum_calls(4).build();
        for make in [&by_calls as &dyn Fn() -> CircuitBreaker, &by_time] {
            let mut breaker = make();
            for (ms, verdict) in
                [Verdict::TRANSIENT, Verdict::Success, Verdict::Success, Verdict::TRANSIENT]
                    .into_iter()
                    .enumerate()
            {
                let now = Tick::from_millis(10_000 + 150 * ms as u64);
                assert_eq!(breaker.state(), CircuitState::Closed, "too few calls yet");
                breaker = at(now, || {
                    let Leave::Admitted(ticket) = acquire(&breaker) else { unreachable!("closed") };
                    record(&breaker, ticket, verdict, None);
                    let next = make();
                    remember(&next, &hold(&breaker));
                    assert_eq!(hold(&next), hold(&breaker));
                    assert_eq!(next.counters().failures, breaker.counters().failures);
                    next
                });
            }
            assert_eq!(breaker.state(), CircuitState::Open);
        }
    }

    #[test]
    fn what_is_held_of_time_is_the_window_of_every_thread() {
        let breaker = CircuitBreaker::builder()
            .failure_rate(1.0)
            .slow_call_rate(1.0, S)
            .over_time(S)
            .minimum_calls(100)
            .build();
        let fail = |ms, took| {
            at(Tick::from_millis(ms), || {
                let Leave::Admitted(ticket) = acquire(&breaker) else { unreachable!("closed") };
                record(&breaker, ticket, Verdict::TRANSIENT, Some(took));
            });
        };
        let held = || at(Tick::from_millis(10_050), || hold(&breaker)).window;
        let bucket = |age, calls, slow| HeldBucket { age, calls, failures: calls, slow };
        // The bucket before the first one of the window, and that one.
        [9_099, 9_100].into_iter().for_each(|ms| fail(ms, S));
        assert_eq!(held(), HeldWindow::Buckets(vec![bucket(950, 1, 1)]));
        // The last one, by two threads.
        fail(10_000, S);
        fail(10_000, S / 2);
        std::thread::scope(|scope| scope.spawn(|| fail(10_000, S)).join()).expect("no panic");
        assert_eq!(held(), HeldWindow::Buckets(vec![bucket(950, 1, 1), bucket(50, 3, 2)]));
    }

    #[test]
    fn slow_successes_and_slow_failures_are_handed_on_as_such() {
        let make = || {
            let builder = CircuitBreaker::builder().failure_rate(1.0).slow_call_rate(1.0, S);
            builder.over_calls(8).minimum_calls(8).build()
        };
        let (breaker, next) = (make(), make());
        for (verdict, took) in [
            (Verdict::Success, S / 2),
            (Verdict::TRANSIENT, S / 2),
            (Verdict::Success, S),
            (Verdict::TRANSIENT, S),
        ] {
            let Leave::Admitted(ticket) = acquire(&breaker) else { unreachable!("closed") };
            record(&breaker, ticket, verdict, Some(took));
        }
        let held = hold(&breaker);
        assert_eq!(held.window, HeldWindow::Calls(vec![0, 1, 2, 3]));
        remember(&next, &held);
        assert_eq!(hold(&next).window, held.window);
    }

    /// A half-open breaker of one slot as plain data, its lease with so many ms left.
    fn probing(left: u64, probe_successes: u64) -> Held {
        let breaker = CircuitBreaker::builder().failure_threshold(1).build();
        let held = at(Tick::from_millis(0), || hold(&breaker));
        let state = CircuitState::HalfOpen;
        Held { state, left, probes_in_flight: 1, probe_successes, ..held }
    }

    #[test]
    fn a_lease_that_is_over_frees_its_slot_whenever_it_is_handed_on() {
        let lease = 64 * S;
        for ms in (0..2000).map(|n| n * 251) {
            let make = || CircuitBreaker::builder().probe_lease(lease).build();
            let now = Tick::from_millis(ms);
            let taken = |left| {
                let breaker = make();
                at(now, || {
                    remember(&breaker, &probing(left, 0));
                    acquire(&breaker)
                })
            };
            assert!(matches!(taken(0), Leave::Admitted(_)), "{ms}");
            assert_eq!(taken(1), Leave::Rejected(None), "{ms}");
            assert_eq!(taken(64_000), Leave::Rejected(None), "{ms}");
            // What is left is told to the ms, and never more than there was.
            let breaker = make();
            let left = at(now, || {
                remember(&breaker, &probing(32_000, 0));
                hold(&breaker).left
            });
            assert!((32_000..33_000).contains(&left), "{ms}: {left}");
        }
    }

    #[test]
    fn what_is_half_open_is_one_probe_short_of_closing_at_most() {
        let breaker = CircuitBreaker::builder().successes_to_close(3).build();
        at(Tick::from_millis(5), || {
            remember(&breaker, &probing(1000, 7));
            assert_eq!(hold(&breaker).probe_successes, 2);
        });
    }

    #[test]
    fn a_budget_takes_what_it_can_hold() {
        let budget = RetryBudget::new(0.1, 2);
        assert!(budget.try_retry());
        let next = RetryBudget::new(0.1, 2);
        set_tokens(&next, tokens(&budget));
        assert_eq!(next.available(), 1);
        set_tokens(&next, u64::MAX);
        assert_eq!(next.available(), 2);
    }
}
