//! stdout and stderr of an attempt, where they do not simply go where ours go.

use super::matcher::{Matcher, Pattern};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};
use tempfile::SpooledTempFile;

/// What is kept in memory; what is longer goes to a file that has no name.
const IN_MEMORY: usize = 1 << 20;
/// How much is read at once.
const PIECE: usize = 64 << 10;
/// A pipe that can be written takes so much without blocking (PIPE_BUF on Linux; elsewhere 512).
const SURE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Bytes that were put aside.
#[derive(Debug)]
pub(crate) struct Spool {
    file: SpooledTempFile,
    length: u64,
}

impl Spool {
    pub(crate) fn new() -> Self {
        Self { file: tempfile::spooled_tempfile(IN_MEMORY), length: 0 }
    }

    pub(crate) const fn len(&self) -> u64 {
        self.length
    }

    /// All or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The bytes from `at` on, as many as fit.
    pub(crate) fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(at))?;
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let fits = left.min(bytes.len());
        self.file.read(&mut bytes[..fits])
    }
}

/// Ours: where a stream ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ours {
    Stdout,
    Stderr,
}

impl Ours {
    /// Writes some. Never blocks where `is_ready` has been true, so that signals and time-outs keep
    /// their hour though nobody reads at the other end.
    fn write(self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(SURE)];
        match self {
            Self::Stdout => nix::unistd::write(io::stdout(), bytes),
            Self::Stderr => nix::unistd::write(io::stderr(), bytes),
        }
        .map_err(io::Error::from)
    }

    pub(crate) fn with_fd<R>(self, with: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
        match self {
            Self::Stdout => with(io::stdout().as_fd()),
            Self::Stderr => with(io::stderr().as_fd()),
        }
    }

    fn is_ready(self) -> bool {
        self.with_fd(|fd| {
            let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        })
    }
}

/// What becomes of one stream of an attempt.
#[derive(Debug)]
pub(crate) enum Route {
    /// Kept until it is known what it is worth.
    Spool(Spool),
    /// Passed on as it comes.
    Through,
}

/// One stream of an attempt, from our end of its pipe.
#[derive(Debug)]
pub(crate) struct Stream {
    from: Option<File>,
    to: Ours,
    route: Route,
    /// Read and not written yet; from `written` on.
    waiting: Vec<u8>,
    written: usize,
    matcher: Option<Matcher>,
    /// Nobody reads what we pass on.
    pub(crate) is_broken: bool,
    /// What could not be put aside was passed on.
    pub(crate) has_leaked: Option<io::Error>,
}

impl Stream {
    pub(crate) fn new(
        from: OwnedFd,
        to: Ours,
        route: Route,
        pattern: Option<&Pattern>,
    ) -> io::Result<Self> {
        not_blocking(&from)?;
        Ok(Self {
            from: Some(File::from(from)),
            to,
            route,
            waiting: Vec::new(),
            written: 0,
            matcher: pattern.map(Matcher::new),
            is_broken: false,
            has_leaked: None,
        })
    }

    /// What to wait for: something to read, once all that was read is written.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.from.as_ref().filter(|_| self.waiting.is_empty()).map(AsFd::as_fd)
    }

    /// What to wait for: room for what was read.
    pub(crate) fn target(&self) -> Option<Ours> {
        (!self.waiting.is_empty()).then_some(self.to)
    }

    /// Reads what is there, writes what can be written. True while it gets on.
    pub(crate) fn pump(&mut self) -> io::Result<bool> {
        if !self.waiting.is_empty() {
            return self.write_some();
        }
        let Some(from) = &mut self.from else { return Ok(false) };
        let mut piece = [0; PIECE];
        let read = match from.read(&mut piece) {
            Ok(0) => {
                self.from = None;
                return Ok(false);
            }
            Ok(read) => &piece[..read],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        if let Some(matcher) = &mut self.matcher {
            matcher.feed(read);
        }
        match &mut self.route {
            Route::Spool(spool) => {
                if let Err(error) = spool.append(read) {
                    let read = read.to_vec();
                    self.leak(error, &read)?;
                }
            }
            Route::Through => self.waiting.extend_from_slice(read),
        }
        Ok(true)
    }

    /// Nothing is lost for lack of room: what is put aside is passed on, and the rest as it comes.
    fn leak(&mut self, error: io::Error, read: &[u8]) -> io::Result<()> {
        if let Route::Spool(spool) = std::mem::replace(&mut self.route, Route::Through) {
            flush(spool, self.to, || false)?;
        }
        self.waiting.extend_from_slice(read);
        self.has_leaked = Some(error);
        Ok(())
    }

    fn write_some(&mut self) -> io::Result<bool> {
        if !self.to.is_ready() {
            return Ok(false);
        }
        match self.to.write(&self.waiting[self.written..]) {
            Ok(written) => self.written += written,
            Err(error) if is_passing(&error) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // As if the command had written there by itself: its next write tells it.
                self.is_broken = true;
                self.from = None;
                self.written = self.waiting.len();
            }
            Err(error) => return Err(error),
        }
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.written = 0;
        }
        Ok(true)
    }

    /// Whether what came so far, and nothing follows, matches.
    pub(crate) fn matches(&mut self) -> bool {
        self.matcher.as_mut().is_some_and(Matcher::matches)
    }

    /// What was put aside.
    pub(crate) fn into_spool(self) -> Option<Spool> {
        match self.route {
            Route::Spool(spool) => Some(spool),
            Route::Through => None,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Passes on what was put aside; ends early where `is_over` says so. False if nobody reads it.
pub(crate) fn flush(
    mut spool: Spool,
    to: Ours,
    mut is_over: impl FnMut() -> bool,
) -> io::Result<bool> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < spool.len() {
        let read = spool.read_at(at, &mut piece)?;
        at += read as u64;
        let mut left = &piece[..read];
        while !left.is_empty() {
            if is_over() {
                return Ok(true);
            }
            // Not for ever: `is_over` wants to be asked.
            let _ = to.with_fd(|fd| {
                poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::from(100_u8))
            });
            if !to.is_ready() {
                continue;
            }
            match to.write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if is_passing(&error) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(true)
}

/// Our end of a pipe only: the command's end is another description, and blocks as ever.
pub(crate) fn not_blocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_gives_back_what_it_took_in_memory_and_beyond() {
        let mut spool = Spool::new();
        let piece: Vec<u8> = (0..=255).cycle().take(100_003).collect();
        for _ in 0..25 {
            spool.append(&piece).expect("room");
        }
        assert_eq!(spool.len(), 2_500_075);
        let mut bytes = vec![0; 100_003];
        for at in [0, 1_100_033, 2_400_072] {
            let mut have = 0;
            while have < bytes.len() {
                let read = spool.read_at(at + have as u64, &mut bytes[have..]).expect("there");
                assert!(read > 0);
                have += read;
            }
            let start = usize::try_from(at).expect("small") % piece.len();
            assert!(bytes.iter().eq(piece.iter().cycle().skip(start).take(bytes.len())));
        }
        assert_eq!(spool.read_at(2_500_075, &mut bytes).expect("the end"), 0);
    }
}
