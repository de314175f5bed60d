//! The one table of what a policy file may hold. Reading, messages, JSON Schema and the field list in
//! the guide come from it.
//!
//! Ranges stand here for the schema and for readers only: what is refused is refused by the builders,
//! and a test holds the two together.

use crate::{
    breaker::{CircuitBreaker, CircuitBreakerBuilder},
    retry::{BackoffStrategy, Jitter, RetryPolicy, RetryPolicyBuilder},
    setting::InvalidSetting,
};
use std::{fmt, time::Duration};

/// A layer of a pipeline, as a file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LayerKind {
    /// An answer in the operation's place: `fallback`.
    Fallback,
    /// A limit for the call, all attempts and delays included: `total_timeout`.
    TotalTimeout,
    /// `circuit_breaker`.
    CircuitBreaker,
    /// `retry`.
    Retry,
    /// A limit for each attempt: `timeout`.
    Timeout,
}

impl LayerKind {
    /// All of them, in the usual order: outermost first.
    pub const USUAL_ORDER: [Self; 5] =
        [Self::Fallback, Self::TotalTimeout, Self::CircuitBreaker, Self::Retry, Self::Timeout];

    /// The layer's name in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::TotalTimeout => "total_timeout",
            Self::CircuitBreaker => "circuit_breaker",
            Self::Retry => "retry",
            Self::Timeout => "timeout",
        }
    }

    pub(super) fn of(word: &str) -> Option<Self> {
        Self::USUAL_ORDER.into_iter().find(|kind| kind.as_str() == word)
    }

    pub(super) const fn doc(self) -> &'static str {
        match self {
            Self::Fallback => {
                "An answer in the operation's place when all else has failed. `true` keeps its place for one that the program gives."
            }
            Self::TotalTimeout => {
                "A limit for the call, all attempts and delays included; `total_timeout = \"30s\"` is short for its `limit`."
            }
            Self::CircuitBreaker => {
                "Stops calling what keeps failing. `true` is one with the defaults."
            }
            Self::Retry => "Tries again after failures. `true` is one with the defaults.",
            Self::Timeout => {
                "A limit for each attempt; `timeout = \"2s\"` is short for its `limit`."
            }
        }
    }

    /// What may be set in it.
    pub(super) fn fields(self) -> Vec<&'static Field> {
        match self {
            Self::Retry => RETRY.iter().map(|row| &row.field).chain(&RETRY_BESIDE).collect(),
            Self::CircuitBreaker => BREAKER.iter().map(|row| &row.field).chain(&NAMED).collect(),
            Self::Timeout | Self::TotalTimeout => TIMEOUT.iter().collect(),
            Self::Fallback => FALLBACK.iter().collect(),
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that may be set.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Another name for the same; only one of them may be given.
    pub(super) alias: Option<&'static str>,
    pub(super) kind: Kind,
    /// What it is if left out, in words.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
    /// A field that this one takes the place of, and that must not be given beside it.
    pub(super) excludes: Option<&'static str>,
    /// A field without which this one means nothing.
    pub(super) needs: Option<&'static str>,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self { name, alias: None, kind, default, doc, excludes: None, needs: None }
    }

    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn excludes(mut self, other: &'static str) -> Self {
        self.excludes = Some(other);
        self
    }

    const fn needs(mut self, other: &'static str) -> Self {
        self.needs = Some(other);
        self
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }
}

/// What kind of value a field takes, and within which range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Count { least: u32, most: u32 },
    Number { least: f64, most: f64 },
    Length { least: Duration, most: Duration },
    Flag,
    Word(&'static [&'static str]),
    Jitter,
    Text,
    Budget,
    Anything,
}

impl Kind {
    /// What is allowed, for messages about a wrong type.
    pub(super) fn wanted(self) -> String {
        match self {
            Self::Count { least, most: u32::MAX } => format!("a whole number, {least} or more"),
            Self::Count { least, most } => format!("a whole number within {least}..={most}"),
            Self::Number { least, most } if most < f64::MAX => format!("a number within {least}..={most}"),
            Self::Number { least, .. } => format!("a number, {least} or more"),
            Self::Length { .. } => {
                "a duration such as \"250ms\", \"1m30s\" or \"2h\", or a number of seconds".into()
            }
            Self::Flag => "true or false".into(),
            Self::Word(words) => one_of(words),
            Self::Jitter => "`none`, `plus_minus`, `plus_minus_20` (any percentage), `full`, `equal`, `decorrelated`, true or false".into(),
            Self::Text => "text, not empty".into(),
            Self::Budget => "`aws`, `grpc`, the name of one under `budgets`, or a table of `ratio` and `floor`".into(),
            Self::Anything => "a value".into(),
        }
    }

