use crate::bench::{Bench, finish};
use std::{fs::File, io::Write, process::Stdio};

const TWICE: &str =
    "echo attempt $SEAWALL_ATTEMPT; echo e$SEAWALL_ATTEMPT >&2; [ $SEAWALL_ATTEMPT = 2 ]";

#[test]
fn only_the_last_attempts_output_is_passed_on() {
    let bench = Bench::new();
    let done = bench.done("--base-delay 1ms", TWICE);
    assert_eq!(done.text(), "attempt 2\n");
    assert!(done.stderr.contains("e1") && done.stderr.contains("e2"), "stderr always streams");
}

#[test]
fn a_command_that_fails_for_good_shows_its_last_output() {
    let bench = Bench::new();
    let done = bench.done("--base-delay 1ms", "echo $SEAWALL_ATTEMPT; exit 1");
    assert_eq!((done.status, done.text()), (Some(1), "3\n"));
    let done = bench.done("--stop-on-exit 1", "echo $SEAWALL_ATTEMPT; exit 1");
    assert_eq!((done.status, done.text()), (Some(1), "1\n"));
}

#[test]
fn all_and_stream_pass_on_every_attempts_output() {
    let bench = Bench::new();
    for output in ["all", "stream"] {
        let done = bench.done(&format!("--base-delay 1ms --output {output}"), TWICE);
        assert_eq!(done.text(), "attempt 1\nattempt 2\n", "{output}");
    }
}

#[test]
fn output_on_which_to_retry_is_found_in_both_streams() {
    let bench = Bench::new();
    for to in ["1", "2"] {
        for output in ["last", "stream"] {
            let script = format!("[ $SEAWALL_ATTEMPT = 3 ] || echo service busy >&{to}; echo done");
            let args = format!("--base-delay 1ms --retry-if-output ^service.bu --output {output}");
            let done = bench.done(&args, &script);
            assert_eq!(done.status, Some(0));
            assert!(done.stderr.contains("3 attempts"), "{to} {output}: {}", done.stderr);
        }
    }
    let done = bench.done("--retry-if-output busy", "echo fine; exit 3");
    assert_eq!((done.status, done.text()), (Some(3), "fine\n"), "another failure is not retried");
}

/// 100 MB of every byte there is, so that no line ends and no text is assumed.
fn big(bench: &Bench) -> u64 {
    let mut file = File::create(bench.path("big")).expect("a file");
    let mut random = seawall::Random::seeded(1);
    let mut piece = Vec::with_capacity(1 << 20);
    for _ in 0..100 {
        piece.clear();
        while piece.len() < 1 << 20 {
            piece.extend_from_slice(&random.next_u64().to_le_bytes());
        }
        file.write_all(&piece).expect("room");
    }
    100 << 20
}

/// The most memory that the process has had, in kB: its own, not its children's.
fn with_peak(bench: &Bench, args: &str, script: &str) -> (u64, std::path::PathBuf) {
    let out = bench.path("out");
    let mut command = bench.run(args, script);
    command.stdout(Stdio::from(File::create(&out).expect("a file")));
    let done = finish(command);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    (bench.read("peak").trim().parse().expect("kB"), out)
}

fn same(bench: &Bench, out: &std::path::Path) {
    let (one, other) = (std::fs::read(bench.path("big")), std::fs::read(out));
    assert!(one.expect("there") == other.expect("there"), "not the same bytes");
}

#[test]
fn huge_binary_output_is_unchanged_in_bounded_memory() {
    let bench = Bench::new();
    let size = big(&bench);
    // The command reads its parent's peak when it has written all.
    let script = "cat big; grep VmHWM /proc/$PPID/status | tr -dc 0-9 > peak";
    for args in ["--max-attempts 2", "--max-attempts 2 --output stream --retry-if-output zz{9}y"] {
        let (peak, out) = with_peak(&bench, args, script);
        assert!(peak * 1024 < size / 4, "{args}: {peak} kB");
        same(&bench, &out);
    }
}

#[test]
fn output_that_cannot_be_put_aside_is_passed_on_and_told() {
    let bench = Bench::new();
    let mut command =
        bench.run("--base-delay 1ms", "head -c 3000000 /dev/zero; [ $SEAWALL_ATTEMPT = 2 ]");
    // What does not fit into memory has nowhere to go.
    command.env("TMPDIR", bench.path("nowhere"));
    let done = finish(command);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert_eq!(done.stdout.len(), 6_000_000, "nothing is lost");
    assert!(done.stderr.contains("cannot be put aside"), "{}", done.stderr);
}

#[test]
fn nobody_who_reads_ends_the_retries() {
    let bench = Bench::new();
    let mut command = bench.run(
        "--base-delay 1ms --output stream --retry-if-output never",
        "echo x >> tries; while :; do echo y || exit 9; done",
    );
    let mut child = command.spawn().expect("started");
    drop(child.stdout.take());
    crate::bench::wait(child);
    assert_eq!(bench.read("tries").lines().count(), 1);
}

#[test]
fn what_the_command_leaves_behind_may_finish_its_words() {
    let bench = Bench::new();
    let pipe = bench.pipe("pipe");
    // The command is over when the one in the background writes its last line.
    let script = "(read x < pipe; echo late) & echo early > /dev/null";
    let child = bench.run("--max-attempts 2", script).spawn().expect("started");
    std::fs::write(pipe, "go\n").expect("told");
    let done = crate::bench::wait(child);
    assert_eq!((done.status, done.text()), (Some(0), "late\n"));
}
