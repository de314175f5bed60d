//! What in a stack cannot work as meant.
//!
//! Pure: it reads the layers that a stack describes itself by. Each rule has a name, so that a test
//! can allow one on purpose.

use crate::describe::{Facts, Layer};
use std::{fmt, time::Duration};

/// Something in a stack that cannot work as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    rule: &'static str,
    layers: Vec<String>,
    /// Where they stand in the stack.
    at: Vec<usize>,
    why: String,
}

impl Finding {
    /// The rule's name, such as `fallback-inside-retry`.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// The policies it is about, outermost first, as they print.
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Where those policies stand in the stack, counted from 0, outermost first.
    pub fn positions(&self) -> &[usize] {
        &self.at
    }

    /// Why it cannot work, and what to do.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// The policies, then why.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layers.join(" > "), self.why)
    }
}

/// Checks a stack, outermost first.
pub(crate) fn check(layers: &[Layer]) -> Vec<Finding> {
    let alone = layers.iter().enumerate().filter_map(|(at, layer)| {
        let (rule, why) = check_one(&layer.facts)?;
        Some(Finding { rule, layers: vec![layer.to_string()], at: vec![at], why })
    });
    let pairs = layers.iter().enumerate().flat_map(|(at, outer)| {
        let inside = &layers[at + 1..];
        inside.iter().enumerate().filter_map(move |(nth, inner)| {
            let (rule, why) =
                check_pair(&outer.facts, &inner.facts, &inside[..nth], &inside[nth + 1..])?;
            let layers = vec![outer.to_string(), inner.to_string()];
            Some(Finding { rule, layers, at: vec![at, at + 1 + nth], why })
        })
    });
    alone.chain(pairs).collect()
}

