use crate::bench::{Bench, LIMIT};
use nix::pty::{OpenptyResult, openpty};
use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

/// A shell script that has a terminal for itself.
struct Screen {
    keys: File,
    seen: Receiver<Vec<u8>>,
    text: String,
    child: Child,
}

impl Screen {
    fn new(bench: &Bench, script: &str) -> Self {
        Self::of("sh", bench, script)
    }

    fn of(shell: &str, bench: &Bench, script: &str) -> Self {
        let OpenptyResult { master, slave } = openpty(None, None).expect("a terminal");
        // setsid makes it the controlling terminal, which takes `unsafe` otherwise.
        let mut command = Command::new("setsid");
        bench.at_home(&mut command);
        let end = || Stdio::from(slave.try_clone().expect("another end"));
        command.args(["-c", "-w", shell, "-c", script]).stdin(end()).stdout(end()).stderr(end());
        command.env("SEAWALL", env!("CARGO_BIN_EXE_seawall"));
        let child = command.spawn().expect("started");
        drop(command);
        drop(slave);
        let keys = File::from(master);
        let mut screen = keys.try_clone().expect("another end");
        let (tell, seen) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                if tell.send(piece[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keys, seen, text: String::new(), child }
    }

    /// Waits until `words` stand on the screen.
    fn until(&mut self, words: &str) {
        let until = Instant::now() + LIMIT;
        while !self.text.contains(words) {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(piece) = self.seen.recv_timeout(left) else {
                panic!("{words:?} never came: {:?}", self.text);
            };
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    /// All that was seen, when it is over.
    fn end(mut self) -> String {
        self.child.wait().expect("it ends");
        while let Ok(piece) = self.seen.recv_timeout(std::time::Duration::from_millis(200)) {
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
        self.text
    }
}

#[test]
fn a_command_that_reads_the_terminal_is_not_stopped() {
    let bench = Bench::new();
    let mut screen = Screen::new(
        &bench,
        "$SEAWALL run --base-delay 1ms -- sh -c 'read x; echo \"<$x>\"; [ $SEAWALL_ATTEMPT = 2 ]'; \
         read y; echo \"[$y]\"",
    );
    screen.press("one\n");
    screen.until("<one>");
    screen.press("two\n");
    screen.until("<two>");
    screen.press("three\n");
    screen.until("[three]");
    screen.end();
}

#[test]
fn a_command_in_a_pipeline_gets_the_terminal_when_it_asks() {
    let bench = Bench::new();
    let mut screen = Screen::new(
        &bench,
        "$SEAWALL run -- sh -c 'read x < /dev/tty; echo \"<$x>\"' | cat; read y; echo \"[$y]\"",
    );
    screen.press("one\n");
    screen.until("<one>");
    screen.press("two\n");
    screen.until("[two]");
    screen.end();
}

#[test]
fn ctrl_c_ends_the_loop_around_it_as_well() {
    // bash goes by the signal that it gets itself, others by what their child has died of.
    for shell in ["sh", "bash"] {
        let bench = Bench::new();
        let mut screen = Screen::of(
            shell,
            &bench,
            // `exec`: a dash that is about to start `cat` can lose a signal.
            "for n in 1 2; do $SEAWALL run -- sh -c 'echo go$((40 + 2)); exec cat'; done; \
             echo sur''vived",
        );
        screen.until("go42");
        screen.press("\x03");
        let text = screen.end();
        let once = text.matches("go42").count() == 1;
        assert!(!text.contains("survived") && once, "{shell}: {text:?}");
    }
}

#[test]
fn a_wait_at_a_terminal_counts_down_on_one_line() {
    let bench = Bench::new();
    let mut screen = Screen::new(
        &bench,
        "for n in 1 2; do $SEAWALL run --base-delay 1h --max-delay 1h --jitter none -- false; done; \
         echo sur''vived",
    );
    screen.until("\r\x1b[2Kseawall: attempt 1 of 3 failed (exit 1), next in 1 h");
    screen.press("\x03");
    let text = screen.end();
    assert!(text.contains("last exit 130") && !text.contains("survived"), "{text:?}");
}

/// What a process is at, as the system has it in a letter: T is stopped.
const AT: &str = "at() { sed -n 's/^State:[^A-Za-z]*\\(.\\).*/\\1/p' /proc/$1/status; }";

#[test]
fn ctrl_z_stops_command_and_seawall_and_fg_has_both_go_on() {
    let bench = Bench::new();
    // With `set -m` a script has jobs as a shell at a prompt has.
    let mut screen = Screen::of(
        "bash",
        &bench,
        &format!(
            "set -m; {AT}; \
             $SEAWALL run --max-attempts 1 --timeout 1h -- sh -c \
             'echo $$ > inner; echo $PPID > outer; echo go$((40 + 2)); read x; echo \"<$x>\"; exit 7'; \
             echo inner=$(at $(cat inner)) outer=$(at $(cat outer)); read y; echo \"[$y]\"; \
             fg > /dev/null; echo status=$?"
        ),
    );
    screen.until("go42");
    screen.press("\x1a");
    screen.until("inner=T outer=T");
    screen.press("to the shell\n");
    screen.until("[to the shell]");
    screen.press("to the command\n");
    screen.until("<to the command>");
    screen.until("status=7");
    screen.end();
}

#[test]
fn time_that_a_command_is_stopped_for_is_none_of_its_timeout() {
    let bench = Bench::new();
    // Stopped for longer than the timeout: as long as the timeout of another one takes.
    let mut screen = Screen::of(
        "bash",
        &bench,
        "set -m; $SEAWALL run --max-attempts 1 --timeout 2s -- sh -c 'trap \"echo awake\" CONT; echo go$((40 + 2)); read x || read x; exit 7'; \
         $SEAWALL run --max-attempts 1 --timeout 3s -- sh -c 'while :; do read x < /dev/tty; done'; \
         echo la''ter; fg > /dev/null; echo status=$?",
    );
    screen.until("go42");
    screen.press("\x1a");
    screen.until("later");
    // Only now it gets what it waits for: a time-out would have ended it by then.
    screen.until("awake");
    screen.press("on\n");
    screen.until("status=7");
    screen.end();
}

/// What a command has done to the terminal, and how it ends.
fn modes_after(args: &str, ending: &str) -> String {
    let bench = Bench::new();
    let screen = Screen::new(
        &bench,
        &format!(
            "stty -a > before; $SEAWALL run --quiet --max-attempts 1 {args} -- \
             sh -c 'stty -echo -icanon; {ending}'; \
             stty -a > after; cmp -s before after && echo as''before || echo cha''nged"
        ),
    );
    screen.end()
}

#[test]
fn modes_that_a_command_leaves_when_it_is_killed_are_put_back() {
    for (args, ending) in [
        ("", "kill -9 $$"),
        ("--timeout 100ms --kill-after 100ms", "while :; do read x; done"),
        ("--timeout 100ms --kill-after 100ms", "trap \"\" TERM; while :; do read x; done"),
    ] {
        let text = modes_after(args, ending);
        assert!(text.contains("asbefore"), "{ending}: {text:?}");
    }
}

#[test]
fn modes_that_a_command_sets_and_ends_with_are_its_own() {
    let text = modes_after("", "exit 0");
    assert!(text.contains("changed"), "as with `seawall run -- stty -echo`: {text:?}");
}
