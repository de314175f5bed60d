//! A row, and how it is written.

use crate::{
    error::{Error, Rejection},
    verdict::{Classify, Verdict},
};
use std::{fmt, io, str::FromStr, sync::Arc, time::Duration};

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It worked: [`Verdict::Success`].
    Success,
    /// It failed, and another attempt may work: [`Verdict::Transient`].
    Transient,
    /// It failed, and trying again cannot mend it: [`Verdict::Permanent`].
    Permanent,
    /// It says nothing of the callee's health: [`Verdict::Ignored`].
    Ignored,
    /// A policy stopped waiting for it, or the operation had a time-out of its own. What would have
    /// come later is not known.
    TimedOut,
    /// The caller went away before it ended. What would have come later is not known.
    Cancelled,
    /// It panicked.
    Panicked,
    /// There was none: a policy, such as an open breaker, let the call not through.
    Rejected,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Transient,
        Self::Permanent,
        Self::Ignored,
        Self::TimedOut,
        Self::Cancelled,
        Self::Panicked,
        Self::Rejected,
    ];

    /// The outcome as in a trace: `success`, `transient`, `permanent`, `ignored`, `timed_out`,
    /// `cancelled`, `panicked`, `rejected`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Ignored => "ignored",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Rejected => "rejected",
        }
    }

    /// The classifier reads the operation's outcomes, we read the policies'.
    pub(super) fn of<T, E>(by: &impl Classify<T, E>, outcome: Result<&T, &Error<E>>) -> Self {
        let operation = match outcome {
            Ok(value) => Ok(value),
            Err(Error::Operation(error)) => Err(error),
            Err(Error::Rejected(Rejection::TimedOut { .. })) => return Self::TimedOut,
            Err(Error::Rejected(Rejection::CircuitBreakerOpen(_))) => return Self::Rejected,
            Err(Error::Rejected(Rejection::Injected)) => return Self::Transient,
            Err(Error::RetryExhausted(exhausted)) => return Self::of(by, Err(exhausted.last())),
            Err(Error::FallbackExhausted(all)) => return Self::of(by, Err(all.primary())),
        };
        match by.classify(operation) {
            Verdict::Success => Self::Success,
            Verdict::Transient { .. } => Self::Transient,
            Verdict::Permanent => Self::Permanent,
            Verdict::Ignored => Self::Ignored,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No outcome is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownOutcome(());

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an outcome is one of ")?;
        for (n, outcome) in Outcome::ALL.iter().enumerate() {
            write!(f, "{}{outcome}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownOutcome {}

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(word: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL.into_iter().find(|known| known.as_str() == word).ok_or(UnknownOutcome(()))
    }
}

/// What is on its way to the file.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) outcome: Outcome,
    pub(super) call: Option<u64>,
    pub(super) key: Option<Arc<str>>,
}

pub(super) const HEADER: &str = "at_ms,took_ms,outcome,call,key\n";

impl Row {
    pub(super) fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let Self { at, took, outcome, call, key } = self;
        write!(out, "{},{},{outcome},", Millis(*at), Millis(*took))?;
        if let Some(call) = call {
            write!(out, "{call}")?;
        }
        out.write_all(b",")?;
        if let Some(key) = key {
            let plain = !key.contains([',', '"', '\n', '\r', ';', '\t']);
            if plain {
                out.write_all(key.as_bytes())?;
            } else {
                write!(out, "\"{}\"", key.replace('"', "\"\""))?;
            }
        }
        out.write_all(b"\n")
    }
}

/// Ms, to the us, without zeros at the end.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        let (whole, part) = (us / 1000, us % 1000);
        match part {
            0 => write!(f, "{whole}"),
            _ if part % 100 == 0 => write!(f, "{whole}.{}", part / 100),
            _ if part % 10 == 0 => write!(f, "{whole}.{:02}", part / 10),
            _ => write!(f, "{whole}.{part:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
        let error = "Success".parse::<Outcome>().expect_err("another word");
        assert!(
            error.to_string().starts_with("an outcome is one of success, transient, permanent")
        );
    }

    #[test]
    fn times_are_in_ms_and_keys_are_quoted_where_they_must_be() {
        let row = |us, key: &str| {
            let mut out = Vec::new();
            let row = Row {
                at: Duration::from_micros(us),
                took: Duration::from_micros(us % 1000),
                outcome: Outcome::TimedOut,
                call: Some(3),
                key: Some(key.into()),
            };
            row.write(&mut out).expect("a vector takes all");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(row(1_000, "eu"), "1,0,timed_out,3,eu\n");
        assert_eq!(row(1_200, "eu"), "1.2,0.2,timed_out,3,eu\n");
        assert_eq!(row(1_020, "eu"), "1.02,0.02,timed_out,3,eu\n");
        assert_eq!(row(1_002, "a,\"b\""), "1.002,0.002,timed_out,3,\"a,\"\"b\"\"\"\n");
    }
}
