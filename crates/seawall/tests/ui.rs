//! Mistakes in the use of the macros: one message each, which says how to mend it.
//!
//! The texts in `ui/fail/*.stderr` are those of one compiler: with any other the programs only have
//! to be refused. After a change of words, `TRYBUILD=overwrite cargo test --all-features --test ui`
//! writes them anew.
#![cfg(all(feature = "macros", feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{env, fs, path::Path, process::Command};

/// Clippy sees what trybuild does not show it.
#[path = "ui/pass/quiet.rs"]
mod quiet;

/// The compiler whose words the texts are.
const COMPILER: &str = "rustc 1.95.";

/// Set for the run whose texts nobody compares.
const ANY_WORDS: &str = "SEAWALL_UI_ANY_WORDS";

#[test]
fn mistakes_are_explained_and_the_rest_compiles() {
    match compiler().starts_with(COMPILER) {
        true => compare("tests/ui/fail"),
        false => in_any_words(),
    }
}

#[test]
fn expansions_are_quiet() {
    quiet::main();
}

/// Both kinds in one go: then they are built, not only checked, and constants are evaluated.
fn compare(mistakes: &str) {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail(format!("{mistakes}/*.rs"));
}

/// Compares copies with texts that are written on the spot. trybuild is told so by a variable of the
/// environment, and that is set for another process only.
fn in_any_words() {
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    if env::var_os(ANY_WORDS).is_some() {
        return compare(copies.to_str().unwrap());
    }
    fs::create_dir_all(&copies).unwrap();
    for entry in fs::read_dir("tests/ui/fail").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            fs::copy(&path, copies.join(path.file_name().unwrap())).unwrap();
        }
    }
    let again = Command::new(env::current_exe().unwrap())
        .args(["--exact", "mistakes_are_explained_and_the_rest_compiles"])
        .env("TRYBUILD", "overwrite")
        .env(ANY_WORDS, "1")
        .status();
    assert!(again.unwrap().success(), "see above");
}

fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(version.stdout).unwrap()
}
