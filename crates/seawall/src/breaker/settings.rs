//! The settings of a breaker: what may be set, what is refused, what is left out.

use super::{
    CircuitBreaker,
    permit::Core,
    window::{BUCKETS, CountWindow, MAX_CALLS, Rates, TimeWindow, Window},
    word::{MAX_THRESHOLD, Rules},
};
use crate::{
    describe::{Facts, Layer},
    setting::{InvalidSetting, Name, Refusal, SettingValue, longer},
    sync::const_unless_loom,
    time::millis_up,
    verdict::{AnyError, Expect, Ignore},
};
use std::time::Duration;

/// Collects the settings of a [`CircuitBreaker`]. Setters store; `build` checks all together.
///
/// A hook (`expected_exception`, `ignore`) may be a closure that captures. One that is followed by
/// another hook must be `Copy`: put the one that captures last.
///
/// A setting that makes no sense fails the build where the breaker is a constant or static:
///
/// ```compile_fail
/// use seawall::CircuitBreaker;
///
/// static NEVER: CircuitBreaker = CircuitBreaker::builder().failure_rate(f64::NAN).over_calls(9).build();
/// # fn main() { let _ = &NEVER; }
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "call `build` to get the breaker"]
pub struct CircuitBreakerBuilder<C = AnyError> {
    given: Given,
    pub(super) classify: C,
}

/// What was set, as it was set.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Given {
    name: Option<&'static str>,
    failure_threshold: Option<u32>,
    failure_rate: Option<f64>,
    over: Option<Over>,
    minimum_calls: Option<u32>,
    slow_call_rate: Option<f64>,
    slow_call_duration: Option<Duration>,
    recovery_timeout: Duration,
    recovery_multiplier: f64,
    max_recovery_timeout: Option<Duration>,
    recovery_jitter: f64,
    probes: u32,
    successes_to_close: u32,
    probe_lease: Option<Duration>,
}

/// What a rate is taken over.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    Calls(u32),
    Time(Duration),
}

/// The longest time that the breaker's word can hold with room to spare.
const LONGEST: Duration = Duration::from_secs(3 * 24 * 3600);
const FAILURE_THRESHOLD: u32 = 5;
const MINIMUM_CALLS: u32 = 10;
const LEASE: Duration = Duration::from_secs(60);

impl CircuitBreakerBuilder {
    pub(super) const fn new() -> Self {
        let given = Given {
            name: None,
            failure_threshold: None,
            failure_rate: None,
            over: None,
            minimum_calls: None,
            slow_call_rate: None,
            slow_call_duration: None,
            recovery_timeout: Duration::from_secs(60),
            recovery_multiplier: 1.0,
            max_recovery_timeout: None,
            recovery_jitter: 0.0,
            probes: 1,
            successes_to_close: 1,
            probe_lease: None,
        };
        Self { given, classify: AnyError }
    }

    /// The breaker of Microsoft's standard resilience handler: a failure rate of 10 % over 30 s,
    /// minimum calls 100, recovery timeout 5 s.
    ///
    /// Source: "Build resilient HTTP apps: key development patterns", .NET documentation.
    pub const fn standard(self) -> Self {
        self.failure_rate(0.1)
            .over_time(Duration::from_secs(30))
            .minimum_calls(100)
            .recovery_timeout(Duration::from_secs(5))
    }

    /// Reads outcomes with `classify`, for what the hooks cannot say.
    pub const fn classify_with<C>(self, classify: C) -> CircuitBreakerBuilder<C> {
        CircuitBreakerBuilder { given: self.given, classify }
    }
}

impl<C: Copy> CircuitBreakerBuilder<C> {
    /// Counts only errors for which `is_expected` holds as failures; others count as success, since
    /// the callee was well enough to answer. Default: every error is a failure.
    ///
    /// A closure must name the error's type, a method path need not.
    pub const fn expected_exception<E, P>(
        self,
        is_expected: P,
    ) -> CircuitBreakerBuilder<Expect<P, C>>
    where
        P: Fn(&E) -> bool,
    {
        CircuitBreakerBuilder { given: self.given, classify: Expect(is_expected, self.classify) }
    }

