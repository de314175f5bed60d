use super::*;

#[tokio::test(start_paused = true)]
async fn a_retry_outside_a_breaker_ends_when_it_opens_with_what_it_says() {
    let breaker = CircuitBreaker::builder().failure_threshold(2).build();
    let (calls, policy) = (Calls::new(), exact().max_attempts(9).build());
    let outcome = Pipeline::new((policy, &breaker)).run(async || calls.fail()).await;
    assert!(matches!(outcome, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))));
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_retry_that_repeats_rejections_ends_with_its_attempts() {
    let breaker = CircuitBreaker::new();
    breaker.isolate();
    let policy = at_once().retry_on_open().build();
    let ended = exhausted(Pipeline::new((policy, &breaker)).run_blocking(|| Outcome::Ok(1)));
    assert_eq!(breaker.counters().rejected, 3);
    assert!(matches!(ended.last().rejection(), Some(Rejection::CircuitBreakerOpen(_))));
}

#[test]
fn policies_are_plain_data_that_compare() {
    let one = || RetryPolicy::builder().max_attempts(5).name("one");
    assert_eq!(one().build(), one().build());
    assert_ne!(one().build(), one().keep_errors(1).build());
    assert_ne!(one().build(), one().retry_on_open().build());
    assert_ne!(one().build(), one().name("other").build());
    assert_eq!(one().build().name(), Some("one"));
    let by_hand = one().classify_with(AnyError).build();
    assert_eq!(by_hand, one().build());
    let executor = RetryExecutor::new(one().build());
    assert_eq!(executor.policy(), &one().build());
}

#[test]
fn custom_strategies_are_equal_if_they_are_the_same_function() {
    fn squares(n: u64) -> Duration {
        Duration::from_secs(n * n)
    }
    let custom = BackoffStrategy::Custom(squares);
    assert_eq!(custom, BackoffStrategy::Custom(squares));
    assert_ne!(custom, BackoffStrategy::Fixed);
    let delays: Vec<_> = exact().backoff_strategy(custom).build().delays().collect();
    assert_eq!(delays, [S, 4 * S]);
}

#[test]
fn an_executor_prints_as_its_policy_under_its_own_name() {
    let retry = RetryExecutor::new(RetryPolicy::builder().name("policy").build());
    assert_eq!(Pipeline::new(retry.clone()).to_string(), "retry \"policy\"(3)");
    assert_eq!(Pipeline::new(retry.name("executor")).to_string(), "retry \"executor\"(3)");
}

#[tokio::test(start_paused = true)]
async fn the_operation_is_called_only_when_the_future_is_polled() {
    let calls = Calls::new();
    let policy = RetryPolicy::new();
    let call = policy.run(async || Outcome::Ok(calls.count()));
    assert_eq!(calls.get(), 0);
    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }
    assert_eq!(is_send(call).await, Ok(1));
}
