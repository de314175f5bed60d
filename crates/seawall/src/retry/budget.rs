//! DECIDE: how many retries a process can afford.
//!
//! Retries multiply load just when the callee has least to give. A budget bounds them: it earns by
//! *successes*, so that in an outage, when nothing succeeds, retries die out and the callee sees
//! little more than its plain load (Brooker, "What is Backoff For?", 2022; budgets per try, in
//! contrast, delay recovery). One budget can be shared by every layer that calls the same service.

use crate::{
    setting::{InvalidSetting, Refusal},
    sync::{AtomicU64, Ordering, Padded, const_unless_loom},
};
use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64 as StdAtomicU64},
};

/// A token bucket that pays for retries and earns by successes.
///
/// Over any interval, `retries <= ratio * successes + floor`, on any number of threads. A full
/// bucket earns nothing, so a success on the good path writes nothing.
///
/// ```
/// use seawall::{ExhaustedReason, Error, RetryBudget, RetryExecutor, RetryPolicy};
/// use std::time::Duration;
///
/// // One retry for ten successes, and 2 saved up.
/// static BUDGET: RetryBudget = RetryBudget::new(0.1, 2);
///
/// let retry = RetryPolicy::builder().max_attempts(10).base_delay(Duration::ZERO).build();
/// let retry = RetryExecutor::new(retry).budget(&BUDGET);
///
/// fn down() -> Result<(), &'static str> {
///     Err("down")
/// }
///
/// let Err(Error::RetryExhausted(ended)) = retry.run_blocking(down) else {
///     panic!("it never succeeds");
/// };
/// assert_eq!(ended.attempts(), 3);
/// assert_eq!(ended.reason(), ExhaustedReason::Budget);
/// ```
pub struct RetryBudget {
    terms: SharedTerms,
    /// What is missing from a full bucket. Zero is full, whatever the terms are.
    spent: Padded<AtomicU64>,
}

/// What the bucket holds, earns and charges, in billionths of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    capacity: u64,
    /// A success without a retry earns this.
    success: u64,
    /// A success after a retry earns this.
    retried_success: u64,
    /// A retry costs this.
    retry: u64,
    /// A transient failure costs this, retried or not.
    failure: u64,
    /// A retry is made only while more than this is there.
    threshold: u64,
}

/// [`Terms`] that may change while they are read: off the good path, and each by itself, since each is
/// right beside those before and after. Not loom's: they are no part of what is decided.
#[derive(Debug)]
struct SharedTerms([StdAtomicU64; 6]);

impl SharedTerms {
    const fn new(terms: Terms) -> Self {
        let Terms { capacity, success, retried_success, retry, failure, threshold } = terms;
        Self([
            StdAtomicU64::new(capacity),
            StdAtomicU64::new(success),
            StdAtomicU64::new(retried_success),
            StdAtomicU64::new(retry),
            StdAtomicU64::new(failure),
            StdAtomicU64::new(threshold),
        ])
    }

    fn get(&self) -> Terms {
        let [capacity, success, retried_success, retry, failure, threshold] =
            std::array::from_fn(|n| self.0[n].load(Ordering::Relaxed));
        Terms { capacity, success, retried_success, retry, failure, threshold }
    }

    #[cfg(feature = "config")]
    fn set(&self, terms: Terms) {
        for (term, new) in self.0.iter().zip(Self::new(terms).0) {
            term.store(new.into_inner(), Ordering::Relaxed);
        }
    }
}

const TOKEN: u64 = 1_000_000_000;

impl Terms {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the ratio is within 0..=1"
    )]
    const fn of(ratio: f64, floor: u32) -> Result<Self, Refusal> {
        // Written so that NaN is refused too.
        if !(ratio >= 0.0 && ratio <= 1.0) {
            return Err(Refusal::number("ratio", ratio, "`ratio` must be within 0..=1"));
        }
        let gain = (ratio * TOKEN as f64) as u64;
        if gain == 0 && ratio > 0.0 {
            let rule = "`ratio` must be 0, or from 0.000000001 to 1";
            return Err(Refusal::number("ratio", ratio, rule));
        }
        if floor == 0 {
            let rule = "`floor` must be 1 or more, or no retry could ever be paid";
            return Err(Refusal::integer("floor", 0, rule));
        }
        Ok(Self {
            capacity: floor as u64 * TOKEN,
            success: gain,
            retried_success: gain,
            retry: TOKEN,
            failure: 0,
            threshold: 0,
        })
    }

    /// What is left where so much is spent; and the other way round.
    const fn left(self, spent: u64) -> u64 {
        self.capacity.saturating_sub(spent)
    }

    /// A purchase: what is left, or none if it cannot be paid.
    const fn pay(self, tokens: u64) -> Option<u64> {
        if tokens > self.threshold { tokens.checked_sub(self.retry) } else { None }
    }

    const fn earn(self, tokens: u64, retried: bool) -> u64 {
        let gain = if retried { self.retried_success } else { self.success };
        let sum = tokens.saturating_add(gain);
        if sum < self.capacity { sum } else { self.capacity }
    }

    const fn lose(self, tokens: u64) -> u64 {
        tokens.saturating_sub(self.failure)
    }
}

