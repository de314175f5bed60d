//! The figures, the table, and the promises that they must keep.

use super::{
    client::{MAX_ATTEMPTS, Source},
    phases::Phase,
    server::Seen,
};
use seawall::CircuitState;
use std::{fmt, time::Duration};

/// What came of it all.
#[derive(Debug, Clone)]
pub struct Report {
    /// In order.
    pub phases: Vec<PhaseReport>,
    /// The client timeout of the calls without Seawall.
    pub plain_timeout: Duration,
    /// How often the breaker opened.
    pub opened: u64,
    /// The breaker's state at the end.
    pub state: CircuitState,
}

/// One phase: the same calls with Seawall and without.
#[derive(Debug, Clone)]
pub struct PhaseReport {
    /// Which one.
    pub phase: Phase,
    /// With Seawall.
    pub guarded: Side,
    /// Without.
    pub plain: Side,
}

/// The calls of one phase and side.
#[derive(Debug, Clone)]
pub struct Side {
    /// All of them.
    pub calls: u64,
    /// Answered by the server.
    pub succeeded: u64,
    /// Answered by the fallback.
    pub fallback: u64,
    /// Those among them that an open breaker rejected.
    pub rejected: u64,
    /// Ended in an error.
    pub failed: u64,
    /// What the server counted.
    pub seen: Seen,
    /// The latency of half of the calls, at most.
    pub p50: Duration,
    /// The latency of all but the slowest hundredth, at most.
    pub p99: Duration,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// None if it ended in an error.
    pub(super) source: Option<Source>,
    pub(super) elapsed: Duration,
}

impl Side {
    pub(super) fn new(calls: &[Ended], seen: Seen) -> Self {
        let count = |is: fn(&Source) -> bool| {
            calls.iter().map(|call| u64::from(call.source.as_ref().is_some_and(is))).sum()
        };
        let total = calls.len() as u64;
        let answered: u64 = count(|_| true);
        let succeeded = count(|source| matches!(source, Source::Server));
        let mut latencies: Vec<Duration> = calls.iter().map(|call| call.elapsed).collect();
        latencies.sort_unstable();
        Self {
            calls: total,
            succeeded,
            fallback: answered - succeeded,
            rejected: count(|source| matches!(source, Source::LastKnownRejected)),
            failed: total - answered,
            seen,
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
        }
    }
}

/// By nearest rank, of what is sorted.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

pub(super) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    percentile(&durations, 50)
}

impl Report {
    /// One phase's figures.
    ///
    /// # Panics
    /// If the report has no such phase.
    pub fn phase(&self, phase: Phase) -> &PhaseReport {
        self.phases.iter().find(|report| report.phase == phase).expect("every phase is played")
    }

    /// What the figures must show, and whether they do.
    fn promises(&self) -> [(&'static str, bool); 6] {
        let guarded = || self.phases.iter().map(|phase| &phase.guarded);
        let [busy, hanging, refused] =
            [Phase::Busy, Phase::Hanging, Phase::Refused].map(|phase| &self.phase(phase).guarded);
        let most = u64::from(MAX_ATTEMPTS);
        [
            (
                "every call answered",
                guarded().all(|side| side.failed == 0)
                    && guarded().all(|side| side.succeeded + side.fallback == side.calls),
            ),
            (
                "attempts within the policy",
                guarded().all(|side| side.seen.most_for_one_call <= most)
                    && guarded().all(|side| side.seen.attempts <= side.calls * most),
            ),
            ("Retry-After waited for", busy.seen.too_early == 0 && busy.seen.waited > 0),
            (
                "hanging server spared",
                hanging.rejected > 0 && hanging.seen.attempts < hanging.calls,
            ),
            ("nothing reached the closed port", refused.rejected > 0 && refused.seen.attempts == 0),
            ("breaker opened and closed", self.opened > 0 && self.state.is_closed()),
        ]
    }

    /// The promises that the figures do not keep. Empty if all is well.
    pub fn broken_promises(&self) -> Vec<&'static str> {
        self.promises().iter().filter(|(_, kept)| !kept).map(|(promise, _)| *promise).collect()
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = self.plain_timeout;
        writeln!(f, "{:16} | {:43} | without (client timeout {timeout:?})", "", "with Seawall")?;
        writeln!(
            f,
            "phase      calls |   ok  fallback  attempts     p50     p99 |   ok  failed  attempts     p50     p99"
        )?;
        for PhaseReport { phase, guarded, plain } in &self.phases {
            write!(f, "{phase:10} {:5} |", guarded.calls)?;
            write!(
                f,
                "{:5}{:10}{:10}",
                guarded.succeeded, guarded.fallback, guarded.seen.attempts
            )?;
            write!(f, "{:>8}{:>8} |", time(guarded.p50), time(guarded.p99))?;
            write!(f, "{:5}{:8}{:10}", plain.succeeded, plain.failed, plain.seen.attempts)?;
            writeln!(f, "{:>8}{:>8}", time(plain.p50), time(plain.p99))?;
        }
        writeln!(
            f,
            "ok: the server's answer. fallback: the last known price. attempts: requests that reached the server, by its count."
        )
    }

    fn what_to_see(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&PhaseReport) -> u64| self.phases.iter().map(of).sum::<u64>();
        let [flaky, hanging, recovered] =
            [Phase::Flaky, Phase::Hanging, Phase::Recovered].map(|phase| self.phase(phase));
        writeln!(
            f,
            "Without Seawall {} of {} calls failed. With it {} did: {} had the server's answer, {} the fallback's.",
            sum(|phase| phase.plain.failed),
            sum(|phase| phase.plain.calls),
            sum(|phase| phase.guarded.failed),
            sum(|phase| phase.guarded.succeeded),
            sum(|phase| phase.guarded.fallback),
        )?;
        writeln!(
            f,
            "Flaky: of {} calls the server answered {} with retries and {} without, for {} requests in place of {}.",
            flaky.guarded.calls,
            flaky.guarded.succeeded,
            flaky.plain.succeeded,
            flaky.guarded.seen.attempts,
            flaky.plain.seen.attempts,
        )?;
        writeln!(
            f,
            "Hanging: half the calls were over within {}, without Seawall within {}; the breaker rejected {}, and the server saw {} requests in place of {}.",
            time(hanging.guarded.p50),
            time(hanging.plain.p50),
            hanging.guarded.rejected,
            hanging.guarded.seen.attempts,
            hanging.plain.seen.attempts,
        )?;
        writeln!(
            f,
            "Recovered: the cost of the breaker, {} calls rejected while it waited for its next probe.",
            recovered.guarded.rejected,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f)?;
        writeln!(f)?;
        self.what_to_see(f)?;
        let broken = self.broken_promises();
        if broken.is_empty() {
            let all: Vec<&str> = self.promises().iter().map(|(promise, _)| *promise).collect();
            write!(f, "\nAll promises kept: {}.", all.join(", "))
        } else {
            write!(f, "\nPROMISES BROKEN: {}.", broken.join(", "))
        }
    }
}

/// A time for people: `8µs`, `6.1ms`, `240ms`, `1.00s`.
pub(super) fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        ..1.0 => format!("{:.0}µs", ms * 1e3),
        ..10.0 => format!("{ms:.1}ms"),
        ..1000.0 => format!("{ms:.0}ms"),
        _ => format!("{:.2}s", ms / 1e3),
    }
}
