use crate::bench::{Bench, finish, wait};
use rusqlite::Connection;
use std::{fs, process::Stdio};

const TRIPS: &str = "--breaker b --failure-threshold 1 --max-attempts 1";

fn sql(bench: &Bench, statement: &str) {
    let db = Connection::open(bench.state()).expect("a database");
    db.busy_timeout(crate::bench::LIMIT).expect("set");
    assert!(db.execute(statement, []).expect("done") > 0, "{statement} changed nothing");
}

fn state(bench: &Bench) -> serde_json::Value {
    let done = finish(bench.seawall("breakers --json"));
    let all: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    all[0].clone()
}

/// Has the breaker's time be over.
const OVER: &str = "UPDATE breaker SET left_ms = 0";

#[test]
fn an_open_breaker_is_shared_by_processes() {
    let bench = Bench::new();
    let args = "--breaker b --failure-threshold 2 --max-attempts 1";
    for _ in 0..2 {
        assert_eq!(bench.done(args, "exit 1").status, Some(1));
    }
    let done = bench.done(args, "echo ran");
    assert_eq!((done.status, done.text()), (Some(75), ""));
    assert!(done.stderr.contains("breaker \"b\" is open: try again in "), "{}", done.stderr);
    assert_eq!(bench.done("--breaker c --max-attempts 1", "exit 0").status, Some(0), "another one");
}

#[test]
fn a_call_counts_once_however_many_attempts_it_made() {
    let bench = Bench::new();
    bench.done("--breaker b --failure-threshold 2 --base-delay 1ms", "exit 1");
    assert_eq!(state(&bench)["consecutive_failures"], 1);
    bench.done("--breaker b --failure-threshold 2 --base-delay 1ms", "[ $SEAWALL_ATTEMPT = 3 ]");
    assert_eq!(state(&bench)["consecutive_failures"], 0);
}

#[test]
fn a_fallback_answers_for_an_open_breaker() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 1");
    let mut command = bench.seawall("run");
    command.args(TRIPS.split_whitespace()).args([
        "--fallback",
        "echo $SEAWALL_LAST_EXIT",
        "--",
        "false",
    ]);
    let done = finish(command);
    assert_eq!((done.status, done.text()), (Some(0), "75\n"));
}

#[test]
fn a_probe_closes_it_and_a_failed_one_opens_it_again() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 1");
    sql(&bench, OVER);
    let done = bench.done(TRIPS, "exit 1");
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(75), "open again");
    assert_eq!(state(&bench)["reopenings"], 1);
    sql(&bench, OVER);
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(0));
    assert_eq!(state(&bench)["state"], "closed");
}

#[test]
fn of_32_at_once_exactly_one_probes() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 1");
    sql(&bench, OVER);
    let go = bench.pipe("go");
    // The one that is let through holds its slot until all others have come and gone.
    let children: Vec<_> = (0..32)
        .map(|_| {
            let mut command = bench.run(TRIPS, "echo x >> probes; read x < go");
            command.stdout(Stdio::null()).spawn().expect("started")
        })
        .collect();
    let (tell, told) = std::sync::mpsc::channel();
    for child in children {
        let tell = tell.clone();
        std::thread::spawn(move || tell.send(wait(child)));
    }
    for _ in 0..31 {
        let done = told.recv_timeout(crate::bench::LIMIT).expect("rejected at once");
        assert_eq!(done.status, Some(75), "{}", done.stderr);
        assert!(!done.stderr.contains("unprotected"), "{}", done.stderr);
    }
    assert_eq!(bench.read("probes"), "x\n");
    assert_eq!(state(&bench)["state"], "half_open");
    fs::write(go, "on\n").expect("told");
    assert_eq!(told.recv_timeout(crate::bench::LIMIT).expect("the probe").status, Some(0));
    let after = state(&bench);
    assert_eq!((&after["state"], &after["rejected"]), (&"closed".into(), &31.into()));
}

