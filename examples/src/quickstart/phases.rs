//! What the server goes through, and how it is called meanwhile.

use std::{fmt, time::Duration};

/// What state the server is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Answers every request.
    Healthy,
    /// Answers some requests with `503`.
    Flaky,
    /// Answers some requests with `429` and a `Retry-After`.
    Busy,
    /// Takes requests and never answers.
    Hanging,
    /// Listens no more.
    Refused,
    /// Answers every request again.
    Recovered,
}

impl Phase {
    /// In the order in which they come.
    pub const ALL: [Self; 6] =
        [Self::Healthy, Self::Flaky, Self::Busy, Self::Hanging, Self::Refused, Self::Recovered];

    pub(super) const fn story(self) -> &'static str {
        match self {
            Self::Healthy => "the server answers every request",
            Self::Flaky => "it fails 4 requests of 10 with 503",
            Self::Busy => {
                "it asks every third call to come back after 1s, with 429 and Retry-After"
            }
            Self::Hanging => "it takes requests and never answers",
            Self::Refused => "it closes its port: connections are refused",
            Self::Recovered => "it listens again and answers every request",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Flaky => "flaky",
            Self::Busy => "busy",
            Self::Hanging => "hanging",
            Self::Refused => "refused",
            Self::Recovered => "recovered",
        })
    }
}

/// How many calls are made, and how fast.
#[derive(Debug, Clone)]
pub struct Plan {
    /// From the start of one call to that of the next; calls do not wait for each other.
    pub pace: Duration,
    /// How many calls each phase sees.
    pub calls: [(Phase, u64); 6],
    /// The client timeout of the calls without Seawall. They would hang for ever without one.
    pub plain_timeout: Duration,
}

impl Plan {
    /// To watch: about 20 s.
    pub const FULL: Self = Self {
        pace: Duration::from_millis(60),
        calls: [
            (Phase::Healthy, 40),
            (Phase::Flaky, 50),
            (Phase::Busy, 50),
            (Phase::Hanging, 60),
            (Phase::Refused, 50),
            (Phase::Recovered, 40),
        ],
        plain_timeout: Duration::from_secs(1),
    };

    /// To test: about 4 s.
    pub const FAST: Self = Self {
        pace: Duration::from_millis(10),
        calls: [
            (Phase::Healthy, 20),
            (Phase::Flaky, 30),
            (Phase::Busy, 20),
            (Phase::Hanging, 110),
            (Phase::Refused, 60),
            (Phase::Recovered, 70),
        ],
        plain_timeout: Duration::from_millis(300),
    };
}
