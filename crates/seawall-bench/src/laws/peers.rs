//! The breakers of other crates, each by the face that its users call and with what it offers for
//! probes, listeners and windows.

use crate::call::{Ear, Failed, Operation, Outcome, Peer};
use seawall::CircuitState;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::runtime::Runtime;

/// Some let a probe through once *more* than the open time is over. They are set to a moment less, so
/// that they are not blamed for a nanosecond.
fn a_moment_less(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

/// The state by the name that `Debug` prints.
fn named(name: &str) -> CircuitState {
    match name.to_ascii_lowercase().replace('_', "").as_str() {
        "closed" => CircuitState::Closed,
        "open" => CircuitState::Open,
        "halfopen" => CircuitState::HalfOpen,
        _ => panic!("`{name}` is no state"),
    }
}

/// Never driven: some ask for one to be there, and none has anything to wait for here.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime")
});

pub(crate) mod tower_resilience {
    use super::{Arc, CircuitState, Duration, Ear, Operation, Outcome, Peer, RUNTIME};
    use std::{
        task::{Context, Poll, Waker},
        thread,
    };
    use tower::{Service, service_fn, util::ServiceFn};
    use tower_resilience_circuitbreaker::{
        CircuitBreaker, CircuitBreakerConfigBuilder, CircuitBreakerError, CircuitBreakerLayer,
        CircuitState as State, DefaultClassifier, SlidingWindowType,
    };

    pub(crate) type Builder = CircuitBreakerConfigBuilder<DefaultClassifier>;

    pub(crate) type Wrapped =
        CircuitBreaker<ServiceFn<fn(Operation) -> Operation>, DefaultClassifier>;

    pub(crate) struct Breaker {
        service: Wrapped,
        ear: Arc<Ear>,
    }

    const fn ours(state: State) -> CircuitState {
        match state {
            State::Closed => CircuitState::Closed,
            State::Open => CircuitState::Open,
            State::HalfOpen => CircuitState::HalfOpen,
        }
    }

    pub(crate) fn consecutive(failures: usize) -> Builder {
        CircuitBreakerLayer::builder().consecutive_failures(failures)
    }

    pub(crate) fn count(rate: f64, calls: usize) -> Builder {
        let builder = CircuitBreakerLayer::builder().failure_rate_threshold(rate);
        builder.sliding_window_size(calls).minimum_number_of_calls(calls)
    }

    pub(crate) fn time(rate: f64, minimum: usize, window: Duration) -> Builder {
        let builder = CircuitBreakerLayer::builder().failure_rate_threshold(rate);
        let builder = builder.sliding_window_type(SlidingWindowType::TimeBased);
        builder.sliding_window_duration(window).minimum_number_of_calls(minimum)
    }

    impl Breaker {
        pub(crate) fn new(builder: Builder, open: Duration, probes: usize) -> Self {
            let ear = Arc::new(Ear::default());
            let hears = ear.clone();
            let layer = builder
                .wait_duration_in_open(open)
                .permitted_calls_in_half_open(probes)
                .on_state_transition(move |from, to| hears.hears_both(ours(from), ours(to)))
                .build()
                .expect("good settings");
            Self { service: layer.layer_fn(service_fn(|operation| operation)), ear }
        }
    }

    impl Peer for Breaker {
        fn call(&self, operation: Operation) -> Outcome<'_> {
            // For the timer that it makes half-open, where another thread holds its lock.
            let _here = RUNTIME.enter();
            let mut service = loop {
                let mut service = self.service.clone();
                match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(ready) => {
                        ready.expect("the operation is always ready");
                        break service;
                    }
                    // It waits a millisecond for its lock, by a clock that stands still here.
                    Poll::Pending => thread::yield_now(),
                }
            };
            let outcome = service.call(operation);
            Box::pin(async { !matches!(outcome.await, Err(CircuitBreakerError::OpenCircuit)) })
        }

        fn state(&self) -> CircuitState {
            ours(self.service.state_sync())
        }

        fn ear(&self) -> Option<&Ear> {
            Some(&self.ear)
        }
    }
}

pub(crate) mod seatbelt {
    use super::{
        Arc, CircuitState, Duration, Ear, Failed, LazyLock, Operation, Outcome, Peer, RUNTIME,
        named,
    };
    use layered::{Layer, Service};
    use seatbelt::{
        RecoveryInfo, ResilienceContext,
        breaker::{AbandonedPolicy, Breaker as SeatbeltBreaker, HalfOpenMode},
    };
    use tick::Clock;

