use super::*;

/// The breaker that the mock stands in for. No test without a mock uses it.
static PAYMENTS: CircuitBreaker =
    CircuitBreaker::builder().name("payments").failure_threshold(1).build();

fn pay() -> Result<u32, Error<Down>> {
    PAYMENTS.run_blocking(|| Outcome::Ok(7))
}

fn fails<C>(breaker: &CircuitBreaker<C>) -> Result<u32, Error<Down>>
where
    C: seawall::Classify<u32, Down>,
{
    breaker.run_blocking(|| Outcome::Err(Down(1)))
}

#[track_caller]
fn assert_rejected(outcome: Result<u32, Error<Down>>) {
    match outcome {
        Err(Error::Rejected(Rejection::CircuitBreakerOpen(_))) => {}
        other => panic!("not rejected: {other:?}"),
    }
}

fn moves(mock: &MockCircuitBreaker) -> Vec<(CircuitState, CircuitState, TransitionCause)> {
    mock.transitions().into_iter().map(|made| (made.from, made.to, made.cause)).collect()
}

fn with_clock() -> (ManualClock, Entered) {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone()).enter();
    (clock, scope)
}

#[tokio::test]
async fn a_breaker_forced_open_rejects_every_way_of_calling_it_and_counts_that() {
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    assert_eq!(mock.state(), CircuitState::Open);
    let calls = Count::new();
    let local = CircuitBreaker::new();
    let stack = Pipeline::new((RetryPolicy::new(), &local, Timeout::new(S)));
    assert_rejected(PAYMENTS.run_blocking(|| calls.fail()));
    assert_rejected(PAYMENTS.call_blocking(|| Ok(calls.fail()?)));
    assert_rejected(PAYMENTS.run(async || calls.fail()).await);
    assert_rejected(PAYMENTS.call(async || Ok(calls.fail()?)).await);
    assert_rejected(local.run(async || calls.fail()).await);
    assert_rejected(stack.run(async || calls.fail()).await);
    assert!(PAYMENTS.try_acquire().is_err());
    assert_eq!((mock.rejection_count(), calls.get()), (7, 0));
}

#[test]
fn a_rejection_names_the_breaker_that_was_called_and_says_when_to_come_back() {
    let (_clock, _scope) = with_clock();
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    let open = PAYMENTS.try_acquire().unwrap_err();
    assert_eq!(open.name().unwrap(), "payments");
    assert_eq!(open.retry_after(), Some(60 * S + MS));
    assert_eq!(PAYMENTS.time_until_probe(), Some(60 * S));
}

#[test]
fn forced_half_open_it_admits_one_probe_and_rejects_the_second() {
    let mock = MockCircuitBreaker::new();
    mock.force_half_open();
    assert_eq!(mock.state(), CircuitState::HalfOpen);
    let probe = PAYMENTS.try_acquire().unwrap();
    assert!(probe.is_probe());
    assert_eq!(mock.counters().probes_in_flight, 1);
    assert_rejected(pay());
    probe.record(Verdict::Success);
    assert_eq!((mock.state(), pay()), (CircuitState::Closed, Ok(7)));
    assert_eq!(mock.rejection_count(), 1);
}

#[test]
fn a_probe_that_fails_opens_it_and_one_that_is_abandoned_leaves_its_slot() {
    let mock = MockCircuitBreaker::new();
    mock.force_half_open();
    drop(PAYMENTS.try_acquire().unwrap());
    assert_eq!(mock.state(), CircuitState::HalfOpen);
    assert!(fails(&PAYMENTS).is_err());
    assert_eq!(mock.state(), CircuitState::Open);
    assert_rejected(pay());
}

#[test]
fn forced_closed_it_admits_with_nothing_on_record() {
    let mock = MockCircuitBreaker::new();
    (0..4).for_each(|_| assert!(fails(&PAYMENTS).is_err()));
    assert_eq!(mock.counters().consecutive_failures, 4);
    mock.force_closed();
    assert_eq!(mock.counters().consecutive_failures, 0);
    mock.force_open();
    mock.force_closed();
    assert_eq!(pay(), Ok(7));
}

