use crate::bench::{Bench, finish, finish_with};
use std::{fs::File, io::Read, process::Stdio};

const READS: &str = "cat; [ $SEAWALL_ATTEMPT = 3 ]";

#[test]
fn a_pipe_is_replayed_to_each_attempt() {
    let bench = Bench::new();
    let done = finish_with(bench.run("--base-delay 1ms --output all", READS), b"words\n".to_vec());
    assert_eq!((done.status, done.text()), (Some(0), "words\nwords\nwords\n"));
}

#[test]
fn a_file_is_rewound_to_where_it_stood() {
    let bench = Bench::new();
    bench.write("file", "skipped words\n");
    let mut file = File::open(bench.path("file")).expect("there");
    file.read_exact(&mut [0; 8]).expect("long enough");
    let mut command = bench.run("--base-delay 1ms --output all", READS);
    command.stdin(Stdio::from(file));
    assert_eq!(finish(command).text(), "words\n".repeat(3));
}

#[test]
fn a_big_pipe_is_replayed_byte_for_byte() {
    let bench = Bench::new();
    let input: Vec<u8> = (0..=255_u8).cycle().take(5_000_003).collect();
    let done = finish_with(bench.run("--base-delay 1ms", READS), input.clone());
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.stdout == input);
}

#[test]
fn an_attempt_that_reads_little_leaves_the_rest_for_the_next() {
    let bench = Bench::new();
    let input: Vec<u8> = b"0123456789".iter().copied().cycle().take(1_000_000).collect();
    let script = "if [ $SEAWALL_ATTEMPT = 1 ]; then head -c 5; exit 1; fi; cat";
    let done = finish_with(bench.run("--base-delay 1ms", script), input.clone());
    assert!(done.stdout == input);
}

#[test]
fn past_the_limit_nothing_is_retried_and_that_is_told() {
    let bench = Bench::new();
    let script = "wc -c; exit 1";
    let mut run = bench.run("--base-delay 1ms --stdin-limit 64K", script);
    run.env("LC_ALL", "C");
    let done = finish_with(run, vec![b'x'; 200_000]);
    assert_eq!((done.status, done.text().trim()), (Some(1), "200000"), "all of it was given once");
    assert!(done.stderr.contains("--stdin-limit"), "{}", done.stderr);
    let done =
        finish_with(bench.run("--base-delay 1ms --stdin-limit 64K", READS), vec![b'x'; 65_536]);
    assert_eq!(done.status, Some(0), "just at the limit: {}", done.stderr);
}

#[test]
fn a_loop_that_reads_lines_keeps_them_with_stdin_none() {
    let bench = Bench::new();
    let mut shell = std::process::Command::new("sh");
    bench.at_home(&mut shell);
    let seawall = env!("CARGO_BIN_EXE_seawall");
    shell.arg("-c").arg(format!(
        "printf 'a\\nb\\nc\\n' | while read -r line; do {seawall} run --stdin none -- sh -c 'cat; echo \"$0\"' \"$line\"; done"
    ));
    assert_eq!(finish(shell).text(), "a\nb\nc\n");
}

#[test]
fn a_pipe_that_never_ends_holds_up_nothing() {
    let bench = Bench::new();
    let mut command = bench.run("--base-delay 1ms", "[ $SEAWALL_ATTEMPT = 2 ]");
    // The other end stays open, and silent, for as long as this function runs.
    let (theirs, ours) = nix::unistd::pipe().expect("a pipe");
    command.stdin(Stdio::from(theirs));
    assert_eq!(finish(command).status, Some(0));
    drop(ours);
}
