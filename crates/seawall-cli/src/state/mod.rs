//! Breakers and budgets that all invocations share. The database holds state, never settings: those
//! belong to the invocation. Whatever is wrong with it, the command runs: unprotected, and told so.

mod clock;
mod row;
mod store;

pub(crate) use clock::Clock;
pub(crate) use row::Kept;
pub(crate) use store::{Problem, Store, place};

use crate::{
    run::policy::{Breaker, Budget},
    tell::{self, Teller, ms},
    words::show,
};
use rusqlite::{Connection, OptionalExtension};
use seawall::{
    CircuitBreaker, CircuitState, Describe, RetryBudget, Verdict,
    breaker::Transition,
    foreign::{self, Held, HeldWindow, Leave},
};
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    Rejected,
}

/// The shared state, as far as a call has to do with it.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Option<Store>,
    breaker: Option<Breaker>,
    budget: Option<Budget>,
    /// The call was admitted with this, then.
    ticket: Option<(u64, Instant)>,
}

/// What a decision on a breaker came to.
struct Decided<R> {
    answer: R,
    /// It moved.
    transition: Option<Transition>,
}

impl Shared {
    /// Opens the database, if the call needs it.
    pub(crate) fn open(
        path: Option<PathBuf>,
        breaker: Option<Breaker>,
        budget: Option<Budget>,
        teller: &mut Teller,
    ) -> Self {
        let mut shared = Self { store: None, breaker, budget, ticket: None };
        if shared.breaker.is_none() && shared.budget.is_none() {
            return shared;
        }
        let opened = match place(path) {
            Some(path) => Store::open(&path).map_err(|problem| (problem, Some(path))),
            None => Err((Problem::NoPlace, None)),
        };
        match opened {
            Ok(store) => shared.store = Some(store),
            Err((problem, path)) => {
                let path = path.map(|path| format!(" {}", path.display())).unwrap_or_default();
                shared.give_up(&format!("state{path}: {problem}"), teller);
            }
        }
        shared
    }

    /// Goes on without the state.
    fn give_up(&mut self, problem: &str, teller: &mut Teller) {
        self.store = None;
        self.ticket = None;
        teller.erase();
        tell::problem(&format!("{problem}; the command runs unprotected"));
        teller.event("state_unavailable", json!({ "problem": problem }));
    }

    fn lost(&mut self, error: rusqlite::Error, teller: &mut Teller) {
        self.give_up(&format!("state: {}", Problem::Database(error)), teller);
    }

    /// Asks for leave to make the call.
    pub(crate) fn acquire(&mut self, teller: &mut Teller) -> Admission {
        let (Some(store), Some(breaker)) = (&mut self.store, &self.breaker) else {
            return Admission::Admitted;
        };
        let name = breaker.name.clone();
        let decided = is_new_setting(store, "breaker", &name, &settings(&breaker.breaker()))
            .and_then(|is_new| Ok((is_new, decide(store, breaker, foreign::acquire)?)));
        let (is_new, decided) = match decided {
            Ok(decided) => decided,
            Err(error) => {
                self.lost(error, teller);
                return Admission::Admitted;
            }
        };
        if is_new {
            teller.line(&format!(
                "breaker {name:?} is also used with other settings; each call goes by its own"
            ));
        }
        tell_transition(&name, decided.transition, teller);
        match decided.answer {
            Leave::Admitted(ticket) => {
                self.ticket = Some((ticket, Instant::now()));
                Admission::Admitted
            }
            Leave::Passed => Admission::Admitted,
            Leave::Rejected(retry_after) => {
                let fields = json!({ "name": name, "retry_after_ms": retry_after.map(ms) });
                teller.event("circuit_breaker_rejected", fields);
                let advice = match retry_after {
                    Some(wait) => format!("try again in {}", show(whole(wait))),
                    None => "try again later".to_owned(),
                };
                teller.line(&format!("breaker {name:?} is open: {advice}"));
                Admission::Rejected
            }
        }
    }

