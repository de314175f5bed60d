//! The circuit breaker: leave to make calls, as tickets that Python hands back with their outcome.

use crate::{
    policies::BreakerSettings,
    retry::settings,
    values::{age, given, lonely, number, refused, seconds, tick, whole},
};
use pyo3::{IntoPyObjectExt, intern, prelude::*, types::PyDict};
use seawall::{
    CircuitBreaker, Event, Tick, Verdict,
    breaker::{Mode, Transition},
    foreign::{self, Leave},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// What Python has to tell its observers of, in the order in which it happened.
enum Told {
    Moved(Transition),
    Abandoned,
    Stale,
}

#[derive(Default)]
struct Feed {
    waiting: VecDeque<Told>,
    /// Someone is telling already: who comes later only adds to what is told.
    telling: bool,
}

/// The breaker, to be subclassed by Python's, which has the slots `_seen` and `_quiet`.
///
/// `_seen` holds the ticket of any call while the breaker is closed, else `None`. `_quiet` holds the very
/// same object while one more success changes nothing that can be seen. Every change of the breaker goes
/// through here, with the interpreter's lock held, so they are never behind.
#[pyclass(frozen, subclass, module = "seawall._seawall")]
pub(crate) struct Breaker {
    pub(crate) breaker: Arc<CircuitBreaker>,
    feed: Arc<Mutex<Feed>>,
    /// The ticket that `_seen` holds; all ones for none.
    shown: AtomicU64,
    shown_quiet: AtomicBool,
}

const NOTHING: u64 = u64::MAX;

fn lock(feed: &Mutex<Feed>) -> MutexGuard<'_, Feed> {
    feed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reading that costs a tenth of an exact one, and how far it may be ahead of that, in ms. Never behind.
pub(crate) fn coarse_clock() -> (Tick, u64) {
    static AHEAD: OnceLock<(u64, u64)> = OnceLock::new();
    let (ahead, step) = *AHEAD.get_or_init(|| {
        // The coarse reading is up to a step old: what lies between it and the exact one is too much by
        // that at most, and a step on top makes up for the age of the readings to come.
        let (coarse, step) = (Tick::now().as_millis(), foreign::step());
        (clock(None).as_millis().wrapping_sub(coarse).wrapping_add(step), step)
    });
    (Tick::from_millis(Tick::now().as_millis().wrapping_add(ahead)), 2 * step + 1)
}

/// The time that Python gives, or else the machine's, exact as Python's own monotonic clock is: a breaker
/// that reopens in 50 ms does so when a test that has slept 50 ms looks at it.
pub(crate) fn clock(now: Option<f64>) -> Tick {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    tick(now.unwrap_or_else(|| EPOCH.get_or_init(Instant::now).elapsed().as_secs_f64()))
}

fn given_or<T>(
    value: Option<&Bound<'_, PyAny>>,
    read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    given(value).map(read).transpose()
}

#[pymethods]
impl Breaker {
    #[new]
    #[pyo3(signature = (*, failure_threshold=None, recovery_timeout=None, name=None, success_threshold=None,
        failure_window=None, over_calls=None, failure_rate=None, minimum_calls=None, slow_call_rate=None,
        slow_call_duration=None, recovery_multiplier=None, max_recovery_timeout=None, recovery_jitter=None,
        probes=None, probe_lease=None, dry_run=false, made=None))]
    #[expect(clippy::too_many_arguments, reason = "one for each setting")]
    fn new(
        failure_threshold: Option<&Bound<'_, PyAny>>,
        recovery_timeout: Option<&Bound<'_, PyAny>>,
        name: Option<String>,
        success_threshold: Option<&Bound<'_, PyAny>>,
        failure_window: Option<&Bound<'_, PyAny>>,
        over_calls: Option<&Bound<'_, PyAny>>,
        failure_rate: Option<&Bound<'_, PyAny>>,
        minimum_calls: Option<&Bound<'_, PyAny>>,
        slow_call_rate: Option<&Bound<'_, PyAny>>,
        slow_call_duration: Option<&Bound<'_, PyAny>>,
        recovery_multiplier: Option<&Bound<'_, PyAny>>,
        max_recovery_timeout: Option<&Bound<'_, PyAny>>,
        recovery_jitter: Option<&Bound<'_, PyAny>>,
        probes: Option<&Bound<'_, PyAny>>,
        probe_lease: Option<&Bound<'_, PyAny>>,
        dry_run: bool,
        made: Option<&BreakerSettings>,
    ) -> PyResult<Self> {
        let mut builder = made.map_or_else(CircuitBreaker::builder, |made| made.0);
        if let Some(value) = given_or(failure_threshold, |v| whole("failure_threshold", v))? {
            builder = builder.failure_threshold(value);
        }
        if let Some(value) = given_or(recovery_timeout, |v| seconds("recovery_timeout", v))? {
            builder = builder.recovery_timeout(value);
        }
        if let Some(value) = given_or(success_threshold, |v| whole("success_threshold", v))? {
            builder = builder.successes_to_close(value);
        }
        if let Some(value) = given_or(failure_window, |v| seconds("failure_window", v))? {
            builder = builder.over_time(value);
        }
        if let Some(value) = given_or(over_calls, |v| whole("over_calls", v))? {
            if let Some(window) = given(failure_window) {
                return Err(crate::values::wrong_value(
                    "failure_window",
                    "left out where `over_calls` is given",
                    window,
                ));
            }
            builder = builder.over_calls(value);
        }
        if let Some(value) = given_or(failure_rate, |v| number("failure_rate", v))? {
            builder = builder.failure_rate(value);
        }
        if let Some(value) = given_or(minimum_calls, |v| whole("minimum_calls", v))? {
            builder = builder.minimum_calls(value);
        }
        match (given(slow_call_rate), given(slow_call_duration)) {
            (Some(rate), Some(least)) => {
                let (rate, least) =
                    (number("slow_call_rate", rate)?, seconds("slow_call_duration", least)?);
                builder = builder.slow_call_rate(rate, least);
            }
            (Some(rate), None) => {
                return Err(lonely("slow_call_rate", rate, "slow_call_duration"));
            }
            (None, Some(least)) => {
                return Err(lonely("slow_call_duration", least, "slow_call_rate"));
            }
            (None, None) => {}
        }
        if let Some(value) = given_or(recovery_multiplier, |v| number("recovery_multiplier", v))? {
            builder = builder.recovery_multiplier(value);
        }
        if let Some(value) = given_or(max_recovery_timeout, |v| seconds("max_recovery_timeout", v))?
        {
            builder = builder.max_recovery_timeout(value);
        }
        if let Some(value) = given_or(recovery_jitter, |v| number("recovery_jitter", v))? {
            builder = builder.recovery_jitter(value);
        }
        if let Some(value) = given_or(probes, |v| whole("probes", v))? {
            builder = builder.probes(value);
        }
        if let Some(value) = given_or(probe_lease, |v| seconds("probe_lease", v))? {
            builder = builder.probe_lease(value);
        }
        let mut breaker = builder.try_build().map_err(|invalid| refused(&invalid))?;
        if let Some(name) = name {
            breaker = breaker.named(name);
        }
        if dry_run {
            breaker.set_mode(Mode::DryRun);
        }
        let feed = Arc::new(Mutex::new(Feed::default()));
        breaker.observe({
            let feed = Arc::clone(&feed);
            move |event: &Event<'_>| {
                let told = match event {
                    Event::CircuitBreakerTransition { transition, .. } => Told::Moved(*transition),
                    Event::ProbeAbandoned { .. } => Told::Abandoned,
                    Event::StaleOutcome { .. } => Told::Stale,
                    _ => return,
                };
                lock(&feed).waiting.push_back(told);
            }
        });
        Ok(Self {
            breaker: Arc::new(breaker),
            feed,
            shown: AtomicU64::new(NOTHING),
            shown_quiet: AtomicBool::new(false),
        })
    }

    /// Asks for leave to make a call: a ticket, -1 where it only passes, or no leave: the seconds until
    /// one may ask again, or `None` where that is not known.
    #[pyo3(signature = (now=None))]
    fn _acquire<'py>(slf: &Bound<'py, Self>, now: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        Self::ask(slf, clock(now))
    }

    /// Asks as if the open time were over: an open breaker becomes half-open.
    #[pyo3(signature = (now=None))]
    fn _probe_early<'py>(slf: &Bound<'py, Self>, now: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let now = clock(now);
        let breaker = &slf.get().breaker;
        let wait = foreign::at(now, || breaker.time_until_probe()).unwrap_or_default();
        Self::ask(slf, now.after(wait))
    }

    /// Takes the outcome of a call. True if there is something to tell the observers.
    #[pyo3(signature = (ticket, failed, took=None, now=None))]
    fn _record(
        slf: &Bound<'_, Self>,
        ticket: i128,
        failed: bool,
        took: Option<f64>,
        now: Option<f64>,
    ) -> PyResult<bool> {
        let this = slf.get();
        if let Ok(ticket) = u64::try_from(ticket) {
            let verdict = if failed { Verdict::TRANSIENT } else { Verdict::Success };
            foreign::at(clock(now), || {
                foreign::record(&this.breaker, ticket, verdict, took.map(age));
            });
        }
        Self::_show(slf)?;
        Ok(!lock(&this.feed).waiting.is_empty())
    }

    /// Gives a ticket back without an outcome, at whatever time: a clock that has failed must not keep it
    /// from that. True if there is something to tell the observers.
    fn _abandon(slf: &Bound<'_, Self>, ticket: i128) -> PyResult<bool> {
        let this = slf.get();
        if let Ok(ticket) = u64::try_from(ticket) {
            foreign::abandon(&this.breaker, ticket);
        }
        Self::_show(slf)?;
        Ok(!lock(&this.feed).waiting.is_empty())
    }

    /// Moves the breaker by hand.
    #[pyo3(signature = (how, now=None))]
    fn _by_hand(slf: &Bound<'_, Self>, how: &str, now: Option<f64>) -> PyResult<()> {
        let this = slf.get();
        foreign::at(clock(now), || match how {
            "isolate" => this.breaker.isolate(),
            "close" => this.breaker.close(),
            _ => this.breaker.reset(),
        });
        Self::_show(slf)
    }

    /// Brings `_seen` and `_quiet` up to date.
    fn _show(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let py = slf.py();
        let (seen, still) = (intern!(py, "_seen"), intern!(py, "_quiet"));
        let (ticket, quiet) = foreign::closed(&this.breaker).unwrap_or((NOTHING, false));
        let shown = this.shown.load(Relaxed);
        let same = match (shown, ticket) {
            (NOTHING, ticket) => ticket == NOTHING,
            (_, NOTHING) => false,
            (shown, ticket) => foreign::same_generation(shown, ticket),
        };
        if same && this.shown_quiet.load(Relaxed) == quiet {
            return Ok(());
        }
        if !same {
            this.shown.store(ticket, Relaxed);
            if ticket == NOTHING {
                slf.setattr(seen, py.None())?;
            } else {
                slf.setattr(seen, ticket)?;
            }
        }
        this.shown_quiet.store(quiet, Relaxed);
        slf.setattr(still, if quiet { slf.getattr(seen)? } else { py.None().into_bound(py) })
    }

    /// The state in one word.
    #[getter]
    fn _state(&self) -> &'static str {
        self.breaker.state().as_str()
    }

    #[pyo3(signature = (now=None))]
    fn _time_until_probe(&self, now: Option<f64>) -> Option<f64> {
        foreign::at(clock(now), || self.breaker.time_until_probe()).map(|time| time.as_secs_f64())
    }

    #[pyo3(signature = (now=None))]
    fn _counters<'py>(&self, py: Python<'py>, now: Option<f64>) -> PyResult<Bound<'py, PyDict>> {
        let counters = foreign::at(clock(now), || self.breaker.counters());
        let all = PyDict::new(py);
        all.set_item("consecutive_failures", counters.consecutive_failures)?;
        all.set_item("calls", counters.calls)?;
        all.set_item("failures", counters.failures)?;
        all.set_item("slow_calls", counters.slow_calls)?;
        all.set_item("probes_in_flight", counters.probes_in_flight)?;
        all.set_item("probe_successes", counters.probe_successes)?;
        all.set_item("reopenings", counters.reopenings)?;
        all.set_item("rejected", counters.rejected)?;
        all.set_item("opened", counters.opened)?;
        Ok(all)
    }

    #[pyo3(signature = (now=None))]
    fn _failure_rate(&self, now: Option<f64>) -> Option<f64> {
        foreign::at(clock(now), || self.breaker.failure_rate())
    }

    fn _settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        settings(py, &*self.breaker)
    }

    /// The next thing to tell, as `(kind, from, to, cause, open_for)`; `None` if there is nothing, or if
    /// another thread, or a caller further up, is telling: it will come to it.
    fn _next_told(
        &self,
        first: bool,
    ) -> Option<(&'static str, &'static str, &'static str, &'static str, Option<f64>)> {
        let mut feed = lock(&self.feed);
        if first && feed.telling {
            return None;
        }
        let told = feed.waiting.pop_front();
        feed.telling = told.is_some();
        Some(match told? {
            Told::Moved(Transition { from, to, cause, open_for, .. }) => (
                "transition",
                from.as_str(),
                to.as_str(),
                cause.as_str(),
                open_for.map(|time| time.as_secs_f64()),
            ),
            Told::Abandoned => ("probe_abandoned", "", "", "", None),
            Told::Stale => ("stale_outcome", "", "", "", None),
        })
    }

    /// Whoever was telling has stopped before all was told.
    fn _stopped_telling(&self) {
        lock(&self.feed).telling = false;
    }
}

impl Breaker {
    fn ask<'py>(slf: &Bound<'py, Self>, now: Tick) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match foreign::at(now, || foreign::acquire(&slf.get().breaker)) {
            Leave::Admitted(ticket) => {
                Self::_show(slf)?;
                ticket.into_bound_py_any(py)
            }
            Leave::Passed => (-1).into_bound_py_any(py),
            Leave::Rejected(Some(after)) => after.as_secs_f64().into_bound_py_any(py),
            Leave::Rejected(None) => Ok(py.None().into_bound(py)),
        }
    }
}
