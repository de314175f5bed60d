//! A replay for people.

use super::{Moved, Replay, Replayed};
use crate::measure::Bin;
use std::{fmt, time::Duration};

/// How many transitions are shown of each policy.
const SHOWN: usize = 12;
/// How wide a plot is.
const WIDTH: usize = 60;

/// The report, as `seawall replay` prints it.
impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorded = &self.recorded.total;
        writeln!(
            f,
            "{} calls in {}, {} attempts recorded; seed {}",
            recorded.calls,
            Time(self.length),
            recorded.attempts,
            self.seed
        )?;
        for one in &self.policies {
            writeln!(f)?;
            one.verdict(f)?;
            one.moves(f)?;
        }
        writeln!(f)?;
        self.table(f)?;
        writeln!(f)?;
        self.plots(f)?;
        writeln!(f)?;
        f.write_str(
            "Assumed: the service is as well or ill as recorded, whatever the load; an attempt at\n\
             another time gets the answer of a recorded one that began within 1 s; what timed out or\n\
             was cancelled gives no answer.\n",
        )
    }
}

impl Replayed {
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, about, .. } = self;
        let about = if about.is_empty() { "no policy" } else { about };
        writeln!(f, "{name}: {about}")?;
        match (self.tripped, self.transitions.iter().find(|moved| moved.to == "open")) {
            (Some(at), Some(first)) => writeln!(
                f,
                "  would have tripped at {} ({}), {} in all, and been open for {}",
                Time(at),
                first.cause.replace('_', " "),
                times(self.opened),
                Time(self.open),
            )?,
            _ => writeln!(f, "  would not have tripped")?,
        }
        let rejected = self.caught.rejected;
        if rejected > 0 {
            let share = Share(rejected, self.total.calls);
            writeln!(
                f,
                "  would have rejected {rejected} of {} calls ({share})",
                self.total.calls
            )?;
        }
        if self.caught.rejected_in_dry_run > 0 {
            let rejected = self.caught.rejected_in_dry_run;
            writeln!(f, "  in its dry run would have told of {rejected} rejections")?;
        }
        if self.unfinished > 0 {
            writeln!(
                f,
                "  left {} calls without an end: no answer was recorded, and no timeout ends them",
                self.unfinished
            )?;
        }
        let all = self.answered.own + self.answered.near + self.answered.far;
        if self.answered.near + self.answered.far > 0 {
            write!(
                f,
                "  {} of {all} attempts were at times of their own, and answered by others",
                self.answered.near + self.answered.far
            )?;
            match self.answered.far {
                0 => writeln!(f)?,
                far => writeln!(f, "; {far} by one that began more than 1 s off")?,
            }
        }
        Ok(())
    }

    fn moves(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for moved in self.transitions.iter().take(SHOWN) {
            writeln!(f, "  {moved}")?;
        }
        let more = self.transitions.len().saturating_sub(SHOWN) as u64 + self.more_transitions;
        if more > 0 {
            writeln!(f, "  and {more} more transitions")?;
        }
        Ok(())
    }
}

/// `30.005 s  closed -> open: consecutive failures, for 60 s`.
impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = format!("{:.3} s", self.at.as_secs_f64());
        write!(f, "{at:>12}  ")?;
        if let Some(key) = &self.key {
            write!(f, "{key:?} ")?;
        }
        write!(f, "{} -> {}: {}", self.from, self.to, self.cause.replace('_', " "))?;
        if let Some(span) = self.open_for {
            write!(f, ", for {}", Time(span))?;
        }
        if self.dry_run { f.write_str(" (dry run)") } else { Ok(()) }
    }
}

