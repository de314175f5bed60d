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
    BackoffStrategy, CircuitBreaker, Describe, InvalidSetting, Jitter, RetryBudget, RetryPolicy,
    SettingValue, Verdict,
    breaker::CircuitBreakerBuilder,
    config::{Data, LayerKind, Policies, PolicySpec},
    foreign,
    retry::SharedBudget,
};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

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

/// The policy of `FILE#NAME`, with the environment laid over it. The name may be left out where
/// there is one policy only.
pub(crate) fn load(place: &OsStr) -> Result<PolicySpec, Refusal> {
    let (file, name) = split(place);
    let policies = load_file(file)?;
    let name = match name {
        Some(name) => name,
        None => {
            let mut names = policies.names();
            match (names.next(), names.next()) {
                (Some(name), None) => name.to_owned(),
                (None, _) => {
                    return Err(Refusal::new(format!(
                        "{}: there is no policy in it",
                        file.display()
                    )));
                }
                (Some(_), Some(_)) => {
                    let names: Vec<&str> = policies.names().collect();
                    return Err(Refusal::new(format!(
                        "{}: say which policy: {}#NAME with one of {}",
                        file.display(),
                        file.display(),
                        names.join(", ")
                    )));
                }
            }
        }
    };
    policies.get(&name).cloned().ok_or_else(|| {
        let near = policies.nearest(&name);
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Refusal::new(format!("{}: there is no policy `{name}`{near}", file.display()))
    })
}

/// `FILE#NAME`, at the last `#`.
fn split(place: &OsStr) -> (&Path, Option<String>) {
    let bytes = place.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'#') {
        Some(at) => {
            let name = String::from_utf8_lossy(&bytes[at + 1..]).into_owned();
            (Path::new(OsStr::from_bytes(&bytes[..at])), Some(name))
        }
        None => (Path::new(place), None),
    }
}

pub(crate) fn load_file(file: &Path) -> Result<Policies, Refusal> {
    let loaded = Policies::loader().environment(std::env::vars_os()).load(file);
    loaded.map_err(|error| Refusal::new(error.to_string()))
}

/// Refuses what a command cannot do: its layers nest in one way.
pub(crate) fn check_order(spec: &PolicySpec) -> Result<(), Refusal> {
    use LayerKind::{CircuitBreaker, Fallback, Retry, Timeout, TotalTimeout};
    let rank = |kind: LayerKind| match kind {
        Fallback => 0,
        // Which of the two stands further out says whether a time-out counts at the breaker.
        TotalTimeout | CircuitBreaker => 1,
        Retry => 2,
        Timeout => 3,
        // A layer to come is for those who know it.
        _ => u8::MAX,
    };
    let ranks: Vec<u8> = spec.order().map(rank).collect();
    if ranks.is_sorted() && !ranks.contains(&u8::MAX) {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "policy `{}` is {spec}: a command runs fallback > total_timeout, circuit_breaker > retry > timeout",
        spec.name()
    )))
}

/// The fallback of a policy, as a command.
pub(crate) fn fallback(spec: &PolicySpec) -> Result<Option<OsString>, Refusal> {
    let Some(fallback) = spec.fallback() else { return Ok(None) };
    match (fallback.command(), fallback.value()) {
        (Some(command), _) => Ok(Some(command.into())),
        (None, Some(Data::Text(text))) => {
            let quoted = text.replace('\'', r"'\''");
            Ok(Some(format!("printf '%s\\n' '{quoted}'").into()))
        }
        (None, _) => Err(Refusal::new(format!(
            "the fallback of policy `{}` says nothing that a command could run: give it a `command`, or --fallback",
            spec.name()
        ))),
    }
}