    /// The words that it takes, where it takes words.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Word(words) => words,
            Self::Jitter => &JITTERS,
            Self::Flag => &["true", "false"],
            _ => &[],
        }
    }
}

/// ``one of `a`, `b`, `c` ``
pub(super) fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("one of {}", words.join(", "))
}

/// A field that a builder has a setter for.
pub(super) struct Row<B: 'static> {
    pub(super) field: Field,
    pub(super) set: Set<B>,
}

/// How a value reaches the builder.
pub(super) enum Set<B> {
    Count(fn(&mut B, u32)),
    Number(fn(&mut B, f64)),
    Length(fn(&mut B, Duration)),
    Flag(fn(&mut B, bool)),
    Word(fn(&mut B, &str) -> Result<(), InvalidSetting>),
}

const fn row<B>(field: Field, set: Set<B>) -> Row<B> {
    Row { field, set }
}

const COUNT_FROM_1: Kind = Kind::Count { least: 1, most: u32::MAX };
const SHARE: Kind = Kind::Number { least: 0.0, most: 1.0 };
const LENGTH: Kind = Kind::Length { least: Duration::ZERO, most: Duration::MAX };
const DAYS_3: Duration = Duration::from_secs(3 * 24 * 3600);
const UP_TO_3_DAYS: Kind = Kind::Length { least: Duration::ZERO, most: DAYS_3 };

pub(super) const STRATEGIES: [&str; 5] =
    ["fixed", "linear", "exponential", "fibonacci", "decorrelated"];
const JITTERS: [&str; 6] = ["none", "plus_minus", "plus_minus_20", "full", "equal", "decorrelated"];

pub(super) static RETRY: [Row<RetryPolicyBuilder>; 11] = [
    row(
        Field::new(
            "max_attempts",
            COUNT_FROM_1,
            "3",
            "The most attempts that a call makes, the first included: 1 never retries.",
        ),
        Set::Count(|b, attempts| *b = b.max_attempts(attempts)),
    ),
    row(
        Field::new("backoff_strategy", Kind::Word(&STRATEGIES), "exponential", "How delays grow.")
            .alias("backoff"),
        Set::Word(|b, word| {
            *b = b.backoff_strategy(word.parse::<BackoffStrategy>()?);
            Ok(())
        }),
    ),
    row(
        Field::new(
            "multiplier",
            Kind::Number { least: 0.0, most: f64::MAX },
            "2 for exponential, 1 for linear, 3 for decorrelated",
            "What the strategy multiplies by.",
        ),
        Set::Number(|b, factor| *b = b.multiplier(factor)),
    ),
    row(
        Field::new("base_delay", LENGTH, "1s, or max_delay if that is shorter", "The first delay."),
        Set::Length(|b, delay| *b = b.base_delay(delay)),
    ),
    row(
        Field::new(
            "max_delay",
            LENGTH,
            "60s, or base_delay if that is longer",
            "The longest delay that backoff and jitter make. Not shorter than base_delay.",
        ),
        Set::Length(|b, delay| *b = b.max_delay(delay)),
    ),
    row(
        Field::new(
            "jitter",
            Kind::Jitter,
            "plus_minus",
            "How delays are spread. `plus_minus` is 25 % either way, and so is true; `decorrelated` selects that strategy.",
        ),
        Set::Word(|b, word| {
            *b = b.jitter(word.parse::<Jitter>()?);
            Ok(())
        }),
    ),
    row(
        Field::new(
            "total_timeout",
            LENGTH,
            "none",
            "The age past which a call sleeps no more: a delay that would end later is not begun. Running attempts are not cut short; the layer total_timeout does that.",
        ),
        Set::Length(|b, limit| *b = b.total_timeout(limit)),
    ),
    row(
        Field::new(
            "max_retry_after",
            LENGTH,
            "max_delay",
            "The longest wait that is accepted from the callee; beyond it the call ends at once.",
        ),
        Set::Length(|b, limit| *b = b.max_retry_after(limit)),
    ),
    row(
        Field::new(
            "retry_on_open",
            Kind::Flag,
            "false",
            "Retries when a circuit breaker further in rejects the call.",
        ),
        Set::Flag(|b, on| {
            if on {
                *b = b.retry_on_open();
            }
        }),
    ),
    row(
        Field::new(
            "retry_on_exhausted",
            Kind::Flag,
            "false",
            "Retries when a retry further in gave up, which multiplies the attempts.",
        ),
        Set::Flag(|b, on| {
            if on {
                *b = b.retry_on_exhausted();
            }
        }),
    ),
    row(
        Field::new(
            "keep_errors",
            Kind::Count { least: 0, most: u16::MAX as u32 },
            "0",
            "Keeps the errors of up to so many earlier attempts for the report.",
        ),
        Set::Count(|b, most| *b = b.keep_errors(u16::try_from(most).unwrap_or(u16::MAX))),
    ),
];

