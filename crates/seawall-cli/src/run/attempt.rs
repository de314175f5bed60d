//! One start of a command, from the spawn to the last of its process group.

use super::{
    input::Stdin,
    matcher::Pattern,
    output::{Ours, Route, Spool, Stream},
    signals::{Signals, Told, awaits},
    terminal::{Terminal, stop_ourselves},
};
use crate::{exit, words::Refusal};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use rustix::process::{WaitOptions, WaitStatus, wait};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTTIN, SIGTTOU};
use std::{
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long what the command has left behind may go on by itself.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is looked at: not all of it is ours to be told of.
const LOOK: Duration = Duration::from_millis(20);
/// After SIGKILL nothing is waited for longer: what is still there is beyond us.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// What all attempts of a call share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) signals: Signals,
    terminal: Option<Terminal>,
    kill_after: Duration,
    /// When the call as a whole is over.
    deadline: Option<Instant>,
    /// Someone wants all of this to end.
    pub(crate) ended_by: Option<Signal>,
    /// It was the terminal, and told the command only.
    pub(crate) by_terminal: bool,
}

/// What to start, and what goes in and out.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) command: Command,
    pub(crate) stdin: &'a mut Stdin,
    /// None: stdout is ours.
    pub(crate) stdout: Option<Route>,
    pub(crate) pattern: Option<&'a Pattern>,
    pub(crate) timeout: Option<Duration>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Exited(u8),
    Killed(i32),
    /// By the timeout of an attempt, or by that of the whole call.
    TimedOut {
        total: bool,
    },
    NotStarted(io::Error),
}

impl Ending {
    /// As a shell has it, and `timeout`.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Exited(status) => *status,
            Self::Killed(signal) => 128_u8.saturating_add(u8::try_from(*signal).unwrap_or(0)),
            Self::TimedOut { .. } => exit::TIMED_OUT,
            Self::NotStarted(error) if error.kind() == ErrorKind::NotFound => exit::NOT_FOUND,
            // The machine has no room for it: that is not the command's fault.
            Self::NotStarted(error)
                if matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)
                ) =>
            {
                exit::OURS
            }
            Self::NotStarted(_) => exit::CANNOT_START,
        }
    }
}

/// An attempt that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    /// The output matches the pattern.
    pub(crate) matched: bool,
    /// stdout, where it was put aside.
    pub(crate) spool: Option<Spool>,
    /// Nobody reads our stdout any more.
    pub(crate) is_broken: bool,
    /// stdout could not be put aside, and was passed on.
    pub(crate) leaked: Option<io::Error>,
}

impl Ended {
    const fn not_started(error: io::Error) -> Self {
        let ending = Ending::NotStarted(error);
        Self { ending, matched: false, spool: None, is_broken: false, leaked: None }
    }
}

impl Stage {
    pub(crate) fn new(kill_after: Duration, deadline: Option<Instant>) -> Result<Self, Refusal> {
        let signals = Signals::hear()
            .map_err(|error| Refusal::new(format!("signals cannot be heard: {error}")))?;
        // What the command leaves behind comes to us, so that we know when it is gone.
        #[cfg(target_os = "linux")]
        let _ = nix::sys::prctl::set_child_subreaper(true);
        let terminal = Terminal::find();
        Ok(Self { signals, terminal, kill_after, deadline, ended_by: None, by_terminal: false })
    }

    /// What follows has no deadline: a fallback answers when the call's time is over.
    pub(crate) fn lift_deadline(&mut self) {
        self.deadline = None;
    }

