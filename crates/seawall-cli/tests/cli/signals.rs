use crate::bench::{Bench, LIMIT, hear, wait};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Child,
    time::Instant,
};

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), signal).expect("sent");
}

fn is_alive(pid: &str) -> bool {
    let pid = pid.trim().parse().expect("a process id");
    kill(Pid::from_raw(pid), None).is_ok()
}

#[test]
fn a_signal_is_passed_on_to_the_whole_group() {
    let bench = Bench::new();
    let (told, inner) = (bench.pipe("told"), bench.pipe("inner"));
    let script = "sh -c 'trap \"echo inner > inner; exit\" TERM; echo ready > told; while :; do read x < never; done' & \
        trap 'wait; exit 7' TERM; wait";
    bench.pipe("never");
    let child = bench.run("--max-attempts 3", script).spawn().expect("started");
    hear(&told);
    send(&child, Signal::SIGTERM);
    assert_eq!(hear(&inner), "inner\n");
    assert_eq!(wait(child).status, Some(7), "the command's own word, and no other attempt");
}

#[test]
fn other_signals_are_passed_on_and_end_nothing() {
    let bench = Bench::new();
    let (told, heard) = (bench.pipe("told"), bench.pipe("heard"));
    bench.pipe("never");
    let script = "trap 'echo one > heard' USR1; trap 'exit 0' USR2; echo ready > told; while :; do read x < never; done";
    let child = bench.run("", script).spawn().expect("started");
    hear(&told);
    send(&child, Signal::SIGUSR1);
    assert_eq!(hear(&heard), "one\n");
    send(&child, Signal::SIGUSR2);
    assert_eq!(wait(child).status, Some(0));
}

#[test]
fn a_signal_ends_a_wait_at_once() {
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let bench = Bench::new();
        let mut child = bench
            .run("--base-delay 1h --max-delay 1h --fallback false", "exit 3")
            .spawn()
            .expect("started");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("told");
        assert!(line.contains("next in"), "{line}");
        let since = Instant::now();
        send(&child, signal);
        assert_eq!(wait(child).status, Some(status));
        assert!(since.elapsed() < LIMIT);
    }
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_so() {
    let bench = Bench::new();
    let told = bench.pipe("told");
    let go = bench.pipe("go");
    let mut shell = std::process::Command::new("sh");
    bench.at_home(&mut shell);
    let seawall = env!("CARGO_BIN_EXE_seawall");
    shell.arg("-c").arg(format!(
        "trap '' HUP; exec {seawall} run -- sh -c 'echo ready > told; read x < go; kill -HUP $$; echo lives'"
    ));
    let child = shell.spawn().expect("started");
    hear(&told);
    send(&child, Signal::SIGHUP);
    fs::write(go, "on\n").expect("told");
    let done = wait(child);
    assert_eq!((done.status, done.text()), (Some(0), "lives\n"), "as under nohup");
}

#[test]
fn an_interrupted_call_says_nothing_of_the_callee() {
    let bench = Bench::new();
    let told = bench.pipe("told");
    bench.pipe("never");
    let args = "--breaker b --failure-threshold 1 --max-attempts 1";
    let child = bench.run(args, "echo ready > told; read x < never").spawn().expect("started");
    hear(&told);
    send(&child, Signal::SIGTERM);
    assert_eq!(wait(child).status, Some(143));
    assert_eq!(bench.done(args, "exit 0").status, Some(0), "it is not open");
}

#[test]
fn what_a_command_leaves_behind_is_ended() {
    let bench = Bench::new();
    let told = bench.pipe("told");
    bench.pipe("never");
    for trap in ["", "trap '' TERM;"] {
        let script = format!(
            "sh -c \"{trap} echo \\$\\$ > told; read x < never\" & read pid < told; echo $pid > left"
        );
        let done = bench.done("--max-attempts 1 --kill-after 100ms", &script);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        assert!(!is_alive(&bench.read("left")), "{trap}");
    }
    drop(told);
}

#[test]
fn what_leaves_the_group_by_itself_is_let_be() {
    let bench = Bench::new();
    let go = bench.pipe("go");
    let gone = bench.pipe("gone");
    let script = "setsid sh -c 'echo $$ > daemon; read x < go; echo bye > gone' > /dev/null 2>&1 & \
        while [ ! -s daemon ]; do :; done";
    assert_eq!(bench.done("--max-attempts 1", script).status, Some(0));
    assert!(is_alive(&bench.read("daemon")));
    fs::write(go, "on\n").expect("told");
    assert_eq!(hear(&gone), "bye\n");
}

#[test]
fn no_zombie_is_left_to_a_long_call() {
    let bench = Bench::new();
    // The first attempt leaves orphans that end; the second one waits until they are reaped.
    let script =
        "if [ $SEAWALL_ATTEMPT = 1 ]; then for i in 1 2 3; do setsid true & done; exit 1; fi
        while grep -l \"^[0-9]* ([a-z]*) Z $PPID \" /proc/[0-9]*/stat 2> /dev/null; do :; done";
    let done = bench.done("--base-delay 1ms --timeout 60s --max-attempts 2", script);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
}

#[test]
fn as_process_1_it_reaps_and_ends_when_it_is_told() {
    // Needs leave to make a namespace: root has it, others have it in most places.
    let as_user = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let can = |unshare: &[&str]| {
        let output = std::process::Command::new("unshare").args(unshare).arg("true").output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(unshare) = [&as_user[2..], &as_user].into_iter().find(|unshare| can(unshare)) else {
        // Past the capture of the test's own output, so that it is seen in a run that passes.
        let told =
            "skipped: `unshare` may not make a namespace, so seawall as process 1 is not tested\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes());
        let must = std::env::var_os("SEAWALL_TEST_ALL").is_some();
        assert!(!must, "SEAWALL_TEST_ALL is set, and `unshare` may not make a namespace");
        return;
    };
    let bench = Bench::new();
    let mut command = std::process::Command::new("unshare");
    bench.at_home(&mut command);
    command.args(unshare).arg(env!("CARGO_BIN_EXE_seawall"));
    command.args(["run", "--max-attempts", "1", "--", "sh", "-c"]);
    command.arg(
        "[ $PPID = 1 ] || exit 9; (setsid true &); \
         while grep -l '^[0-9]* ([a-z]*) Z 1 ' /proc/[0-9]*/stat 2> /dev/null; do :; done; exit 5",
    );
    assert_eq!(crate::bench::finish(command).status, Some(5));
}