/// What a retry has beside its settings.
pub(super) static RETRY_BESIDE: [Field; 2] = [
    Field::new("name", Kind::Text, "the policy's", "The name in events and errors."),
    Field::new(
        "budget",
        Kind::Budget,
        "none",
        "What pays for retries: a table of `ratio` and `floor`, one of the presets `aws` and `grpc`, or the name of one under `budgets`, which all who name it share.",
    ),
];

pub(super) static BUDGET: [Field; 2] = [
    Field::new("ratio", SHARE, MUST_BE_GIVEN, "How many retries a success earns."),
    Field::new(
        "floor",
        COUNT_FROM_1,
        MUST_BE_GIVEN,
        "How many retries are saved up at most, and at the start.",
    ),
];

/// In place of a default.
pub(super) const MUST_BE_GIVEN: &str = "must be given";

pub(super) const BUDGET_PRESETS: [&str; 2] = ["aws", "grpc"];

/// A breaker's settings on their way to its builder, which takes two of them together.
#[derive(Debug, Clone, Copy)]
pub(super) struct BreakerDraft {
    builder: CircuitBreakerBuilder,
    slow_call_rate: Option<f64>,
    slow_call_duration: Option<Duration>,
}

impl BreakerDraft {
    pub(super) const fn new() -> Self {
        Self { builder: CircuitBreaker::builder(), slow_call_rate: None, slow_call_duration: None }
    }

    fn change(&mut self, setter: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder) {
        self.builder = setter(self.builder);
    }

    pub(super) const fn builder(self) -> CircuitBreakerBuilder {
        match (self.slow_call_rate, self.slow_call_duration) {
            (Some(rate), Some(at_least)) => self.builder.slow_call_rate(rate, at_least),
            _ => self.builder,
        }
    }
}