/// What file and options say of retries; options come last.
pub(crate) fn retry(given: &ArgMatches, spec: Option<&PolicySpec>) -> Result<RetryPolicy, Refusal> {
    let mut builder = match spec.map(PolicySpec::retry) {
        None => RetryPolicy::builder(),
        Some(Some(policy)) => policy.to_builder(),
        Some(None) => RetryPolicy::builder().max_attempts(1),
    };
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
    let policy = builder.try_build().map_err(|error| invalid(&error))?;
    let around = spec.and_then(PolicySpec::total_timeout).map(|timeout| timeout.limit());
    let total = match get(given, "total-timeout") {
        Some(limit) => Some(limit),
        // A wait that would be cut off is not begun.
        None => around.filter(|_| setting(&policy, "total_timeout").is_none()),
    };
    match total {
        Some(limit) => builder.total_timeout(limit).try_build().map_err(|error| invalid(&error)),
        None => Ok(policy),
    }
}

fn setting(policy: &impl Describe, field: &str) -> Option<SettingValue> {
    let mut layers = Vec::new();
    policy.describe(&mut layers);
    layers.first()?.setting_value(field).cloned()
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

pub(crate) fn breaker(
    given: &ArgMatches,
    spec: Option<&PolicySpec>,
) -> Result<Option<Breaker>, Refusal> {
    let from_file = spec.and_then(|spec| {
        let name = spec.circuit_breaker()?.name().map(ToString::to_string);
        let name = name.unwrap_or_else(|| spec.name().to_owned());
        Some((name, spec.circuit_breaker_builder()?))
    });
    let (file_name, mut builder) = match from_file {
        Some((name, builder)) => (Some(name), builder),
        None => (None, CircuitBreaker::builder()),
    };
    let is_from_file = file_name.is_some();
    let Some(name) = get::<String>(given, "breaker").or(file_name) else {
        for option in ["failure-threshold", "recovery-timeout", "probe-lease"] {
            needs(given, option, "breaker")?;
        }
        return Ok(None);
    };
    if let Some(threshold) = get(given, "failure-threshold") {
        builder = builder.failure_threshold(threshold);
    }
    let recovery = get::<Duration>(given, "recovery-timeout");
    if let Some(timeout) = recovery {
        builder = builder.recovery_timeout(timeout);
    }
    if let Some(lease) = get(given, "probe-lease") {
        builder = builder.probe_lease(lease);
    } else if let Some(total) = get::<Duration>(given, "total-timeout").filter(|_| !is_from_file) {
        // A probe keeps its voice as long as its call may take.
        builder = builder.probe_lease(total.max(recovery.unwrap_or(LEASE)).max(LEASE));
    }
    builder.try_build().map_err(|error| invalid(&error))?;
    Ok(Some(Breaker { name, settings: builder }))
}

/// Refuses `option` where nothing makes use of it.
fn needs(given: &ArgMatches, option: &str, other: &str) -> Result<(), Refusal> {
    match given.value_source(option) {
        None => Ok(()),
        Some(_) => Err(Refusal::new(format!(
            "--{option} says nothing without --{other} NAME, or a policy that has one"
        ))),
    }
}

/// A budget that many invocations share.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) name: String,
    budget: SharedBudget,
    full: u64,
}

impl Budget {
    fn new(name: String, budget: SharedBudget) -> Self {
        let full = foreign::tokens(&budget);
        Self { name, budget, full }
    }

    /// One that holds `tokens`; a full one where nothing is known of it.
    pub(crate) fn with(&self, tokens: Option<u64>) -> &RetryBudget {
        foreign::set_tokens(&self.budget, tokens.unwrap_or(self.full));
        &self.budget
    }
}

pub(crate) fn budget(
    given: &ArgMatches,
    spec: Option<&PolicySpec>,
) -> Result<Option<Budget>, Refusal> {
    let Some(name) = get::<String>(given, "budget") else {
        for option in ["budget-ratio", "budget-floor"] {
            needs(given, option, "budget")?;
        }
        return Ok(spec.and_then(|spec| {
            let name = spec.retry_budget_name().unwrap_or(spec.name()).to_owned();
            Some(Budget::new(name, spec.retry_budget()?.clone()))
        }));
    };
    let ratio = get(given, "budget-ratio").unwrap_or(0.1);
    let floor = get(given, "budget-floor").unwrap_or(10);
    let budget = RetryBudget::try_new(ratio, floor).map_err(|error| invalid(&error))?;
    Ok(Some(Budget::new(name, Arc::new(budget).into())))
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
