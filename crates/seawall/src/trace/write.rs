//! From the calls to the file: a queue that never blocks, and a thread that writes.

use super::{
    row::{HEADER, Row},
    run::{TraceAttempts, TraceCalls},
};
use crate::time::Moment;
use std::{
    fmt,
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvError, SyncSender, TryRecvError},
    },
    thread,
    time::Duration,
};

/// Writes a trace. See the [module](super).
///
/// Clones, and the layers that it gives, write to the same place. When the last of them is gone, what is
/// in the queue is still written, by a thread that nobody waits for: call [`finish`](Self::finish) before
/// a program ends.
#[derive(Clone)]
pub struct TraceWriter {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells the calls of one writer from those of another.
    number: u64,
    began: Moment,
    calls: AtomicU64,
    dropped: Arc<AtomicU64>,
    queue: SyncSender<Message>,
}

enum Message {
    Row(Row),
    /// There is nothing more to come: say how it went.
    Finish(SyncSender<io::Result<u64>>),
}

/// What became of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Rows that were written.
    pub rows: u64,
    /// Rows that were not: the queue was full, or the trace as long as it may be.
    pub dropped: u64,
}

impl TraceWriter {
    /// How many rows may wait to be written.
    pub const QUEUE: usize = 8192;

    /// How many rows a trace holds at most; what comes later is dropped. Some 400 MB.
    pub const MOST_ROWS: u64 = 10_000_000;

    /// A trace that begins now, written to `out` through a buffer.
    ///
    /// The buffer is flushed whenever nothing waits to be written, so the file is up to date in quiet
    /// times.
    ///
    /// # Errors
    /// The thread that writes cannot be started.
    pub fn new(out: impl Write + Send + 'static) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (queue, rows) = mpsc::sync_channel(Self::QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let too_late = Arc::clone(&dropped);
        thread::Builder::new()
            .name("seawall-trace".to_owned())
            .spawn(move || write(rows, BufWriter::new(out), &too_late))?;
        let shared = Shared {
            number: NEXT.fetch_add(1, Relaxed),
            began: Moment::now(),
            calls: AtomicU64::new(0),
            dropped,
            queue,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The outermost layer: says which attempts are of one call, and writes a row for a call that
    /// made none.
    pub fn calls(&self) -> TraceCalls {
        TraceCalls::new(self.clone())
    }

    /// The innermost layer: writes a row for each attempt. An `Ok` is a success and each error
    /// transient, unless [`classify_with`](TraceAttempts::classify_with) says otherwise.
    pub fn attempts(&self) -> TraceAttempts {
        TraceAttempts::new(self.clone())
    }

    /// How many rows were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Ends the trace, and waits until all of it is written and flushed. Rows of attempts that are
    /// still under way are dropped.
    ///
    /// # Errors
    /// A row could not be written; those after it were dropped. Or the trace has ended already.
    pub fn finish(&self) -> io::Result<Written> {
        let ended = || io::Error::other("the trace has ended already");
        let (tell, told) = mpsc::sync_channel(1);
        self.shared.queue.send(Message::Finish(tell)).map_err(|_| ended())?;
        let rows = told.recv().map_err(|_| ended())??;
        Ok(Written { rows, dropped: self.dropped() })
    }

    pub(super) fn number(&self) -> u64 {
        self.shared.number
    }

    /// The number of a call that begins.
    pub(super) fn next_call(&self) -> u64 {
        self.shared.calls.fetch_add(1, Relaxed) + 1
    }

    /// Time since the trace began.
    pub(super) fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    pub(super) fn put(&self, row: Row) {
        if self.shared.queue.try_send(Message::Row(row)).is_err() {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl fmt::Debug for TraceWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceWriter").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Ends with the last sender or with `Finish`. After the first row that cannot be written it only
/// counts what comes.
fn write(rows: Receiver<Message>, mut out: BufWriter<impl Write>, dropped: &AtomicU64) {
    let mut written = 0;
    let mut state = out.write_all(HEADER.as_bytes());
    loop {
        let message = match rows.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => {
                if state.is_ok() {
                    state = out.flush();
                }
                match rows.recv() {
                    Ok(message) => message,
                    Err(RecvError) => return,
                }
            }
            Err(TryRecvError::Disconnected) => {
                // Nobody is left to hear of it.
                let _ = out.flush();
                return;
            }
        };
        match message {
            Message::Row(row) => {
                if state.is_ok() && written < TraceWriter::MOST_ROWS {
                    state = row.write(&mut out);
                    written += u64::from(state.is_ok());
                } else {
                    dropped.fetch_add(1, Relaxed);
                }
            }
            Message::Finish(tell) => {
                let ended = state.and_then(|()| out.flush()).map(|()| written);
                let late = rows.try_iter().filter(|late| matches!(late, Message::Row(_))).count();
                dropped.fetch_add(late as u64, Relaxed);
                // Before it is told: what comes after finds nobody, and is counted by whoever sends it.
                drop(rows);
                // Whoever asked may have gone.
                let _ = tell.send(ended);
                return;
            }
        }
    }
}
