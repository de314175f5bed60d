//! Law 11, second half: time going backwards, jumping or stopping changes no law.

use crate::common::{Calls, Down, HOUR, Outcome, S, fail, succeed, watched};
use seawall::{
    CircuitBreaker, CircuitState, Permit, RetryExecutor, RetryPolicy, Verdict,
    testing::{Entered, ManualClock, Scope},
};
use std::time::Duration;

const RECOVERY: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(60);

fn virtual_time() -> (ManualClock, Entered) {
    let clock = ManualClock::new();
    // Room to go back a day.
    clock.advance(24 * 5 * HOUR);
    let scope = Scope::new(clock.clone()).enter();
    (clock, scope)
}

fn breakers() -> Vec<CircuitBreaker> {
    let builder = || CircuitBreaker::builder().recovery_timeout(RECOVERY).probe_lease(LEASE);
    vec![
        builder().failure_threshold(3).build(),
        builder().failure_threshold(3).recovery_multiplier(2.0).recovery_jitter(0.5).build(),
        builder().failure_rate(0.5).over_calls(10).minimum_calls(3).build(),
        builder().failure_rate(0.5).over_time(60 * S).minimum_calls(3).build(),
        builder().slow_call_rate(0.5, S).over_time(60 * S).minimum_calls(3).build(),
        builder().failure_threshold(3).probes(3).successes_to_close(3).build(),
    ]
}

/// What a clock can do to those who trust it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Back(Duration),
    Forward(Duration),
    StandsStill,
}

const FAULTS: [Fault; 8] = [
    Fault::Back(S),
    Fault::Back(HOUR),
    Fault::Back(Duration::from_secs(4 * 24 * 3600)),
    Fault::Forward(S),
    Fault::Forward(HOUR),
    Fault::Forward(Duration::from_secs(13 * 24 * 3600)),
    Fault::Forward(Duration::from_secs(400 * 24 * 3600)),
    Fault::StandsStill,
];

/// The steps of a breaker's life. Each takes time, unless the clock stands still.
const STEPS: usize = 9;

struct Life<'a> {
    breaker: &'a CircuitBreaker,
    clock: &'a ManualClock,
    still: bool,
    held: Vec<Permit<'a>>,
}

impl Life<'_> {
    fn pass(&self, time: Duration) {
        if !self.still {
            self.clock.advance(time);
        }
    }

    fn try_with(&mut self, verdict: Verdict) {
        if let Ok(permit) = self.breaker.try_acquire() {
            self.pass(2 * S);
            permit.record(verdict);
        }
    }

    fn step(&mut self, step: usize) {
        match step {
            0 => (0..20).for_each(|_| self.try_with(Verdict::Success)),
            1 => self.held.extend(self.breaker.try_acquire()),
            2 => (0..20).for_each(|_| self.try_with(Verdict::TRANSIENT)),
            3 => self.pass(RECOVERY),
            4 => self.held.extend(self.breaker.try_acquire()),
            5 => self.pass(LEASE),
            6 => self.try_with(Verdict::TRANSIENT),
            7 => self.pass(4 * RECOVERY),
            _ => (0..3).for_each(|_| self.try_with(Verdict::Success)),
        }
        let _ =
            (self.breaker.counters(), self.breaker.failure_rate(), self.breaker.time_until_probe());
    }
}

/// Within two spans of whatever is the longest wait, a healthy callee has its breaker closed.
fn assert_not_wedged(breaker: &CircuitBreaker, clock: &ManualClock, what: &str) {
    let longest = 2 * (10 * RECOVERY * 3 / 2).max(LEASE) + 2 * S;
    for _ in 0..12 {
        clock.advance(longest);
        if let Ok(permit) = breaker.try_acquire() {
            permit.record(Verdict::Success);
        }
        if breaker.state() == CircuitState::Closed {
            return;
        }
    }
    panic!("{what}: wedged in {}, {:?}", breaker.state(), breaker.counters());
}

