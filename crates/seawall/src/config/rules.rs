//! The rules of the check: what each is called, how grave it is, and why it is one.
//!
//! Those about a stack alone stand in `lint.rs`, which checks stacks made in code as well; those that
//! need a file, or figures that a file gives, in `check.rs`.

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// It works, but may do harm when things go wrong.
    Advice,
    /// It cannot work as meant.
    Warning,
}

impl Level {
    /// The level in a word: `advice`, `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
        }
    }
}

/// A rule of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, which stays the same: `retry-without-budget`.
    pub id: &'static str,
    /// How grave its findings are.
    pub level: Level,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// Why that matters, and what to do.
    pub explanation: &'static str,
}

const fn warning(id: &'static str, summary: &'static str, explanation: &'static str) -> Rule {
    Rule { id, level: Level::Warning, summary, explanation }
}

const fn advice(id: &'static str, summary: &'static str, explanation: &'static str) -> Rule {
    Rule { id, level: Level::Advice, summary, explanation }
}

/// Every rule that a policy file can break, by id.
pub(super) static RULES: [Rule; 20] = [
    advice(
        "attempt-without-timeout",
        "nothing limits how long an attempt may take",
        "A callee that hangs is neither retried nor counted by a breaker: the call hangs with it. Set `timeout`, or allow this where the operation has a limit of its own.",
    ),
    warning(
        "empty-policy",
        "a policy without layers",
        "It lets every call through as it is. Give it layers, or `extends`.",
    ),
    warning(
        "fallback-inside-breaker",
        "the breaker never sees a failure",
        "A fallback inside a breaker answers each failure, so the breaker counts successes and never opens. Put the fallback outermost.",
    ),
    warning(
        "fallback-inside-retry",
        "the retry never sees a failure",
        "A fallback inside a retry answers the first failure, so nothing is tried again. Put the fallback outermost.",
    ),
    warning(
        "retry-outside-breaker",
        "each attempt counts at the breaker by itself",
        "A single call can open the breaker, and once it is open the retry ends at once. Put the retry inside the breaker.",
    ),
    warning(
        "retry-outside-open-breaker",
        "the retry cannot wait for the breaker",
        "`retry_on_open` waits until the breaker lets a probe through, but not beyond `max_retry_after`. Put the retry inside, or raise that limit.",
    ),
    advice(
        "retry-without-budget",
        "retries are not bounded when everything fails",
        "In an outage each call makes all its attempts, which multiplies the load when the callee has least to give. A `budget` lets retries die out; one can be shared by every policy that calls the same service.",
    ),
    advice(
        "retry-without-delay",
        "retries follow at once",
        "An error that lasts a moment is met again by each attempt, and the callee gets them all in that moment. Set `base_delay`.",
    ),
    advice(
        "retry-without-jitter",
        "callers who failed together come back together",
        "Without jitter everyone waits equally long and meets again at the callee. Leave `jitter` at its default, or take `full`.",
    ),
    warning(
        "retry-without-retries",
        "`max_attempts` of 1 never retries",
        "The first attempt counts. Raise `max_attempts`, or switch the layer off: `retry = false`.",
    ),
    warning(
        "slow-call-beyond-timeout",
        "no call can be slow",
        "The timeout ends each call before it is slow, so the slow-call rate stays zero. Set `slow_call_duration` below the limit.",
    ),
    warning(
        "timeout-below-first-delay",
        "the call ends before its first retry",
        "The limit around the retry is over before the first delay is. Raise the limit, or lower `base_delay`.",
    ),
    warning(
        "timeout-beyond-probe-lease",
        "a probe may outlive its lease",
        "A probe that runs longer than `probe_lease` loses its slot to others, and its outcome is dropped: the breaker may stay half-open. Set `probe_lease` longer than a call can take.",
    ),
    warning(
        "timeout-cuts-off-backoff",
        "the last attempts are never made",
        "Even if each attempt failed at once, the delays alone take longer than the limit around them. Raise the limit, or lower `max_attempts` or the delays.",
    ),
    warning(
        "timeout-inside-shorter-timeout",
        "the inner limit never does anything",
        "The outer limit is reached first. Make the outer one longer, or leave one out.",
    ),
    warning(
        "timeout-outside-breaker",
        "the breaker never hears of this timeout",
        "A call that a timeout outside the breaker ends is dropped, which counts neither way: a callee that hangs never opens the breaker. Set `timeout` as well.",
    ),
    warning(
        "total-timeout-below-first-delay",
        "no retry is ever made",
        "The first delay ends past the retry's `total_timeout`. Raise it, or lower `base_delay`.",
    ),
    warning(
        "unused-allow",
        "it allows what is not found",
        "An `allow` outlives its cause and then hides the next one. Remove it.",
    ),
    advice(
        "worst-case-endless",
        "`limits` are set, but nothing bounds the call",
        "Without a `timeout` or `total_timeout` a call can take for ever, and `limits.time` says otherwise. Set one of them.",
    ),
    warning(
        "worst-case-over-limit",
        "the worst case is beyond `limits`",
        "A call may make more attempts, or take longer, than the policy itself says that it may. Lower the settings, or raise the limit on purpose.",
    ),
];

/// Every rule that a policy file can break, by id.
pub const fn rules() -> &'static [Rule] {
    &RULES
}

pub(super) fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}
