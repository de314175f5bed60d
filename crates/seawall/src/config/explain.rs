//! DECIDE: what a policy comes to: its delays, how often it may try, how long it may take.

use super::{LayerKind, PolicySpec, spec::Part};
use crate::{
    describe::{Describe, Layer},
    retry::RetryPolicy,
};
use std::time::Duration;

/// What a policy comes to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The policy's name.
    pub policy: String,
    /// Its layers, outermost first, with every setting.
    pub layers: Vec<(LayerKind, Layer)>,
    /// The delays of a call that never succeeds, the first hundred of them.
    pub schedule: Vec<PlannedDelay>,
    /// How many delays there are in all, unless a limit cuts them off.
    pub delays: u64,
    /// The most attempts that a call makes, limits taken into account.
    pub worst_attempts: u64,
    /// The sum of the longest delays.
    pub worst_backoff: Duration,
    /// The longest that a call takes; none where nothing limits an attempt. Time that the program
    /// spends elsewhere, such as in a fallback, is not in it.
    pub worst_time: Option<Duration>,
}

/// One delay of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedDelay {
    /// The attempt that it follows, counted from 1.
    pub after_attempt: u64,
    /// Without jitter. Where the strategy is jitter itself, the middle of what it draws from.
    pub delay: Duration,
    /// The shortest that jitter makes of it.
    pub shortest: Duration,
    /// The longest that jitter makes of it.
    pub longest: Duration,
}

/// How many delays are listed.
const LISTED: usize = 100;
/// How many are looked at one by one. Past them a schedule is taken to stay as it is where it has
/// come to rest, else to be anything up to the cap: the figures are bounds.
const LOOKED_AT: u64 = 10_000;

pub(super) fn explain(spec: &PolicySpec) -> Explanation {
    let retry = spec.retry();
    let mut layers = Vec::new();
    spec.describe(&mut layers);
    Explanation {
        policy: spec.name().to_owned(),
        layers: spec.order().zip(layers).collect(),
        schedule: retry.iter().flat_map(planned).take(LISTED).collect(),
        delays: retry.map_or(0, |retry| u64::from(retry.max_attempts()) - 1),
        worst_attempts: attempts(&spec.parts().collect::<Vec<_>>(), None),
        worst_backoff: retry.map_or(Duration::ZERO, |retry| longest_backoff(&retry)),
        worst_time: time(&spec.parts().collect::<Vec<_>>()),
    }
}

/// The delays of a policy, one by one.
pub(super) fn planned(retry: &RetryPolicy) -> impl Iterator<Item = PlannedDelay> + use<> {
    let backoff = retry.settings.backoff;
    let decorrelated = backoff.strategy.as_str() == "decorrelated";
    let (mut middle, mut longest) = (None, None);
    (1..u64::from(retry.max_attempts())).map(move |n| {
        let (shortest, most) = backoff.interval(n, longest);
        let delay = match decorrelated {
            true => {
                let (from, to) = backoff.interval(n, middle);
                from + (to - from) / 2
            }
            false => backoff.middle(n),
        };
        (middle, longest) = (Some(delay), Some(most));
        PlannedDelay { after_attempt: n, delay, shortest, longest: most }
    })
}

/// The sum of the longest delays.
fn longest_backoff(retry: &RetryPolicy) -> Duration {
    let mut sum = Duration::ZERO;
    let mut last: Option<PlannedDelay> = None;
    let delays = u64::from(retry.max_attempts()) - 1;
    for planned in planned(retry).take(usize::try_from(LOOKED_AT).unwrap_or(usize::MAX)) {
        if let Some(last) = last.filter(|last| rests(*last, planned)) {
            // It stays as it is: the rest is a product.
            let left = delays - last.after_attempt;
            return sum.saturating_add(times(planned.longest, left));
        }
        sum = sum.saturating_add(planned.longest);
        last = Some(planned);
    }
    let seen = last.map_or(0, |last| last.after_attempt);
    sum.saturating_add(times(retry.settings.backoff.cap, delays - seen))
}

/// Whether a schedule has come to rest: at its cap, at zero, or since it never moves. Two alike in a
/// row happen in others too (Fibonacci begins with 1, 1).
fn rests(last: PlannedDelay, this: PlannedDelay) -> bool {
    let alike = (last.shortest, last.longest) == (this.shortest, this.longest);
    alike && last.after_attempt > 2
}

fn times(duration: Duration, times: u64) -> Duration {
    match u32::try_from(times) {
        Ok(times) => duration.saturating_mul(times),
        Err(_) if duration.is_zero() => duration,
        Err(_) => Duration::MAX,
    }
}

/// The most attempts within `limit`, if each failed at once and each delay were the shortest.
fn attempts(parts: &[&Part], limit: Option<Duration>) -> u64 {
    let Some((part, inside)) = parts.split_first() else { return 1 };
    match part {
        Part::Timeout(timeout) => {
            let limit = limit.map_or(timeout.limit(), |outer| outer.min(timeout.limit()));
            attempts(inside, Some(limit))
        }
        Part::Retry { executor, .. } => {
            let policy = executor.policy();
            let total = policy.settings.total_timeout;
            let limit = match (limit, total) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            let own = limit.map_or(u64::from(policy.max_attempts()), |limit| within(policy, limit));
            own.saturating_mul(attempts(inside, None))
        }
        Part::Breaker { .. } | Part::Fallback(_) => attempts(inside, limit),
    }
}

/// How many attempts there can be within `limit`.
pub(super) fn within(retry: &RetryPolicy, limit: Duration) -> u64 {
    let most = u64::from(retry.max_attempts());
    let mut elapsed = Duration::ZERO;
    let mut last: Option<PlannedDelay> = None;
    for planned in planned(retry).take(usize::try_from(LOOKED_AT).unwrap_or(usize::MAX)) {
        let resting = last.is_some_and(|last| rests(last, planned));
        if resting && !planned.shortest.is_zero() {
            let left = limit.saturating_sub(elapsed).as_nanos() / planned.shortest.as_nanos();
            let more = u64::try_from(left).unwrap_or(u64::MAX);
            return planned.after_attempt.saturating_add(more).min(most);
        }
        elapsed = elapsed.saturating_add(planned.shortest);
        if elapsed > limit {
            return planned.after_attempt;
        }
        last = Some(planned);
    }
    most
}

/// The longest that the call takes; none if that has no bound.
fn time(parts: &[&Part]) -> Option<Duration> {
    let (part, inside) = parts.split_first()?;
    let inner = time(inside);
    match part {
        Part::Timeout(timeout) => {
            Some(inner.map_or(timeout.limit(), |inner| inner.min(timeout.limit())))
        }
        Part::Retry { executor, .. } => {
            let policy = executor.policy();
            let inner = inner?;
            let all =
                times(inner, policy.max_attempts().into()).saturating_add(longest_backoff(policy));
            // No delay ends past the total timeout, so the last attempt begins by then.
            let last = policy.settings.total_timeout.map(|limit| limit.saturating_add(inner));
            Some(last.map_or(all, |last| all.min(last)))
        }
        Part::Breaker { .. } | Part::Fallback(_) => inner,
    }
}
