use super::*;

/// Whoever waits for it waits too long to be a test.
static RETRY: RetryPolicy =
    RetryPolicy::builder().base_delay(HOUR).max_delay(HOUR).jitter(Jitter::None).build();

type Rich<T = u32, E = Down> = Result<T, Error<E>>;

/// The way that most tests go.
fn resilient() -> Rich {
    RETRY.run_blocking(|| Outcome::Ok(7))
}

fn exhausted<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Result<T, Error<E>>) -> Error<E> {
    match outcome {
        Err(Error::RetryExhausted(ended)) => ended.into_last(),
        other => panic!("not exhausted: {other:?}"),
    }
}

/// Has two attempts fail and the third succeed, in whichever way the call is made.
macro_rules! two_fail_in {
    ($($way:ident: |$calls:ident| $call:expr;)+) => {$(
        #[tokio::test]
        async fn $way() {
            let mock = MockRetryExecutor::new();
            mock.configure_failures(2);
            let $calls = Count::new();
            let outcome: Rich = $call;
            assert_eq!(outcome, Ok(1));
            assert_eq!((mock.attempt_count(), mock.failure_count(), mock.call_count()), (3, 2, 1));
            assert_eq!($calls.get(), 1, "a failing attempt calls no operation");
            assert_eq!(mock.delays(), [HOUR; 2]);
        }
    )+};
}

two_fail_in! {
    a_static_policy_uses_the_mock: |calls| RETRY.run(async || calls.fail_first(0)).await;
    a_static_policy_uses_the_mock_in_blocking_code:
        |calls| RETRY.run_blocking(|| calls.fail_first(0));
    an_executor_uses_the_mock:
        |calls| RetryExecutor::new(RETRY).run(async || calls.fail_first(0)).await;
    an_executor_uses_the_mock_in_blocking_code:
        |calls| RetryExecutor::new(RETRY).run_blocking(|| calls.fail_first(0));
    a_pipeline_uses_the_mock: |calls| {
        let pipeline = Pipeline::new((CircuitBreaker::new(), RETRY, Timeout::new(S)));
        pipeline.run(async || calls.fail_first(0)).await
    };
    a_pipeline_uses_the_mock_in_blocking_code:
        |calls| Pipeline::new((CircuitBreaker::new(), RETRY)).run_blocking(|| calls.fail_first(0));
    a_pipeline_chosen_at_run_time_uses_the_mock: |calls| {
        let pipeline: Arc<dyn DynPolicy<u32, Down>> = Arc::new(RETRY);
        Pipeline::new(pipeline).run(async || calls.fail_first(0)).await
    };
}

#[test]
fn without_instructions_the_mock_only_counts() {
    let mock = MockRetryExecutor::new();
    assert_eq!(resilient(), Ok(7));
    let last = exhausted(RETRY.run_blocking(|| Outcome::Err(Down(1))));
    assert_eq!(last, Error::Operation(Down(1)), "real failures are retried as ever");
    assert_eq!((mock.attempt_count(), mock.failure_count(), mock.call_count()), (4, 0, 2));
}

#[test]
fn max_attempts_are_the_mocks_whatever_the_policy_says() {
    let mock = MockRetryExecutor::new().max_attempts(7);
    mock.configure_failures(6);
    assert_eq!(resilient(), Ok(7));
    assert_eq!(mock.attempt_count(), 7);
    drop(mock);
    let mock = MockRetryExecutor::new().max_attempts(1);
    mock.configure_failures(1);
    assert_eq!(exhausted(resilient()), Error::Rejected(Rejection::Injected));
    assert_eq!((mock.attempt_count(), mock.delays().len()), (1, 0));
}

#[test]
fn failures_without_a_value_end_in_a_rejection() {
    let mock = MockRetryExecutor::new();
    mock.configure_failures(u64::MAX);
    assert_eq!(exhausted(resilient()), Error::Rejected(Rejection::Injected));
    assert_eq!(mock.attempt_count(), 3, "retried like any transient error");
}

