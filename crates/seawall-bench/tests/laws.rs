//! What `src/laws/findings.rs` tells of the peers is so: each of them, done by hand. Virtual time, so
//! libfaketime must be there.
#![cfg(feature = "laws")]

use std::process::Command;

#[test]
fn what_is_told_of_the_peers_is_seen_by_hand() {
    let output = Command::new(env!("CARGO_BIN_EXE_laws"))
        .arg("--by-hand")
        .output()
        .expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("libfaketime is missing") {
        eprintln!("skipped: {error}");
        return;
    }
    assert!(output.status.success(), "{error}");
}