/// Law 11: a fault of the clock before each step of a life.
#[test]
fn a_clock_that_jumps_or_stands_still_at_any_step_wedges_no_breaker() {
    watched(|| {
        let (clock, _scope) = virtual_time();
        for fault in FAULTS {
            for at in 0..=STEPS {
                for breaker in breakers() {
                    let mut life =
                        Life { breaker: &breaker, clock: &clock, still: false, held: Vec::new() };
                    for step in 0..STEPS {
                        if step == at {
                            match fault {
                                Fault::Back(by) => clock.go_back(by),
                                Fault::Forward(by) => clock.advance(by),
                                Fault::StandsStill => life.still = true,
                            }
                        }
                        life.step(step);
                    }
                    // They hang for ever, so they must not be dropped before.
                    let hung = life.held;
                    let what = format!("{fault:?} before step {at} of {breaker:?}");
                    assert_not_wedged(&breaker, &clock, &what);
                    drop(hung);
                    // Room for the next one to go back.
                    clock.advance(24 * 5 * HOUR);
                }
            }
        }
    });
}

/// Law 11: whoever keeps asking is let through in time, whenever he begins to ask.
#[test]
fn a_clock_that_goes_back_makes_a_breaker_reject_for_two_recovery_timeouts_at_most() {
    let (clock, _scope) = virtual_time();
    for back in [S, 5 * S, RECOVERY, 15 * S, 20 * S, 21 * S, HOUR, 24 * HOUR] {
        for silence in [Duration::ZERO, 5 * S, 25 * S, HOUR - S] {
            let breaker =
                CircuitBreaker::builder().failure_threshold(1).recovery_timeout(RECOVERY).build();
            fail(&breaker);
            clock.go_back(back);
            clock.advance(silence);
            let knocks = (0..).take_while(|_| {
                clock.advance(S);
                breaker.try_acquire().is_err()
            });
            assert!(knocks.count() <= 20, "back by {back:?}, asked after {silence:?}");
        }
    }
}

/// Law 11: small steps back do not cut the open time short by more than themselves.
#[test]
fn a_clock_that_goes_back_a_little_does_not_end_the_open_time() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(RECOVERY).build();
    fail(&breaker);
    for _ in 0..9 {
        clock.go_back(S);
        assert!(breaker.try_acquire().is_err());
    }
}

/// Law 11: a wait is told as no longer than it can be, wherever the clock is.
#[test]
fn the_wait_named_never_passes_the_longest_open_time() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(RECOVERY)
        .recovery_jitter(0.5)
        .build();
    fail(&breaker);
    for _ in 0..40 {
        clock.go_back(S);
        let longest = RECOVERY * 3 / 2 + Duration::from_millis(2);
        assert!(breaker.time_until_probe().unwrap() <= longest);
        if let Err(open) = breaker.try_acquire() {
            assert!(open.retry_after().unwrap_or_default() <= longest);
        }
    }
}

/// Law 11: without time, all that needs none works.
#[test]
fn a_clock_that_stands_still_leaves_counting_and_opening_as_they_are() {
    let _scope = virtual_time();
    for breaker in breakers().into_iter().filter(|b| !format!("{b:?}").contains("slow_call: Some"))
    {
        for _ in 0..3 {
            assert_eq!(breaker.state(), CircuitState::Closed);
            fail(&breaker);
        }
        assert_eq!(breaker.state(), CircuitState::Open);
        for _ in 0..100 {
            assert!(breaker.try_acquire().is_err());
        }
        breaker.close();
        succeed(&breaker);
    }
}