    /// Counts errors for which `is_ignored` holds neither way, and gives their permit back.
    pub const fn ignore<E, P>(self, is_ignored: P) -> CircuitBreakerBuilder<Ignore<P, C>>
    where
        P: Fn(&E) -> bool,
    {
        CircuitBreakerBuilder { given: self.given, classify: Ignore(is_ignored, self.classify) }
    }
}

impl<C> CircuitBreakerBuilder<C> {
    /// The name in events and errors. Default: none. See also [`CircuitBreaker::named`].
    pub const fn name(mut self, name: &'static str) -> Self {
        self.given.name = Some(name);
        self
    }

    /// Opens after this many failures in a row, 1 or more. Default: 5, unless a rate is set; with a
    /// rate, both rules apply if both are set.
    pub const fn failure_threshold(mut self, failures: u32) -> Self {
        self.given.failure_threshold = Some(failures);
        self
    }

    /// Opens when this share of the calls in the window failed, within 0..=1. Needs
    /// [`over_calls`](Self::over_calls) or [`over_time`](Self::over_time).
    pub const fn failure_rate(mut self, rate: f64) -> Self {
        self.given.failure_rate = Some(rate);
        self
    }

    /// Takes rates over the last `calls` calls exactly, 1 to 1 000 000. In place of `over_time`.
    pub const fn over_calls(mut self, calls: u32) -> Self {
        self.given.over = Some(Over::Calls(calls));
        self
    }

    /// Takes rates over the calls of the last `time`, 10 ms to 3 days, in ten buckets: between nine
    /// tenths of it and all of it. Buckets are whole ms, rounded up. Memory is constant, whatever the
    /// call rate. In place of `over_calls`.
    pub const fn over_time(mut self, time: Duration) -> Self {
        self.given.over = Some(Over::Time(time));
        self
    }

    /// The calls that must be in the window before a rate says anything, 1 or more, not more than
    /// `over_calls`. Default: 10, or `over_calls` if that is smaller.
    pub const fn minimum_calls(mut self, calls: u32) -> Self {
        self.given.minimum_calls = Some(calls);
        self
    }

    /// Opens when this share of the calls in the window, within 0..=1, took `at_least` or longer,
    /// however they ended. Needs a window like `failure_rate`. A slow probe counts as failed.
    ///
    /// The exact clock is read twice a call only where this is set.
    pub const fn slow_call_rate(mut self, rate: f64, at_least: Duration) -> Self {
        self.given.slow_call_rate = Some(rate);
        self.given.slow_call_duration = Some(at_least);
        self
    }

    /// How long it stays open before a probe, up to 3 days; whoever wants longer, isolates. Default:
    /// 60 s.
    pub const fn recovery_timeout(mut self, timeout: Duration) -> Self {
        self.given.recovery_timeout = timeout;
        self
    }

    /// By what each failed probe multiplies the recovery timeout, finite, 1 or more; up to
    /// [`max_recovery_timeout`](Self::max_recovery_timeout), and for 15 failed probes in a row at most.
    /// Closing starts over. Default: 1.
    pub const fn recovery_multiplier(mut self, multiplier: f64) -> Self {
        self.given.recovery_multiplier = multiplier;
        self
    }

    /// Where the recovery timeout stops growing, up to 3 days. Default: ten times
    /// `recovery_timeout`.
    pub const fn max_recovery_timeout(mut self, timeout: Duration) -> Self {
        self.given.max_recovery_timeout = Some(timeout);
        self
    }

    /// Spreads the recovery timeout upwards by a random share of up to `share`, within 0..=1, so
    /// that a fleet does not probe in one instant. Default: 0.
    pub const fn recovery_jitter(mut self, share: f64) -> Self {
        self.given.recovery_jitter = share;
        self
    }