impl RetryBudget {
    const_unless_loom! {
        /// A bucket that earns `ratio` retries a success and holds `floor` retries at most. It
        /// starts full.
        ///
        /// # Panics
        /// If the ratio is not within 0..=1 or the floor is 0; [`try_new`](Self::try_new) gives an
        /// error instead.
        #[track_caller]
        #[must_use]
        pub const fn new(ratio: f64, floor: u32) -> Self {
            match Terms::of(ratio, floor) {
                Ok(terms) => Self::with(terms),
                Err(refusal) => refusal.panic(),
            }
        }
    }

    /// As [`new`](Self::new), for values from outside.
    ///
    /// # Errors
    /// The setting that makes no sense, with its value.
    pub fn try_new(ratio: f64, floor: u32) -> Result<Self, InvalidSetting> {
        Ok(Self::with(Terms::of(ratio, floor)?))
    }

    const_unless_loom! {
        /// The AWS SDKs' retry quota, rules of November 2026: 500 tokens, 14 for a transient retry;
        /// a success gives 1 back, a success after a retry what that retry cost.
        #[must_use]
        pub const fn aws() -> Self {
            Self::with(Terms {
                capacity: 500 * TOKEN,
                success: TOKEN,
                retried_success: 14 * TOKEN,
                retry: 14 * TOKEN,
                failure: 0,
                threshold: 0,
            })
        }
    }

    const_unless_loom! {
        /// gRPC's retry throttling with the figures of gRFC A6: 10 tokens; each transient failure
        /// takes 1, each success gives 0.1; retries are made only while more than half is there.
        #[must_use]
        pub const fn grpc() -> Self {
            Self::with(Terms {
                capacity: 10 * TOKEN,
                success: TOKEN / 10,
                retried_success: TOKEN / 10,
                retry: 0,
                failure: TOKEN,
                threshold: 5 * TOKEN,
            })
        }
    }

    const_unless_loom! {
        const fn with(terms: Terms) -> Self {
            Self { terms: SharedTerms::new(terms), spent: Padded(AtomicU64::new(0)) }
        }
    }

    /// A full one with the same terms.
    #[cfg(feature = "config")]
    pub(crate) fn anew(&self) -> Self {
        Self::with(self.terms.get())
    }

    /// Takes the terms of `other`. What is left keeps its share of a full bucket: half of one is half of
    /// the other. Whoever pays from this budget goes on with it.
    #[cfg(feature = "config")]
    pub(crate) fn set_like(&self, other: &Self) {
        let (old, new) = (self.terms.get(), other.terms.get());
        self.terms.set(new);
        self.change_spent(|spent| {
            let share = u128::from(spent) * u128::from(new.capacity);
            let share = share.div_ceil(u128::from(old.capacity));
            Some(u64::try_from(share).map_or(new.capacity, |spent| spent.min(new.capacity)))
        });
    }

    /// How many retries could be made now, were nothing to succeed or fail meanwhile.
    pub fn available(&self) -> u64 {
        let terms = self.terms.get();
        let tokens = terms.left(self.spent.0.load(Ordering::Relaxed));
        let Terms { retry, failure, threshold, .. } = terms;
        if failure == 0 {
            return tokens / retry.max(1);
        }
        // Each failure takes its share first, and more than the threshold must be left.
        tokens.saturating_sub(threshold + 1) / (retry + failure)
    }

    /// What is there, in billionths of a token.
    #[cfg(feature = "foreign")]
    pub(crate) fn tokens(&self) -> u64 {
        self.terms.get().left(self.spent.0.load(Ordering::Relaxed))
    }

