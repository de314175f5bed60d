//! Law 6: over any interval, retries are paid for.

use super::{
    report::{Broken, Checked, Law, Violation},
    schedule::{Letter, explore},
};
use crate::retry::RetryBudget;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

/// A retry budget, as the laws see it.
pub trait BudgetUnderTest: Sync {
    /// Asks to pay for one retry; false if it must not be made.
    fn try_retry(&self) -> bool;

    /// A call ended well; `retried` if it took more than one attempt.
    fn success(&self, retried: bool);

    /// An attempt failed. Told before a retry is asked for.
    fn failure(&self) {}
}

impl BudgetUnderTest for RetryBudget {
    fn try_retry(&self) -> bool {
        self.try_retry()
    }

    fn success(&self, retried: bool) {
        self.record_success(retried);
    }

    fn failure(&self) {
        self.record_failure();
    }
}

/// What a budget was set to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetRules {
    /// Retries that a success at the first attempt pays for.
    pub ratio: f64,
    /// Retries that a success after a retry pays for.
    pub retried_ratio: f64,
    /// Retries that can be made without any success.
    pub floor: u32,
}

impl BudgetRules {
    /// Every success pays for `ratio` retries.
    pub const fn new(ratio: f64, floor: u32) -> Self {
        Self { ratio, retried_ratio: ratio, floor }
    }

    fn earned(&self, retried: bool) -> f64 {
        if retried { self.retried_ratio } else { self.ratio }
    }

    fn allowed(&self) -> String {
        let Self { ratio, floor, .. } = self;
        format!("{ratio:.3} for each success between them, and {floor}")
    }
}

/// For the many small additions.
const ROUNDING: f64 = 1e-6;

/// All schedules of so many steps are tried.
const DEPTH: usize = 7;
const THREADS: usize = 4;
const ROUNDS: u64 = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Success {
        retried: bool,
    },
    Failure,
    Retry,
    /// Many at once, as many long schedules hold.
    Many(&'static Step, u32),
}

const LETTERS: [Step; 4] =
    [Step::Retry, Step::Failure, Step::Success { retried: false }, Step::Success { retried: true }];

impl Letter for Step {
    fn varied(self, random: &mut crate::Random) -> Self {
        let one = match self {
            Self::Success { retried: false } => &Self::Success { retried: false },
            Self::Success { retried: true } => &Self::Success { retried: true },
            Self::Failure => &Self::Failure,
            _ => &Self::Retry,
        };
        let many = [1, 1, 10, 100][super::schedule::below(4, random)];
        if many == 1 { self } else { Self::Many(one, many) }
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Success { retried: false } => "success",
            Self::Success { retried: true } => "success after a retry",
            Self::Failure => "failure",
            Self::Retry => "failure, and a retry is asked for",
            Self::Many(step, _) => step.name(),
        }
    }
}

/// The worst interval that ends now: what its retries are above what its successes paid.
#[derive(Default)]
struct Worst(f64);

impl Worst {
    fn earned(&mut self, ratio: f64) {
        // Whatever was earned before the interval begins is no part of it.
        self.0 = (self.0 - ratio).max(0.0);
    }

    fn retried(&mut self, retries: u32) {
        self.0 += f64::from(retries);
    }

    fn is_above(&self, rules: &BudgetRules) -> bool {
        self.0 > f64::from(rules.floor) + ROUNDING
    }
}

/// Law 6: over any interval, `retries <= ratio * successes + floor`; in any schedule, and on threads
/// that ask in one instant. It earns by successes alone.
///
/// # Errors
/// A schedule with an interval in which more retries were paid.
pub fn budgets<B: BudgetUnderTest>(
    make: impl Fn() -> B,
    rules: &BudgetRules,
) -> Result<Checked, Violation> {
    let alone =
        explore(Law::Budgets, &LETTERS, DEPTH, |steps| never_overspends(&make(), rules, steps))?;
    for _ in 0..ROUNDS {
        is_not_overrun(&make(), rules).map_err(|broken| broken.of(Law::Budgets))?;
    }
    Ok(alone.and(Checked::kept(Law::Budgets, ROUNDS)))
}

fn never_overspends<B: BudgetUnderTest>(
    budget: &B,
    rules: &BudgetRules,
    steps: &[Step],
) -> Result<(), Broken> {
    let mut worst = Worst::default();
    let mut story = Vec::new();
    for step in steps {
        let (one, times) = match step {
            Step::Many(one, times) => (**one, *times),
            one => (*one, 1),
        };
        let mut paid = 0;
        for _ in 0..times {
            match one {
                Step::Success { retried } => {
                    budget.success(retried);
                    worst.earned(rules.earned(retried));
                }
                Step::Failure => budget.failure(),
                Step::Retry | Step::Many(..) => {
                    budget.failure();
                    if budget.try_retry() {
                        worst.retried(1);
                        paid += 1;
                    }
                }
            }
        }
        story.push((one, times, paid));
        if worst.is_above(rules) {
            let lines = story.iter().map(|(step, times, paid)| match step {
                Step::Retry => format!("{times} x {}: {paid} paid", step.name()),
                step => format!("{times} x {}", step.name()),
            });
            let seen = format!("{:.3} retries more than the successes between them paid", worst.0);
            return Err(Broken { story: lines.collect(), seen, allowed: rules.allowed() });
        }
    }
    Ok(())
}

/// Threads ask in one instant, then earn in one, again and again.
fn is_not_overrun<B: BudgetUnderTest>(budget: &B, rules: &BudgetRules) -> Result<(), Broken> {
    const TURNS: usize = 8;
    let paid: [AtomicU32; TURNS] = Default::default();
    let turn = Barrier::new(THREADS);
    let ask = |thread: usize| {
        for paid in &paid {
            turn.wait();
            for _ in 0..rules.floor.min(50) {
                budget.failure();
                if budget.try_retry() {
                    paid.fetch_add(1, SeqCst);
                }
            }
            turn.wait();
            budget.success(thread % 2 == 0);
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let ask = &ask;
            scope.spawn(move || ask(thread));
        }
    });
    let mut worst = Worst::default();
    let mut story = Vec::new();
    for paid in paid {
        let paid = paid.into_inner();
        worst.retried(paid);
        story.push(format!("{THREADS} threads ask at once: {paid} paid"));
        if worst.is_above(rules) {
            let seen = format!("{:.3} retries more than the successes between them paid", worst.0);
            return Err(Broken { story, seen, allowed: rules.allowed() });
        }
        (0..THREADS).for_each(|thread| worst.earned(rules.earned(thread % 2 == 0)));
        story.push(format!("{THREADS} threads succeed"));
    }
    Ok(())
}
