//! Holds the breakers of other crates, and Seawall's own beside them, to the laws of
//! `seawall::testing::laws`, and prints a table of what each keeps.
//!
//! ```sh
//! apt-get install libfaketime
//! cargo run --release --features laws --bin laws --manifest-path crates/seawall-bench/Cargo.toml
//! ```
//!
//! - `--docs`: puts the table into docs/reliability.md.
//! - `--stories`: prints how each law was broken, step by step.
//! - `--by-hand`: only does what `findings.rs` tells of, by hand; seconds.
//! - `--only TEXT`: only the crates whose name has it, and no check that nothing is missing.

mod asked;
mod by_hand;
mod call;
mod clock;
mod findings;
mod peers;
mod table;

use std::{env, fs, process::ExitCode};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md");
const BEGIN: &str = "<!-- laws of others: begin -->";
const END: &str = "<!-- laws of others: end -->";

#[derive(Debug, Default)]
struct Options {
    docs: bool,
    stories: bool,
    by_hand: bool,
    only: Option<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--docs" => options.docs = true,
                "--stories" => options.stories = true,
                "--by-hand" => options.by_hand = true,
                "--only" => options.only = Some(args.next().ok_or("--only asks for a value")?),
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        if options.docs && options.only.is_some() {
            return Err("--docs writes the whole table, and --only makes a part of it".to_owned());
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let done = Options::parse(env::args().skip(1)).and_then(|options| {
        if !clock::is_faked() {
            return clock::run_faked();
        }
        clock::check()?;
        run(&options).map(|()| ExitCode::SUCCESS)
    });
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

fn run(options: &Options) -> Result<(), String> {
    findings::reproduce(options.only.as_deref())?;
    if options.by_hand {
        return Ok(());
    }
    let mut columns = Vec::new();
    for contender in asked::all() {
        if options.only.as_ref().is_none_or(|text| contender.package.contains(text.as_str())) {
            eprintln!("{}", contender.package);
            columns.push(table::Column::of(&contender));
        }
    }
    if options.stories {
        columns.iter().for_each(table::Column::tell);
    }
    let table = table::markdown(&columns)?;
    println!("{table}");
    if options.docs { document(&table) } else { Ok(()) }
}

/// Puts the table between the markers.
fn document(table: &str) -> Result<(), String> {
    let text = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let (before, rest) = text.split_once(BEGIN).ok_or(format!("no `{BEGIN}` in {PAGE}"))?;
    let (_, after) = rest.split_once(END).ok_or(format!("no `{END}` in {PAGE}"))?;
    let text = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    fs::write(PAGE, text).map_err(|error| format!("{PAGE}: {error}"))
}
