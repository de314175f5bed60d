//! stdin, so that every attempt reads the same.

use super::output::{Spool, not_blocking};
use crate::words::Refusal;
use nix::{
    sys::stat::{SFlag, fstat},
    unistd::{Whence, lseek},
};
use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Stdio,
};

/// What stdin is, and what each attempt gets.
#[derive(Debug)]
pub(crate) enum Stdin {
    /// A terminal, a device; or whatever it is where there is one attempt.
    Inherited,
    /// Nothing is read.
    Nothing,
    /// A file, from where it stood at first.
    Rewound(i64),
    /// A pipe or socket, from memory.
    Replayed(Replay),
}

impl Stdin {
    pub(crate) fn new(none: bool, once: bool, limit: u64) -> Result<Self, Refusal> {
        if none {
            return Ok(Self::Nothing);
        }
        let stdin = io::stdin();
        let kind =
            fstat(&stdin).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        Ok(match kind {
            Ok(SFlag::S_IFREG) => match lseek(&stdin, 0, Whence::SeekCur) {
                Ok(at) => Self::Rewound(at),
                Err(error) => return Err(Refusal::new(format!("stdin has no place: {error}"))),
            },
            Ok(SFlag::S_IFIFO | SFlag::S_IFSOCK) if !once => Self::Replayed(Replay::new(limit)),
            _ => Self::Inherited,
        })
    }

    /// What the next attempt gets.
    pub(crate) fn ready(&mut self) -> Result<Stdio, Refusal> {
        Ok(match self {
            Self::Inherited => Stdio::inherit(),
            Self::Nothing => Stdio::null(),
            Self::Rewound(at) => {
                lseek(io::stdin(), *at, Whence::SeekSet)
                    .map_err(|error| Refusal::new(format!("stdin cannot be rewound: {error}")))?;
                Stdio::inherit()
            }
            Self::Replayed(replay) => {
                replay.rewind();
                Stdio::piped()
            }
        })
    }

    pub(crate) fn replay(&mut self) -> Option<&mut Replay> {
        match self {
            Self::Replayed(replay) => Some(replay),
            _ => None,
        }
    }

    /// Whether an attempt to come would read less than the first.
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Replayed(Replay { kept: None, .. }))
    }
}

/// A pipe whose bytes are kept, up to a limit.
#[derive(Debug)]
pub(crate) struct Replay {
    /// None once the limit was passed.
    kept: Option<Spool>,
    limit: u64,
    /// Everything was read.
    ended: bool,
    /// How much of what is kept this attempt was given.
    given: u64,
    /// Read and not written yet, from `written` on.
    waiting: Vec<u8>,
    written: usize,
    to: Option<File>,
}

impl Replay {
    fn new(limit: u64) -> Self {
        let kept = Some(Spool::new());
        Self { kept, limit, ended: false, given: 0, waiting: Vec::new(), written: 0, to: None }
    }

    fn rewind(&mut self) {
        self.given = 0;
        self.waiting.clear();
        self.written = 0;
        self.to = None;
    }

    pub(crate) fn start(&mut self, to: OwnedFd) -> io::Result<()> {
        not_blocking(&to)?;
        self.to = Some(File::from(to));
        Ok(())
    }

    /// The attempt is over.
    pub(crate) fn stop(&mut self) {
        self.to = None;
    }

    fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.kept.as_ref().is_some_and(|kept| self.given < kept.len())
    }

    /// Where there is something to write, or nothing ever again.
    pub(crate) fn target(&self) -> Option<BorrowedFd<'_>> {
        self.to.as_ref().map(AsFd::as_fd)
    }

    /// Whether our stdin has to be read before anything can be written.
    pub(crate) fn wants_more(&self) -> bool {
        self.to.is_some() && !self.ended && !self.is_behind()
    }

    /// Whether there is something to write.
    pub(crate) fn has_more(&self) -> bool {
        self.to.is_some() && (self.ended || self.is_behind())
    }

    /// Reads our stdin, where that will not block.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 64 << 10];
        let read = match nix::unistd::read(io::stdin(), &mut piece).map_err(io::Error::from) {
            Ok(0) => {
                self.ended = true;
                return Ok(());
            }
            Ok(read) => read,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.waiting.extend_from_slice(&piece[..read]);
        if let Some(kept) = &mut self.kept {
            // No room for it is as good as past the limit.
            let fits = kept.len() + read as u64 <= self.limit;
            if fits && kept.append(&piece[..read]).is_ok() {
                self.given = kept.len();
            } else {
                self.kept = None;
            }
        }
        Ok(())
    }

    /// Writes to the command what it takes.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            self.written = 0;
            match &mut self.kept {
                Some(kept) if self.given < kept.len() => {
                    self.waiting.resize(64 << 10, 0);
                    let read = kept.read_at(self.given, &mut self.waiting)?;
                    self.waiting.truncate(read);
                    self.given += read as u64;
                }
                _ if self.ended => self.to = None,
                _ => {}
            }
        }
        let Some(to) = &mut self.to else { return Ok(()) };
        if self.waiting.is_empty() {
            return Ok(());
        }
        match to.write(&self.waiting[self.written..]) {
            Ok(written) => self.written += written,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // The command reads no more, which is its business.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.to = None,
            Err(error) => return Err(error),
        }
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.written = 0;
        }
        Ok(())
    }
}
