//! How far it is, at a terminal; and how it is ended early.

use crate::{
    run::signals::is_ignored,
    tell::Teller,
    words::{Refusal, show},
};
use seawall_sim::Progress;
use signal_hook::{consts::signal, flag};
use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Sees a run through.
pub(super) struct Watch {
    teller: Teller,
    stop: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Watch {
    /// From here on, Ctrl-C and SIGTERM end the run with what there is; a second one ends it at once.
    pub(super) fn begin(quiet: bool) -> Result<Self, Refusal> {
        let watch =
            Self { teller: Teller::new(quiet, None), stop: Arc::default(), signal: Arc::default() };
        for (nr, number) in [(signal::SIGINT, 2_usize), (signal::SIGTERM, 15)] {
            if is_ignored(nr) {
                continue;
            }
            // In this order: the first one finds the flag down.
            flag::register_conditional_shutdown(nr, 128 + nr, Arc::clone(&watch.stop))
                .and_then(|_| flag::register_usize(nr, Arc::clone(&watch.signal), number))
                .and_then(|_| flag::register(nr, Arc::clone(&watch.stop)))
                .map_err(|error| Refusal::new(format!("signals: {error}")))?;
        }
        Ok(watch)
    }

    /// Says something beside the report.
    pub(super) fn line(&self, text: &str) {
        self.teller.line(text);
    }

    /// The exit status, if a signal ended it.
    pub(super) fn ended_by(&self) -> Option<u8> {
        let stopped = self.stop.load(Ordering::SeqCst);
        let number = u8::try_from(self.signal.load(Ordering::SeqCst)).unwrap_or_default();
        stopped.then_some(128 + number)
    }

    /// Runs `work`, and shows how far it is.
    pub(super) fn over<R>(
        &self,
        work: impl FnOnce(&AtomicBool, &(dyn Fn(Progress) + Sync)) -> R,
    ) -> R {
        if !self.teller.is_live() {
            return work(&self.stop, &|_| ());
        }
        let far: Mutex<(Option<Progress>, bool)> = Mutex::default();
        let ended = Condvar::new();
        let begun = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut state = far.lock().unwrap_or_else(PoisonError::into_inner);
                while !state.1 {
                    self.teller.show(&line(state.0, begun.elapsed()));
                    let waited = ended.wait_timeout(state, Duration::from_millis(200));
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            });
            // Also where a policy panics: the line must not wait for ever.
            let _end = End(&far, &ended);
            work(&self.stop, &|now| {
                far.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(now);
            })
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.teller.erase();
    }
}

struct End<'a>(&'a Mutex<(Option<Progress>, bool)>, &'a Condvar);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.1.notify_all();
    }
}

/// `[#####.....] 12 of 24 runs, 4.1 M attempts a second, 12 s left`
fn line(far: Option<Progress>, elapsed: Duration) -> String {
    const WIDTH: usize = 20;
    let Some(Progress { done, all, attempts, .. }) = far.filter(|far| far.done > 0) else {
        return format!("[{}] {}", ".".repeat(WIDTH), show(elapsed));
    };
    let full = (done * WIDTH / all.max(1)).min(WIDTH);
    let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let left = elapsed.mul_f64(all.saturating_sub(done) as f64 / done as f64);
    let rate = match attempts as f64 / seconds {
        rate if rate >= 1e6 => format!("{:.1} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.0} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    };
    format!("[{bar}] {done} of {all} runs, {rate} attempts a second, {} left", show(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_far_how_fast_and_how_long() {
        assert_eq!(line(None, Duration::from_secs(2)), "[....................] 2 s");
    }
}
