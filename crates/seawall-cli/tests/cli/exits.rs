use crate::bench::{Bench, finish};

const QUICK: &str = "--base-delay 1ms";
/// Fails twice, then succeeds.
const FLAKY: &str = "echo x >> tries; [ $(wc -l < tries) -ge 3 ]";

#[test]
fn a_flaky_command_succeeds_on_its_third_attempt() {
    let bench = Bench::new();
    let done = bench.done(QUICK, FLAKY);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert_eq!(bench.read("tries").lines().count(), 3);
    assert!(done.stderr.contains("3 attempts in "), "{}", done.stderr);
}

#[test]
fn the_exit_status_is_the_last_attempts_own_when_attempts_run_out() {
    let bench = Bench::new();
    assert_eq!(bench.done(QUICK, "exit $((10 + SEAWALL_ATTEMPT))").status, Some(13));
}

#[test]
fn the_exit_status_of_exhausted_retries_can_be_chosen() {
    let bench = Bench::new();
    assert_eq!(bench.done("--base-delay 1ms --exit-code-exhausted 99", "exit 7").status, Some(99));
    let permanent = "--stop-on-exit 7 --exit-code-exhausted 99";
    assert_eq!(bench.done(permanent, "exit 7").status, Some(7), "nothing was exhausted");
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let bench = Bench::new();
    assert_eq!(bench.done("--max-attempts 1", "kill -9 $$").status, Some(137));
    assert_eq!(bench.done("--max-attempts 1", "kill -40 $$").status, Some(168), "a real-time one");
}

#[test]
fn what_cannot_be_started_is_told_as_a_shell_does_and_not_retried() {
    let bench = Bench::new();
    bench.write("text", "no program");
    for (program, status) in [("./nowhere", 127), ("./text", 126)] {
        let mut command = bench.seawall("run --fallback true --events events");
        command.args(["--", program]);
        assert_eq!(finish(command).status, Some(0), "the fallback answers");
        let mut command = bench.seawall("run --events events");
        command.args(["--", program]);
        let done = finish(command);
        assert_eq!(done.status, Some(status), "{}", done.stderr);
        assert!(done.stderr.contains(program), "{}", done.stderr);
    }
    assert!(!bench.read("events").contains("retry_scheduled"));
}

#[test]
fn a_command_that_says_not_found_is_not_retried_unless_listed() {
    let bench = Bench::new();
    assert_eq!(bench.done(QUICK, "echo x >> tries; exit 127").status, Some(127));
    assert_eq!(bench.read("tries").lines().count(), 1);
    bench.done("--base-delay 1ms --retry-on-exit 127", "echo x >> listed; exit 127");
    assert_eq!(bench.read("listed").lines().count(), 3);
}

#[test]
fn only_listed_exits_are_retried_and_stopped_ones_never() {
    let bench = Bench::new();
    for (args, status, tries) in [
        ("--retry-on-exit 75,111", 75, 3),
        ("--retry-on-exit 75,111", 1, 1),
        ("--retry-on-exit 70-80", 75, 3),
        ("--stop-on-exit 2", 2, 1),
        ("--stop-on-exit 2", 3, 3),
        ("--retry-on-exit 137", 137, 3),
    ] {
        let script = format!("echo x >> {status}-{tries}; exit {status}");
        let done = bench.done(&format!("{QUICK} {args}"), &script);
        assert_eq!(done.status, Some(status));
        let made = bench.read(&format!("{status}-{tries}")).lines().count();
        assert_eq!(made, tries, "{args}, exit {status}");
        std::fs::remove_file(bench.path(&format!("{status}-{tries}"))).expect("there");
    }
}

#[test]
fn a_hanging_command_is_ended_with_all_that_it_started() {
    let bench = Bench::new();
    let pipe = bench.pipe("pipe");
    // Both wait for a pipe that nobody writes to; the inner one does not listen to SIGTERM.
    let script = "sh -c 'trap \"\" TERM; echo $$ > inner; read x < pipe' & read x < pipe";
    let done = bench.done("--max-attempts 1 --timeout 300ms --kill-after 100ms", script);
    assert_eq!(done.status, Some(124), "{}", done.stderr);
    let inner: i32 = bench.read("inner").trim().parse().expect("a process id");
    let inner = nix::unistd::Pid::from_raw(inner);
    assert!(nix::sys::signal::kill(inner, None).is_err(), "it lives on");
    drop(pipe);
}

#[test]
fn the_total_timeout_ends_a_running_attempt() {
    let bench = Bench::new();
    bench.pipe("pipe");
    let done = bench.done("--total-timeout 300ms --fallback false", "read x < pipe");
    assert_eq!(done.status, Some(1), "the fallback's, which has no deadline");
    let done = bench.done("--total-timeout 300ms --exit-code-exhausted 9", "read x < pipe");
    assert_eq!(done.status, Some(124), "{}", done.stderr);
}