#[test]
fn left_to_itself_it_opens_by_its_own_settings() {
    let mock = MockCircuitBreaker::new();
    (0..5).for_each(|_| assert!(fails(&PAYMENTS).is_err()));
    assert_eq!(mock.state(), CircuitState::Open, "five, as is the default; the real one has one");
    drop(mock);
    let mock = MockCircuitBreaker::with(CircuitBreaker::builder().failure_threshold(2));
    (0..2).for_each(|_| assert!(fails(&PAYMENTS).is_err()));
    assert_eq!((mock.state(), mock.counters().opened), (CircuitState::Open, 1));
    let builder = CircuitBreaker::builder().failure_threshold(0);
    let text = panic_text(|| drop(MockCircuitBreaker::with(builder)));
    assert!(text.contains("failure_threshold"), "{text}");
    assert_eq!(PAYMENTS.state(), CircuitState::Open, "and the mock is in place");
}

#[test]
fn what_an_outcome_means_is_up_to_the_breaker_it_stands_in_for() {
    let expects = CircuitBreaker::builder().expected_exception(|error: &Down| error.0 > 5).build();
    let mock = MockCircuitBreaker::with(CircuitBreaker::builder().failure_threshold(1));
    assert!(expects.run_blocking(|| Outcome::Err(Down(5))).is_err());
    assert_eq!(mock.state(), CircuitState::Closed);
    assert!(expects.run_blocking(|| Outcome::Err(Down(6))).is_err());
    assert_eq!(mock.state(), CircuitState::Open);
}

/// The order in which they are entered makes no difference.
#[test]
fn sixty_seconds_on_a_manual_clock_later_an_open_one_probes() {
    let recovers = |mock: &MockCircuitBreaker, clock: &ManualClock| {
        mock.force_open();
        clock.advance(60 * S - MS);
        assert_rejected(pay());
        clock.advance(MS);
        assert!(PAYMENTS.try_acquire().unwrap().is_probe());
        assert_eq!((pay(), mock.state()), (Ok(7), CircuitState::Closed));
    };
    {
        let (clock, _scope) = with_clock();
        recovers(&MockCircuitBreaker::new(), &clock);
    }
    let mock = MockCircuitBreaker::new();
    let (clock, _scope) = with_clock();
    recovers(&mock, &clock);
}

#[tokio::test(start_paused = true)]
async fn sixty_seconds_on_tokios_paused_clock_later_an_open_one_probes() {
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    tokio::time::advance(60 * S - MS).await;
    assert_rejected(PAYMENTS.run(seven).await);
    tokio::time::advance(MS).await;
    assert_eq!(PAYMENTS.run(seven).await, Ok(7));
    assert_eq!(mock.state(), CircuitState::Closed);
}

#[test]
fn every_transition_is_recorded_forced_or_not() {
    use CircuitState::{Closed, HalfOpen, Open};
    use TransitionCause as Cause;
    let (clock, _scope) = with_clock();
    let mock = MockCircuitBreaker::with(CircuitBreaker::builder().failure_threshold(1));
    assert!(fails(&PAYMENTS).is_err());
    clock.advance(60 * S);
    assert_eq!(pay(), Ok(7));
    mock.force_half_open();
    mock.force_open();
    mock.force_open();
    mock.force_closed();
    assert_eq!(
        moves(&mock),
        [
            (Closed, Open, Cause::ConsecutiveFailures),
            (Open, HalfOpen, Cause::RecoveryTimeout),
            (HalfOpen, Closed, Cause::ProbeSucceeded),
            (Closed, HalfOpen, Cause::Manual),
            (HalfOpen, Open, Cause::Manual),
            (Open, Open, Cause::Manual),
            (Open, Closed, Cause::Manual),
        ]
    );
}

#[test]
fn forced_open_again_it_stays_open_for_the_full_time() {
    let (clock, _scope) = with_clock();
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    clock.advance(59 * S);
    mock.force_open();
    clock.advance(59 * S);
    assert_rejected(pay());
}

#[test]
fn a_panic_of_the_operation_is_a_failure() {
    let mock = MockCircuitBreaker::with(CircuitBreaker::builder().failure_threshold(1));
    let panics = || PAYMENTS.run_blocking(|| -> Outcome { quiet_panic() });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(mock.state(), CircuitState::Open);
}