    /// Tells the breaker how the call went.
    pub(crate) fn record(&mut self, verdict: Verdict, teller: &mut Teller) {
        let (Some(store), Some(breaker), Some((ticket, since))) =
            (&mut self.store, &self.breaker, self.ticket.take())
        else {
            return;
        };
        let took = Some(since.elapsed());
        let decided = decide(store, breaker, |breaker| {
            foreign::record(breaker, ticket, verdict, took);
        });
        match decided {
            Ok(decided) => tell_transition(&breaker.name, decided.transition, teller),
            Err(error) => self.lost(error, teller),
        }
    }

    /// Tells the budget how an attempt went.
    pub(crate) fn settle_attempt(&mut self, verdict: Verdict, retried: bool, teller: &mut Teller) {
        self.with_budget(teller, |budget| match verdict {
            Verdict::Success => budget.record_success(retried),
            Verdict::Transient { .. } => budget.record_failure(),
            Verdict::Permanent | Verdict::Ignored => {}
        });
    }

    /// Whether the budget pays for a retry.
    pub(crate) fn try_retry(&mut self, teller: &mut Teller) -> bool {
        self.with_budget(teller, RetryBudget::try_retry).unwrap_or(true)
    }

    fn with_budget<R>(
        &mut self,
        teller: &mut Teller,
        change: impl Fn(&RetryBudget) -> R,
    ) -> Option<R> {
        let (Some(store), Some(budget)) = (&mut self.store, &self.budget) else { return None };
        let changed = change_budget(store, budget, change);
        changed.map_err(|error| self.lost(error, teller)).ok()
    }
}