    type Answer = Result<(), Failed>;

    #[derive(Debug)]
    pub(crate) struct Inner;

    impl Service<Operation> for Inner {
        type Out = Answer;

        fn execute(&self, operation: Operation) -> impl Future<Output = Answer> + Send {
            operation
        }
    }

    pub(crate) struct Breaker {
        service: SeatbeltBreaker<Operation, Answer, Inner>,
        ear: Arc<Ear>,
    }

    /// By std's clock; it reads the time only.
    static CLOCK: LazyLock<Clock> = LazyLock::new(|| {
        let _here = RUNTIME.enter();
        Clock::new_tokio()
    });

    impl Breaker {
        /// One probe at a time, whose answer closes it or opens it again; a call dropped counts neither way.
        pub(crate) fn new(rate: f32, minimum: u32, window: Duration, open: Duration) -> Self {
            let context = ResilienceContext::<Operation, Answer>::new(CLOCK.clone());
            let ear = Arc::new(Ear::default());
            let (opened, closed, probing) = (ear.clone(), ear.clone(), ear.clone());
            let layer = SeatbeltBreaker::layer("breaker", &context)
                .recovery_with(|outcome: &Answer, _| match outcome {
                    Ok(()) => RecoveryInfo::never(),
                    Err(_) => RecoveryInfo::retry(),
                })
                .rejected_input_error(|_, _| Failed::Rejected)
                .failure_threshold(rate)
                .min_throughput(minimum)
                .sampling_duration(window)
                .break_duration(open)
                .half_open_mode(HalfOpenMode::quick())
                .abandoned_policy(AbandonedPolicy::ignore())
                .on_opened(move |_, _| opened.hears(CircuitState::Open))
                .on_closed(move |_, _| closed.hears(CircuitState::Closed))
                .on_probing(move |_, _| {
                    // Told of each probe, not only of the first.
                    if probing.last() != CircuitState::HalfOpen {
                        probing.hears(CircuitState::HalfOpen);
                    }
                });
            Self { service: layer.layer(Inner), ear }
        }
    }

    impl Peer for Breaker {
        fn call(&self, operation: Operation) -> Outcome<'_> {
            Box::pin(async { self.service.execute(operation).await != Err(Failed::Rejected) })
        }

        /// Nothing but `Debug` shows it.
        fn state(&self) -> CircuitState {
            let text = format!("{:?}", self.service);
            let (_, state) = text.split_once("data: ").expect("Debug shows the state");
            named(state.split(' ').next().unwrap_or_default())
        }

        fn ear(&self) -> Option<&Ear> {
            Some(&self.ear)
        }
    }
}

pub(crate) mod failsafe {
    use super::{Arc, CircuitState, Duration, Ear, Operation, Outcome, Peer, a_moment_less, named};
    use failsafe::{
        Config, Error, Instrument, StateMachine,
        backoff::{self, EqualJittered},
        failure_policy::{ConsecutiveFailures, consecutive_failures},
        futures::CircuitBreaker,
    };
    use std::iter::{Repeat, repeat};

    #[derive(Clone)]
    pub(crate) struct Listener(Arc<Ear>);

    impl Instrument for Listener {
        fn on_call_rejected(&self) {}

        fn on_open(&self) {
            self.0.hears(CircuitState::Open);
        }

        fn on_half_open(&self) {
            self.0.hears(CircuitState::HalfOpen);
        }

        fn on_closed(&self) {
            self.0.hears(CircuitState::Closed);
        }
    }

    pub(crate) struct Breaker<B> {
        machine: StateMachine<ConsecutiveFailures<B>, Listener>,
        ear: Arc<Ear>,
    }

    impl Breaker<Repeat<Duration>> {
        pub(crate) fn new(failures: u32, open: Duration) -> Self {
            Self::with(failures, repeat(a_moment_less(open)))
        }
    }

    impl Breaker<EqualJittered> {
        /// Open for `open` to twice that.
        pub(crate) fn spread(failures: u32, open: Duration) -> Self {
            Self::with(failures, backoff::equal_jittered(2 * open, 2 * open))
        }
    }

    impl<B: Iterator<Item = Duration> + Clone> Breaker<B> {
        fn with(failures: u32, open: B) -> Self {
            let ear = Arc::new(Ear::default());
            let machine = Config::new()
                .failure_policy(consecutive_failures(failures, open))
                .instrument(Listener(ear.clone()))
                .build();
            Self { machine, ear }
        }
    }

