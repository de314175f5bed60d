//! What others tell us by signals, as something to wait for beside pipes.

use nix::{
    sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask},
    unistd::Pid,
};
use signal_hook::{
    consts::signal as nr,
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};
use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

/// What a signal means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// A child has ended or stopped.
    Child,
    /// End: INT, TERM, HUP, QUIT.
    End(Signal),
    /// We go on after a stop, perhaps with another claim to the terminal.
    Resumed,
    /// Nothing to us: it is passed on.
    Pass(Signal),
}

/// Signals that arrive while this lives.
#[derive(Debug)]
pub(crate) struct Signals(SignalDelivery<UnixStream, SignalOnly>);

const HEARD: [i32; 12] = [
    nr::SIGCHLD,
    nr::SIGINT,
    nr::SIGTERM,
    nr::SIGHUP,
    nr::SIGQUIT,
    nr::SIGUSR1,
    nr::SIGUSR2,
    nr::SIGALRM,
    nr::SIGWINCH,
    nr::SIGCONT,
    nr::SIGTSTP,
    // So that a limit on the size of files is an error to us, and not our end.
    nr::SIGXFSZ,
];

impl Signals {
    pub(crate) fn hear() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let ignored = ignored();
        // What we were started to ignore (nohup) stays ignored, and is so for the command as well.
        let heard = HEARD.iter().filter(|nr| **nr == nr::SIGCHLD || ignored & bit(**nr) == 0);
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, heard)?;
        // To take the terminal back from the background must not stop us. Commands start with an
        // empty mask: std sees to it.
        let mut background = SigSet::empty();
        background.add(Signal::SIGTTOU);
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&background), None)?;
        Ok(Self(signals))
    }

    /// What has arrived since the last time.
    pub(crate) fn take(&mut self) -> Vec<Told> {
        self.0.pending().filter_map(told).collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }
}

fn told(nr: i32) -> Option<Told> {
    Some(match nr {
        nr::SIGCHLD => Told::Child,
        nr::SIGCONT => Told::Resumed,
        nr::SIGXFSZ => return None,
        nr::SIGINT | nr::SIGTERM | nr::SIGHUP | nr::SIGQUIT => {
            Told::End(Signal::try_from(nr).ok()?)
        }
        nr => Told::Pass(Signal::try_from(nr).ok()?),
    })
}

/// Whether we were started to ignore this signal, as by nohup.
pub(crate) fn is_ignored(nr: i32) -> bool {
    ignored() & bit(nr) != 0
}

const fn bit(nr: i32) -> u64 {
    1 << (nr - 1)
}

/// The signals that are ignored, one bit each.
fn ignored() -> u64 {
    mask("self", "SigIgn:")
}

/// Whether a process has been sent a signal that it has not come to yet, as while it is stopped.
pub(crate) fn awaits(process: Pid, signal: Signal) -> bool {
    mask(&process.to_string(), "ShdPnd:") & bit(signal as i32) != 0
}

/// The signals of a process that the system lists under `name`. Nothing where it does not say.
fn mask(process: &str, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(name));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