#[test]
fn the_real_breaker_keeps_its_state_its_figures_and_its_observers() {
    let real = CircuitBreaker::builder().failure_threshold(3).build();
    fail(&real);
    let before = real.counters();
    let heard = transitions(&real);
    let mock = MockCircuitBreaker::new();
    assert_eq!(real.counters().consecutive_failures, 0, "these are the mock's figures");
    for _ in 0..9 {
        assert!(fails(&real).is_err());
    }
    mock.force_half_open();
    assert!(real.run_blocking(|| Outcome::Ok(7)).is_ok());
    drop(mock);
    assert_eq!((real.counters(), real.state()), (before, CircuitState::Closed));
    assert_eq!((real.last_transition(), heard.all()), (None, vec![]));
}

#[test]
fn acting_on_the_breaker_by_hand_acts_on_the_mock() {
    let real = CircuitBreaker::new();
    let mock = MockCircuitBreaker::new();
    real.isolate();
    assert_eq!((mock.state(), real.state()), (CircuitState::Isolated, CircuitState::Isolated));
    assert_eq!(real.last_transition(), mock.transitions().last().copied());
    real.close();
    assert_eq!(mock.state(), CircuitState::Closed);
    mock.force_open();
    real.reset();
    assert_eq!(mock.state(), CircuitState::Closed);
    real.isolate();
    drop(mock);
    assert_eq!((real.state(), real.last_transition()), (CircuitState::Closed, None));
}

#[test]
fn the_mode_is_the_mocks() {
    let real = CircuitBreaker::new();
    real.set_mode(Mode::DryRun);
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    assert_eq!(real.mode(), Mode::Enforce);
    assert!(real.try_acquire().is_err());
    real.set_mode(Mode::DryRun);
    assert_eq!(real.run_blocking(|| Outcome::Ok(7)), Ok(7));
    real.set_mode(Mode::Enforce);
    assert_eq!(mock.rejection_count(), 2, "in a dry run: those that would have been");
    drop(mock);
    assert_eq!(real.mode(), Mode::DryRun);
}

#[test]
fn name_and_observers_stay_the_real_ones() {
    let real = CircuitBreaker::builder().name("real").failure_threshold(1).build();
    let mock = MockCircuitBreaker::with(CircuitBreaker::builder().name("mock"));
    assert_eq!(real.name().unwrap(), "real");
    // As where a lazy static is first used by a test: its observers must not go with the mock.
    let heard = transitions(&real);
    mock.force_open();
    drop(mock);
    assert_eq!(heard.all(), []);
    fail(&real);
    assert_eq!(heard.all().len(), 1);
}

