//! What came of a law: kept, broken, or not asked.

use std::{error, fmt};

/// A law of the kit. Numbers are those of section 5 of DESIGN.md; those left out are no matter of a
/// breaker, a budget or a backoff alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Law {
    /// 1: a permit is available again within a bounded time, whatever became of the probes.
    NoWedge,
    /// 2: no more probes at a time than the limit allows.
    NoStampede,
    /// 3: a call that was admitted before a change of state changes nothing after it.
    NoStaleResult,
    /// 4: each change of state is told once, and in order.
    OneEvent,
    /// 5: delays lie within zero and the cap, for every attempt number.
    Delays,
    /// 6: no more retries than successes have paid for, over any interval.
    Budgets,
    /// 7: a probe that is cancelled gives its permit back, at once and once.
    PermitsConserved,
    /// 11, first half: it opens exactly where its trip rule and its recovery timeout say.
    Edges,
    /// 11, second half: a clock that goes back, jumps or stops does not keep it from recovering.
    Clocks,
    /// 15: breakers that opened together do not probe in one instant.
    NoHerd,
    /// 16: a panic counts as a failure, passes on, and loses no permit.
    Panics,
}

impl Law {
    /// Its number in section 5 of DESIGN.md.
    pub const fn number(self) -> u8 {
        match self {
            Self::NoWedge => 1,
            Self::NoStampede => 2,
            Self::NoStaleResult => 3,
            Self::OneEvent => 4,
            Self::Delays => 5,
            Self::Budgets => 6,
            Self::PermitsConserved => 7,
            Self::Edges | Self::Clocks => 11,
            Self::NoHerd => 15,
            Self::Panics => 16,
        }
    }

    /// Its name in words: `no wedge`, `no stampede`, and so on.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoWedge => "no wedge",
            Self::NoStampede => "no stampede",
            Self::NoStaleResult => "no stale result",
            Self::OneEvent => "one event per transition",
            Self::Delays => "delays within the cap",
            Self::Budgets => "budgets hold",
            Self::PermitsConserved => "permits are conserved",
            Self::Edges => "thresholds at their edges",
            Self::Clocks => "clocks may jump",
            Self::NoHerd => "no herd",
            Self::Panics => "panics are failures",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {} ({})", self.number(), self.as_str())
    }
}

/// A law that was kept in every schedule tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Which law.
    pub law: Law,
    /// How many schedules were tried.
    pub schedules: u64,
    /// Why nothing was tried, where nothing was.
    pub not_asked: Option<&'static str>,
}

impl Checked {
    pub(super) const fn kept(law: Law, schedules: u64) -> Self {
        Self { law, schedules, not_asked: None }
    }

    pub(super) const fn not_asked(law: Law, reason: &'static str) -> Self {
        Self { law, schedules: 0, not_asked: Some(reason) }
    }

    /// Both taken together: asked if either was.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            law: self.law,
            schedules: self.schedules + other.schedules,
            not_asked: self.not_asked.and(other.not_asked),
        }
    }
}

/// A law that was broken, and how: prints as a story to be followed step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which law.
    pub law: Law,
    /// What was done and what came of it, a step a line, in no more steps than it
    /// takes.
    pub story: Vec<String>,
    /// What was seen in the end.
    pub seen: String,
    /// What the law allows there.
    pub allowed: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is broken:", self.law)?;
        for (n, line) in (1..).zip(&self.story) {
            writeln!(f, "  {n}. {line}")?;
        }
        writeln!(f, "  seen: {}", self.seen)?;
        write!(f, "  allowed: {}", self.allowed)
    }
}

impl error::Error for Violation {}

/// How one schedule broke a law.
#[derive(Debug, Default)]
pub(super) struct Broken {
    pub(super) story: Vec<String>,
    pub(super) seen: String,
    pub(super) allowed: String,
}

impl Broken {
    pub(super) fn of(self, law: Law) -> Violation {
        let Self { story, seen, allowed } = self;
        Violation { law, story, seen, allowed }
    }
}

/// What came of several laws. Prints as a table, with the story of each that was broken below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    verdicts: Vec<Result<Checked, Violation>>,
}

impl Report {
    /// Adds what came of one more law.
    #[must_use]
    pub fn with(mut self, verdict: Result<Checked, Violation>) -> Self {
        self.verdicts.push(verdict);
        self
    }

    /// Whether no law was broken.
    pub fn holds(&self) -> bool {
        self.violations().next().is_none()
    }

    /// The laws that were broken.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.verdicts.iter().filter_map(|verdict| verdict.as_ref().err())
    }

    /// The laws that were kept, or not asked.
    pub fn checked(&self) -> impl Iterator<Item = &Checked> {
        self.verdicts.iter().flatten()
    }

    /// How many schedules were tried for the laws that were kept.
    pub fn schedules(&self) -> u64 {
        self.checked().map(|checked| checked.schedules).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>3}  {:<26} {:>9}  verdict", "law", "", "schedules")?;
        for verdict in &self.verdicts {
            let law = match verdict {
                Ok(checked) => checked.law,
                Err(violation) => violation.law,
            };
            write!(f, "{:>3}  {:<26} ", law.number(), law.as_str())?;
            match verdict {
                Ok(Checked { not_asked: Some(reason), .. }) => {
                    writeln!(f, "{:>9}  not asked: {reason}", "-")?;
                }
                Ok(Checked { schedules, .. }) => writeln!(f, "{schedules:>9}  kept")?,
                Err(_) => writeln!(f, "{:>9}  BROKEN, see below", "")?,
            }
        }
        for violation in self.violations() {
            write!(f, "\n{violation}\n")?;
        }
        Ok(())
    }
}