pub(super) static BREAKER: [Row<BreakerDraft>; 14] = [
    row(
        Field::new(
            "failure_threshold",
            Kind::Count { least: 1, most: 1_073_741_823 },
            "5, unless a rate is set",
            "Opens after this many failures in a row.",
        ),
        Set::Count(|b, failures| b.change(|b| b.failure_threshold(failures))),
    ),
    row(
        Field::new(
            "failure_rate",
            SHARE,
            "none",
            "Opens when this share of the calls in the window failed. Needs over_calls or over_time.",
        ),
        Set::Number(|b, rate| b.change(|b| b.failure_rate(rate))),
    ),
    row(
        Field::new(
            "over_calls",
            Kind::Count { least: 1, most: 1_000_000 },
            "none",
            "Takes rates over so many last calls.",
        )
        .excludes("over_time"),
        Set::Count(|b, calls| b.change(|b| b.over_calls(calls))),
    ),
    row(
        Field::new(
            "over_time",
            Kind::Length { least: Duration::from_millis(10), most: DAYS_3 },
            "none",
            "Takes rates over the calls of this last stretch of time.",
        )
        .excludes("over_calls"),
        Set::Length(|b, time| b.change(|b| b.over_time(time))),
    ),
    row(
        Field::new(
            "minimum_calls",
            COUNT_FROM_1,
            "10, or over_calls if that is smaller",
            "The calls that must be in the window before a rate says anything.",
        ),
        Set::Count(|b, calls| b.change(|b| b.minimum_calls(calls))),
    ),
    row(
        Field::new(
            "slow_call_rate",
            SHARE,
            "none",
            "Opens when this share of the calls in the window took slow_call_duration or longer.",
        )
        .needs("slow_call_duration"),
        Set::Number(|b, rate| b.slow_call_rate = Some(rate)),
    ),
    row(
        Field::new("slow_call_duration", LENGTH, "none", "From when on a call is slow.")
            .needs("slow_call_rate"),
        Set::Length(|b, at_least| b.slow_call_duration = Some(at_least)),
    ),
    row(
        Field::new(
            "recovery_timeout",
            UP_TO_3_DAYS,
            "60s",
            "How long it stays open before a probe.",
        ),
        Set::Length(|b, timeout| b.change(|b| b.recovery_timeout(timeout))),
    ),
    row(
        Field::new(
            "recovery_multiplier",
            Kind::Number { least: 1.0, most: f64::MAX },
            "1",
            "By what each failed probe multiplies the recovery timeout.",
        ),
        Set::Number(|b, factor| b.change(|b| b.recovery_multiplier(factor))),
    ),
    row(
        Field::new(
            "max_recovery_timeout",
            UP_TO_3_DAYS,
            "ten times recovery_timeout",
            "Where the recovery timeout stops growing.",
        ),
        Set::Length(|b, timeout| b.change(|b| b.max_recovery_timeout(timeout))),
    ),
    row(
        Field::new(
            "recovery_jitter",
            SHARE,
            "0",
            "Spreads the recovery timeout upwards by a random share of up to this.",
        ),
        Set::Number(|b, share| b.change(|b| b.recovery_jitter(share))),
    ),
    row(
        Field::new(
            "probes",
            Kind::Count { least: 1, most: 255 },
            "1",
            "How many probes may be in flight at once.",
        ),
        Set::Count(|b, probes| b.change(|b| b.probes(probes))),
    ),
    row(
        Field::new(
            "successes_to_close",
            Kind::Count { least: 1, most: 255 },
            "1",
            "How many probes must succeed to close.",
        ),
        Set::Count(|b, successes| b.change(|b| b.successes_to_close(successes))),
    ),
    row(
        Field::new(
            "probe_lease",
            Kind::Length { least: Duration::from_millis(1), most: DAYS_3 },
            "recovery_timeout, at least 60s",
            "How long probes keep their slots when others need them. Longer than the operation can take.",
        ),
        Set::Length(|b, lease| b.change(|b| b.probe_lease(lease))),
    ),
];

/// What a breaker has beside its settings.
pub(super) static NAMED: [Field; 1] =
    [Field::new("name", Kind::Text, "the policy's", "The name in events and errors.")];

pub(super) static TIMEOUT: [Field; 1] =
    [Field::new("limit", LENGTH, MUST_BE_GIVEN, "How long it may take.")];

pub(super) static FALLBACK: [Field; 2] = [
    Field::new(
        "value",
        Kind::Anything,
        "none",
        "The answer, as data: a program converts it; the command prints it.",
    ),
    Field::new("command", Kind::Text, "none", "What the command `seawall run` runs for an answer."),
];

/// What an entry may hold beside its layers, and what that is.
pub(super) static ENTRY: [(&str, &str); 4] = [
    (
        "extends",
        "A policy of this file or a preset (`standard`, `aws`, `grpc`) to begin with, or a list of them, of which later ones win.",
    ),
    (
        "order",
        "The layers, outermost first. A layer that is inherited and not named here is left out. Default: the usual order.",
    ),
    ("limits", "What the worst case must stay within: checked, and nothing else."),
    ("allow", "Findings that are meant to be so, by rule id, each with a reason."),
];

pub(super) static LIMITS: [Field; 2] = [
    Field::new("attempts", COUNT_FROM_1, "none", "The most attempts that a call may make."),
    Field::new("time", LENGTH, "none", "The longest that a call may take."),
];

/// What [`RETRY`] begins with.
pub(super) const fn retry_draft() -> RetryPolicyBuilder {
    RetryPolicy::builder()
}