#[test]
fn failures_left_over_fall_on_the_next_call_and_a_new_number_takes_their_place() {
    let mock = MockRetryExecutor::new();
    mock.configure_failures(4);
    assert!(resilient().is_err());
    assert_eq!(resilient(), Ok(7));
    assert_eq!(mock.attempt_count(), 5);
    mock.configure_failures(9);
    mock.configure_failures(0);
    assert_eq!(resilient(), Ok(7));
    assert_eq!(mock.attempt_count(), 6);
}

#[test]
fn a_closure_makes_the_values_and_may_look_at_the_mock() {
    watched(|| {
        let mock = Arc::new(MockRetryExecutor::new());
        let looked_at = Arc::clone(&mock);
        mock.fail_with(move || Down(looked_at.attempt_count().try_into().unwrap()));
        assert_eq!(resilient(), Ok(7), "a value alone makes nothing fail");
        mock.configure_failures(3);
        assert_eq!(exhausted(resilient()), Error::Operation(Down(4)));
        mock.fail_with(|| Down(99));
        mock.configure_failures(3);
        assert_eq!(exhausted(resilient()), Error::Operation(Down(99)), "the latest is used");
    });
}

#[test]
fn a_closure_that_panics_leaves_the_mock_as_it_was() {
    let mock = MockRetryExecutor::new();
    mock.fail_with(|| -> Down { quiet_panic() });
    mock.configure_failures(1);
    assert!(catch_unwind(resilient).is_err());
    assert_eq!((resilient(), mock.attempt_count()), (Ok(7), 2));
}

#[test]
fn each_value_is_given_once_in_order_before_all_else() {
    let mock = MockRetryExecutor::new().max_attempts(6);
    mock.fail_with(|| Down(9));
    mock.fail_in_sequence([true]);
    mock.fail_with_each([Down(1), Down(2)]);
    let events = Log::default();
    let retry = RetryExecutor::new(RETRY).on_retry({
        let events = events.clone();
        move |retry: seawall::Retrying<'_, Down>| {
            events.push(retry.error.and_then(Error::operation).copied());
        }
    });
    assert_eq!(retry.run_blocking(|| Outcome::Ok(7)), Ok(7));
    assert_eq!(events.all(), [Some(Down(1)), Some(Down(2)), Some(Down(9))]);
}

#[test]
fn values_of_one_type_do_not_hit_operations_of_another_nor_stand_in_their_way() {
    let mock = MockRetryExecutor::new();
    mock.fail_with_each(["a", "b"]);
    mock.fail_with_each([Down(1)]);
    mock.fail_with_each(["c"]);
    assert_eq!(RETRY.run_blocking(|| Ok::<_, u8>(1)), Ok(1));
    assert_eq!((mock.attempt_count(), mock.failure_count()), (1, 0));
    assert_eq!(resilient(), Ok(7));
    assert_eq!((mock.attempt_count(), mock.failure_count()), (3, 1));
    let last = exhausted(RETRY.run_blocking(|| Ok::<u32, &str>(1)));
    assert_eq!(last, Error::Operation("c"));
    mock.fail_with(|| "of no use here");
    mock.configure_failures(3);
    assert_eq!(exhausted(resilient()), Error::Rejected(Rejection::Injected));
}

#[test]
fn an_attempt_can_fail_as_a_policy_in_it_would() {
    let mock = MockRetryExecutor::new();
    let limit = S;
    mock.fail_with(move || Error::<Down>::Rejected(Rejection::TimedOut { limit }));
    mock.configure_failures(3);
    assert_eq!(exhausted(resilient()), Error::Rejected(Rejection::TimedOut { limit }));
    let open = CircuitBreaker::new();
    open.isolate();
    let open = open.try_acquire().unwrap_err();
    mock.fail_with_each([Error::<Down>::Rejected(open.clone().into()), Error::Operation(Down(1))]);
    assert_eq!(resilient(), Err(Error::Rejected(open.into())), "an open breaker is not retried");
    assert_eq!(resilient(), Ok(7));
    assert_eq!(mock.attempt_count(), 3 + 1 + 2);
}

#[test]
fn what_a_value_means_is_up_to_the_policy() {
    let mock = MockRetryExecutor::new();
    mock.fail_with_each([Down(1), Down(2), Down(3)]);
    let policy = exactly().when(|error: &Down| error.0 != 2).build();
    assert!(policy.run_blocking(|| Outcome::Ok(7)).is_err());
    assert_eq!(mock.attempt_count(), 2, "the second is permanent");
}

