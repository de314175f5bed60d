//! A run of a few seconds: every row is there, and every contender does what its row says (the program
//! asserts that: how a call ends, how often the operation starts, that closed breakers would open).

use std::{fs, process::Command};

const ROWS: [(&str, &[&str]); 22] = [
    ("retry/blocking", &["Seawall", "backon"]),
    ("retry/async", &["Seawall", "tower-resilience", "seatbelt", "backon", "tokio-retry", "tower"]),
    ("retry-twice/blocking", &["Seawall", "backon"]),
    (
        "retry-twice/async",
        &["Seawall", "tower-resilience", "seatbelt", "backon", "tokio-retry", "tower"],
    ),
    ("consecutive/blocking", &["Seawall", "failsafe"]),
    ("consecutive/async", &["Seawall", "tower-resilience", "failsafe"]),
    ("count/blocking", &["Seawall", "recloser"]),
    ("count/async", &["Seawall", "tower-resilience", "recloser"]),
    ("time/blocking", &["Seawall", "failsafe"]),
    ("time/async", &["Seawall", "tower-resilience", "seatbelt", "failsafe"]),
    ("failures/blocking", &["Seawall", "recloser"]),
    ("failures/async", &["Seawall", "tower-resilience", "recloser"]),
    ("shaky/blocking", &["Seawall", "recloser"]),
    ("shaky/async", &["Seawall", "tower-resilience", "recloser"]),
    ("open/blocking", &["Seawall", "failsafe", "recloser"]),
    ("open/async", &["Seawall", "tower-resilience", "seatbelt", "failsafe", "recloser"]),
    ("stack/blocking", &["Seawall", "failsafe", "recloser"]),
    ("stack/async", &["Seawall", "tower-resilience", "seatbelt", "failsafe", "recloser"]),
    ("timeout/async", &["Seawall", "tower-resilience", "seatbelt", "tower"]),
    ("held-1000/async", &["Seawall", "tower-resilience", "seatbelt"]),
    ("held-30000/async", &["Seawall", "tower-resilience", "seatbelt"]),
    ("held-1000000/async", &["Seawall", "seatbelt"]),
];

#[test]
fn every_row_is_measured_and_holds_what_it_promises() {
    let path = |name: &str| format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    let (json, svg) = (path("quick.json"), path("quick.svg"));
    let output = Command::new(env!("CARGO_BIN_EXE_seawall-bench"))
        .args(["--quick", "--json", &json, "--svg", &svg])
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results = fs::read_to_string(json).expect("results as JSON");
    for (row, contenders) in ROWS {
        for contender in contenders {
            let result = format!(r#"{{"row":"{row}","contender":"{contender}","ns":"#);
            assert!(results.contains(&result), "{row}: {contender} is missing");
        }
        let ours = format!(r#""row":"{row}","contender":"Seawall""#);
        let ours =
            results.lines().find(|line| line.contains(&ours)).expect("Seawall has every row");
        // A retry that waits is kept in a box, so that calls that need none stay small.
        let may_allocate = row == "retry-twice/async";
        assert!(may_allocate || ours.contains(r#""allocations":0.00"#), "{ours}");
    }
    assert!(fs::read_to_string(svg).is_ok_and(|picture| picture.trim_end().ends_with("</svg>")));
}