    /// How many probes may be in flight at once, 1 to 255. Default: 1.
    pub const fn probes(mut self, probes: u32) -> Self {
        self.given.probes = probes;
        self
    }

    /// How many probes must succeed to close, 1 to 255. Default: 1.
    pub const fn successes_to_close(mut self, successes: u32) -> Self {
        self.given.successes_to_close = successes;
        self
    }

    /// How long probes keep their slots when others need them, from the last one that was admitted;
    /// 1 ms to 3 days. Longer than the operation can take: the outcome of a probe that lost its slot
    /// is dropped. Default: the recovery timeout, at least 60 s.
    pub const fn probe_lease(mut self, lease: Duration) -> Self {
        self.given.probe_lease = Some(lease);
        self
    }

    /// Refuses in const evaluation what [`build`](Self::build) would refuse.
    #[track_caller]
    pub(super) const fn assert_valid(&self) {
        if let Err(refusal) = self.given.checked() {
            refusal.panic();
        }
    }

    const_unless_loom! {
        /// The breaker. In const evaluation a setting that makes no sense fails the build.
        ///
        /// # Panics
        /// If a setting makes no sense; the message names it and its value.
        /// [`try_build`](Self::try_build) gives an error instead.
        #[track_caller]
        pub const fn build(self) -> CircuitBreaker<C> {
            match self.given.checked() {
                Ok(checked) => CircuitBreaker { core: checked.core(), chosen: self },
                Err(refusal) => refusal.panic(),
            }
        }
    }

    /// The breaker.
    ///
    /// # Errors
    /// The first setting that makes no sense, with its value.
    pub fn try_build(self) -> Result<CircuitBreaker<C>, InvalidSetting> {
        Ok(CircuitBreaker { core: self.given.checked()?.core(), chosen: self })
    }

    /// Whether the settings are the same, whatever reads the outcomes.
    #[cfg(feature = "config")]
    pub(crate) fn is_set_like(&self, other: &Self) -> bool {
        self.given == other.given
    }

    pub(super) fn layer(&self, name: Option<Name>, core: &Core) -> Layer {
        let (given, rules) = (&self.given, core.rules());
        let threshold = (rules.threshold > 0).then_some(rules.threshold);
        let recovery = given.recovery_timeout;
        let facts = Facts::Breaker {
            threshold,
            recovery,
            lease: given.lease(),
            slow_call: given.slow_call_duration,
        };
        let mut layer = Layer::new("breaker", facts).named(name);
        if let Some(rate) = given.failure_rate {
            layer = layer.gist("failure_rate", SettingValue::Number(rate));
        }
        if let Some(threshold) = threshold {
            layer = layer.gist("failure_threshold", SettingValue::Integer(threshold.into()));
        }
        layer = match given.over {
            Some(Over::Calls(calls)) => {
                layer.setting("over_calls", SettingValue::Integer(calls.into()))
            }
            Some(Over::Time(time)) => layer.setting("over_time", SettingValue::Duration(time)),
            None => layer,
        };
        layer
            .gist("recovery_timeout", SettingValue::Duration(recovery))
            .maybe(
                "minimum_calls",
                given.minimum().map(|calls| SettingValue::Integer(calls.into())),
            )
            .maybe("slow_call_rate", given.slow_call_rate.map(SettingValue::Number))
            .maybe("slow_call_duration", given.slow_call_duration.map(SettingValue::Duration))
            .setting("recovery_multiplier", SettingValue::Number(given.recovery_multiplier))
            .setting("recovery_jitter", SettingValue::Number(given.recovery_jitter))
            .setting("probes", SettingValue::Integer(given.probes.into()))
            .setting("successes_to_close", SettingValue::Integer(given.successes_to_close.into()))
            .setting("probe_lease", SettingValue::Duration(given.lease()))
    }
}