fn exactly() -> RetryPolicyBuilder {
    RetryPolicy::builder().jitter(Jitter::None)
}

#[test]
fn a_sequence_says_of_each_attempt_whether_it_fails() {
    let mock = MockRetryExecutor::new();
    mock.fail_in_sequence([true, false]);
    mock.fail_in_sequence([false, true, true, true]);
    mock.configure_failures(1);
    assert_eq!((resilient(), mock.attempt_count()), (Ok(7), 2));
    assert_eq!((resilient(), mock.attempt_count()), (Ok(7), 3));
    assert!(resilient().is_err());
    assert_eq!((resilient(), mock.attempt_count()), (Ok(7), 8), "then the number");
}

#[test]
fn a_rate_fails_the_same_attempts_for_the_same_seed() {
    let failures = |rate, seed| {
        let mock = MockRetryExecutor::new().max_attempts(1);
        mock.fail_at_rate(rate, seed);
        (0..1000).map(|_| resilient().is_err()).collect::<Vec<_>>()
    };
    assert_eq!(failures(0.3, 7), failures(0.3, 7));
    assert_ne!(failures(0.3, 7), failures(0.3, 8));
    let share = failures(0.3, 7).into_iter().filter(|failed| *failed).count();
    assert!((250..350).contains(&share), "{share}");
    assert!(failures(0.0, 7).into_iter().all(|failed| !failed));
    assert!(failures(1.0, 7).into_iter().all(|failed| failed));
}

#[test]
fn settings_that_make_no_sense_are_refused_and_leave_no_mock_behind() {
    for rate in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        let text = panic_text(|| MockRetryExecutor::new().fail_at_rate(rate, 1));
        assert!(text.contains("`rate` must be within 0..=1"), "{text}");
    }
    let text = panic_text(|| drop(MockRetryExecutor::new().max_attempts(0)));
    assert!(text.contains("`max_attempts` must be 1 or more"), "{text}");
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let calls = Count::new();
    assert!(RETRY.run_blocking(|| calls.fail()).is_err());
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn no_sleeper_is_called_whatever_an_executor_has() {
    let mock = MockRetryExecutor::new();
    mock.fail_in_sequence([true, true, false, true, true, false]);
    let retry = RetryExecutor::new(RETRY)
        .sleeper(|_| async { panic!("it waits") })
        .blocking_sleeper(|_| panic!("it waits"));
    assert_eq!(retry.run(seven).await, Ok(7));
    assert_eq!(retry.run_blocking(|| Outcome::Ok(7)), Ok(7));
    assert_eq!(mock.delays(), [HOUR; 4]);
}

#[tokio::test]
async fn a_loop_of_ones_own_is_spared_the_waiting() {
    let budget = Arc::new(RetryBudget::new(0.1, 10));
    let retry = RetryExecutor::new(RETRY).budget(Arc::clone(&budget)).sleeper(|_| async {
        panic!("it waits");
    });
    let mock = MockRetryExecutor::new().max_attempts(9);
    mock.configure_failures(9);
    let mut attempts = retry.attempts();
    while attempts.backoff(Down(1)).await.is_ok() {}
    let mut attempts = RETRY.attempts();
    while attempts.backoff_blocking(Down(1)).is_ok() {}
    assert_eq!((attempts.made(), mock.delays()), (3, vec![HOUR; 4]));
    assert_eq!((mock.attempt_count(), mock.call_count()), (0, 0), "it calls its operation itself");
    assert_eq!(budget.available(), 10);
}