#[test]
fn of_32_at_once_on_a_new_file_every_failure_counts() {
    let bench = Bench::new();
    let args = "--breaker b --failure-threshold 1000 --max-attempts 1";
    let children: Vec<_> =
        (0..32).map(|_| bench.run(args, "exit 1").spawn().expect("started")).collect();
    for child in children {
        let done = wait(child);
        assert_eq!(done.status, Some(1));
        assert!(!done.stderr.contains("unprotected"), "{}", done.stderr);
    }
    assert_eq!(state(&bench)["consecutive_failures"], 32);
}

#[test]
fn a_probe_that_is_killed_outright_loses_its_slot_after_its_lease() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 1");
    sql(&bench, OVER);
    let told = bench.pipe("told");
    bench.pipe("never");
    let mut child = bench
        .run(TRIPS, "echo $$ > pid; echo ready > told; read x < never")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    crate::bench::hear(&told);
    child.kill().expect("killed");
    child.wait().expect("gone");
    // Nobody is left to end what it had started: as `--help` says.
    let pid = bench.read("pid").trim().parse().expect("a process id");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL)
        .expect("there");
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(75), "the slot is taken");
    assert_eq!(bench.done("--breaker other", "exit 0").status, Some(0), "the file is whole");
    sql(&bench, OVER);
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(0));
    assert_eq!(state(&bench)["state"], "closed");
}

#[test]
fn a_wall_clock_that_is_set_by_a_day_changes_nothing() {
    const DAY: i64 = 86_400_000;
    for step in [DAY, -DAY] {
        let bench = Bench::new();
        bench.done(&format!("{TRIPS} --recovery-timeout 1h"), "exit 1");
        // What was written then reads as if the clock had been set since.
        sql(&bench, &format!("UPDATE breaker SET wall_ms = wall_ms + {step}"));
        let next = state(&bench)["next_probe_ms"].as_u64().expect("a time");
        assert!((3_000_000..=3_600_000).contains(&next), "{next}");
        assert_eq!(bench.done(TRIPS, "exit 0").status, Some(75));
    }
}

#[test]
fn a_restart_of_the_machine_is_bridged_and_bounded() {
    let bench = Bench::new();
    let args = format!("{TRIPS} --recovery-timeout 1h");
    bench.done(&args, "exit 1");
    sql(&bench, "UPDATE breaker SET boot = 'another', boot_ms = 999999999999");
    assert_eq!(bench.done(&args, "exit 0").status, Some(75), "still within its hour");
    // A clock that is wrong by ten years keeps it open no longer than its settings say.
    sql(&bench, "UPDATE breaker SET boot = 'another', wall_ms = wall_ms + 315360000000");
    let done = bench.done(&args, "exit 0");
    assert!(done.stderr.contains("try again in"), "{}", done.stderr);
    sql(&bench, "UPDATE breaker SET boot = 'another', wall_ms = wall_ms - 345360000000");
    assert_eq!(bench.done(&args, "exit 0").status, Some(0), "its hour is over");
}

#[test]
fn a_damaged_database_stops_nothing() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 0");
    for file in ["state/state.db", "state/state.db-wal"] {
        bench.write(file, &"not a database. ".repeat(1000));
    }
    let done = bench.done(TRIPS, "echo ran");
    assert_eq!((done.status, done.text()), (Some(0), "ran\n"));
    assert!(done.stderr.contains("unprotected"), "{}", done.stderr);
}

#[test]
fn a_database_of_a_later_version_stops_nothing() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 1");
    Connection::open(bench.state())
        .expect("there")
        .pragma_update(None, "user_version", 99)
        .expect("set");
    let done = bench.done(TRIPS, "exit 0");
    assert_eq!(done.status, Some(0));
    assert!(done.stderr.contains("later Seawall"), "{}", done.stderr);
}

#[test]
fn a_locked_database_stops_nothing() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 0");
    let mut db = Connection::open(bench.state()).expect("there");
    let lock =
        db.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).expect("locked");
    let done = bench.done(TRIPS, "exit 1");
    assert_eq!(done.status, Some(1));
    assert!(
        done.stderr.contains("locked") && done.stderr.contains("unprotected"),
        "{}",
        done.stderr
    );
    drop(lock);
}