/// The settings, checked and complete.
struct Checked {
    name: Option<&'static str>,
    rules: Rules,
    over: Option<Over>,
    rates: Rates,
    slow_call: Option<Duration>,
}

impl Checked {
    const_unless_loom! {
        const fn core(&self) -> Core {
            let window = match self.over {
                None => Window::Nothing,
                Some(Over::Calls(calls)) => Window::Count(CountWindow::new(calls, self.rates)),
                Some(Over::Time(time)) => {
                    let bucket = millis_up(time).div_ceil(BUCKETS as u64);
                    Window::Time(TimeWindow::new(bucket, self.rates))
                }
            };
            Core::new(self.rules, window, self.slow_call, self.name)
        }
    }
}

impl Given {
    const fn lease(&self) -> Duration {
        match self.probe_lease {
            Some(lease) => lease,
            None if longer(self.recovery_timeout, LEASE) => self.recovery_timeout,
            None => LEASE,
        }
    }

    const fn longest_recovery(&self) -> Duration {
        match self.max_recovery_timeout {
            Some(longest) => longest,
            None => {
                let longest = self.recovery_timeout.saturating_mul(10);
                if longer(longest, LONGEST) { LONGEST } else { longest }
            }
        }
    }

    const fn minimum(&self) -> Option<u32> {
        match (self.over, self.minimum_calls) {
            (None, _) => None,
            (Some(_), Some(calls)) => Some(calls),
            (Some(Over::Calls(calls)), None) if calls < MINIMUM_CALLS => Some(calls),
            (Some(_), None) => Some(MINIMUM_CALLS),
        }
    }

    const fn checked(&self) -> Result<Checked, Refusal> {
        match self.invalid() {
            Some(refusal) => Err(refusal),
            None => Ok(self.complete()),
        }
    }

    /// The first setting that makes no sense.
    const fn invalid(&self) -> Option<Refusal> {
        let has_rate = self.failure_rate.is_some() || self.slow_call_rate.is_some();
        if let Some(threshold) = self.failure_threshold {
            if threshold == 0 || threshold > MAX_THRESHOLD {
                return integer(
                    "failure_threshold",
                    threshold,
                    "`failure_threshold` must be within 1..=1073741823",
                );
            }
        }
        if let Some(rate) = self.failure_rate {
            if !is_share(rate) {
                return number("failure_rate", rate, "`failure_rate` must be within 0..=1");
            }
        }
        if let Some(rate) = self.slow_call_rate {
            if !is_share(rate) {
                return number("slow_call_rate", rate, "`slow_call_rate` must be within 0..=1");
            }
        }
        match (self.over, has_rate) {
            (None, true) => {
                let (field, rate, rule) = match (self.failure_rate, self.slow_call_rate) {
                    (Some(rate), _) => (
                        "failure_rate",
                        rate,
                        "`failure_rate` needs a window: `over_calls` or `over_time`",
                    ),
                    (None, Some(rate)) => (
                        "slow_call_rate",
                        rate,
                        "`slow_call_rate` needs a window: `over_calls` or `over_time`",
                    ),
                    (None, None) => return None,
                };
                return number(field, rate, rule);
            }
            (Some(Over::Calls(calls)), false) => {
                return integer(
                    "over_calls",
                    calls,
                    "`over_calls` needs a rule: `failure_rate` or `slow_call_rate`",
                );
            }
            (Some(Over::Time(time)), false) => {
                return duration(
                    "over_time",
                    time,
                    "`over_time` needs a rule: `failure_rate` or `slow_call_rate`",
                );
            }
            (Some(Over::Calls(calls)), true) if calls == 0 || calls > MAX_CALLS => {
                return integer("over_calls", calls, "`over_calls` must be within 1..=1000000");
            }
            (Some(Over::Time(time)), true)
                if longer(Duration::from_millis(BUCKETS as u64), time) || longer(time, LONGEST) =>
            {
                return duration("over_time", time, "`over_time` must be from 10 ms to 3 days");
            }
            _ => {}
        }
        if let Some(calls) = self.minimum_calls {
            if calls == 0 {
                return integer("minimum_calls", calls, "`minimum_calls` must be 1 or more");
            }
            match self.over {
                None => {
                    return integer(
                        "minimum_calls",
                        calls,
                        "`minimum_calls` needs a window: `over_calls` or `over_time`",
                    );
                }
                Some(Over::Calls(window)) if calls > window => {
                    return integer(
                        "minimum_calls",
                        calls,
                        "`minimum_calls` must not be more than `over_calls`, or it is never met",
                    );
                }
                Some(_) => {}
            }
        }
        self.invalid_recovery()
    }

