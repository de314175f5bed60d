//! What `findings.rs` tells, in a few lines each that know nothing of the kit. Each panics where it is
//! not so, or no longer.

use crate::{call::Failed, clock};
use seawall::testing::ManualClock;
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

const OPEN: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The system's clock.
struct Clock(ManualClock);

impl Clock {
    fn new() -> Self {
        let clock = Self(ManualClock::new());
        clock.wait(HOUR);
        clock
    }

    fn wait(&self, time: Duration) {
        self.0.advance(time);
        clock::follow(&self.0);
    }

    fn goes_back(&self, time: Duration) {
        self.0.go_back(time);
        clock::follow(&self.0);
    }
}

/// Past the panic hook: no news.
fn panics() {
    resume_unwind(Box::new("on purpose"));
}

/// Ten calls that panic.
fn ten_panics(call: impl Fn()) {
    for _ in 0..10 {
        assert!(catch_unwind(AssertUnwindSafe(&call)).is_err(), "the panic passes on");
    }
}

/// Open for ten seconds, and an hour back on the clock: it lets nobody through before the hour is over.
fn stays_open_for_an_hour(clock: &Clock, lets_through: impl Fn() -> bool) {
    assert!(!lets_through(), "it is open");
    clock.goes_back(HOUR);
    for _ in 0..60 {
        assert!(!lets_through());
        clock.wait(HOUR / 60);
    }
    clock.wait(OPEN + MOMENT);
    assert!(lets_through());
}

pub(crate) mod tower_resilience {
    use super::{Clock, Failed, OPEN, panics, stays_open_for_an_hour, ten_panics};
    use crate::{
        call::{Operation, poll},
        peers::tower_resilience::{Builder, Wrapped as Breaker, consecutive, count},
    };
    use std::task::Poll;
    use tower::{Service, service_fn};
    use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitState};

    type Outcome = Result<(), CircuitBreakerError<Failed>>;

    fn breaker(builder: Builder) -> Breaker {
        let layer = builder.wait_duration_in_open(OPEN).build().expect("good settings");
        layer.layer_fn(service_fn(|operation| operation))
    }

    fn call(breaker: &Breaker, outcome: Result<(), ()>) -> Outcome {
        let (operation, fate) = Operation::new();
        if outcome.is_ok() {
            fate.succeeds()
        } else {
            fate.fails()
        }
        match poll(&mut breaker.clone().call(operation)) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("the operation is done"),
        }
    }

    fn lets_through(breaker: &Breaker) -> bool {
        !matches!(call(breaker, Err(())), Err(CircuitBreakerError::OpenCircuit))
    }

    pub(crate) fn a_late_success_closes() {
        let clock = Clock::new();
        let breaker = breaker(consecutive(3));
        let (operation, fate) = Operation::new();
        let mut late = breaker.clone().call(operation);
        assert!(poll(&mut late).is_pending());
        (0..3).for_each(|_| drop(call(&breaker, Err(()))));
        assert_eq!(breaker.state_sync(), CircuitState::Open);
        clock.wait(OPEN);
        let mut probe = breaker.clone().call(Operation::new().0);
        assert!(poll(&mut probe).is_pending());
        assert_eq!(breaker.state_sync(), CircuitState::HalfOpen);
        fate.succeeds();
        assert!(poll(&mut late).is_ready());
        assert_eq!(breaker.state_sync(), CircuitState::Closed);
    }

    pub(crate) fn the_count_window_does_not_slide() {
        let _clock = Clock::new();
        let breaker = breaker(count(0.5, 6));
        (0..100).for_each(|_| drop(call(&breaker, Ok(()))));
        (0..6).for_each(|_| drop(call(&breaker, Err(()))));
        assert_eq!(breaker.state_sync(), CircuitState::Closed);
    }

    pub(crate) fn a_clock_set_back_keeps_it_open() {
        let clock = Clock::new();
        let breaker = breaker(consecutive(3));
        (0..3).for_each(|_| drop(call(&breaker, Err(()))));
        stays_open_for_an_hour(&clock, || lets_through(&breaker));
    }

    pub(crate) fn panics_do_not_count() {
        let _clock = Clock::new();
        let breaker = breaker(consecutive(3));
        ten_panics(|| drop(poll(&mut breaker.clone().call(Operation::at_once(panics)))));
        assert_eq!(breaker.state_sync(), CircuitState::Closed);
    }
}