    impl<B: Iterator<Item = Duration> + Clone + Send + Sync> Peer for Breaker<B> {
        fn call(&self, operation: Operation) -> Outcome<'_> {
            let outcome = CircuitBreaker::call(&self.machine, operation);
            Box::pin(async { !matches!(outcome.await, Err(Error::Rejected)) })
        }

        /// Nothing but `Debug` shows it.
        fn state(&self) -> CircuitState {
            let text = format!("{:?}", self.machine);
            named(text.split('"').nth(1).expect("Debug shows the state"))
        }

        fn ear(&self) -> Option<&Ear> {
            Some(&self.ear)
        }
    }
}

pub(crate) mod recloser {
    use super::{Arc, CircuitState, Duration, Ear, Operation, Outcome, Peer, a_moment_less, named};
    use recloser::{AsyncRecloser, Error, RECLOSER_EVENT, Recloser};
    use std::{
        collections::HashMap,
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            LazyLock, Mutex, MutexGuard, Once, PoisonError,
            atomic::{AtomicU64, Ordering::Relaxed},
        },
    };
    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    pub(crate) struct Breaker {
        recloser: AsyncRecloser,
        name: String,
        ear: Arc<Ear>,
    }

    /// Those that live, by name.
    static EARS: LazyLock<Mutex<HashMap<String, Arc<Ear>>>> = LazyLock::new(Mutex::default);

    fn ears() -> MutexGuard<'static, HashMap<String, Arc<Ear>>> {
        EARS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It tells of its states by tracing events.
    struct Listener;

    /// What an event tells: a state has begun, or is over.
    #[derive(Debug, Default, Clone, PartialEq, Eq)]
    pub(crate) struct Fields {
        pub(crate) name: String,
        pub(crate) state: String,
        pub(crate) started: bool,
    }

    impl Fields {
        pub(crate) fn of(event: &Event<'_>) -> Self {
            let mut fields = Self::default();
            event.record(&mut fields);
            fields
        }
    }

    impl Visit for Fields {
        fn record_str(&mut self, field: &Field, value: &str) {
            match field.name() {
                "name" => value.clone_into(&mut self.name),
                "state" => value.clone_into(&mut self.state),
                _ => {}
            }
        }

        fn record_u64(&mut self, field: &Field, _: u64) {
            self.started |= field.name() == "started_ts";
        }

        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.record_str(field, format!("{value:?}").trim_matches('"'));
        }
    }

    impl Subscriber for Listener {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == RECLOSER_EVENT
        }

        fn event(&self, event: &Event<'_>) {
            let fields = Fields::of(event);
            let ear = ears().get(&fields.name).cloned();
            if let (Some(ear), true) = (ear, fields.started) {
                // A subscriber must not panic, so a panic here would be no fault of the breaker's.
                let _ = catch_unwind(AssertUnwindSafe(|| ear.hears(named(&fields.state))));
            }
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    impl Breaker {
        /// Over the last `calls`, from the call on that moves a full window; half-open over the last.
        pub(crate) fn new(rate: f32, calls: usize, open: Duration) -> Self {
            static LISTEN: Once = Once::new();
            static COUNT: AtomicU64 = AtomicU64::new(0);
            LISTEN.call_once(|| {
                tracing::subscriber::set_global_default(Listener).expect("no other subscriber");
            });
            let name = COUNT.fetch_add(1, Relaxed).to_string();
            let recloser = Recloser::custom()
                .error_rate(rate)
                .closed_len(calls)
                .half_open_len(1)
                .open_wait(a_moment_less(open))
                .name(name.clone())
                .build();
            let ear = Arc::new(Ear::default());
            ears().insert(name.clone(), ear.clone());
            Self { recloser: AsyncRecloser::from(recloser), name, ear }
        }
    }

    impl Drop for Breaker {
        fn drop(&mut self) {
            ears().remove(&self.name);
        }
    }

    impl Peer for Breaker {
        fn call(&self, operation: Operation) -> Outcome<'_> {
            let outcome = self.recloser.call(operation);
            Box::pin(async { !matches!(outcome.await, Err(Error::Rejected)) })
        }

        /// As its events tell: there is no other way to see it.
        fn state(&self) -> CircuitState {
            self.ear.last()
        }

        fn ear(&self) -> Option<&Ear> {
            Some(&self.ear)
        }
    }
}