    const fn invalid_recovery(&self) -> Option<Refusal> {
        if longer(self.recovery_timeout, LONGEST) {
            return duration(
                "recovery_timeout",
                self.recovery_timeout,
                "`recovery_timeout` must be 3 days or less: use `isolate` to hold it open",
            );
        }
        // Written so that NaN is refused too.
        if !(self.recovery_multiplier >= 1.0 && self.recovery_multiplier <= f64::MAX) {
            return number(
                "recovery_multiplier",
                self.recovery_multiplier,
                "`recovery_multiplier` must be a finite number, 1 or more",
            );
        }
        if let Some(longest) = self.max_recovery_timeout {
            if longer(self.recovery_timeout, longest) || longer(longest, LONGEST) {
                return duration(
                    "max_recovery_timeout",
                    longest,
                    "`max_recovery_timeout` must be from `recovery_timeout` to 3 days",
                );
            }
        }
        if !is_share(self.recovery_jitter) {
            return number(
                "recovery_jitter",
                self.recovery_jitter,
                "`recovery_jitter` must be within 0..=1",
            );
        }
        if self.probes == 0 || self.probes > 255 {
            return integer("probes", self.probes, "`probes` must be within 1..=255");
        }
        if self.successes_to_close == 0 || self.successes_to_close > 255 {
            return integer(
                "successes_to_close",
                self.successes_to_close,
                "`successes_to_close` must be within 1..=255",
            );
        }
        if let Some(lease) = self.probe_lease {
            if longer(Duration::from_millis(1), lease) || longer(lease, LONGEST) {
                return duration("probe_lease", lease, "`probe_lease` must be from 1 ms to 3 days");
            }
        }
        None
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked to be within 1..=255")]
    const fn complete(&self) -> Checked {
        let rules = Rules {
            threshold: match (self.failure_threshold, self.over) {
                (Some(threshold), _) => threshold,
                (None, None) => FAILURE_THRESHOLD,
                (None, Some(_)) => 0,
            },
            recovery: millis_up(self.recovery_timeout),
            growth: self.recovery_multiplier,
            longest: millis_up(self.longest_recovery()),
            jitter: self.recovery_jitter,
            probes: self.probes as u8,
            successes: self.successes_to_close as u8,
            lease: millis_up(self.lease()),
            bound: 0,
        }
        .bounded();
        let rates = Rates {
            minimum_calls: match self.minimum() {
                Some(calls) => calls as u64,
                None => 1,
            },
            failure_rate: self.failure_rate,
            slow_call_rate: self.slow_call_rate,
        };
        let slow_call = self.slow_call_duration;
        Checked { name: self.name, rules, over: self.over, rates, slow_call }
    }
}

/// Written so that NaN is none.
const fn is_share(number: f64) -> bool {
    number >= 0.0 && number <= 1.0
}

const fn integer(field: &'static str, value: u32, rule: &'static str) -> Option<Refusal> {
    Some(Refusal::integer(field, value as u64, rule))
}

const fn number(field: &'static str, value: f64, rule: &'static str) -> Option<Refusal> {
    Some(Refusal::number(field, value, rule))
}

const fn duration(field: &'static str, value: Duration, rule: &'static str) -> Option<Refusal> {
    Some(Refusal::duration(field, value, rule))
}