#[test]
fn budgets_pay_nothing_for_mocked_calls_earn_nothing_and_refuse_nothing() {
    let budget = Arc::new(RetryBudget::new(0.5, 10));
    let retry = RetryExecutor::new(RETRY).budget(Arc::clone(&budget));
    (0..4).for_each(|_| assert!(budget.try_retry()));
    let mock = MockRetryExecutor::new().max_attempts(100);
    mock.configure_failures(99);
    assert_eq!(retry.run_blocking(|| Outcome::Ok(7)), Ok(7));
    for _ in 0..100 {
        assert_eq!(retry.run_blocking(|| Outcome::Ok(7)), Ok(7));
    }
    assert_eq!(budget.available(), 6);
    common::spend(&budget);
    mock.configure_failures(99);
    assert_eq!(retry.run_blocking(|| Outcome::Ok(7)), Ok(7));
    drop(mock);
    let Err(Error::RetryExhausted(ended)) = retry.run_blocking(|| Outcome::Err(Down(1))) else {
        panic!("the budget is spent");
    };
    assert_eq!(ended.reason(), ExhaustedReason::Budget);
}

/// The order in which they are entered makes no difference.
#[test]
fn a_manual_clock_moves_on_by_the_delays() {
    let total = exactly().base_delay(S).max_attempts(9).total_timeout(5 * S).build();
    let moved = |clock: ManualClock| {
        let before = clock.now();
        let ended = total.run_blocking(|| Outcome::Err(Down(1)));
        let Err(Error::RetryExhausted(ended)) = ended else { panic!("{ended:?}") };
        assert_eq!(ended.reason(), ExhaustedReason::TotalTimeout);
        clock.now() - before
    };
    let clock = ManualClock::new();
    {
        let _mock = MockRetryExecutor::new();
        let _scope = Scope::new(clock.clone()).enter();
        assert_eq!(moved(clock.clone()), 3 * S);
    }
    let _scope = Scope::new(clock.clone()).enter();
    let _mock = MockRetryExecutor::new();
    assert_eq!(moved(clock), 3 * S);
}

#[tokio::test(start_paused = true)]
async fn tokios_paused_clock_stands_still() {
    let started = Instant::now();
    let mock = MockRetryExecutor::new();
    mock.configure_failures(2);
    assert_eq!(RETRY.run(seven).await, Ok(7));
    assert_eq!(started.elapsed(), Duration::ZERO);
    drop(mock);
    assert!(RETRY.run(async || Outcome::Err(Down(1))).await.is_err());
    assert_eq!(started.elapsed(), 2 * HOUR, "without a mock it moves");
}

#[tokio::test(start_paused = true)]
async fn limits_and_injected_delays_are_no_retries_and_stay() {
    let slow = Chaos::new().latency(Calls::every(1), 5 * S);
    slow.switch().turn_on();
    let mock = MockRetryExecutor::new();
    mock.configure_failures(1);
    let started = Instant::now();
    let stack = Pipeline::new((RETRY, Timeout::new(S), &slow));
    let last = exhausted(stack.run(seven).await);
    assert_eq!(last, Error::Rejected(Rejection::TimedOut { limit: S }));
    assert_eq!((mock.attempt_count(), started.elapsed()), (3, 2 * S));
    assert_eq!(slow.run(seven).await, Ok(7));
    assert_eq!(started.elapsed(), 7 * S);
}

#[test]
fn the_inner_of_two_mocks_is_used_and_the_outer_one_hears_nothing_of_it() {
    let outer = MockRetryExecutor::new();
    outer.configure_failures(1);
    let inner = MockRetryExecutor::new().max_attempts(5);
    inner.configure_failures(4);
    assert_eq!(resilient(), Ok(7));
    assert_eq!((inner.attempt_count(), inner.delays().len()), (5, 4));
    assert_eq!((outer.attempt_count(), outer.delays().len()), (0, 0));
    drop(inner);
    assert_eq!(resilient(), Ok(7));
    assert_eq!((outer.attempt_count(), outer.delays().len()), (2, 1));
}

#[test]
fn mocks_may_be_dropped_in_any_order() {
    let outer = MockRetryExecutor::new();
    let inner = MockRetryExecutor::new();
    drop(outer);
    assert_eq!((resilient(), inner.attempt_count()), (Ok(7), 1));
    let another = MockRetryExecutor::new();
    drop(inner);
    assert_eq!((resilient(), another.attempt_count()), (Ok(7), 1));
}

#[test]
fn a_retry_in_a_retry_asks_the_mock_for_each_attempt_of_either() {
    let mock = MockRetryExecutor::new();
    mock.fail_in_sequence([true, false, true, false]);
    let nested = Pipeline::new((RETRY, RETRY));
    assert_eq!(nested.run_blocking(|| Outcome::Ok(7)), Ok(7));
    assert_eq!((mock.call_count(), mock.attempt_count()), (2, 4));
}

