//! Measures Seawall beside its peers, in one run and one process.
//!
//! ```sh
//! cargo run --release --manifest-path crates/seawall-bench/Cargo.toml             # prints the tables
//! cargo run --release --manifest-path crates/seawall-bench/Cargo.toml -- --docs   # and puts them into docs/
//! ```
//!
//! - `--json FILE`, `--markdown FILE`, `--svg FILE`: writes the results there as well.
//! - `--only TEXT`: only the cases whose `row/contender` has it, and the bare ones.
//! - `--quick`: seconds, and figures that mean little.
//! - `--instructions [--bless]`: instructions a call by valgrind instead (`ci/instructions`).

mod cases;
mod chart;
mod functions;
mod harness;
mod instructions;
mod operation;
mod peers;
mod report;
mod shared;

use cases::BARE;
use harness::Effort;
use report::Results;
use std::{env, fs, process::ExitCode};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

#[derive(Debug, Default)]
struct Options {
    quick: bool,
    docs: bool,
    instructions: bool,
    bless: bool,
    only: Option<String>,
    json: Option<String>,
    markdown: Option<String>,
    svg: Option<String>,
    /// A case and how many calls to make of it: what `--instructions` has valgrind run.
    count: Option<(String, u64)>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} asks for a value"));
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--docs" => options.docs = true,
                "--instructions" => options.instructions = true,
                "--bless" => options.bless = true,
                "--only" => options.only = Some(value()?),
                "--json" => options.json = Some(value()?),
                "--markdown" => options.markdown = Some(value()?),
                "--svg" => options.svg = Some(value()?),
                "--count" => {
                    let (case, calls) = (value()?, value()?);
                    let calls = calls.parse().map_err(|_| format!("{calls} is no count"))?;
                    options.count = Some((case, calls));
                }
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match Options::parse(env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if let Some((case, calls)) = &options.count {
        instructions::count(case, *calls);
        return Ok(());
    }
    if options.instructions {
        return instructions::compare(options.bless);
    }
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    let mut cases = cases::all();
    if let Some(text) = &options.only {
        cases.retain(|case| case.contender == BARE || case.name().contains(text.as_str()));
    }
    // Threads first: what is measured after them finds the processors awake.
    let pairs = shared::measure(&cases, effort);
    let results = Results { calls: harness::measure(&cases, effort), pairs };
    let markdown = results.markdown();
    println!("{markdown}");
    let write = |path: &Option<String>, text: String| match path {
        Some(path) => fs::write(path, text).map_err(|error| format!("{path}: {error}")),
        None => Ok(()),
    };
    write(&options.json, results.json())?;
    write(&options.markdown, markdown.clone())?;
    write(&options.svg, chart::draw(&results))?;
    if options.docs { document(&results, &markdown) } else { Ok(()) }
}

/// Puts the tables between the markers, and the picture beside them.
fn document(results: &Results, markdown: &str) -> Result<(), String> {
    let (page, picture) = (format!("{DOCS}performance.md"), format!("{DOCS}performance.svg"));
    let text = fs::read_to_string(&page).map_err(|error| format!("{page}: {error}"))?;
    let (before, rest) = text.split_once(BEGIN).ok_or(format!("no `{BEGIN}` in {page}"))?;
    let (_, after) = rest.split_once(END).ok_or(format!("no `{END}` in {page}"))?;
    let text = format!("{before}{BEGIN}\n{markdown}\n{END}{after}");
    fs::write(&page, text).map_err(|error| format!("{page}: {error}"))?;
    fs::write(&picture, chart::draw(results)).map_err(|error| format!("{picture}: {error}"))
}
