use super::*;

type Heard = (u64, u32, Duration, Option<Error<Down>>);

fn listener(log: &Log<Heard>) -> impl Fn(Retrying<'_, Down>) + use<> {
    let log = log.clone();
    move |retry: Retrying<'_, Down>| {
        log.push((retry.attempt, retry.max_attempts, retry.delay, retry.error.cloned()));
    }
}

/// What a listener of `policy` hears of one blocking call.
fn heard_of<C: Classify<u32, Down>>(
    policy: RetryPolicy<C>,
    op: impl Fn() -> Outcome,
) -> Vec<Heard> {
    let log = Log::default();
    let _ = RetryExecutor::new(policy).on_retry(listener(&log)).run_blocking(op);
    log.all()
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_each_retry_with_its_error_and_delay() {
    let log = Log::default();
    let retry = RetryExecutor::new(exact().build()).on_retry(listener(&log));
    let calls = Calls::new();
    assert!(retry.run(async || calls.fail()).await.is_err());
    let error = |n| Some(Error::Operation(Down(n)));
    assert_eq!(log.all(), [(1, 3, S, error(1)), (2, 3, 2 * S, error(2))]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_before_the_wait() {
    let log = Log::default();
    let retry = RetryExecutor::new(exact().build()).on_retry(listener(&log));
    let mut call = pin!(retry.run(async || Outcome::Err(Down(1))));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(log.all().len(), 1);
}

#[test]
fn a_listener_hears_nothing_of_calls_that_end() {
    let once = at_once().max_attempts(1).build();
    assert_eq!(heard_of(once, || Ok(1)), []);
    assert_eq!(heard_of(once, || Err(Down(1))), []);
    let permanent = at_once().when(|_: &Down| false).build();
    assert_eq!(heard_of(permanent, || Err(Down(1))), []);
}

#[test]
fn a_listener_hears_of_a_refused_value_without_an_error() {
    let policy = at_once().when_result(|_: &u32| true).build();
    let expected = [(1, 3, Duration::ZERO, None), (2, 3, Duration::ZERO, None)];
    assert_eq!(heard_of(policy, || Ok(7)), expected);
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_timeouts_as_what_they_are() {
    let log = Log::default();
    let policy = at_once().max_attempts(2).build();
    let retry = RetryExecutor::new(policy).on_retry(listener(&log));
    let stack = Pipeline::new((retry, Timeout::new(S)));
    assert!(stack.run(std::future::pending::<Outcome>).await.is_err());
    let timed_out = Error::Rejected(Rejection::TimedOut { limit: S });
    assert_eq!(log.all(), [(1, 2, Duration::ZERO, Some(timed_out))]);
}

#[test]
fn a_listener_that_panics_harms_no_call() {
    let retry =
        RetryExecutor::new(at_once().build()).on_retry(|_: Retrying<'_, Down>| quiet_panic());
    let calls = Calls::new();
    assert_eq!(retry.run_blocking(|| calls.fail_first(2)), Ok(3));
}

#[test]
fn the_listener_set_last_is_the_one_that_hears() {
    let (log, second) = (Log::default(), Log::default());
    let first = RetryExecutor::new(at_once().build()).on_retry(listener(&log));
    let retry = first.on_retry({
        let second = second.clone();
        move |retry: Retrying<'_, Down>| second.push(retry.attempt)
    });
    assert!(retry.run_blocking(|| Outcome::Err(Down(1))).is_err());
    assert_eq!((log.all().len(), second.all()), (0, vec![1, 2]));
}

#[test]
fn observers_hear_events_under_the_executors_name() {
    let log = Log::default();
    let hear = |log: &Log<String>| {
        let log = log.clone();
        move |event: &Event<'_>| {
            let (Event::RetryScheduled { name, .. } | Event::RetryExhausted { name, .. }) = event
            else {
                panic!("{event:?}");
            };
            log.push(format!("{} of {}", event_name(event), name.unwrap()));
        }
    };
    let policy = at_once().name("policy").build();
    let plain =
        RetryExecutor::new(policy).observe(hear(&log)).observe(|_: &Event<'_>| quiet_panic());
    let renamed = plain.clone().name(String::from("executor"));
    assert!(plain.run_blocking(|| Outcome::Err(Down(1))).is_err());
    assert_eq!(
        log.take(),
        ["RetryScheduled of policy", "RetryScheduled of policy", "RetryExhausted of policy"]
    );
    let exhausted = exhausted(renamed.run_blocking(|| Outcome::Err(Down(1))));
    assert_eq!(log.all()[2], "RetryExhausted of executor");
    assert_eq!(exhausted.name().unwrap(), &"executor");
}
