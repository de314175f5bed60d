//! What the options ask for, as the library's policies; and what an attempt means to them.

use super::{
    attempt::{Ended, Ending},
    matcher::Pattern,
};
use crate::{
    exit,
    words::{Exits, Refusal},
};
use clap::ArgMatches;
use seawall::{
    BackoffStrategy, CircuitBreaker, InvalidSetting, Jitter, RetryBudget, RetryPolicy, Verdict,
    breaker::CircuitBreakerBuilder,
};
use std::time::Duration;

/// An error of the library, by the name of our option.
pub(crate) fn invalid(error: &InvalidSetting) -> Refusal {
    let option = match error.field() {
        "backoff_strategy" => "backoff".to_owned(),
        "ratio" => "budget-ratio".to_owned(),
        "floor" => "budget-floor".to_owned(),
        field => field.replace('_', "-"),
    };
    Refusal::new(format!("--{option} {}: {}", error.value(), error.rule()))
}

/// One option's value.
pub(crate) fn get<T: Clone + Send + Sync + 'static>(given: &ArgMatches, name: &str) -> Option<T> {
    given.get_one::<T>(name).cloned()
}

/// What the options say of retries.
pub(crate) fn retry(given: &ArgMatches) -> Result<RetryPolicy, Refusal> {
    let mut builder = RetryPolicy::builder();
    if given.get_flag("until-success") {
        builder = builder.max_attempts(u32::MAX).backoff_strategy(BackoffStrategy::Fixed);
    }
    if let Some(attempts) = get(given, "max-attempts") {
        builder = builder.max_attempts(attempts);
    }
    if let Some(word) = get::<String>(given, "backoff") {
        builder = builder.backoff_strategy(word.parse().map_err(|error| invalid(&error))?);
    }
    if let Some(delay) = get(given, "base-delay") {
        builder = builder.base_delay(delay);
    }
    if let Some(delay) = get(given, "max-delay") {
        builder = builder.max_delay(delay);
    }
    if let Some(multiplier) = get(given, "multiplier") {
        builder = builder.multiplier(multiplier);
    }
    if let Some(word) = get::<String>(given, "jitter") {
        builder = builder.jitter(word.parse::<Jitter>().map_err(|error| invalid(&error))?);
    }
    if let Some(limit) = get(given, "total-timeout") {
        builder = builder.total_timeout(limit);
    }
    builder.try_build().map_err(|error| invalid(&error))
}

/// A breaker that many invocations share.
#[derive(Debug)]
pub(crate) struct Breaker {
    pub(crate) name: String,
    settings: CircuitBreakerBuilder,
}

impl Breaker {
    /// One that remembers nothing.
    pub(crate) fn breaker(&self) -> CircuitBreaker {
        self.settings.build()
    }
}

const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn breaker(given: &ArgMatches) -> Result<Option<Breaker>, Refusal> {
    let Some(name) = get::<String>(given, "breaker") else { return Ok(None) };
    let mut builder = CircuitBreaker::builder();
    if let Some(threshold) = get(given, "failure-threshold") {
        builder = builder.failure_threshold(threshold);
    }
    let recovery = get::<Duration>(given, "recovery-timeout");
    if let Some(timeout) = recovery {
        builder = builder.recovery_timeout(timeout);
    }
    if let Some(lease) = get(given, "probe-lease") {
        builder = builder.probe_lease(lease);
    } else if let Some(total) = get::<Duration>(given, "total-timeout") {
        // A probe keeps its voice as long as its call may take.
        builder = builder.probe_lease(total.max(recovery.unwrap_or(LEASE)).max(LEASE));
    }
    builder.try_build().map_err(|error| invalid(&error))?;
    Ok(Some(Breaker { name, settings: builder }))
}

/// A budget that many invocations share.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) name: String,
    ratio: f64,
    floor: u32,
}

impl Budget {
    /// A full one.
    pub(crate) fn budget(&self) -> RetryBudget {
        RetryBudget::new(self.ratio, self.floor)
    }
}

pub(crate) fn budget(given: &ArgMatches) -> Result<Option<Budget>, Refusal> {
    let Some(name) = get::<String>(given, "budget") else { return Ok(None) };
    let ratio = get(given, "budget-ratio").unwrap_or(0.1);
    let floor = get(given, "budget-floor").unwrap_or(10);
    RetryBudget::try_new(ratio, floor).map_err(|error| invalid(&error))?;
    Ok(Some(Budget { name, ratio, floor }))
}

