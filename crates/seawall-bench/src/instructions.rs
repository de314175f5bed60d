//! Instructions a call, by valgrind: what a clock on a busy machine cannot tell.
//!
//! A case is run twice, and the runs differ in how many calls they make: the difference is the calls'.

use crate::{
    cases::{self, ATTRIBUTE, BARE, SEAWALL, WRITTEN_OUT},
    harness::Case,
};
use std::{collections::BTreeMap, env, fs, process::Command};

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const COMPILER: &str = concat!(env!("BENCH_RUSTC"), ", ", env!("BENCH_TARGET"));
/// What is worse by more than this share fails.
const TOLERANCE: f64 = 0.03;

fn is_counted(case: &Case) -> bool {
    // Those with a fuller window run the same code.
    [SEAWALL, ATTRIBUTE, WRITTEN_OUT, BARE].contains(&case.contender) && case.holds == 0
}

/// The one thing that valgrind is asked to look at.
#[inline(never)]
fn seen_by_callgrind(batch: &mut dyn FnMut(u64), calls: u64) {
    batch(calls);
}

/// Makes so many calls under the eyes of valgrind.
pub(crate) fn count(name: &str, calls: u64) {
    let case = cases::all().into_iter().find(|case| case.name() == name).expect("a case's name");
    let mut runner = (case.fresh)()();
    // Full windows, and everything made that is made on first use.
    (runner.batch)(200);
    if case.fails_first {
        (runner.once)(crate::operation::FAIL);
    }
    seen_by_callgrind(&mut *runner.batch, calls);
}

fn counted(name: &str, calls: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*seen_by_callgrind*")
        .arg(program)
        .args(["--count", name, &calls.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not run: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name} fails under valgrind:\n{told}"));
    }
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    collected
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind counted nothing for {name}:\n{told}"))
}

/// Counts every case of ours, and compares with what is kept, or keeps it.
pub(crate) fn compare(bless: bool) -> Result<(), String> {
    let kept = fs::read_to_string(KEPT).unwrap_or_default();
    let same_compiler = kept.lines().any(|line| line.strip_prefix("# ") == Some(COMPILER));
    let kept: BTreeMap<&str, f64> = kept
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let mut lines = vec!["# Instructions a call. `ci/instructions --bless` writes this.".into()];
    lines.push(format!("# {COMPILER}"));
    let mut worse = Vec::new();
    for case in cases::all().iter().filter(|case| is_counted(case)) {
        let name = case.name();
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let count = (counted(&name, 3000)? - counted(&name, 1000)?) as f64 / 2000.0;
        let before = kept.get(name.as_str()).copied();
        println!(
            "{name:40} {count:8.1}  {}",
            before.map(|n| format!("was {n:.1}")).unwrap_or_default()
        );
        if before.is_none_or(|before| count > before * (1.0 + TOLERANCE)) {
            worse.push(name.clone());
        }
        lines.push(format!("{name}\t{count:.1}"));
    }
    if bless {
        let text = lines.join("\n") + "\n";
        return fs::write(KEPT, text).map_err(|error| error.to_string());
    }
    if !same_compiler {
        println!("not compared: the counts kept are not those of {COMPILER}");
        return Ok(());
    }
    if worse.is_empty() { Ok(()) } else { Err(format!("more instructions than before: {worse:?}")) }
}