    /// Waits, unless someone wants an end; calls `show` with the time left now and then.
    pub(crate) fn wait(&mut self, delay: Duration, mut show: impl FnMut(Duration)) {
        let until = Instant::now() + delay;
        while self.ended_by.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            show(left);
            // To the next full second, so that the countdown counts.
            let whole = Duration::from_nanos(left.subsec_nanos().into());
            let nap = if whole.is_zero() { Duration::from_secs(1) } else { whole };
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, timeout(Some(nap.min(left))));
            for told in self.signals.take() {
                match told {
                    Told::End(signal) => self.ended_by = Some(signal),
                    Told::Pass(Signal::SIGTSTP) => {
                        stop_ourselves();
                    }
                    // Nobody is there to pass it on to.
                    Told::Pass(_) | Told::Resumed => {}
                    Told::Child => while reap(None).is_some() {},
                }
            }
        }
    }

    /// Starts the command and sees it through.
    pub(crate) fn run(&mut self, plan: Plan<'_>) -> Result<Ended, Refusal> {
        let Plan { mut command, stdin, stdout, pattern, timeout } = plan;
        command.stdin(stdin.ready()?).process_group(0);
        if stdout.is_some() {
            command.stdout(Stdio::piped());
        }
        if pattern.is_some() {
            command.stderr(Stdio::piped());
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(Ended::not_started(error)),
        };
        let own = |error| Refusal::new(format!("the command's pipes: {error}"));
        let streams = streams(&mut child, stdout, pattern).map_err(own)?;
        if let Some((replay, pipe)) = stdin.replay().zip(child.stdin.take()) {
            replay.start(OwnedFd::from(pipe)).map_err(own)?;
        }
        let leader = i32::try_from(child.id()).map(Pid::from_raw);
        let leader = leader.map_err(|_| Refusal::new("the command has no process id"))?;
        let now = Instant::now();
        let own_limit = timeout.and_then(|timeout| now.checked_add(timeout));
        let limit = match (own_limit, self.deadline) {
            (Some(own), Some(total)) if total <= own => Some((total, true)),
            (Some(own), _) => Some((own, false)),
            (None, total) => total.map(|total| (total, true)),
        };
        let mut running = Running {
            stage: self,
            group: leader,
            stdin,
            streams,
            status: None,
            limit,
            timed_out: None,
            phase: Phase::Untouched,
            has_terminal: false,
            wants_stop: false,
        };
        running.begin();
        running.see_through().map_err(own)
    }
}

fn streams(
    child: &mut Child,
    stdout: Option<Route>,
    pattern: Option<&Pattern>,
) -> io::Result<Vec<Stream>> {
    let mut streams = Vec::new();
    if let Some((pipe, route)) = child.stdout.take().zip(stdout) {
        streams.push(Stream::new(pipe.into(), Ours::Stdout, route, pattern)?);
    }
    if let Some(pipe) = child.stderr.take() {
        streams.push(Stream::new(pipe.into(), Ours::Stderr, Route::Through, pattern)?);
    }
    Ok(streams)
}

/// How far the group has been asked to end.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Untouched,
    /// The command has ended; what it left may go on until then.
    Left(Instant),
    /// SIGTERM was sent; SIGKILL follows then.
    Asked(Instant),
    /// SIGKILL was sent; after that nothing is waited for.
    Killed(Instant),
}

/// An attempt that is not over.
struct Running<'a> {
    stage: &'a mut Stage,
    /// The command, which is the leader of its group.
    group: Pid,
    stdin: &'a mut Stdin,
    streams: Vec<Stream>,
    status: Option<Ending>,
    /// When it is ended, and whether by the timeout of the whole call.
    limit: Option<(Instant, bool)>,
    timed_out: Option<bool>,
    phase: Phase,
    /// Its group was given the foreground.
    has_terminal: bool,
    /// It was asked to stop by us.
    wants_stop: bool,
}