/// What an attempt's end means.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    retry_on: Option<Exits>,
    stop_on: Exits,
    pub(crate) pattern: Option<Pattern>,
}

impl Reading {
    pub(crate) fn new(given: &ArgMatches) -> Result<Self, Refusal> {
        let pattern = get::<String>(given, "retry-if-output");
        Ok(Self {
            retry_on: get(given, "retry-on-exit"),
            stop_on: get(given, "stop-on-exit").unwrap_or_default(),
            pattern: pattern.map(|regex| Pattern::new(&regex)).transpose()?,
        })
    }

    /// For retry and breaker alike.
    pub(crate) fn verdict(&self, ended: &Ended) -> Verdict {
        let status = ended.ending.status();
        let listed = self.retry_on.as_ref().map(|exits| exits.contains(status));
        match ended.ending {
            // Says nothing of what the command would have called.
            Ending::NotStarted(_) => Verdict::Ignored,
            _ if ended.is_broken => Verdict::Ignored,
            _ if ended.matched && !self.stop_on.contains(status) => Verdict::TRANSIENT,
            Ending::Exited(0) => match listed {
                Some(true) => Verdict::TRANSIENT,
                _ => Verdict::Success,
            },
            _ if self.stop_on.contains(status) => Verdict::Permanent,
            Ending::TimedOut { .. } => Verdict::TRANSIENT,
            Ending::Exited(exit::NOT_FOUND | exit::CANNOT_START) if listed != Some(true) => {
                Verdict::Ignored
            }
            Ending::Exited(_) | Ending::Killed(_) => match (listed, &self.pattern) {
                (Some(true), _) | (None, None) => Verdict::TRANSIENT,
                (Some(false), _) | (None, Some(_)) => Verdict::Permanent,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(ending: Ending, matched: bool) -> Ended {
        Ended { ending, matched, spool: None, is_broken: false, leaked: None }
    }

    fn reading(retry_on: Option<&str>, stop_on: &str, pattern: bool) -> Reading {
        let exits = |text| Exits::parse(text).expect("in order");
        Reading {
            retry_on: retry_on.map(exits),
            stop_on: if stop_on.is_empty() { Exits::default() } else { exits(stop_on) },
            pattern: pattern.then(|| Pattern::new("x").expect("in order")),
        }
    }

    #[test]
    fn every_failure_is_worth_a_retry_unless_options_say_which() {
        use Ending::{Exited, Killed, TimedOut};
        use Verdict::{Ignored, Permanent, Success};
        let transient = Verdict::TRANSIENT;
        let timed_out = || TimedOut { total: false };
        let all = reading(None, "", false);
        let listed = reading(Some("75,137"), "", false);
        let stopped = reading(None, "2,124", false);
        let by_output = reading(None, "", true);
        let both = reading(Some("75"), "3", true);
        for (line, reading, ending, matched, verdict) in [
            (line!(), &all, Exited(0), false, Success),
            (line!(), &all, Exited(1), false, transient),
            (line!(), &all, Killed(9), false, transient),
            (line!(), &all, timed_out(), false, transient),
            (line!(), &all, Exited(127), false, Ignored),
            (line!(), &all, Exited(126), false, Ignored),
            (line!(), &listed, Exited(75), false, transient),
            (line!(), &listed, Killed(9), false, transient),
            (line!(), &listed, Exited(1), false, Permanent),
            (line!(), &listed, timed_out(), false, transient),
            (line!(), &stopped, Exited(2), false, Permanent),
            (line!(), &stopped, timed_out(), false, Permanent),
            (line!(), &stopped, Exited(1), false, transient),
            (line!(), &by_output, Exited(1), false, Permanent),
            (line!(), &by_output, Exited(1), true, transient),
            (line!(), &by_output, Exited(0), true, transient),
            (line!(), &by_output, timed_out(), false, transient),
            (line!(), &both, Exited(75), false, transient),
            (line!(), &both, Exited(1), true, transient),
            (line!(), &both, Exited(3), true, Permanent),
            (line!(), &both, Exited(1), false, Permanent),
        ] {
            assert_eq!(reading.verdict(&ended(ending, matched)), verdict, "line {line}");
        }
    }
}
