//! Runs every scenario that is ready, and puts what is found into `docs/simulator.md`, with a picture for
//! each in `docs/simulator/`.
//!
//! `cargo run --release -p seawall-sim --example scenarios -- --docs`; without `--docs` it prints the
//! table. The same on every machine.
#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use seawall_sim::{Findings, Metric, Ready, report};
use std::{env, error::Error, fmt::Write as _, fs, path::Path};

const BEGIN: &str = "<!-- found: begin -->\n";
const END: &str = "<!-- found: end -->\n";

fn main() -> Result<(), Box<dyn Error>> {
    let docs = env::args().any(|arg| arg == "--docs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut text = String::new();
    for ready in Ready::ALL {
        let found = ready.study().run();
        section(&mut text, ready, &found)?;
        if docs {
            let folder = root.join("simulator");
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("{}.svg", ready.name)), report::svg(&found))?;
        }
    }
    if !docs {
        println!("{text}");
        return Ok(());
    }
    let path = root.join("simulator.md");
    let page = fs::read_to_string(&path)?;
    let (before, rest) = page.split_once(BEGIN).ok_or("the page has no place for it")?;
    let (_, after) = rest.split_once(END).ok_or("the place on the page has no end")?;
    fs::write(&path, format!("{before}{BEGIN}\n{text}{END}{after}"))?;
    Ok(())
}

fn section(text: &mut String, ready: &Ready, found: &Findings) -> Result<(), std::fmt::Error> {
    writeln!(text, "### {}\n\n{}.\n", ready.name, sentence(ready.about))?;
    let picture = format!("simulator/{}.svg", ready.name);
    writeln!(text, "![Goodput and load for each policy, over time]({picture})\n")?;
    let metrics: &[Metric] = match ready.name {
        "thundering-herd" => &[Metric::PeakProbes, Metric::Success, Metric::Recovery],
        "contended-row" => &[Metric::Amplification, Metric::Makespan],
        "dead-shard" | "flapping" => &[Metric::Success, Metric::Rejected, Metric::Opened],
        "error-rate" => &[Metric::Amplification, Metric::Success, Metric::Rejected],
        _ => &[
            Metric::Amplification,
            Metric::PeakAmplification,
            Metric::Success,
            Metric::Wasted,
            Metric::Recovery,
        ],
    };
    write!(text, "| policy |")?;
    metrics.iter().try_for_each(|metric| write!(text, " {metric} |"))?;
    writeln!(text, "\n|---|{}", "---:|".repeat(metrics.len()))?;
    for finding in &found.findings {
        write!(text, "| {} |", finding.name)?;
        for metric in metrics {
            let Some(figure) = finding.summary.get(*metric) else {
                write!(text, " - |")?;
                continue;
            };
            match figure.is_exact() {
                true => write!(text, " {} |", number(figure.value))?,
                false => write!(
                    text,
                    " {} ({} to {}) |",
                    number(figure.value),
                    number(figure.low),
                    number(figure.high)
                )?,
            }
        }
        writeln!(text)?;
    }
    writeln!(text)?;
    for finding in &found.findings {
        writeln!(text, "- **{}**: {}", finding.name, finding.verdict.text)?;
    }
    writeln!(text)
}

fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => "never".to_owned(),
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