pub(crate) mod seatbelt {
    use super::{Clock, MOMENT, OPEN, panics, resume_unwind, stays_open_for_an_hour, ten_panics};
    use crate::{
        call::{Operation, Peer, poll},
        peers::seatbelt::Breaker,
    };
    use seawall::{CircuitState, testing::laws::Told};
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering::SeqCst},
        },
        task::Poll,
        time::Duration,
    };

    /// 50 % of at least four calls in a minute.
    fn breaker() -> Breaker {
        Breaker::new(0.5, 4, Duration::from_secs(60), OPEN)
    }

    /// As its own callbacks are.
    fn hearing(told: Told) -> Breaker {
        let breaker = breaker();
        assert!(breaker.ear().is_some_and(|ear| ear.listen(told)));
        breaker
    }

    /// Whether a call that ends so was let through.
    fn call(breaker: &Breaker, outcome: Result<(), ()>) -> bool {
        let (operation, fate) = Operation::new();
        if outcome.is_ok() {
            fate.succeeds()
        } else {
            fate.fails()
        }
        poll(&mut breaker.call(operation)) == Poll::Ready(true)
    }

    fn opened(breaker: &Breaker) {
        (0..4).for_each(|_| assert!(call(breaker, Err(()))));
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    pub(crate) fn a_late_failure_counts_after_the_recovery() {
        let clock = Clock::new();
        let breaker = breaker();
        let mut late: Vec<_> = (0..4)
            .map(|_| {
                let (operation, fate) = Operation::new();
                let mut call = breaker.call(operation);
                assert!(poll(&mut call).is_pending());
                (call, fate)
            })
            .collect();
        opened(&breaker);
        clock.wait(OPEN);
        assert!(call(&breaker, Ok(())));
        assert_eq!(breaker.state(), CircuitState::Closed);
        for (call, fate) in &mut late {
            fate.fails();
            assert!(poll(call).is_ready());
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    pub(crate) fn a_reopening_is_not_told_and_a_callback_may_panic() {
        let clock = Clock::new();
        let told = Arc::new(AtomicU32::new(0));
        let hears = told.clone();
        let of_opening = hearing(Box::new(move |_, _| {
            hears.fetch_add(1, SeqCst);
        }));
        opened(&of_opening);
        assert_eq!(told.swap(0, SeqCst), 1);
        clock.wait(OPEN);
        assert!(call(&of_opening, Err(())));
        assert_eq!(of_opening.state(), CircuitState::Open);
        // Of the probe it is told, and of nothing else.
        assert_eq!(told.load(SeqCst), 1);

        let panicking = hearing(Box::new(|_, _| resume_unwind(Box::new("on purpose"))));
        assert!(catch_unwind(AssertUnwindSafe(|| opened(&panicking))).is_err());
        assert_eq!(panicking.state(), CircuitState::Open);
    }

    pub(crate) fn a_dropped_probe_keeps_its_slot() {
        let clock = Clock::new();
        let breaker = breaker();
        opened(&breaker);
        clock.wait(OPEN);
        let mut probe = breaker.call(Operation::new().0);
        assert!(poll(&mut probe).is_pending());
        drop(probe);
        assert!(!call(&breaker, Ok(())));
        clock.wait(OPEN);
        assert!(!call(&breaker, Ok(())));
        clock.wait(MOMENT);
        assert!(call(&breaker, Ok(())));
    }

    pub(crate) fn a_clock_set_back_keeps_it_open() {
        let clock = Clock::new();
        let breaker = breaker();
        opened(&breaker);
        stays_open_for_an_hour(&clock, || call(&breaker, Ok(())));
    }

    pub(crate) fn panics_do_not_count() {
        let _clock = Clock::new();
        let breaker = breaker();
        ten_panics(|| {
            let _ = poll(&mut breaker.call(Operation::at_once(panics)));
        });
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

pub(crate) mod failsafe {
    use super::{
        Clock, Failed, MOMENT, OPEN, panics, resume_unwind, stays_open_for_an_hour, ten_panics,
    };
    use failsafe::{
        CircuitBreaker, Config, Instrument, StateMachine, backoff,
        failure_policy::{ConsecutiveFailures, consecutive_failures},
    };
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{Arc, Mutex, OnceLock},
        thread,
    };

    type Breaker<I> = StateMachine<ConsecutiveFailures<backoff::Constant>, I>;

    fn breaker<I: Instrument>(instrument: I) -> Breaker<I> {
        let policy = consecutive_failures(3, backoff::constant(OPEN));
        Config::new().failure_policy(policy).instrument(instrument).build()
    }

    fn fail<I: Instrument>(breaker: &Breaker<I>) {
        assert!(breaker.call(|| Err::<(), _>(Failed::Upstream)).is_err());
    }

    pub(crate) fn half_open_lets_all_through() {
        let clock = Clock::new();
        let breaker = breaker(());
        (0..3).for_each(|_| fail(&breaker));
        assert!(!breaker.is_call_permitted());
        clock.wait(OPEN + MOMENT);
        let mut begun = 0;
        let _ = breaker.call(|| {
            begun += 1;
            // The first goes on.
            for _ in 0..100 {
                assert!(breaker.is_call_permitted());
                begun += 1;
            }
            Ok::<_, Failed>(())
        });
        assert_eq!(begun, 101);
    }

    pub(crate) fn a_late_success_closes() {
        let clock = Clock::new();
        let breaker = breaker(());
        let late = breaker.call(|| {
            (0..3).for_each(|_| fail(&breaker));
            assert_eq!(format!("{breaker:?}"), r#"StateMachine { state: "open" }"#);
            clock.wait(OPEN + MOMENT);
            assert!(breaker.is_call_permitted(), "a probe begins");
            assert_eq!(format!("{breaker:?}"), r#"StateMachine { state: "half_open" }"#);
            Ok::<_, Failed>(())
        });
        assert!(late.is_ok());
        assert_eq!(format!("{breaker:?}"), r#"StateMachine { state: "closed" }"#);
    }

    struct Panics;

    impl Instrument for Panics {
        fn on_call_rejected(&self) {}

        fn on_open(&self) {
            resume_unwind(Box::new("on purpose"));
        }

        fn on_half_open(&self) {}

        fn on_closed(&self) {}
    }

    /// Slow in `on_open`: a caller on another thread comes meanwhile, and the open time is over.
    #[derive(Clone)]
    struct Slow(Arc<World>);

    struct World {
        breaker: OnceLock<Breaker<Slow>>,
        clock: Clock,
        told: Mutex<Vec<&'static str>>,
    }

    impl Instrument for Slow {
        fn on_call_rejected(&self) {}

        fn on_open(&self) {
            let breaker = self.0.breaker.get().expect("it is there");
            self.0.clock.wait(OPEN + MOMENT);
            let permitted =
                thread::scope(|scope| scope.spawn(|| breaker.is_call_permitted()).join());
            assert!(permitted.is_ok_and(|permitted| permitted));
            self.0.told.lock().expect("no panic").push("open");
        }

        fn on_half_open(&self) {
            self.0.told.lock().expect("no panic").push("half-open");
        }

        fn on_closed(&self) {}
    }

    pub(crate) fn an_instrument_may_panic_or_be_overtaken() {
        let _clock = Clock::new();
        let panicking = breaker(Panics);
        (0..2).for_each(|_| fail(&panicking));
        assert!(catch_unwind(AssertUnwindSafe(|| fail(&panicking))).is_err());
        assert!(!panicking.is_call_permitted());

        let (clock, told) = (Clock::new(), Mutex::default());
        let world = Arc::new(World { breaker: OnceLock::new(), clock, told });
        let breaker = world.breaker.get_or_init(|| breaker(Slow(world.clone())));
        (0..3).for_each(|_| fail(breaker));
        assert_eq!(*world.told.lock().expect("no panic"), ["half-open", "open"]);
    }

    pub(crate) fn a_clock_set_back_keeps_it_open() {
        let clock = Clock::new();
        let breaker = breaker(());
        (0..3).for_each(|_| fail(&breaker));
        stays_open_for_an_hour(&clock, || breaker.is_call_permitted());
    }

    pub(crate) fn panics_do_not_count() {
        let _clock = Clock::new();
        let breaker = breaker(());
        ten_panics(|| {
            let _ = breaker.call(|| {
                panics();
                Ok::<_, Failed>(())
            });
        });
        assert!(breaker.is_call_permitted());
    }
}

pub(crate) mod recloser {
    use super::{Clock, Failed, MOMENT, OPEN, panics, stays_open_for_an_hour, ten_panics};
    use crate::{
        call::{Operation, poll},
        peers::recloser::Fields,
    };
    use recloser::{AsyncRecloser, Error, RECLOSER_EVENT, Recloser};
    use std::{
        sync::{Arc, Mutex},
        task::Poll,
        thread,
    };
    use tracing::{Event, Metadata, Subscriber, span, subscriber::with_default};

    /// 50 % of the last four; half-open, of the last one.
    fn breaker() -> Recloser {
        let builder = Recloser::custom().error_rate(0.5).closed_len(4).half_open_len(1);
        builder.open_wait(OPEN).build()
    }

    fn fail(breaker: &Recloser) -> Result<(), Error<Failed>> {
        breaker.call(|| Err(Failed::Upstream))
    }

    fn is_rejected(outcome: &Result<(), Error<Failed>>) -> bool {
        matches!(outcome, Err(Error::Rejected))
    }

    fn opened() -> Recloser {
        let breaker = breaker();
        (0..5).for_each(|_| assert!(!is_rejected(&fail(&breaker))));
        assert!(is_rejected(&fail(&breaker)));
        breaker
    }

    pub(crate) fn half_open_lets_all_through() {
        /// Calls within calls: none of them has answered.
        fn deeper(breaker: &Recloser, begun: u32) {
            let outcome = breaker.call(|| {
                if begun < 100 {
                    deeper(breaker, begun + 1);
                }
                Ok::<_, Failed>(())
            });
            assert!(outcome.is_ok(), "{begun} were let through");
        }
        let clock = Clock::new();
        let breaker = opened();
        clock.wait(OPEN + MOMENT);
        deeper(&breaker, 1);
    }

    type Pause = Box<dyn FnOnce() + Send>;

    /// Keeps what it is told, and once, when it is told that it is closed no more, does something.
    #[derive(Clone)]
    struct Listener {
        told: Arc<Mutex<Vec<String>>>,
        pause: Arc<Mutex<Option<Pause>>>,
    }

    impl Subscriber for Listener {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == RECLOSER_EVENT
        }

        fn event(&self, event: &Event<'_>) {
            let Fields { state, started, .. } = Fields::of(event);
            let word = if started { "begins" } else { "ends" };
            self.told.lock().expect("no panic").push(format!("{state} {word}"));
            let pause = if started { None } else { self.pause.lock().expect("no panic").take() };
            if let Some(pause) = pause {
                pause();
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

    pub(crate) fn events_of_two_threads_are_mixed() {
        let listener = Listener { told: Arc::default(), pause: Arc::default() };
        let breaker = with_default(listener.clone(), || Arc::new(breaker()));
        let (other, hears, clock) = (breaker.clone(), listener.clone(), Clock::new());
        let meanwhile = move || {
            clock.wait(OPEN + MOMENT);
            let call = move || other.call(|| Ok::<_, Failed>(())).is_ok();
            let probe = thread::spawn(move || with_default(hears, call));
            assert!(probe.join().is_ok_and(|let_through| let_through));
        };
        *listener.pause.lock().expect("no panic") = Some(Box::new(meanwhile));
        with_default(listener.clone(), || {
            (0..5).for_each(|_| assert!(!is_rejected(&fail(&breaker))));
        });
        let told = listener.told.lock().expect("no panic");
        let order = ["Closed begins", "Closed ends", "Open ends", "HalfOpen begins", "Open begins"];
        assert_eq!(*told, order);
    }

    pub(crate) fn late_failures_open_it_again() {
        let clock = Clock::new();
        let breaker = AsyncRecloser::from(breaker());
        let begin = || {
            let (operation, fate) = Operation::new();
            let mut call = Box::pin(breaker.call(operation));
            assert!(poll(&mut call).is_pending(), "it is let through");
            (call, fate)
        };
        let mut late = [begin(), begin()];
        for (mut call, fate) in (0..5).map(|_| begin()) {
            fate.fails();
            assert!(poll(&mut call).is_ready());
        }
        clock.wait(OPEN + MOMENT);
        let _probe = begin();
        for (call, fate) in &mut late {
            fate.fails();
            assert!(poll(call).is_ready());
        }
        let rejected = poll(&mut Box::pin(breaker.call(Operation::new().0)));
        assert_eq!(rejected.map(|outcome| is_rejected(&outcome)), Poll::Ready(true));
    }

    pub(crate) fn a_clock_set_back_keeps_it_open() {
        let clock = Clock::new();
        let breaker = opened();
        stays_open_for_an_hour(&clock, || !is_rejected(&breaker.call(|| Ok(()))));
    }

    pub(crate) fn panics_do_not_count() {
        let _clock = Clock::new();
        let breaker = breaker();
        ten_panics(|| {
            let _ = breaker.call(|| {
                panics();
                Ok::<_, Failed>(())
            });
        });
        assert!(breaker.call(|| Ok::<_, Failed>(())).is_ok());
    }
}
