use super::*;

/// Asks for a wait of as many seconds as its number says.
fn asks(error: &Down) -> Option<Duration> {
    (error.0 > 0).then(|| Duration::from_secs(error.0.into()))
}

async fn wait_for(seconds: u32, builder: RetryPolicyBuilder) -> Result<Duration, Error<Down>> {
    let policy = builder.retry_after(asks).build();
    let (calls, before) = (Calls::new(), Instant::now());
    let operation =
        async || if calls.count() == 1 { Err(Down(seconds)) } else { Ok(before.elapsed()) };
    policy.run(operation).await
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_an_error_asks_for_is_a_floor_under_the_backoff() {
    assert_eq!(wait_for(7, exact()).await, Ok(7 * S));
    assert_eq!(wait_for(1, exact().base_delay(3 * S)).await, Ok(3 * S), "the backoff is longer");
    assert_eq!(wait_for(0, exact()).await, Ok(S), "without a word, the backoff alone");
}

#[tokio::test(start_paused = true)]
async fn no_jitter_shortens_the_wait_that_an_error_asks_for() {
    for jitter in [Jitter::PlusMinus, Jitter::Full, Jitter::Equal] {
        for _ in 0..50 {
            let wait = wait_for(7, RetryPolicy::builder().jitter(jitter)).await.unwrap();
            assert_eq!(wait, 7 * S, "{jitter}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_not_retried_whatever_wait_it_asks_for() {
    let permanent = |error: &Down| error.0 == 0;
    for outcome in [
        exact().when(permanent).retry_after(asks).build().run(async || Outcome::Err(Down(7))).await,
        exact().retry_after(asks).when(permanent).build().run(async || Outcome::Err(Down(7))).await,
    ] {
        assert_eq!(outcome, Err(Error::Operation(Down(7))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_limit_ends_the_call_at_once_with_the_real_error() {
    for (builder, limit) in [
        (exact(), 60),
        (exact().max_delay(5 * S), 5),
        (exact().max_retry_after(7 * S), 7),
        (exact().max_delay(5 * S).max_retry_after(100 * S), 100),
    ] {
        assert_eq!(wait_for(limit, builder).await, Ok(Duration::from_secs(limit.into())));
        let before = Instant::now();
        let exhausted = exhausted(wait_for(limit + 1, builder).await);
        assert_eq!(exhausted.reason(), ExhaustedReason::RetryAfter);
        assert_eq!(exhausted.last_operation(), Some(&Down(limit + 1)));
        assert_eq!((before.elapsed(), exhausted.attempts()), (Duration::ZERO, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_past_the_total_timeout_ends_the_call_at_once() {
    let before = Instant::now();
    let exhausted = exhausted(wait_for(20, exact().total_timeout(10 * S)).await);
    assert_eq!(exhausted.reason(), ExhaustedReason::TotalTimeout);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn no_delay_ends_past_the_total_timeout_and_one_may_end_at_it() {
    // Attempts of a second each: the first delay ends at 2 s, the second at 5 s.
    for (limit, attempts) in [(2 * S - MS, 1), (2 * S, 2), (5 * S - MS, 2), (5 * S, 3), (9 * S, 3)]
    {
        let calls = Calls::new();
        let operation = async || {
            tokio::time::sleep(S).await;
            calls.fail()
        };
        let policy = exact().max_attempts(3).total_timeout(limit).build();
        let exhausted = exhausted(policy.run(operation).await);
        assert_eq!(calls.get(), attempts, "{limit:?}");
        let whole =
            if attempts == 3 { ExhaustedReason::Attempts } else { ExhaustedReason::TotalTimeout };
        assert_eq!(exhausted.reason(), whole);
        assert!(exhausted.elapsed() >= S, "from the call's start: {exhausted}");
    }
}

#[test]
fn delays_end_where_the_next_one_would_pass_the_total_timeout() {
    let policy = exact().max_attempts(9).total_timeout(8 * S).build();
    assert_eq!(policy.delays().collect::<Vec<_>>(), [S, 2 * S, 4 * S]);
}

#[tokio::test(start_paused = true)]
async fn a_running_attempt_is_not_cut_short_by_the_total_timeout() {
    let policy = exact().total_timeout(S).build();
    let slow = async || {
        tokio::time::sleep(3600 * S).await;
        Outcome::Ok(7)
    };
    assert_eq!(policy.run(slow).await, Ok(7));
}

#[test]
fn the_total_timeout_counts_in_blocking_code() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let calls = Calls::new();
    let policy = exact().max_attempts(9).total_timeout(10 * S - MS).build();
    let exhausted = exhausted(policy.run_blocking(|| {
        clock.advance(S);
        calls.fail()
    }));
    // Attempts end at 1, 3 and 6 s; the next delay would end at 10 s.
    assert_eq!((calls.get(), exhausted.reason()), (3, ExhaustedReason::TotalTimeout));
    assert_eq!(exhausted.elapsed(), 6 * S);
}

#[tokio::test(start_paused = true)]
async fn async_and_blocking_calls_wait_alike() {
    for strategy in [BackoffStrategy::Linear, BackoffStrategy::Fibonacci] {
        let policy = exact().max_attempts(7).backoff_strategy(strategy).build();
        let expected: Vec<Duration> = policy.delays().collect();
        assert_eq!(waits_of(policy).await, expected);
        assert_eq!(blocking_waits(RetryExecutor::new(policy)), expected);
    }
}

#[test]
fn blocking_code_waits_by_the_clock_of_its_scope() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let before = clock.now();
    assert!(exact().build().run_blocking(|| Outcome::Err(Down(1))).is_err());
    assert_eq!(clock.now() - before, 3 * S);
}

#[test]
fn async_code_waits_by_the_clock_of_its_scope() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let before = clock.now();
    let policy = exact().build();
    let mut call = pin!(policy.run(async || Outcome::Err(Down(1))));
    assert!(poll_once(call.as_mut()).is_ready(), "nothing waits");
    assert_eq!(clock.now() - before, 3 * S);
}

#[test]
fn a_delay_of_zero_needs_no_timer() {
    // A runtime without a timer: whoever asks for one panics.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let calls = Calls::new();
    let policy = at_once().max_attempts(1000).build();
    assert_eq!(runtime.block_on(policy.run(async || calls.fail_first(999))), Ok(1000));
}

#[tokio::test]
async fn retries_without_delay_let_other_tasks_run() {
    let flag = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let flag = Arc::clone(&flag);
        async move { flag.store(true, SeqCst) }
    });
    let calls = Calls::new();
    let policy = at_once().max_attempts(100).build();
    let operation = async || {
        calls.count();
        if flag.load(SeqCst) { Ok(()) } else { Err(Down(1)) }
    };
    assert_eq!(policy.run(operation).await, Ok(()), "after {} attempts", calls.get());
}

#[test]
fn a_sleeper_of_ones_own_waits_without_any_runtime() {
    let waits = Log::default();
    let retry = RetryExecutor::new(exact().build()).sleeper({
        let waits = waits.clone();
        move |delay| {
            waits.push(delay);
            pending_once()
        }
    });
    let mut call = pin!(retry.run(async || Outcome::Err(Down(1))));
    let polls = (1..).find(|_| poll_once(call.as_mut()).is_ready());
    assert_eq!(polls, Some(3), "one more for each wait");
    assert_eq!(waits.all(), [S, 2 * S]);
}

#[test]
fn no_sleeper_is_called_for_a_delay_of_zero() {
    let retry = RetryExecutor::new(at_once().build())
        .sleeper(|_| async { panic!("no wait was asked for") })
        .blocking_sleeper(|_| panic!("no wait was asked for"));
    let mut call = pin!(retry.run(async || Outcome::Err(Down(1))));
    assert!(matches!(poll_once(call.as_mut()), Poll::Ready(Err(_))));
    assert!(retry.run_blocking(|| Outcome::Err(Down(1))).is_err());
}
