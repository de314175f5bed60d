//! Law 5: delays lie within zero and the cap.

use super::{
    life::said,
    report::{Broken, Checked, Law, Violation},
};
use crate::{Random, RetryPolicy};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// A backoff, as the laws see it. Closures over the attempt's number and a source of chance are.
pub trait BackoffUnderTest {
    /// The delay after the `attempt`th attempt, counted from 1, has failed. `random` spreads it.
    fn delay(&self, attempt: u64, random: &mut Random) -> Duration;
}

impl<F: Fn(u64, &mut Random) -> Duration> BackoffUnderTest for F {
    fn delay(&self, attempt: u64, random: &mut Random) -> Duration {
        self(attempt, random)
    }
}

/// As far as its attempts go, the delays of a call; past that either end of what they are drawn
/// from.
impl<C> BackoffUnderTest for RetryPolicy<C> {
    fn delay(&self, attempt: u64, random: &mut Random) -> Duration {
        const CALL: u64 = 100;
        let seed = random.next_u64();
        let of_a_call = || {
            let before = usize::try_from(attempt.checked_sub(1)?).ok()?;
            self.delays().seeded(seed).nth(before)
        };
        let drawn = if attempt <= CALL { of_a_call() } else { None };
        drawn.unwrap_or_else(|| {
            let (from, to) = self.settings.backoff.interval(attempt, None);
            if seed % 2 == 0 { from } else { to }
        })
    }
}

/// What a backoff was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayRules {
    /// No delay is longer.
    pub cap: Duration,
    /// Delays are spread, so no two callers need wait alike; at the cap as well.
    pub spread: bool,
}

/// Draws for each attempt number.
const DRAWS: u64 = 8;

/// Law 5: for every attempt number, `0 <= delay <= cap`, without a panic; and delays that are spread
/// are spread at the cap too.
///
/// # Errors
/// The attempt whose delay is longer, or panics; or how many delays are one and the same.
pub fn delays(backoff: &impl BackoffUnderTest, rules: &DelayRules) -> Result<Checked, Violation> {
    let attempts = attempts();
    for attempt in &attempts {
        let mut random = Random::seeded(*attempt);
        for _ in 0..DRAWS {
            let delay = delay(backoff, *attempt, &mut random)?;
            if delay > rules.cap {
                let seen = format!("a delay of {delay:?}");
                return Err(broken(*attempt, seen, format!("{:?} at most", rules.cap)));
            }
        }
    }
    if rules.spread {
        is_spread_at_the_cap(backoff)?;
    }
    Ok(Checked::kept(Law::Delays, attempts.len() as u64 * DRAWS))
}

/// The first ones, all around the powers of two, and some by chance; in order.
fn attempts() -> Vec<u64> {
    let mut random = Random::seeded(5);
    let mut attempts: Vec<u64> = (1..=100).collect();
    attempts.extend((7..64).flat_map(|n| [(1_u64 << n) - 1, 1 << n, (1 << n) + 1]));
    attempts.extend((0..100).map(|n| random.next_u64() >> (n % 60)));
    attempts.extend([u64::MAX - 1, u64::MAX]);
    // Attempts are counted from 1.
    attempts.retain(|attempt| *attempt > 0);
    attempts.sort_unstable();
    attempts.dedup();
    attempts
}

fn delay(
    backoff: &impl BackoffUnderTest,
    attempt: u64,
    random: &mut Random,
) -> Result<Duration, Violation> {
    catch_unwind(AssertUnwindSafe(|| backoff.delay(attempt, random))).map_err(|payload| {
        let seen = format!("it panics: {}", said(&*payload));
        broken(attempt, seen, "a delay for every attempt".to_owned())
    })
}

/// What is clamped after the draw comes out alike for most callers.
fn is_spread_at_the_cap(backoff: &impl BackoffUnderTest) -> Result<(), Violation> {
    const FAR: u64 = 90;
    const CALLERS: u64 = 200;
    let mut callers: HashMap<Duration, u64> = HashMap::new();
    for seed in 0..CALLERS {
        let delay = delay(backoff, FAR, &mut Random::seeded(seed))?;
        *callers.entry(delay).or_default() += 1;
    }
    match callers.into_iter().max_by_key(|(_, alike)| *alike) {
        Some((delay, alike)) if alike > CALLERS / 4 => {
            let seen = format!("{alike} of {CALLERS} callers wait {delay:?} to the nanosecond");
            Err(broken(FAR, seen, format!("{} at most, since they are spread", CALLERS / 4)))
        }
        _ => Ok(()),
    }
}

fn broken(attempt: u64, seen: String, allowed: String) -> Violation {
    let story = vec![format!("attempt {attempt} fails")];
    Broken { story, seen, allowed }.of(Law::Delays)
}