#[test]
fn a_breaker_around_a_retry_sees_what_it_ended_in_and_one_inside_sees_no_mocked_failure() {
    let (outer, inner) = (CircuitBreaker::new(), CircuitBreaker::new());
    let mock = MockRetryExecutor::new();
    mock.configure_failures(3 + 2);
    let stack = Pipeline::new((&outer, RETRY, &inner));
    assert!(stack.run_blocking(|| Outcome::Ok(7)).is_err());
    assert_eq!(outer.counters().consecutive_failures, 1);
    assert_eq!(stack.run_blocking(|| Outcome::Ok(7)), Ok(7));
    assert_eq!(outer.counters().consecutive_failures, 0);
    assert_eq!(inner.counters(), CircuitBreaker::new().counters());
}

#[test]
fn mocked_retries_tell_of_themselves_as_real_ones_do() {
    let events = Recorder::new();
    let _heard = events.enter();
    let mock = MockRetryExecutor::new().max_attempts(2);
    mock.configure_failures(1);
    mock.fail_with_each([Down(1)]);
    assert!(RetryExecutor::new(RETRY).name("orders").run_blocking(|| Outcome::Ok(7)).is_err());
    events.assert_sequence([
        "retry \"orders\" scheduled 1/2 in 3600s (testing::common::Down)",
        "retry \"orders\" exhausted 2/2 by attempts",
    ]);
}

#[test]
fn a_dropped_mock_is_seen_no_more() {
    let mock = MockRetryExecutor::new();
    mock.configure_failures(9);
    drop(mock);
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let before = clock.now();
    assert!(RETRY.run_blocking(|| Outcome::Err(Down(1))).is_err());
    assert_eq!(clock.now() - before, 2 * HOUR);
    assert_eq!(resilient(), Ok(7));
}

#[test]
fn a_call_ends_under_the_mock_it_began_under_although_that_was_dropped() {
    let mock = RefCell::new(Some(MockRetryExecutor::new().max_attempts(5)));
    let calls = Count::new();
    let ended = RETRY.run_blocking(|| {
        mock.borrow_mut().take();
        calls.fail()
    });
    assert_eq!((exhausted(ended), calls.get()), (Error::Operation(Down(5)), 5));
}

#[tokio::test]
async fn an_async_call_ends_under_the_mock_it_began_under_although_that_was_dropped() {
    let mock = MockRetryExecutor::new().max_attempts(5);
    let calls = Count::new();
    let mut call = pin!(RETRY.run(async || {
        pending_once().await;
        calls.fail()
    }));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(mock);
    assert_eq!((exhausted(call.await), calls.get()), (Error::Operation(Down(5)), 5));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_began_without_a_mock_ends_without_it() {
    let calls = Count::new();
    let started = Instant::now();
    let mut call = pin!(RETRY.run(async || {
        pending_once().await;
        calls.fail()
    }));
    assert!(poll_once(call.as_mut()).is_pending());
    let mock = MockRetryExecutor::new();
    assert!(call.await.is_err());
    assert_eq!((mock.attempt_count(), calls.get()), (0, 3));
    assert_eq!(started.elapsed(), 2 * HOUR);
}

#[tokio::test]
async fn a_call_that_is_cancelled_leaves_the_mock_in_place() {
    let mock = MockRetryExecutor::new();
    mock.configure_failures(1);
    {
        let mut call = pin!(RETRY.run(async || {
            pending_once().await;
            seven().await
        }));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    assert_eq!(RETRY.run(seven).await, Ok(7));
    assert_eq!((mock.call_count(), mock.attempt_count()), (2, 3));
}

#[tokio::test]
async fn a_mocked_call_without_end_lets_others_run() {
    let mock = MockRetryExecutor::new().max_attempts(u32::MAX);
    mock.fail_at_rate(1.0, 1);
    let mut call = pin!(RETRY.run(seven));
    assert!(poll_once(call.as_mut()).is_pending());
    assert!(mock.attempt_count() < 100);
}