/// Rounded up: who comes back then is not too early.
fn whole(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

/// The settings in one line.
fn settings(breaker: &CircuitBreaker) -> String {
    let mut layers = Vec::new();
    breaker.describe(&mut layers);
    layers.first().map(|layer| format!("{layer:#}")).unwrap_or_default()
}

fn tell_transition(name: &str, transition: Option<Transition>, teller: &mut Teller) {
    let Some(transition) = transition else { return };
    let fields = json!({
        "name": name,
        "from": transition.from.as_str(),
        "to": transition.to.as_str(),
        "cause": transition.cause.as_str(),
        "open_for_ms": transition.open_for.map(ms),
    });
    teller.event("circuit_breaker_transition", fields);
    let what = match (transition.to, transition.open_for) {
        (CircuitState::Open, Some(time)) => format!("open: no call for {}", show(time)),
        (CircuitState::HalfOpen, _) => "half-open: this call is a probe".to_owned(),
        (state, _) => format!("{state} again"),
    };
    teller.line(&format!("breaker {name:?} is {what}"));
}

/// Whether others use this name with settings that are not these. True once for each.
fn is_new_setting(
    store: &mut Store,
    kind: &str,
    name: &str,
    settings: &str,
) -> rusqlite::Result<bool> {
    let is_known = |db: &Connection| {
        db.prepare_cached("SELECT 1 FROM settings WHERE (kind, name, settings) = (?1, ?2, ?3)")?
            .exists([kind, name, settings])
    };
    if is_known(&store.0)? {
        return Ok(false);
    }
    store.alone(|db| {
        if is_known(db)? {
            return Ok(false);
        }
        let others = db
            .prepare_cached("SELECT 1 FROM settings WHERE (kind, name) = (?1, ?2)")?
            .exists([kind, name])?;
        db.prepare_cached("INSERT INTO settings VALUES (?1, ?2, ?3)")?
            .execute([kind, name, settings])?;
        Ok(others)
    })
}

fn nothing(at: &Clock) -> Kept {
    let held = Held {
        state: CircuitState::Closed,
        generation: 0,
        reopenings: 0,
        failures: 0,
        probes_in_flight: 0,
        probe_successes: 0,
        left: 0,
        window: HeldWindow::Nothing,
    };
    Kept { held, at: at.clone(), rejected: 0, opened: 0 }
}

/// Makes one decision on the breaker as the database has it. Nothing is written that is as it was:
/// a healthy breaker costs two readings.
fn decide<R>(
    store: &mut Store,
    breaker: &Breaker,
    decide: impl Fn(&CircuitBreaker) -> R,
) -> rusqlite::Result<Decided<R>> {
    let on = |db: &Connection| -> rusqlite::Result<_> {
        let now = Clock::now();
        let kept = Kept::read(db, &breaker.name)?.map_or_else(|| nothing(&now), |k| k.aged(&now));
        let subject = breaker.breaker();
        let (before, answer, held) = foreign::at(now.tick(), || {
            foreign::remember(&subject, &kept.held);
            let before = foreign::hold(&subject);
            (before, decide(&subject), foreign::hold(&subject))
        });
        let counters = subject.counters();
        let after = Kept {
            rejected: kept.rejected + counters.rejected,
            opened: kept.opened + counters.opened,
            held,
            at: now,
        };
        let is_same = after.held == before && counters.rejected == 0;
        let decided = Decided { answer, transition: subject.last_transition() };
        Ok((decided, (!is_same).then_some(after)))
    };
    if let (decided, None) = on(&store.0)? {
        return Ok(decided);
    }
    // Once more, alone: another may have been faster.
    store.alone(|db| {
        let (decided, changed) = on(db)?;
        if let Some(after) = changed {
            after.write(db, &breaker.name)?;
        }
        Ok(decided)
    })
}

fn change_budget<R>(
    store: &mut Store,
    budget: &Budget,
    change: impl Fn(&RetryBudget) -> R,
) -> rusqlite::Result<R> {
    let on = |db: &Connection| -> rusqlite::Result<_> {
        let kept: Option<u64> = db
            .prepare_cached("SELECT tokens FROM budget WHERE name = ?1")?
            .query_row([&budget.name], |row| row.get(0))
            .optional()?;
        let subject = budget.with(kept);
        let before = foreign::tokens(subject);
        let answer = change(subject);
        let after = foreign::tokens(subject);
        Ok((answer, (after != before).then_some(after)))
    };
    if let (answer, None) = on(&store.0)? {
        return Ok(answer);
    }
    store.alone(|db| {
        let (answer, changed) = on(db)?;
        if let Some(tokens) = changed {
            db.prepare_cached("INSERT OR REPLACE INTO budget VALUES (?1, ?2)")?
                .execute((&budget.name, tokens))?;
        }
        Ok(answer)
    })
}

/// Moves a breaker by hand. None if there is none of that name.
pub(crate) fn by_hand(
    store: &mut Store,
    name: &str,
    make_it: bool,
    act: impl FnOnce(&CircuitBreaker),
) -> Result<Option<CircuitState>, Problem> {
    let moved = store.alone(|db| {
        let now = Clock::now();
        let kept = match Kept::read(db, name)? {
            Some(kept) => kept.aged(&now),
            None if make_it => nothing(&now),
            None => return Ok(None),
        };
        // What is set by hand has no times in it, so any settings will do.
        let subject = CircuitBreaker::new();
        let held = foreign::at(now.tick(), || {
            foreign::remember(&subject, &kept.held);
            act(&subject);
            foreign::hold(&subject)
        });
        let state = subject.state();
        if subject.last_transition().is_some() {
            Kept { held, at: now, ..kept }.write(db, name)?;
        }
        Ok(Some(state))
    })?;
    Ok(moved)
}

/// All breakers, as of now.
pub(crate) fn list(store: &Store) -> Result<Vec<(String, Kept)>, Problem> {
    let now = Clock::now();
    let all = Kept::read_all(&store.0)?;
    Ok(all.into_iter().map(|(name, kept)| (name, kept.aged(&now))).collect())
}