    /// Has it hold so much, or as much as it can.
    #[cfg(feature = "foreign")]
    pub(crate) fn set_tokens(&self, tokens: u64) {
        self.spent.0.store(self.terms.get().left(tokens), Ordering::Relaxed);
    }

    /// Whether a success earns nothing.
    #[cfg(feature = "foreign")]
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.spent.0.load(Ordering::Relaxed) == 0
    }

    /// Notes a call that ended well; `retried` if it took more than one attempt.
    #[inline]
    pub fn record_success(&self, retried: bool) {
        // A full bucket stays full: no write, and threads share the line without traffic.
        if self.spent.0.load(Ordering::Relaxed) > 0 {
            self.update(|terms, tokens| Some(terms.earn(tokens, retried)));
        }
    }

    /// Notes an attempt that failed transiently, retried or not.
    pub fn record_failure(&self) {
        if self.terms.get().failure > 0 {
            self.update(|terms, tokens| Some(terms.lose(tokens)));
        }
    }

    /// Takes what a retry costs. False if it cannot be paid: do not retry.
    ///
    /// A retry that is paid and then not made, say since its caller was cancelled, is not paid back.
    pub fn try_retry(&self) -> bool {
        self.update(Terms::pay)
    }

    /// Makes of the tokens that are left what `change` says.
    #[cold]
    fn update(&self, change: impl Fn(Terms, u64) -> Option<u64>) -> bool {
        self.change_spent(|spent| {
            let terms = self.terms.get();
            Some(terms.left(change(terms, terms.left(spent))?))
        })
    }

    /// Relaxed throughout: the word is all there is, and nothing else is published by it.
    fn change_spent(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        let mut seen = self.spent.0.load(Ordering::Relaxed);
        loop {
            let Some(next) = change(seen) else { return false };
            if next == seen {
                return true;
            }
            let swap = self.spent.0.compare_exchange_weak(
                seen,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").field("available", &self.available()).finish_non_exhaustive()
    }
}

/// A budget shared by its users: a static, or counted.
#[derive(Debug, Clone)]
pub enum SharedBudget {
    /// A `static`.
    Static(&'static RetryBudget),
    /// Made at run time.
    Counted(Arc<RetryBudget>),
}

impl std::ops::Deref for SharedBudget {
    type Target = RetryBudget;

    fn deref(&self) -> &RetryBudget {
        match self {
            Self::Static(budget) => budget,
            Self::Counted(budget) => budget,
        }
    }
}

impl From<&'static RetryBudget> for SharedBudget {
    fn from(budget: &'static RetryBudget) -> Self {
        Self::Static(budget)
    }
}

impl From<Arc<RetryBudget>> for SharedBudget {
    fn from(budget: Arc<RetryBudget>) -> Self {
        Self::Counted(budget)
    }
}

impl From<RetryBudget> for SharedBudget {
    fn from(budget: RetryBudget) -> Self {
        Self::Counted(Arc::new(budget))
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{sync::atomic::AtomicU32, thread};

    fn spend(budget: &RetryBudget) -> u32 {
        let mut made = 0;
        while budget.try_retry() {
            made += 1;
        }
        made
    }

    #[test]
    fn a_full_budget_pays_its_floor_and_successes_refill_it_at_the_ratio() {
        let budget = RetryBudget::new(0.1, 5);
        assert_eq!(spend(&budget), 5);
        (0..29).for_each(|_| budget.record_success(false));
        assert_eq!(spend(&budget), 2);
        (0..1000).for_each(|_| budget.record_success(true));
        assert_eq!(spend(&budget), 5, "never more than the floor is saved up");
    }

    #[test]
    fn the_aws_quota_pays_35_transient_retries_and_a_retried_success_pays_its_retry_back() {
        let budget = RetryBudget::aws();
        assert_eq!(spend(&budget), 35);
        budget.record_success(true);
        assert_eq!(spend(&budget), 1);
        (0..3).for_each(|_| budget.record_success(false));
        assert_eq!(spend(&budget), 0, "10 left over, 3 earned: one short of 14");
        budget.record_success(false);
        assert_eq!(spend(&budget), 1);
    }

    #[test]
    fn grpc_throttling_stops_retries_at_half_and_needs_ten_successes_a_token() {
        let budget = RetryBudget::grpc();
        let fail = || {
            budget.record_failure();
            budget.try_retry()
        };
        assert_eq!(budget.available(), 4);
        let retried = (0..9).filter(|_| fail()).count();
        assert_eq!(retried, 4, "the fifth failure leaves 5 of 10: not more than half");
        // 1 token is left. 49 successes give 4.9; the next failure takes 1.
        (0..49).for_each(|_| budget.record_success(false));
        assert!(!fail());
        (0..12).for_each(|_| budget.record_success(false));
        assert!(fail(), "4.9 and 1.2 earned, 1 lost: 5.1 is more than half");
    }

    #[test]
    fn sixteen_threads_never_get_more_than_the_law_allows() {
        let budget = RetryBudget::new(0.25, 10);
        let (retries, successes) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for n in 0..16 {
                let (budget, retries, successes) = (&budget, &retries, &successes);
                scope.spawn(move || {
                    for i in 0..2000 {
                        if (i + n) % 3 == 0 {
                            successes.fetch_add(1, Ordering::Relaxed);
                            budget.record_success(false);
                        } else if budget.try_retry() {
                            retries.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let (retries, successes) = (retries.into_inner(), successes.into_inner());
        assert!(retries <= successes / 4 + 10, "{retries} retries for {successes} successes");
        assert!(retries >= successes / 4, "and none is lost: {retries} of {}", successes / 4);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for ratio in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            assert_eq!(RetryBudget::try_new(ratio, 1).expect_err("refused").field(), "ratio");
        }
        assert_eq!(RetryBudget::try_new(0.1, 0).expect_err("refused").field(), "floor");
        // What is finer than a billionth would earn nothing, and not say so.
        assert_eq!(RetryBudget::try_new(9e-10, 1).expect_err("refused").field(), "ratio");
        for ratio in [0.0, 1e-9, 1.0] {
            assert_eq!(RetryBudget::try_new(ratio, 1).map(|budget| budget.available()), Ok(1));
        }
    }

    #[test]
    fn each_way_to_share_a_budget_shares_its_tokens() {
        static STATIC: RetryBudget = RetryBudget::new(0.5, 3);
        let counted = Arc::new(RetryBudget::new(0.5, 4));
        let (one, other) = (SharedBudget::from(&STATIC), SharedBudget::from(Arc::clone(&counted)));
        assert!(one.try_retry() && other.try_retry());
        assert_eq!((STATIC.available(), counted.available()), (2, 3));
        let own = SharedBudget::from(RetryBudget::new(0.5, 5));
        assert!(own.clone().try_retry());
        assert_eq!(own.available(), 4);
    }

    proptest! {
        /// Law 6: over any interval of any history, retries <= ratio * successes + floor.
        #[test]
        fn retries_never_pass_ratio_times_successes_plus_floor(
            ratio in 0.0..=1.0,
            floor in 1..20_u32,
            history in prop::collection::vec(0..3_u8, 1..300),
            cut in 0..300_usize,
        ) {
            let budget = RetryBudget::new(ratio, floor);
            let (mut retries, mut successes) = (0.0, 0.0);
            for (n, step) in history.into_iter().enumerate() {
                if n == cut {
                    (retries, successes) = (0.0, 0.0);
                }
                match step {
                    0 => { budget.record_success(n % 2 == 0); successes += 1.0; }
                    _ => if budget.try_retry() { retries += 1.0 },
                }
                prop_assert!(retries <= ratio * successes + f64::from(floor) + 1e-9);
            }
        }
    }
}

#[cfg(all(test, seawall_loom))]
mod loom_tests {
    use super::*;
    use loom::{sync::Arc as LoomArc, thread};

    /// Law 6 in every schedule: two threads that retry and one that succeeds.
    #[test]
    fn no_schedule_pays_more_retries_than_were_earned() {
        loom::model(|| {
            let budget = LoomArc::new(RetryBudget::new(1.0, 1));
            let retriers: Vec<_> = (0..2)
                .map(|_| {
                    let budget = LoomArc::clone(&budget);
                    thread::spawn(move || u32::from(budget.try_retry()))
                })
                .collect();
            budget.record_success(false);
            let made: u32 = retriers.into_iter().map(|t| t.join().expect("no panic")).sum();
            // A success on a full bucket earns nothing: 1 or 2 retries, and what is left adds up.
            assert!((1..=2).contains(&made));
            assert!(u64::from(made) + budget.available() <= 2);
        });
    }
}
