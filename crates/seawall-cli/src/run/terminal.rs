//! The terminal: who has its foreground, and in what mode it is left.

use nix::{
    sys::{
        signal::{self, Signal},
        stat::{SFlag, fstat},
        termios::{SetArg, Termios, tcgetattr, tcsetattr},
    },
    unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp},
};
use std::{
    fs::File,
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// The controlling terminal, if there is one.
#[derive(Debug)]
pub(crate) struct Terminal {
    tty: File,
    own: Pid,
    modes: Option<Termios>,
}

impl Terminal {
    pub(crate) fn find() -> Option<Self> {
        let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let modes = tcgetattr(&tty).ok();
        Some(Self { tty, own: getpgrp(), modes })
    }

    /// Whether the command gets the foreground at once. In a pipeline others of our group may need
    /// it (a pager): the command gets it there when it asks.
    pub(crate) fn is_ours_alone(&self) -> bool {
        let is_pipe = |fd: &dyn AsFd| {
            let kind = fstat(fd.as_fd()).map(|stat| SFlag::from_bits_truncate(stat.st_mode));
            kind.is_ok_and(|kind| kind & SFlag::S_IFMT == SFlag::S_IFIFO)
        };
        self.is_ours() && !is_pipe(&io::stdin()) && !is_pipe(&io::stdout())
    }

    /// Whether our group has the foreground.
    pub(crate) fn is_ours(&self) -> bool {
        tcgetpgrp(&self.tty) == Ok(self.own)
    }

    pub(crate) fn is_of(&self, group: Pid) -> bool {
        tcgetpgrp(&self.tty) == Ok(group)
    }

    /// Gives the foreground to `group`. SIGTTOU is blocked, so this never stops us.
    pub(crate) fn give(&self, group: Pid) {
        // The group may have ended meanwhile, and the terminal may have hung up.
        let _ = tcsetpgrp(&self.tty, group);
    }

    /// Takes the foreground back from `group`, which may be gone.
    pub(crate) fn take(&self, group: Pid) {
        if self.is_of(group) {
            self.give(self.own);
        }
    }

    /// Puts back the modes that the terminal had at first, after a command that could not.
    pub(crate) fn restore(&self) {
        if let Some(modes) = self.modes.as_ref().filter(|_| self.is_ours()) {
            let _ = tcsetattr(&self.tty, SetArg::TCSADRAIN, modes);
        }
    }
}

/// Stops us and our group, until someone has us go on; gives the time that took. None where nobody could.
pub(crate) fn stop_ourselves() -> Option<Duration> {
    if getsid(None) == Ok(getpid()) || getpid() == Pid::from_raw(1) {
        return None;
    }
    let since = Instant::now();
    // All of the job, as Ctrl-Z would have: a shell waits until each of it has stopped.
    signal::killpg(getpgrp(), Signal::SIGSTOP).ok()?;
    Some(since.elapsed())
}
