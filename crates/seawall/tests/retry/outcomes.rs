use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_success_is_returned_at_once() {
    let (calls, before) = (Calls::new(), Instant::now());
    assert_eq!(RetryPolicy::new().run(async || Outcome::Ok(calls.count())).await, Ok(1));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_success_of_a_later_attempt_is_returned() {
    let (calls, before) = (Calls::new(), Instant::now());
    assert_eq!(exact().build().run(async || calls.fail_first(2)).await, Ok(3));
    assert_eq!(before.elapsed(), 3 * S);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_retry_tells_how_it_went() {
    let calls = Calls::new();
    let policy = exact().name("payments").build();
    let exhausted = exhausted(policy.run(async || calls.fail()).await);
    assert_eq!(exhausted.name().unwrap(), &"payments");
    assert_eq!((exhausted.attempts(), exhausted.reason()), (3, ExhaustedReason::Attempts));
    assert_eq!(exhausted.elapsed(), 3 * S);
    assert_eq!(exhausted.last(), &Error::Operation(Down(3)));
    assert_eq!(exhausted.last_operation(), Some(&Down(3)));
    assert_eq!(
        format!("{exhausted:#}"),
        "retry `payments` gave up after 3 attempts in 3.0s: no attempts left: down (3)"
    );
}

#[test]
fn one_attempt_never_retries_and_is_exhausted_by_its_failure() {
    let calls = Calls::new();
    let policy = RetryPolicy::builder().max_attempts(1).build();
    let exhausted = exhausted(policy.run_blocking(|| calls.fail()));
    assert_eq!((calls.get(), exhausted.attempts()), (1, 1));
    assert_eq!(policy.delays().count(), 0);
    assert!(exhausted.to_string().contains("after 1 attempt in"), "{exhausted}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_worth_retrying_is_returned_as_it_is() {
    let calls = Calls::new();
    let policy = exact().when(|error: &Down| error.0 < 2).build();
    assert_eq!(
        policy.run(async || calls.fail()).await,
        Err(Error::Operation(Down(2))),
        "the second one is permanent"
    );
    assert_eq!(calls.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_times_out_is_retried_and_the_timeout_is_the_last_error() {
    let calls = Calls::new();
    let operation = || {
        calls.count();
        std::future::pending::<Outcome>()
    };
    let stack = Pipeline::new((exact().build(), Timeout::new(S)));
    let exhausted = exhausted(stack.run(operation).await);
    assert_eq!(exhausted.last(), &Error::Rejected(Rejection::TimedOut { limit: S }));
    assert_eq!((calls.get(), exhausted.last_operation()), (3, None));
}

#[test]
fn an_ignored_outcome_is_returned_as_it_is() {
    struct AllIgnored;
    impl<T, E> Classify<T, E> for AllIgnored {
        fn classify(&self, _: Result<&T, &E>) -> Verdict {
            Verdict::Ignored
        }
    }
    let calls = Calls::new();
    let policy = at_once().classify_with(AllIgnored).build();
    assert_eq!(policy.run_blocking(|| calls.fail()), Err(Error::Operation(Down(1))));
    assert_eq!(policy.run_blocking(|| Outcome::Ok(calls.count())), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_counts_as_a_failure_is_tried_again() {
    let calls = Calls::new();
    let policy = exact().when_result(|value: &u32| *value < 3).build();
    let before = Instant::now();
    assert_eq!(policy.run(async || Outcome::Ok(calls.count())).await, Ok(3));
    assert_eq!(before.elapsed(), 3 * S);
}

#[tokio::test(start_paused = true)]
async fn a_value_refused_to_the_end_is_returned_with_the_exhausted_event() {
    let (events, _scope) = heard(|event| match event {
        Event::RetryExhausted { attempts, reason, error_type, .. } => {
            Some((*attempts, *reason, error_type.is_none()))
        }
        _ => None,
    });
    let calls = Calls::new();
    let policy = at_once().when_result(|_: &u32| true).build();
    assert_eq!(policy.run(async || Outcome::Ok(calls.count())).await, Ok(3));
    assert_eq!(policy.run_blocking(|| Outcome::Ok(calls.count())), Ok(6));
    assert_eq!(events.all(), [(3, ExhaustedReason::Attempts, true); 2]);
}

#[test]
fn errors_and_values_can_both_be_judged() {
    let calls = Calls::new();
    let policy = at_once()
        .max_attempts(9)
        .when(|error: &Down| error.0 == 1)
        .when_result(|value: &u32| *value < 3)
        .build();
    let operation =
        || if calls.count() % 2 == 1 { Err(Down(calls.get())) } else { Ok(calls.get()) };
    assert_eq!(policy.run_blocking(operation), Err(Error::Operation(Down(3))));
    assert_eq!(calls.get(), 3, "a transient error, a refused value, a permanent error");
}

#[test]
fn a_classifier_of_ones_own_decides_in_place_of_the_hooks() {
    struct ByStatus;
    impl Classify<u32, Down> for ByStatus {
        fn classify(&self, outcome: Result<&u32, &Down>) -> Verdict {
            match outcome {
                Ok(500..) => Verdict::TRANSIENT,
                Err(Down(404)) => Verdict::Permanent,
                Ok(_) => Verdict::Success,
                Err(_) => Verdict::TRANSIENT,
            }
        }
    }
    let policy = at_once().classify_with(ByStatus).build();
    for (outcome, attempts) in
        [(Ok(503), 3), (Ok(200), 1), (Err(Down(404)), 1), (Err(Down(500)), 3)]
    {
        let calls = Calls::new();
        let _ = policy.run_blocking(|| {
            calls.count();
            outcome
        });
        assert_eq!(calls.get(), attempts, "{outcome:?}");
    }
}

/// Tells when it is dropped.
#[derive(Debug)]
struct Told(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_up_its_attempt_before_the_errors_that_it_kept() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let calls = Calls::new();
    let policy = exact().keep_errors(3).build();
    let call = policy.run(async || {
        if calls.count() == 1 {
            return Err::<(), _>(Told("error", Arc::clone(&told)));
        }
        let _running = Told("attempt", Arc::clone(&told));
        std::future::pending().await
    });
    assert!(tokio::time::timeout(10 * S, call).await.is_err());
    assert_eq!(*told.lock().unwrap(), ["attempt", "error"]);
}
