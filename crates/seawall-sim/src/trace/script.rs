//! What the modelled world asks of a trace while it is replayed.

use super::{
    Trace,
    answers::Source,
    replay::{Answered, Caught, Moved},
};
use crate::{
    engine::{self, Task, with},
    model::{
        Answer, Failure,
        request::{self, Answering},
    },
};
use seawall::{
    CircuitBreaker, CircuitBreakerOpenError, Error, Event, Rejection, RetryPolicy, trace::Outcome,
};
use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
    time::Duration,
};

/// How many transitions a replay tells of; the rest are counted.
const MOST_MOVES: usize = 10_000;

/// A replay in progress.
#[derive(Debug)]
pub(crate) struct Script {
    trace: Trace,
    seed: u64,
    /// For each call how many attempts it has made.
    made: Vec<u32>,
    pub(super) answered: Answered,
    pub(super) caught: Caught,
    pub(super) moves: Vec<Moved>,
    pub(super) more_moves: u64,
    pub(super) ended: u64,
}

impl Script {
    pub(super) fn new(trace: &Trace, seed: u64) -> Self {
        // Made before the run, which would hear of it.
        LazyLock::force(&IGNORED);
        LazyLock::force(&PERMANENT);
        Self {
            trace: trace.clone(),
            seed,
            made: vec![0; trace.calls()],
            answered: Answered::default(),
            caught: Caught::default(),
            moves: Vec::new(),
            more_moves: 0,
            ended: 0,
        }
    }

    /// When the call of this number comes.
    pub(crate) fn arrival(&self, call: usize) -> Option<u64> {
        self.trace.0.calls.get(call).map(|call| call.at)
    }

    pub(crate) fn key(&self, call: u32) -> u32 {
        self.trace.0.calls[call as usize].key
    }

    /// How long the caller waits before going away, if that is how it went.
    pub(crate) fn patience(&self, call: u32) -> Option<Duration> {
        self.trace.0.patience(call).map(Duration::from_nanos)
    }

    /// The answer to the next attempt of a call, and after how long it comes. None: it never does.
    pub(crate) fn answer(&mut self, call: u32, now: u64) -> Option<(u64, Result<Answer, Failure>)> {
        let attempt = self.made[call as usize];
        self.made[call as usize] += 1;
        let (row, source) = self.trace.0.answer(call, attempt, now, self.seed);
        *match source {
            Source::Own => &mut self.answered.own,
            Source::Near => &mut self.answered.near,
            Source::Far => &mut self.answered.far,
        } += 1;
        let reply = match row.outcome {
            Outcome::Success => Ok(Answer::Full),
            Outcome::Permanent | Outcome::Panicked => Err(Failure::Permanent),
            Outcome::Ignored => Err(Failure::Ignored),
            Outcome::TimedOut | Outcome::Cancelled => {
                self.answered.never += 1;
                return None;
            }
            _ => Err(Failure::Failed),
        };
        Some((row.took, reply))
    }

    pub(crate) fn hear(&mut self, now: u64, key: Option<u32>, event: &Event<'_>) {
        match event {
            Event::CircuitBreakerTransition { name, transition, .. } => {
                if self.moves.len() == MOST_MOVES {
                    self.more_moves += 1;
                    return;
                }
                self.moves.push(Moved {
                    at: Duration::from_nanos(now),
                    at_ms: (self.trace.0.began + now) as f64 / 1e6,
                    breaker: name.map(ToString::to_string),
                    key: key.map(|key| self.trace.keys()[key as usize].clone()),
                    from: transition.from.as_str(),
                    to: transition.to.as_str(),
                    cause: transition.cause.as_str(),
                    open_for: transition.open_for,
                    dry_run: transition.dry_run,
                });
            }
            Event::CircuitBreakerRejected { dry_run: false, .. } => self.caught.rejected += 1,
            Event::CircuitBreakerRejected { .. } => self.caught.rejected_in_dry_run += 1,
            Event::TimedOut { .. } => self.caught.timed_out += 1,
            Event::RetryExhausted { .. } => self.caught.retries_exhausted += 1,
            Event::FallbackUsed { .. } => self.caught.fallbacks += 1,
            _ => {}
        }
    }

    pub(crate) fn ended(&mut self) {
        self.ended += 1;
    }
}

/// A call whose caller goes away after `patience`.
pub(crate) fn leaving(task: Task, patience: Duration) -> Task {
    Box::pin(Leaving { task: Some(task), leaves: Box::pin(engine::sleep(patience)) })
}

/// A call, and when its caller goes away.
struct Leaving {
    task: Option<Task>,
    leaves: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Leaving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(task) = &mut this.task else { return Poll::Ready(()) };
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.leaves.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // As a caller does it: the call is dropped where it stands.
        this.task = None;
        with(|inside| {
            if let Some(script) = &mut inside.model.script {
                script.caught.left += 1;
            }
        });
        Poll::Ready(())
    }
}

/// The operation of a policy: [`request`], with its failure as policies are to see it.
pub(crate) fn operation() -> impl Future<Output = Result<Answer, Error<Failure>>> + Send {
    Raising(request::answering())
}

struct Raising(Answering);

impl Future for Raising {
    type Output = Result<Answer, Error<Failure>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(raise)
    }
}

/// The verdict was the recorded classifier's, so policies are given errors that mean it whatever reads
/// them: a retry that is exhausted is permanent to those around it, and a failure to a breaker; an open
/// breaker is permanent to a retry, and says nothing to a breaker.
#[cold]
fn raise(failure: Failure) -> Error<Failure> {
    match failure {
        Failure::Permanent => PERMANENT.clone(),
        Failure::Ignored => Error::Rejected(Rejection::CircuitBreakerOpen(IGNORED.clone())),
        failure => Error::Operation(failure),
    }
}

/// No breaker of a policy file has this name.
const NAME_OF_IGNORED: &str = "\0ignored";

static IGNORED: LazyLock<CircuitBreakerOpenError> = LazyLock::new(|| {
    let breaker = CircuitBreaker::new().named(NAME_OF_IGNORED.to_owned());
    breaker.isolate();
    breaker.try_acquire().map(drop).expect_err("it is held open")
});

static PERMANENT: LazyLock<Error<Failure>> = LazyLock::new(|| {
    let once = RetryPolicy::builder().max_attempts(1).build();
    once.run_blocking(|| Err::<(), _>(Failure::Permanent)).expect_err("it fails")
});

/// Whether a call ended with what [`raise`] made of an ignored outcome, and with no rejection.
pub(crate) fn true_outcome(
    outcome: &Result<Answer, Error<Failure>>,
) -> Option<Result<Answer, Error<Failure>>> {
    let Some(Rejection::CircuitBreakerOpen(open)) = outcome.as_ref().err()?.rejection() else {
        return None;
    };
    let is_ignored = open.name().is_some_and(|name| name.as_str() == NAME_OF_IGNORED);
    is_ignored.then_some(Err(Error::Operation(Failure::Ignored)))
}
