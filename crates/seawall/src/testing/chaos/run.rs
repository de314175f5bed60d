//! DRIVE: waits, and does to the call what was decided.

use super::{
    Chaos,
    makers::{Makers, Returns},
    plan::{Fate, Kind},
};
use crate::{
    error::{Error, Rejection},
    event::{self, Event},
    policy::BlockingPolicy,
    time,
};

impl<M> Chaos<M> {
    /// Numbers the call, and decides what happens to it.
    #[cold]
    fn begin(&self) -> Fate {
        let fate = self.plan.fate(self.switch.next_call());
        for _ in 0..fate.latencies {
            self.note(&fate, Kind::Latency(fate.delay));
        }
        fate
    }

    /// Counts a fault that takes effect, and tells of it.
    fn note(&self, fate: &Fate, kind: Kind) {
        self.switch.count(kind);
        event::tell(&Event::FaultInjected { fault: kind.as_str(), call: fate.call }, &[]);
    }

    /// What hits the call before its operation starts, if anything does.
    #[cold]
    #[expect(clippy::panic, reason = "asked for by the test")]
    fn strike<T, E>(&self, fate: &Fate) -> Option<Struck<E>>
    where
        M: Makers<T, E>,
    {
        let (at, kind) = fate.hit?;
        if kind != Kind::WrongResult {
            self.note(fate, kind);
        }
        match kind {
            Kind::Error => Some(Struck::Ended(match self.makers.error(at) {
                Some(error) => Error::Operation(error),
                // Each fault of this kind brings its maker; without one it would be this.
                None => Error::Rejected(Rejection::Injected),
            })),
            Kind::Rejection => Some(Struck::Ended(Error::Rejected(Rejection::Injected))),
            Kind::Hang => Some(Struck::Hangs),
            Kind::Panic => panic!("injected by chaos into call {}", fate.call),
            Kind::Latency(_) | Kind::WrongResult => None,
        }
    }

    /// The operation's result, or a wrong one in its place.
    fn result<T, E>(&self, fate: &Fate, value: T) -> T
    where
        M: Makers<T, E>,
    {
        match fate.hit {
            Some((at, kind @ Kind::WrongResult)) => {
                self.note(fate, kind);
                self.makers.falsify(at, value)
            }
            _ => value,
        }
    }
}

/// A call that does not reach its operation.
enum Struck<E> {
    Ended(Error<E>),
    Hangs,
}

impl<T, E, M: Makers<T, E> + Returns> BlockingPolicy<T, E> for Chaos<M> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        if !self.switch.is_on() {
            return op();
        }
        let fate = self.begin();
        if !fate.delay.is_zero() {
            time::sleep_blocking(fate.delay);
        }
        // A hang is none of the faults here: `Returns` says so.
        if let Some(Struck::Ended(error)) = self.strike(&fate) {
            return Err(error);
        }
        op().map(|value| self.result(&fate, value))
    }
}

#[cfg(feature = "tokio")]
mod waiting {
    use super::{Chaos, Error, Fate, Makers, Struck, time};
    use crate::{attempt::Attempt, erased::BoxFuture, policy::Policy};
    use pin_project_lite::pin_project;
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    impl<T, E, M> Policy<T, E> for Chaos<M>
    where
        M: Makers<T, E> + Send + Sync,
    {
        fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
        where
            F: Fn() -> Fut + Send + Sync,
            Fut: Future<Output = Result<T, Error<E>>> + Send,
        {
            Disturbed { chaos: self, attempt: Attempt::new(op), phase: Phase::New }
        }
    }

    pin_project! {
        /// A call through chaos. By hand, so that one that is off adds next to nothing.
        struct Disturbed<'a, M, F, Fut> {
            chaos: &'a Chaos<M>,
            #[pin]
            attempt: Attempt<F, Fut>,
            phase: Phase,
        }
    }

    enum Phase {
        /// Nothing is decided before the first poll.
        New,
        /// It runs undisturbed.
        Spared,
        Hit(Box<Hit>),
    }

    /// A call that was numbered while chaos was on.
    struct Hit {
        fate: Fate,
        step: Step,
    }

    enum Step {
        Waiting(BoxFuture<'static, ()>),
        Striking,
        Running,
        Hanging,
    }

    impl<T, E, M, F, Fut> Future for Disturbed<'_, M, F, Fut>
    where
        M: Makers<T, E>,
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, Error<E>>>,
    {
        type Output = Result<T, Error<E>>;

        #[inline]
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let this = self.project();
            let chaos = *this.chaos;
            if let Phase::New = this.phase {
                *this.phase = if chaos.switch.is_on() { chaos.hit() } else { Phase::Spared };
            }
            match this.phase {
                Phase::Hit(hit) => hit.poll(chaos, this.attempt, cx),
                _ => this.attempt.poll(cx),
            }
        }
    }

    impl<M> Chaos<M> {
        #[cold]
        fn hit(&self) -> Phase {
            let fate = self.begin();
            let step = if fate.delay.is_zero() {
                Step::Striking
            } else {
                Step::Waiting(Box::pin(time::sleep(fate.delay)))
            };
            Phase::Hit(Box::new(Hit { fate, step }))
        }
    }

    impl Hit {
        #[cold]
        fn poll<T, E, M, F, Fut>(
            &mut self,
            chaos: &Chaos<M>,
            mut attempt: Pin<&mut Attempt<F, Fut>>,
            cx: &mut Context<'_>,
        ) -> Poll<Result<T, Error<E>>>
        where
            M: Makers<T, E>,
            F: Fn() -> Fut,
            Fut: Future<Output = Result<T, Error<E>>>,
        {
            loop {
                match &mut self.step {
                    Step::Waiting(sleep) => {
                        if sleep.as_mut().poll(cx).is_pending() {
                            return Poll::Pending;
                        }
                        self.step = Step::Striking;
                    }
                    Step::Striking => match chaos.strike(&self.fate) {
                        Some(Struck::Ended(error)) => {
                            attempt.end();
                            return Poll::Ready(Err(error));
                        }
                        Some(Struck::Hangs) => self.step = Step::Hanging,
                        None => self.step = Step::Running,
                    },
                    Step::Running => {
                        return attempt.as_mut().poll(cx).map_ok(|ok| chaos.result(&self.fate, ok));
                    }
                    // Nobody will wake it: it is there to be dropped.
                    Step::Hanging => return Poll::Pending,
                }
            }
        }
    }
}