#[test]
fn a_permit_that_outlives_the_mock_is_settled_there() {
    let real = CircuitBreaker::builder().failure_threshold(1).build();
    let mock = MockCircuitBreaker::new();
    mock.force_half_open();
    let (failed, abandoned): (Permit<'_>, _) = (real.try_acquire().unwrap(), real.try_acquire());
    assert!(abandoned.is_err());
    drop(mock);
    failed.record(Verdict::TRANSIENT);
    assert_eq!(real.counters(), CircuitBreaker::new().counters());
    assert_eq!(real.run_blocking(|| Outcome::Ok(7)), Ok(7));
}

#[test]
fn a_permit_of_the_real_breaker_is_settled_there_although_a_mock_is_in_place() {
    let real = CircuitBreaker::builder().failure_threshold(1).build();
    let permit = real.try_acquire().unwrap();
    let mock = MockCircuitBreaker::new();
    permit.record(Verdict::TRANSIENT);
    assert_eq!(mock.state(), CircuitState::Closed);
    drop(mock);
    assert_eq!(real.state(), CircuitState::Open);
}

#[test]
fn a_call_during_which_the_mock_is_dropped_ends_as_it_would() {
    let real = CircuitBreaker::builder().failure_threshold(1).build();
    let mock = RefCell::new(Some(MockCircuitBreaker::new()));
    let ended = real.run_blocking(|| {
        mock.borrow_mut().take();
        Outcome::Err(Down(1))
    });
    assert_eq!(ended, Err(Error::Operation(Down(1))));
    assert_eq!(real.state(), CircuitState::Closed, "the mock's call is none of its own");
}

#[tokio::test]
async fn an_async_call_during_which_the_mock_is_dropped_ends_as_it_would() {
    let real = CircuitBreaker::builder().failure_threshold(1).build();
    let mock = MockCircuitBreaker::new();
    let slow = async || {
        pending_once().await;
        Outcome::Err(Down(1))
    };
    let mut call = pin!(real.run(slow));
    let mut dropped = Box::pin(real.run(slow));
    mock.force_half_open();
    assert!(poll_once(dropped.as_mut()).is_pending());
    mock.force_closed();
    assert!(poll_once(call.as_mut()).is_pending());
    drop(mock);
    drop(dropped);
    assert_eq!(call.await, Err(Error::Operation(Down(1))));
    assert_eq!(real.state(), CircuitState::Closed);
}

#[test]
fn the_inner_of_two_mocks_is_used() {
    let outer = MockCircuitBreaker::new();
    outer.force_open();
    let inner = MockCircuitBreaker::new();
    assert_eq!(pay(), Ok(7));
    inner.force_open();
    assert_rejected(pay());
    assert_eq!((inner.rejection_count(), outer.rejection_count()), (1, 0));
    drop(inner);
    assert_rejected(pay());
    assert_eq!(outer.rejection_count(), 1);
}

#[test]
fn one_mock_stands_in_for_every_breaker_keyed_ones_included() {
    static SHARDS: CircuitBreakers = CircuitBreakers::new(CircuitBreaker::builder().name("shards"));
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    assert_rejected(pay());
    for shard in 0..3 {
        assert_rejected(SHARDS.get(&shard).run_blocking(|| Outcome::Ok(1)));
    }
    assert_eq!(SHARDS.get(&2).try_acquire().unwrap_err().name().unwrap(), "shards[2]");
    drop(mock);
    assert!((0..3).all(|shard| SHARDS.get(&shard).counters().rejected == 0));
}

#[test]
fn its_events_are_heard_under_the_name_it_was_given() {
    let (clock, _scope) = with_clock();
    let events = Recorder::new();
    let _heard = events.enter();
    let mock = MockCircuitBreaker::with(CircuitBreaker::builder().name("stand-in"));
    mock.force_open();
    assert_rejected(pay());
    clock.advance(60 * S);
    drop(PAYMENTS.try_acquire());
    assert_eq!(pay(), Ok(7));
    events.assert_sequence([
        "breaker \"stand-in\" closed -> open by manual for 60s",
        "breaker rejected for 60.001s",
        "breaker open -> half_open by recovery_timeout",
        "breaker abandoned probe",
        "breaker half_open -> closed by probe_succeeded",
    ]);
}

#[test]
fn mocked_retries_and_a_mocked_breaker_go_together_in_either_order() {
    static STACK: (CircuitBreaker, RetryPolicy) = (CircuitBreaker::new(), RetryPolicy::new());
    let stack = Pipeline::new((&STACK.0, &STACK.1));
    let opens_by_mocked_failures = |retries: &MockRetryExecutor, breaker: &MockCircuitBreaker| {
        retries.configure_failures(3 * 5);
        for _ in 0..5 {
            assert!(stack.run_blocking(|| Outcome::Ok(7)).is_err());
        }
        assert_rejected(stack.run_blocking(|| Outcome::Ok(7)));
        assert_eq!((breaker.state(), breaker.rejection_count()), (CircuitState::Open, 1));
        assert_eq!((retries.attempt_count(), retries.call_count()), (15, 5));
    };
    {
        let breaker = MockCircuitBreaker::new();
        opens_by_mocked_failures(&MockRetryExecutor::new(), &breaker);
    }
    let retries = MockRetryExecutor::new();
    opens_by_mocked_failures(&retries, &MockCircuitBreaker::new());
    assert_eq!(STACK.0.counters(), CircuitBreaker::new().counters());
}

#[test]
fn a_mocked_retry_waits_for_an_open_breaker_without_waiting() {
    let (clock, _scope) = with_clock();
    let breaker = MockCircuitBreaker::new();
    let retries = MockRetryExecutor::new();
    breaker.force_open();
    let patient = RetryPolicy::builder().retry_on_open().build();
    let before = clock.now();
    assert_eq!(Pipeline::new((patient, &PAYMENTS)).run_blocking(|| Outcome::Ok(7)), Ok(7));
    assert_eq!((retries.attempt_count(), breaker.rejection_count()), (2, 1));
    assert_eq!(clock.now() - before, 60 * S);
}