type Broken = Option<(&'static str, String)>;

fn check_one(facts: &Facts) -> Broken {
    match facts {
        Facts::Retry { max_attempts: 1, .. } => {
            Some(("retry-without-retries", "`max_attempts` of 1 never retries".into()))
        }
        Facts::Retry { first_delay, total_timeout: Some(limit), .. } if first_delay > limit => {
            Some((
                "total-timeout-below-first-delay",
                format!(
                    "the first delay, {first_delay:?} at least, ends past the total timeout of {limit:?}: no retry is ever made"
                ),
            ))
        }
        Facts::Fallback { unreachable: Some(entry), .. } => Some((
            "unreachable-fallback",
            format!("entry {entry} is never tried: a value before it serves every error"),
        )),
        Facts::Fallback { empty: true, .. } => {
            Some(("empty-fallback", "a chain without entries answers nothing".into()))
        }
        _ => None,
    }
}

/// Two policies, with what stands between them and what stands inside the inner one.
fn check_pair(outer: &Facts, inner: &Facts, between: &[Layer], inside: &[Layer]) -> Broken {
    match (outer, inner) {
        (Facts::Retry { .. }, Facts::Fallback { never_fails: true, .. }) => Some((
            "fallback-inside-retry",
            "the fallback answers the first failure, so the retry never sees one: put the fallback outside".into(),
        )),
        (Facts::Retry { .. }, Facts::Fallback { catches_all: true, .. }) => Some((
            "fallback-inside-retry",
            "the fallback answers each failure if it can, so the retry only sees those of the fallback: put the fallback outside".into(),
        )),
        (Facts::Breaker { .. }, Facts::Fallback { never_fails: true, .. }) => Some((
            "fallback-inside-breaker",
            "the fallback answers each failure, so the breaker never sees one and never opens: put the fallback outside".into(),
        )),
        (Facts::Breaker { .. }, Facts::Fallback { catches_all: true, .. }) => Some((
            "fallback-inside-breaker",
            "the fallback answers each failure if it can, so the breaker only counts those of the fallback: put the fallback outside".into(),
        )),
        (Facts::Fallback { .. }, Facts::Fallback { never_fails: true, .. }) => Some((
            "fallback-inside-fallback",
            "the inner fallback never fails, so the outer one is never used: leave one out".into(),
        )),
        (Facts::Retry { retries_exhausted: true, max_attempts: outer, .. }, Facts::Retry { max_attempts: inner, .. }) => {
            let product = u64::from(*outer) * u64::from(*inner);
            Some((
                "retries-multiply",
                format!("one call makes up to {product} attempts: leave out `retry_on_exhausted`, or one of the retries"),
            ))
        }
        (Facts::Retry { .. }, Facts::Retry { .. }) => Some((
            "retry-inside-retry",
            "the outer retry does not repeat a call in which the inner one gave up: it only sees what the inner one does not retry".into(),
        )),
        (
            Facts::Retry { max_attempts, retries_open, max_retry_after, .. },
            Facts::Breaker { threshold, recovery, .. },
        ) => match retries_open {
            true if max_retry_after < recovery => Some((
                "retry-outside-open-breaker",
                format!("an open breaker asks for a wait of {recovery:?}, above the `max_retry_after` of {max_retry_after:?}: the retry ends at once all the same; put the retry inside, or raise that limit"),
            )),
            true => opens_by_one_call(*max_attempts, *threshold),
            false => opens_by_one_call(*max_attempts, *threshold).or_else(|| Some((
                "retry-outside-breaker",
                "each attempt counts at the breaker by itself, and once it is open the retry ends at once, with attempts left: put the retry inside".into(),
            ))),
        },
        (Facts::Timeout { limit }, Facts::Retry { first_delay, .. })
            if limit <= first_delay && !first_delay.is_zero() =>
        {
            Some((
                "timeout-below-first-delay",
                format!("the call ends after {limit:?}, before the first delay of {first_delay:?} at least is over: no retry is ever made"),
            ))
        }
        (Facts::Timeout { .. }, Facts::Breaker { .. }) if !has_timeout(inside) => Some((
            "timeout-outside-breaker",
            "a call that the timeout ends is dropped, which counts neither way: a callee that hangs never opens the breaker; put a timeout inside".into(),
        )),
        (Facts::Timeout { limit: outer }, Facts::Timeout { limit: inner }) if outer <= inner => Some((
            "timeout-inside-shorter-timeout",
            format!("the outer limit of {outer:?} ends the call before the inner one of {inner:?} can: the inner one never does anything"),
        )),
        (Facts::Breaker { lease, .. }, Facts::Timeout { limit }) if longest(*limit, between) > *lease => {
            let longest = longest(*limit, between);
            Some((
                "timeout-beyond-probe-lease",
                format!("a probe may run for {longest:?} but keeps its slot for {lease:?} only: its outcome may be dropped, and the breaker stays half-open; set `probe_lease` longer"),
            ))
        }
        (Facts::Breaker { slow_call: Some(slow), .. }, Facts::Timeout { limit })
            if *slow > longest(*limit, between) =>
        {
            Some((
                "slow-call-beyond-timeout",
                format!("no call can take {slow:?}: the timeout ends it after {limit:?}; the slow-call rate never counts one"),
            ))
        }
        _ => None,
    }
}

fn opens_by_one_call(max_attempts: u32, threshold: Option<u32>) -> Broken {
    let threshold = threshold?;
    (max_attempts >= threshold).then(|| (
        "retry-outside-breaker",
        format!("each attempt counts at the breaker, so a single call with {max_attempts} attempts can open it, and ends there; put the retry inside, or raise `failure_threshold` above {max_attempts}"),
    ))
}

fn has_timeout(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| matches!(layer.facts, Facts::Timeout { .. }))
}

/// How long the attempts of one call may run, where each is limited and `between` repeats them;
/// delays not counted.
fn longest(limit: Duration, between: &[Layer]) -> Duration {
    between.iter().fold(limit, |longest, layer| match layer.facts {
        Facts::Retry { max_attempts, .. } => longest.saturating_mul(max_attempts),
        _ => longest,
    })
}