impl Replay {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |name: &str| name.chars().take(18).collect::<String>();
        let row = |f: &mut fmt::Formatter<'_>, what: &str, first: String, rest: Vec<String>| {
            write!(f, "{what:<22}{first:>18}")?;
            rest.iter().try_for_each(|cell| write!(f, "  {cell:>18}"))?;
            writeln!(f)
        };
        let names = self.policies.iter().map(|one| cut(&one.name)).collect();
        row(f, "callers would see", "recorded".into(), names)?;
        let share = |f: &mut fmt::Formatter<'_>, what, of: fn(&Bin) -> u64| {
            let cell = |bin: &Bin| format!("{} {}", of(bin), Share(of(bin), bin.calls));
            let rest = self.policies.iter().map(|one| cell(&one.total)).collect();
            row(f, what, cell(&self.recorded.total), rest)
        };
        share(f, "good", |bin| bin.good)?;
        share(f, "fallback's answer", |bin| bin.degraded)?;
        share(f, "failed", |bin| bin.failed)?;
        share(f, "  rejected", |bin| bin.rejected)?;
        share(f, "  timed out", |bin| bin.timed_out)?;
        let left = self.policies.iter().map(|one| one.caught.left.to_string()).collect();
        row(f, "went away", self.recorded.left.to_string(), left)?;
        let time = |time: Option<Duration>| time.map_or("-".into(), |time| Time(time).to_string());
        for (what, of) in [
            ("p50 of good", (|l| l.p50) as fn(&super::replay::Latency) -> Option<Duration>),
            ("p99 of good", |l| l.p99),
        ] {
            let rest = self.policies.iter().map(|one| time(of(&one.latency))).collect();
            row(f, what, time(of(&self.recorded.latency)), rest)?;
        }
        let per_call = |bin: &Bin| {
            let each = bin.attempts as f64 / bin.calls.max(1) as f64;
            format!("{} ({each:.2} a call)", bin.attempts)
        };
        let rest = self.policies.iter().map(|one| per_call(&one.total)).collect();
        row(f, "attempts", per_call(&self.recorded.total), rest)
    }

    /// What did not end well, over time, on one scale for all.
    fn plots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bins = self.recorded.bins.len();
        let wide = bins.div_ceil(WIDTH).max(1);
        let bad = |bins: &[Bin]| {
            let columns = bins.chunks(wide).take(WIDTH);
            columns.map(|some| some.iter().map(|bin| bin.failed).sum()).collect::<Vec<u64>>()
        };
        let mut lines = vec![("recorded", bad(&self.recorded.bins))];
        lines.extend(self.policies.iter().map(|one| (&*one.name, bad(&one.bins))));
        let most = lines.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0);
        let column = self.bin * u32::try_from(wide).unwrap_or(u32::MAX);
        writeln!(f, "failed calls over time ({} a column, highest {most})", Time(column))?;
        for (name, counts) in lines {
            let name: String = name.chars().take(18).collect();
            let line: String = counts.iter().map(|count| height(*count, most)).collect();
            writeln!(f, "{name:<20}{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn height(count: u64, most: u64) -> char {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    match (count, most) {
        (0, _) | (_, 0) => '·',
        _ => HEIGHTS[usize::try_from((count * 8).div_ceil(most) - 1).unwrap_or(0).min(7)],
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// A share, in whole per cent.
struct Share(u64, u64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.0 as f64 / self.1.max(1) as f64;
        match self.0 {
            0 => f.write_str("0 %"),
            _ if share < 1.0 => f.write_str("<1 %"),
            _ => write!(f, "{share:.0} %"),
        }
    }
}

/// `12 ms`, `7.1 s`, `12 min 5 s`.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.as_secs_f64();
        let text = match self.0.as_secs() {
            0 if s < 0.01 => format!("{:.1} ms", s * 1e3),
            0 => format!("{:.0} ms", s * 1e3),
            1..60 => format!("{s:.1} s"),
            whole @ 60..3600 => format!("{} min {} s", whole / 60, whole % 60),
            whole => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        };
        f.write_str(&text.replace(".0 ", " ").replace("min 0 s", "min").replace("h 0 min", "h"))
    }
}
