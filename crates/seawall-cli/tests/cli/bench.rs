//! A folder, a state file, and ways to start the command in it.

use std::{
    fs,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Far longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Bench {
    folder: TempDir,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state/state.db")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A named pipe: what a child waits for, or tells us by.
    pub(crate) fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        path
    }

    /// `seawall` with arguments parted by spaces, ready to start.
    pub(crate) fn seawall(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.args(args.split_whitespace());
        self.at_home(&mut command);
        command
    }

    pub(crate) fn at_home(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env("SEAWALL_STATE", self.state())
            .env_remove("SEAWALL_ATTEMPT")
            .env_remove("SEAWALL_MAX_ATTEMPTS")
            .env_remove("SEAWALL_LAST_EXIT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// `seawall run ARGS -- sh -c SCRIPT`, ready to start.
    pub(crate) fn run(&self, args: &str, script: &str) -> Command {
        let mut command = self.seawall("run");
        command.args(args.split_whitespace()).args(["--", "sh", "-c", script]);
        command
    }

    /// The same, to its end.
    pub(crate) fn done(&self, args: &str, script: &str) -> Done {
        finish(self.run(args, script))
    }
}

pub(crate) fn finish(mut command: Command) -> Done {
    wait(command.spawn().expect("started"))
}

/// Sees it through; a test that hangs is one that fails.
pub(crate) fn wait(child: Child) -> Done {
    let (tell, told) = mpsc::channel();
    let id = i32::try_from(child.id()).expect("a process id");
    thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = told.recv_timeout(LIMIT) else {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::SIGKILL);
        panic!("it hangs");
    };
    let Output { status, stdout, stderr } = output.expect("it ends");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    // As a shell has it.
    let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Done { status, stdout, stderr }
}

/// Runs it with `input` in its stdin, a pipe.
pub(crate) fn finish_with(mut command: Command, input: Vec<u8>) -> Done {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may well read less.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let done = wait(child);
    writer.join().expect("no panic");
    done
}

/// Reads a named pipe until a line is there.
pub(crate) fn hear(pipe: &std::path::Path) -> String {
    let mut text = String::new();
    fs::File::open(pipe).and_then(|mut pipe| pipe.read_to_string(&mut text)).expect("told");
    text
}