/// Law 11: what lies behind is out of the window, however far the clock has jumped.
#[test]
fn a_time_window_forgets_what_a_jump_forward_leaves_behind() {
    let (clock, _scope) = virtual_time();
    let breaker =
        CircuitBreaker::builder().failure_rate(0.5).over_time(60 * S).minimum_calls(3).build();
    for jump in [61 * S, HOUR, 400 * 24 * HOUR] {
        fail(&breaker);
        fail(&breaker);
        clock.advance(jump);
        assert_eq!(breaker.counters().calls, 0, "{jump:?}");
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 11: also where a jump is so long, and a bucket so short, that half of all the numbers of
/// buckets lie between.
#[test]
fn a_time_window_of_a_moment_forgets_what_years_leave_behind() {
    let (clock, _scope) = virtual_time();
    let window = Duration::from_millis(10);
    let breaker =
        CircuitBreaker::builder().failure_rate(0.5).over_time(window).minimum_calls(3).build();
    for days in [390, 400, 600, 790, 800] {
        fail(&breaker);
        fail(&breaker);
        clock.advance(days * 24 * HOUR);
        assert_eq!(breaker.counters().calls, 0, "{days} days");
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 11: what lies further ahead than the window is long is out of it too, and does not come back
/// once the clock has caught up.
#[test]
fn a_time_window_forgets_what_a_long_step_back_leaves_ahead() {
    let (clock, _scope) = virtual_time();
    for back in [61 * S, HOUR] {
        let breaker =
            CircuitBreaker::builder().failure_rate(0.5).over_time(60 * S).minimum_calls(4).build();
        (0..3).for_each(|_| fail(&breaker));
        clock.go_back(back);
        assert_eq!(breaker.counters().calls, 0, "{back:?}");
        // In each bucket until the clock has caught up and gone on.
        for _ in 0..back.as_secs() / 6 + 12 {
            succeed(&breaker);
            let counters = breaker.counters();
            assert_eq!(counters.failures, 0, "{back:?}");
            assert!(counters.calls <= 10, "{back:?}: {}", counters.calls);
            clock.advance(6 * S);
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 11: a success that meets the minimum opens, also in a bucket whose counts a clock that went
/// back and forth has thrown away.
#[test]
fn a_time_window_that_lost_its_counts_to_the_clock_looks_at_the_minimum_anew() {
    let (clock, _scope) = virtual_time();
    let breaker =
        CircuitBreaker::builder().failure_rate(0.5).over_time(60 * S).minimum_calls(2).build();
    (0..2).for_each(|_| succeed(&breaker));
    clock.go_back(60 * S);
    succeed(&breaker);
    clock.advance(60 * S);
    assert_eq!(breaker.counters().calls, 0);
    fail(&breaker);
    succeed(&breaker);
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Law 11: nothing that was counted is lost by a step back within the window, nor counted twice.
#[test]
fn a_time_window_keeps_its_counts_over_a_step_back() {
    let (clock, _scope) = virtual_time();
    for back in [S, 30 * S, 54 * S] {
        let breaker =
            CircuitBreaker::builder().failure_rate(1.0).over_time(60 * S).minimum_calls(9).build();
        for _ in 0..4 {
            fail(&breaker);
            clock.advance(S);
        }
        clock.go_back(back);
        assert_eq!(breaker.counters().failures, 4, "{back:?}");
        for _ in 0..4 {
            fail(&breaker);
        }
        assert_eq!(breaker.counters().failures, 8, "{back:?}");
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open, "{back:?}");
    }
}

/// Law 11: total timeouts of retries.
#[test]
fn a_retry_ends_with_its_attempts_whatever_the_clock_does_meanwhile() {
    let (clock, _scope) = virtual_time();
    for fault in FAULTS {
        let policy =
            RetryPolicy::builder().max_attempts(4).total_timeout(100 * S).base_delay(S).build();
        let retry = RetryExecutor::new(policy);
        let calls = Calls::new();
        let outcome = retry.run_blocking(|| {
            match fault {
                Fault::Back(by) => clock.go_back(by),
                Fault::Forward(by) => clock.advance(by),
                Fault::StandsStill => {}
            }
            calls.count();
            Outcome::Err(Down(1))
        });
        assert!(outcome.is_err());
        assert!((1..=4).contains(&calls.get()), "{fault:?}");
    }
}

/// Law 11: and a forward jump past the total timeout ends it.
#[test]
fn a_retry_whose_clock_jumps_past_its_total_timeout_makes_no_further_attempt() {
    let (clock, _scope) = virtual_time();
    let policy = RetryPolicy::builder().max_attempts(9).total_timeout(60 * S).build();
    let calls = Calls::new();
    let outcome = policy.run_blocking(|| {
        clock.advance(HOUR);
        calls.fail()
    });
    assert!(outcome.is_err());
    assert_eq!(calls.get(), 1);
}
