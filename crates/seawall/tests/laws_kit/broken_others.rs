//! Budgets and backoffs with a flaw each, and what the kit says of them.

use seawall::{
    Random,
    testing::laws::{self, BackoffUnderTest, BudgetRules, BudgetUnderTest, DelayRules, Law},
};
use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::Duration,
};

const S: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    EarnsByTries,
    /// What is earned in good times is saved without end.
    HasNoTop,
    OneTooMany,
    /// Looks whether it can pay, and pays a while later.
    LooksThenPays,
}

/// Ten tenths a retry, one tenth a success, two retries at most.
struct Budget(AtomicU64, Flaw);

const RULES: BudgetRules = BudgetRules::new(0.1, 2);

impl Budget {
    fn earn(&self) {
        let top = if self.1 == Flaw::HasNoTop { u64::MAX } else { 20 };
        let _ = self.0.fetch_update(SeqCst, SeqCst, |tenths| Some((tenths + 1).min(top)));
    }
}

impl BudgetUnderTest for Budget {
    fn try_retry(&self) -> bool {
        if self.1 == Flaw::LooksThenPays {
            let tenths = self.0.load(SeqCst);
            (0..5).for_each(|_| thread::yield_now());
            if tenths >= 10 {
                self.0.store(tenths - 10, SeqCst);
            }
            return tenths >= 10;
        }
        self.0.fetch_update(SeqCst, SeqCst, |tenths| tenths.checked_sub(10)).is_ok()
    }

    fn success(&self, _: bool) {
        self.earn();
    }

    fn failure(&self) {
        if self.1 == Flaw::EarnsByTries {
            self.earn();
        }
    }
}

/// The story of a broken budget.
fn story(flaw: Flaw) -> String {
    let start = if flaw == Flaw::OneTooMany { 30 } else { 20 };
    let violation = laws::budgets(|| Budget(AtomicU64::new(start), flaw), &RULES).unwrap_err();
    assert_eq!(violation.law, Law::Budgets);
    violation.to_string()
}

#[test]
fn a_sound_budget_keeps_its_law() {
    assert!(laws::budgets(|| Budget(AtomicU64::new(20), Flaw::None), &RULES).is_ok());
}

#[test]
fn a_budget_that_earns_by_tries_is_seen_to_retry_what_nothing_has_paid() {
    let story = story(Flaw::EarnsByTries);
    assert!(story.contains("law 6 (budgets hold) is broken"), "{story}");
    assert!(story.contains("a retry is asked for"), "{story}");
    assert!(!story.contains("success\n"), "nothing succeeded: {story}");
    assert!(story.contains("allowed: 0.100 for each success between them, and 2"), "{story}");
}

#[test]
fn a_budget_that_saves_without_end_is_seen_in_the_interval_of_its_spending() {
    let story = story(Flaw::HasNoTop);
    assert!(story.contains("100 x success"), "{story}");
    assert!(story.contains("retries more than the successes between them paid"), "{story}");
}

#[test]
fn a_budget_that_holds_one_too_many_is_seen_in_three_steps() {
    let story = story(Flaw::OneTooMany);
    assert!(story.contains("  3. 1 x failure, and a retry is asked for: 1 paid"), "{story}");
    assert!(story.contains("seen: 3.000 retries more"), "{story}");
}

#[test]
fn a_budget_that_two_threads_can_spend_is_seen_on_threads() {
    let story = story(Flaw::LooksThenPays);
    assert!(story.contains("4 threads ask at once:"), "{story}");
}

const CAP: Duration = Duration::from_secs(60);

/// The story of a broken backoff.
fn delays_of(backoff: impl BackoffUnderTest) -> String {
    let violation = laws::delays(&backoff, &DelayRules { cap: CAP, spread: true }).unwrap_err();
    assert_eq!(violation.law, Law::Delays);
    violation.to_string()
}

fn doubled(attempt: u64) -> f64 {
    2_f64.powf(attempt as f64 - 1.0)
}

#[test]
fn a_sound_backoff_keeps_its_law() {
    let full = |attempt: u64, random: &mut Random| {
        Duration::from_secs_f64(doubled(attempt).min(60.0) * random.next_unit())
    };
    assert!(laws::delays(&full, &DelayRules { cap: CAP, spread: true }).is_ok());
}

#[test]
fn a_backoff_whose_jitter_passes_the_cap_is_seen() {
    let story = delays_of(|attempt: u64, random: &mut Random| {
        Duration::from_secs_f64(doubled(attempt).min(60.0) * (0.75 + random.next_unit() / 2.0))
    });
    assert!(story.contains("law 5 (delays within the cap) is broken"), "{story}");
    assert!(story.contains("1. attempt 7 fails"), "the first at the cap: {story}");
    assert!(story.contains("allowed: 60s at most"), "{story}");
}

#[test]
fn a_backoff_that_overflows_is_seen_at_the_first_attempt_that_does() {
    let story = delays_of(|attempt: u64, random: &mut Random| {
        Duration::from_secs_f64(doubled(attempt) * random.next_unit()).min(CAP)
    });
    assert!(story.contains("it panics:"), "{story}");
    assert!(story.contains("allowed: a delay for every attempt"), "{story}");
    let story = delays_of(|attempt: u64, _: &mut Random| {
        S.checked_mul(2_u32.pow(u32::try_from(attempt).unwrap())).unwrap().min(CAP)
    });
    assert!(story.contains("1. attempt 32 fails"), "{story}");
}

#[test]
fn a_backoff_that_is_clamped_after_its_draw_is_no_spread_at_the_cap() {
    let story = delays_of(|attempt: u64, random: &mut Random| {
        let delay = doubled(attempt).min(1e6) * (0.75 + random.next_unit() / 2.0);
        Duration::from_secs_f64(delay).min(CAP)
    });
    assert!(story.contains("200 of 200 callers wait 60s to the nanosecond"), "{story}");
}