#[test]
fn no_wait_is_begun_that_would_pass_the_total_timeout() {
    let bench = Bench::new();
    let done = bench.done("--total-timeout 30s --base-delay 60s --jitter none", "exit 5");
    assert_eq!(done.status, Some(5));
    assert!(done.stderr.contains("total timeout"), "{}", done.stderr);
}

#[test]
fn until_success_tries_on_past_the_usual_limit() {
    let bench = Bench::new();
    let done = bench.done(
        "--until-success --base-delay 1ms --total-timeout 2m",
        "echo \"$SEAWALL_MAX_ATTEMPTS\" >> tries; [ $(wc -l < tries) -ge 7 ]",
    );
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert_eq!(bench.read("tries"), "\n".repeat(7));
}

#[test]
fn the_fallback_answers_in_place_of_what_failed() {
    let bench = Bench::new();
    let args = "--base-delay 1ms --max-attempts 2 --fallback";
    let mut command = bench.seawall("run");
    command.args(args.split_whitespace()).arg("echo answer after $SEAWALL_LAST_EXIT");
    command.args(["--", "sh", "-c", "echo wrong; exit 3"]);
    let done = finish(command);
    assert_eq!((done.status, done.text()), (Some(0), "answer after 3\n"));
}

#[test]
fn fallbacks_are_tried_in_their_order() {
    let bench = Bench::new();
    let mut command = bench.seawall("run --max-attempts 1");
    command.args([
        "--fallback",
        "echo one; exit 8",
        "--fallback",
        "echo two",
        "--fallback",
        "echo three",
    ]);
    command.args(["--", "false"]);
    let done = finish(command);
    assert_eq!((done.status, done.text()), (Some(0), "two\n"));
    let mut command = bench.seawall("run --max-attempts 1");
    command.args(["--fallback", "exit 8", "--fallback", "exit 9", "--", "false"]);
    assert_eq!(finish(command).status, Some(9));
}

#[test]
fn the_command_sees_which_attempt_it_is() {
    let bench = Bench::new();
    let script =
        "echo \"$SEAWALL_ATTEMPT/$SEAWALL_MAX_ATTEMPTS ${SEAWALL_LAST_EXIT-none}\"; exit 4";
    let done = bench.done("--base-delay 1ms --output all", script);
    assert_eq!(done.text(), "1/3 none\n2/3 4\n3/3 4\n");
}

#[test]
fn options_that_make_no_sense_are_refused_by_name_and_value() {
    let bench = Bench::new();
    for (args, words) in [
        ("--max-attempts 0", ["max-attempts", "0"]),
        ("--timeout soon", ["timeout", "soon"]),
        ("--jitter plenty", ["jitter", "plenty"]),
        ("--base-delay 9s --max-delay 1s", ["max-delay", "1s"]),
        ("--retry-on-exit 300", ["retry-on-exit", "300"]),
        ("--retry-if-output (", ["retry-if-output", "("]),
        ("--breaker b --recovery-timeout 9days", ["recovery-timeout", "3 days"]),
        ("--budget b --budget-ratio 2", ["budget-ratio", "2"]),
        ("--failure-threshold 3", ["failure-threshold", "--breaker"]),
        ("--max-attempts 3 --until-success", ["max-attempts", "until-success"]),
    ] {
        let done = bench.done(args, "echo ran");
        assert_eq!(done.status, Some(125), "{args}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{args} ran");
        for word in words {
            assert!(done.stderr.contains(word), "{args} says nothing of {word}: {}", done.stderr);
        }
    }
}

#[test]
fn a_dry_run_prints_the_schedule_and_runs_nothing() {
    let bench = Bench::new();
    let done = finish(bench.seawall("run --dry-run --jitter none --max-attempts 4 -- touch ran"));
    assert_eq!(done.status, Some(0));
    let lines = [
        "attempt 1 at 0 s",
        "attempt 2 at 1 s, after 1 s",
        "attempt 3 at 3 s, after 2 s",
        "attempt 4 at 7 s, after 4 s",
        "then none: no attempts left",
    ];
    assert_eq!(done.text().lines().collect::<Vec<_>>(), lines);
    assert!(!bench.path("ran").exists());
    let seeded = || finish(bench.seawall("run --dry-run --seed 7 --max-attempts 4")).stdout;
    assert_eq!(seeded(), seeded());
}

#[test]
fn a_dry_run_and_a_run_of_one_seed_have_the_same_delays() {
    let bench = Bench::new();
    let args = "--seed 7 --base-delay 20ms --max-attempts 4";
    let dry = finish(bench.seawall(&format!("run --dry-run {args}")));
    let planned: Vec<&str> = dry.text().lines().filter_map(|l| l.split("after ").nth(1)).collect();
    let done = bench.done(args, "exit 1");
    let made: Vec<&str> = done.stderr.lines().filter_map(|l| l.split("next in ").nth(1)).collect();
    assert_eq!(planned, made);
    assert_eq!(made.len(), 3);
}