#[test]
fn a_place_that_cannot_be_written_stops_nothing() {
    let bench = Bench::new();
    bench.write("file", "");
    let mut command = bench.run(TRIPS, "echo ran");
    command.env("SEAWALL_STATE", bench.path("file/state.db"));
    let done = finish(command);
    assert_eq!((done.status, done.text()), (Some(0), "ran\n"));
    assert!(done.stderr.contains("unprotected"), "{}", done.stderr);
}

#[test]
fn a_full_disk_stops_nothing_and_leaves_the_file_whole() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 0");
    let seawall = env!("CARGO_BIN_EXE_seawall");
    for state in [bench.state(), bench.path("new.db")] {
        // No file may grow: to write is an error, as on a full disk.
        let mut shell = std::process::Command::new("sh");
        bench.at_home(&mut shell);
        shell.env("SEAWALL_STATE", &state);
        shell.arg("-c").arg(format!("ulimit -f 0; exec {seawall} run {TRIPS} -- sh -c 'exit 9'"));
        let done = finish(shell);
        assert_eq!(done.status, Some(9), "{}", done.stderr);
        assert!(done.stderr.contains("unprotected"), "{}", done.stderr);
    }
    assert_eq!(bench.done(TRIPS, "exit 1").status, Some(1), "not open yet");
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(75), "and it is kept again");
}

#[test]
fn a_caller_with_other_settings_is_told_once() {
    let bench = Bench::new();
    let told = |threshold: u32| {
        let args = format!("--breaker b --failure-threshold {threshold} --max-attempts 1");
        bench.done(&args, "exit 0").stderr.contains("other settings")
    };
    assert_eq!([5, 5, 6, 6, 5].map(told), [false, false, true, false, false]);
}

#[test]
fn a_budget_is_shared_by_processes() {
    let bench = Bench::new();
    let args = "--budget b --budget-ratio 0.5 --budget-floor 3 --base-delay 1ms";
    bench.done(args, "echo x >> tries; exit 1");
    bench.done(args, "echo x >> tries; exit 1");
    assert_eq!(bench.read("tries").lines().count(), 5, "two calls, and three retries");
    let done = bench.done(args, "echo x >> tries; exit 1");
    assert!(done.stderr.contains("budget"), "{}", done.stderr);
    assert_eq!(bench.read("tries").lines().count(), 6);
    for _ in 0..2 {
        bench.done(args, "exit 0");
    }
    bench.done(args, "echo x >> tries; exit 1");
    assert_eq!(bench.read("tries").lines().count(), 8, "two successes have earned one retry");
}

#[test]
fn breakers_are_listed_and_moved_by_hand() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 1");
    let done = finish(bench.seawall("breakers"));
    assert!(done.text().contains("open") && done.text().contains("in "), "{}", done.text());
    assert_eq!(finish(bench.seawall("breakers reset b")).text(), "breaker \"b\" is closed\n");
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(0));
    assert_eq!(finish(bench.seawall("breakers isolate b")).status, Some(0));
    let done = bench.done(TRIPS, "exit 0");
    assert_eq!(done.status, Some(75));
    assert!(done.stderr.contains("try again later"), "{}", done.stderr);
    assert_eq!(finish(bench.seawall("breakers close b")).status, Some(0));
    assert_eq!(bench.done(TRIPS, "exit 0").status, Some(0));
    let done = finish(bench.seawall("breakers reset nobody"));
    assert_eq!(done.status, Some(125));
    assert!(done.stderr.contains("nobody") && done.stderr.contains("\"b\""), "{}", done.stderr);
}

#[test]
fn a_healthy_breaker_writes_nothing() {
    let bench = Bench::new();
    bench.done(TRIPS, "exit 0");
    let files =
        || ["state/state.db", "state/state.db-wal"].map(|file| fs::read(bench.path(file)).ok());
    let before = files();
    bench.done(TRIPS, "exit 0");
    assert!(files() == before);
}