impl Running<'_> {
    fn begin(&mut self) {
        if self.terminal(Terminal::is_ours_alone) {
            self.give_terminal();
        }
    }

    fn terminal(&self, is: impl FnOnce(&Terminal) -> bool) -> bool {
        self.stage.terminal.as_ref().is_some_and(is)
    }

    fn give_terminal(&mut self) {
        if let Some(terminal) = &self.stage.terminal {
            terminal.give(self.group);
            self.has_terminal = true;
        }
    }

    fn take_terminal(&self) {
        if let Some(terminal) = &self.stage.terminal {
            terminal.take(self.group);
        }
    }

    fn see_through(mut self) -> io::Result<Ended> {
        loop {
            self.hear();
            self.look_after();
            self.keep_time();
            if self.is_over()? {
                break;
            }
            self.attend()?;
        }
        self.take_terminal();
        let ending = match self.timed_out {
            Some(total) => Ending::TimedOut { total },
            None => self.status.take().unwrap_or(Ending::Exited(0)),
        };
        if let (Some(terminal), false) = (&self.stage.terminal, matches!(ending, Ending::Exited(_)))
        {
            terminal.restore();
        }
        if let Some(replay) = self.stdin.replay() {
            replay.stop();
        }
        let mut ended =
            Ended { ending, matched: false, spool: None, is_broken: false, leaked: None };
        for mut stream in self.streams {
            ended.matched |= stream.matches();
            ended.is_broken |= stream.is_broken;
            ended.leaked = ended.leaked.or_else(|| stream.has_leaked.take());
            ended.spool = ended.spool.or_else(|| stream.into_spool());
        }
        Ok(ended)
    }

    /// Takes in the signals that have arrived.
    fn hear(&mut self) {
        for told in self.stage.signals.take() {
            match told {
                Told::End(signal) => {
                    self.stage.ended_by.get_or_insert(signal);
                    self.send(signal);
                    self.send(Signal::SIGCONT);
                    if self.status.is_some() {
                        self.ask();
                    }
                }
                Told::Resumed => {
                    if self.has_terminal && self.terminal(Terminal::is_ours) {
                        self.give_terminal();
                    }
                    self.send(Signal::SIGCONT);
                }
                Told::Pass(signal) => {
                    self.wants_stop |= signal == Signal::SIGTSTP;
                    self.send(signal);
                }
                Told::Child => {}
            }
        }
    }

    /// Sees to children that have ended or stopped.
    fn look_after(&mut self) {
        loop {
            let status = match reap(Some(self.group)) {
                Some(Of::Leader(status)) => status,
                Some(Of::Other) => continue,
                None => return,
            };
            if let Some(code) = status.exit_status() {
                // The system keeps eight bits of it.
                self.end(Ending::Exited(u8::try_from(code & 255).unwrap_or(u8::MAX)));
            } else if let Some(signal) = status.terminating_signal() {
                self.end(Ending::Killed(signal));
            } else if let Some(signal) = status.stopping_signal() {
                self.stopped(signal);
            }
        }
    }

    fn end(&mut self, ending: Ending) {
        let group = self.group;
        if self.has_terminal && self.terminal(|terminal| terminal.is_of(group)) {
            // Ctrl-C went to the command alone. It means all of us.
            let by = match ending {
                Ending::Killed(signal @ (SIGINT | SIGQUIT)) => Signal::try_from(signal).ok(),
                Ending::Exited(130) => Some(Signal::SIGINT),
                _ => None,
            };
            if by.is_some() && self.timed_out.is_none() && self.stage.ended_by.is_none() {
                self.stage.ended_by = by;
                self.stage.by_terminal = true;
            }
        }
        self.status = Some(ending);
        if let Phase::Untouched = self.phase {
            self.phase = Phase::Left(Instant::now() + GRACE);
        }
        if self.stage.ended_by.is_some() {
            self.ask();
        }
    }

    fn stopped(&mut self, signal: i32) {
        let group = self.group;
        let reads = matches!(signal, SIGTTIN | SIGTTOU);
        let has = self.terminal(|terminal| terminal.is_of(group));
        // To continue it would undo a stop that was asked for, and that it has not come to yet.
        let asked = self.wants_stop || awaits(group, Signal::SIGTSTP);
        if reads && !asked && (has || self.terminal(Terminal::is_ours)) {
            // It wanted the terminal before we could give it, or in a pipeline.
            self.give_terminal();
            self.send(Signal::SIGCONT);
        } else if has || reads || self.wants_stop {
            self.wants_stop = false;
            self.take_terminal();
            let paused = stop_ourselves().unwrap_or_default();
            if has && self.terminal(Terminal::is_ours) {
                self.give_terminal();
            }
            // Time that nobody could use does not count.
            if let Some((limit, _)) = &mut self.limit {
                *limit += paused;
            }
            if let Some(deadline) = &mut self.stage.deadline {
                *deadline += paused;
            }
            self.send(Signal::SIGCONT);
        }
    }

    /// Sends to the whole group. It may be gone, or run as somebody else: nothing can be done then.
    fn send(&self, signal: Signal) {
        let _ = killpg(self.group, signal);
    }

    /// Asks the group to end.
    fn ask(&mut self) {
        if let Phase::Untouched | Phase::Left(_) = self.phase {
            self.send(Signal::SIGTERM);
            self.send(Signal::SIGCONT);
            self.phase = Phase::Asked(Instant::now() + self.stage.kill_after);
        }
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        if let (Some((limit, total)), None, None) = (self.limit, &self.status, self.timed_out) {
            if now >= limit {
                self.timed_out = Some(total);
                self.ask();
            }
        }
        match self.phase {
            Phase::Left(until) if now >= until => self.ask(),
            Phase::Asked(until) if now >= until => {
                self.send(Signal::SIGKILL);
                self.phase = Phase::Killed(now + GIVEN_UP);
            }
            _ => {}
        }
    }

    /// Whether the group is gone and all that it has written is where it belongs.
    fn is_over(&mut self) -> io::Result<bool> {
        if self.status.is_none() {
            return Ok(false);
        }
        let given_up = matches!(self.phase, Phase::Killed(until) if Instant::now() >= until);
        // Someone else's, after a change of user: it is theirs to end.
        let is_gone = killpg(self.group, None).is_err();
        if !is_gone && !given_up {
            return Ok(false);
        }
        for stream in &mut self.streams {
            while stream.pump()? {}
        }
        let is_written = self.streams.iter().all(|stream| stream.target().is_none());
        Ok(is_written || self.stage.ended_by.is_some())
    }

    /// Waits for something to happen, and moves bytes.
    fn attend(&mut self) -> io::Result<()> {
        let until = match self.phase {
            Phase::Untouched => self.limit.filter(|_| self.timed_out.is_none()).map(|(at, _)| at),
            Phase::Left(at) | Phase::Asked(at) => Some(at),
            // Past it there is nothing to do but to wait for its end.
            Phase::Killed(at) => Some(at).filter(|at| *at > Instant::now()),
        };
        let mut nap = until.map(|at| at.saturating_duration_since(Instant::now()));
        if self.status.is_some() {
            nap = Some(nap.map_or(LOOK, |nap| nap.min(LOOK)));
        }
        let reads_stdin = self.wait_for(nap)?;
        if let Some(replay) = self.stdin.replay() {
            if reads_stdin {
                replay.read()?;
            }
            if replay.has_more() {
                replay.write()?;
            }
        }
        for stream in &mut self.streams {
            // Some at a time: signals want to be heard as well.
            for _ in 0..16 {
                if !stream.pump()? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Sleeps until there is something to do. True if there is something to read from our stdin.
    fn wait_for(&mut self, nap: Option<Duration>) -> io::Result<bool> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let mut fds = vec![PollFd::new(self.stage.signals.as_fd(), PollFlags::POLLIN)];
        let replay = self.stdin.replay();
        let mut asks_stdin = false;
        if let Some(replay) = &replay {
            if replay.wants_more() {
                asks_stdin = true;
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            } else if replay.has_more() {
                fds.extend(replay.target().map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
            }
        }
        for stream in &self.streams {
            fds.extend(stream.source().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            fds.extend(stream.target().map(|ours| {
                let fd = match ours {
                    Ours::Stdout => stdout.as_fd(),
                    Ours::Stderr => stderr.as_fd(),
                };
                PollFd::new(fd, PollFlags::POLLOUT)
            }));
        }
        match poll(&mut fds, timeout(nap)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(asks_stdin && fds[1].any().unwrap_or(false))
    }
}

/// Rounded up, so that what is waited for is there afterwards.
fn timeout(nap: Option<Duration>) -> PollTimeout {
    let Some(nap) = nap else { return PollTimeout::NONE };
    let ms = nap.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
}

/// Whose end was seen.
enum Of {
    Leader(WaitStatus),
    /// Someone who was left to us.
    Other,
}

/// The next child that has ended or stopped.
fn reap(leader: Option<Pid>) -> Option<Of> {
    let (pid, status) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED).ok()??;
    let is_leader = leader.is_some_and(|leader| leader.as_raw() == pid.as_raw_nonzero().get());
    Some(if is_leader { Of::Leader(status) } else { Of::Other })
}
