//! The results as Markdown and as JSON.

use crate::{
    cases::{ATTRIBUTE, BARE, CONTENDERS, ROWS, SEAWALL, SHARED_ROWS, WRITTEN_OUT},
    harness::Measured,
    shared::Pair,
};
use std::{fmt::Write, fs};

pub(crate) struct Results {
    pub(crate) calls: Vec<Measured>,
    pub(crate) pairs: Vec<Pair>,
}

impl Results {
    pub(crate) fn find(&self, row: &str, contender: &str) -> Option<&Measured> {
        self.calls.iter().find(|found| (found.row, found.contender) == (row, contender))
    }

    /// The operation alone, as the row calls it.
    pub(crate) fn bare(&self, row: &str) -> Option<&Measured> {
        let style = row.rsplit('/').next().unwrap_or_default();
        let prefix = if row.starts_with("shaky") { "bare-shaky" } else { "bare" };
        self.find(&format!("{prefix}/{style}"), BARE)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "{}\n", machine())?;
        writeln!(text, "### Time\n\nns a call, and how many times the bare operation that is.\n")?;
        self.table(text, |found, bare| {
            format!("{} (x{})", number(found.ns.low), number(found.ns.low / bare.ns.low))
        })?;
        writeln!(
            text,
            "\n### Memory\n\nAllocations a call; bytes of the future that the caller holds (the \
             operation's own included: 16), and of what is allocated beside it.\n"
        )?;
        self.table(text, |found, _| {
            let mut cell = number(found.allocations);
            if let Some(future) = found.future {
                let _ = write!(cell, "; {future}");
            }
            if found.heap > 0.0 {
                let _ = write!(cell, " + {:.0}", found.heap);
            }
            cell
        })?;
        self.write_functions(text)?;
        if !self.pairs.is_empty() {
            self.write_pairs(text)?;
        }
        writeln!(
            text,
            "\n### Failing calls until a closed breaker opens\n\nAfter 1000 good ones.\n"
        )?;
        self.table_of(
            text,
            |found| found.opens_after.is_some(),
            |found, _| found.opens_after.map(|calls| calls.to_string()).unwrap_or_default(),
        )?;
        self.write_spread(text)
    }

    fn table(
        &self,
        text: &mut String,
        cell: impl Fn(&Measured, &Measured) -> String,
    ) -> std::fmt::Result {
        self.table_of(text, |_| true, cell)
    }

    /// Rows and contenders; a dash is what a contender does not have.
    fn table_of(
        &self,
        text: &mut String,
        is_shown: impl Fn(&Measured) -> bool,
        cell: impl Fn(&Measured, &Measured) -> String,
    ) -> std::fmt::Result {
        let contenders = &CONTENDERS[1..];
        writeln!(text, "| | {} |", contenders.join(" | "))?;
        writeln!(text, "|---|{}", "---:|".repeat(contenders.len()))?;
        for row in &ROWS {
            let found =
                |contender: &&str| self.find(row.key, contender).filter(|found| is_shown(found));
            let (Some(bare), true) =
                (self.bare(row.key), contenders.iter().any(|c| found(c).is_some()))
            else {
                continue;
            };
            let cells: Vec<_> = contenders
                .iter()
                .map(|contender| found(contender).map_or("-".into(), |found| cell(found, bare)))
                .collect();
            writeln!(text, "| {} | {} |", row.title, cells.join(" | "))?;
        }
        Ok(())
    }

    fn write_functions(&self, text: &mut String) -> std::fmt::Result {
        let pairs: Vec<_> = ROWS
            .iter()
            .filter_map(|row| {
                let (attribute, by_hand) =
                    (self.find(row.key, ATTRIBUTE)?, self.find(row.key, WRITTEN_OUT)?);
                Some((row, attribute, by_hand))
            })
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n### Attributes\n\nA function under an attribute beside one that calls the same policy \
             itself: ns a call, allocations, bytes of the future. Neither is inlined, so that the \
             `Result` of either comes back through memory: most of these figures is that.\n"
        )?;
        writeln!(text, "| | attribute | written out | ratio |\n|---|---:|---:|---:|")?;
        for (row, attribute, by_hand) in pairs {
            let cell = |found: &Measured| {
                let mut cell = format!("{}; {}", number(found.ns.low), number(found.allocations));
                if let Some(future) = found.future {
                    let _ = write!(cell, "; {future}");
                }
                cell
            };
            writeln!(
                text,
                "| {} | {} | {} | {:.2} |",
                row.title,
                cell(attribute),
                cell(by_hand),
                attribute.ns.low / by_hand.ns.low
            )?;
        }
        Ok(())
    }

    fn write_pairs(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\n### Two threads, one breaker\n\nMillion calls a second by one thread, by two \
             together, and the ratio.\n"
        )?;
        writeln!(text, "| | contender | one | two | ratio |\n|---|---|---:|---:|---:|")?;
        for row in ["bare/async"].iter().chain(&SHARED_ROWS) {
            let title = ROWS.iter().find(|known| known.key == *row);
            for pair in self.pairs.iter().filter(|pair| pair.row == *row) {
                let title = title.map_or("the operation alone", |row| row.title);
                let (one, two, ratio) = (number(pair.one), number(pair.two), pair.ratio());
                writeln!(text, "| {title} | {} | {one} | {two} | {ratio:.2} |", pair.contender)?;
            }
        }
        Ok(())
    }

    fn write_spread(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n<details><summary>Spread of the times</summary>\n")?;
        writeln!(
            text,
            "| | contender | 10th percentile | median | 90th |\n|---|---|---:|---:|---:|"
        )?;
        for found in &self.calls {
            let [low, median, high] = [found.ns.low, found.ns.median, found.ns.high].map(number);
            writeln!(text, "| {} | {} | {low} | {median} | {high} |", found.row, found.contender)?;
        }
        writeln!(text, "\n</details>")
    }

    pub(crate) fn json(&self) -> String {
        let calls = self.calls.iter().map(|found| {
            let option = |value: Option<String>| value.unwrap_or("null".into());
            format!(
                r#"{{"row":"{}","contender":"{}","ns":{:.2},"median":{:.2},"p90":{:.2},"allocations":{:.2},"heap":{:.0},"future":{},"opens_after":{}}}"#,
                found.row,
                found.contender,
                found.ns.low,
                found.ns.median,
                found.ns.high,
                found.allocations,
                found.heap,
                option(found.future.map(|bytes| bytes.to_string())),
                option(found.opens_after.map(|calls| calls.to_string())),
            )
        });
        let pairs = self.pairs.iter().map(|pair| {
            format!(
                r#"{{"row":"{}","contender":"{}","one_mops":{:.2},"two_mops":{:.2},"ratio":{:.3}}}"#,
                pair.row,
                pair.contender,
                pair.one,
                pair.two,
                pair.ratio()
            )
        });
        let list = |items: Vec<String>| items.join(",\n  ");
        format!(
            "{{\n\"compiler\":\"{}\",\n\"calls\":[\n  {}\n],\n\"two_threads\":[\n  {}\n]\n}}\n",
            env!("BENCH_RUSTC"),
            list(calls.collect()),
            list(pairs.collect())
        )
    }
}

/// Three figures are all that such a time is good for.
pub(crate) fn number(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..0.1 => format!("{value:.3}"),
        ..100.0 => format!("{value:.1}"),
        ..1e6 => format!("{value:.0}"),
        _ => format!("{:.1}M", value / 1e6),
    }
}

/// What was measured, and on what.
fn machine() -> String {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let package = format!("name = \"{name}\"\nversion = \"");
        let rest = lock.split_once(&package)?.1;
        Some(format!("{name} {}", rest.split_once('"')?.0))
    };
    let peers = CONTENDERS.iter().filter(|name| ![BARE, SEAWALL].contains(name));
    let parts = ["tower-resilience-circuitbreaker", "tokio"];
    let peers: Vec<_> = peers.chain(&parts).filter_map(|name| version(name)).collect();
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let processor =
        processor.map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':']));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{processor}, {count} processors, {}, {}. Peers: {}.",
        env!("BENCH_TARGET"),
        env!("BENCH_RUSTC"),
        peers.join(", ")
    )
}
