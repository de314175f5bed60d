use super::*;

const RETRY_ONCE: RetryPolicy = RetryPolicy::builder().max_attempts(1).build();

/// An operation that borrows mutably.
struct Client {
    busy: u32,
    calls: u32,
}

impl Client {
    fn fetch(&mut self) -> Outcome {
        self.calls += 1;
        if self.calls > self.busy { Ok(self.calls) } else { Err(Down(self.calls)) }
    }
}

async fn by_backoff(client: &mut Client, policy: &RetryPolicy) -> Result<u32, Error<Down>> {
    let mut attempts = policy.attempts();
    loop {
        match client.fetch() {
            Ok(value) => return Ok(value),
            Err(error) => attempts.backoff(error).await?,
        }
    }
}

fn by_settle(client: &mut Client, policy: &RetryPolicy) -> Result<u32, Error<Down>> {
    let mut attempts = policy.attempts();
    loop {
        if let ControlFlow::Break(outcome) = attempts.settle(client.fetch()) {
            return outcome;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_ones_own_may_borrow_mutably() {
    let before = Instant::now();
    let mut client = Client { busy: 2, calls: 0 };
    assert_eq!(by_backoff(&mut client, &exact().build()).await, Ok(3));
    assert_eq!(before.elapsed(), 3 * S);
}

#[tokio::test(start_paused = true)]
async fn a_loop_ends_like_a_call_that_is_run() {
    let policy = exact().name("loop").build();
    let mut client = Client { busy: 9, calls: 0 };
    let by_loop = exhausted(by_backoff(&mut client, &policy).await);
    let calls = Calls::new();
    let by_run = exhausted(policy.run(async || calls.fail()).await);
    assert_eq!(by_loop, by_run);
}

#[test]
fn settle_says_wait_or_gives_the_calls_outcome() {
    let mut client = Client { busy: 2, calls: 0 };
    assert_eq!(by_settle(&mut client, &exact().build()), Ok(3));
    let mut client = Client { busy: 9, calls: 0 };
    assert_eq!(exhausted(by_settle(&mut client, &exact().build())).attempts(), 3);
    let policy = exact().build();
    let mut attempts = policy.attempts();
    assert_eq!(attempts.settle(Outcome::Err(Down(1))), ControlFlow::Continue(S));
    assert_eq!(attempts.made(), 1);
}

#[test]
fn backoff_in_blocking_code_sleeps_as_the_executor_says() {
    let waits = Log::default();
    let retry = RetryExecutor::new(exact().build()).blocking_sleeper({
        let waits = waits.clone();
        move |delay| waits.push(delay)
    });
    let mut attempts = retry.attempts();
    assert!(attempts.backoff_blocking(Down(1)).is_ok());
    assert!(attempts.backoff_blocking(Down(2)).is_ok());
    let ended = exhausted(attempts.backoff_blocking(Down(3)));
    assert_eq!((ended.last_operation(), waits.all()), (Some(&Down(3)), vec![S, 2 * S]));
}

#[test]
fn a_loop_pays_from_the_executors_budget_and_tells_its_observers() {
    let log = Log::default();
    let budget = Arc::new(RetryBudget::new(1.0, 2));
    let retry = RetryExecutor::new(at_once().max_attempts(9).build())
        .budget(Arc::clone(&budget))
        .observe({
            let log = log.clone();
            move |event: &Event<'_>| log.push(event_name(event))
        });
    let mut attempts = retry.attempts();
    assert!(attempts.settle(Outcome::Err(Down(1))).is_continue());
    assert_eq!(attempts.settle(Outcome::Ok(7)), ControlFlow::Break(Ok(7)));
    assert_eq!(budget.available(), 2, "paid, and earned again");
    let mut attempts = retry.attempts();
    while attempts.settle(Outcome::Err(Down(1))).is_continue() {}
    assert_eq!(
        log.all(),
        ["RetryScheduled"; 3].iter().chain(&["RetryExhausted"]).copied().collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn a_loop_around_what_is_protected_already_sees_rejections_as_what_they_are() {
    let exhausted_inside = RETRY_ONCE.run(async || Outcome::Err(Down(7))).await;
    let open = CircuitBreaker::new();
    open.isolate();
    let rejected = open.run(async || Outcome::Ok(1)).await;
    for ended in [exhausted_inside, rejected] {
        let policy = exact().build();
        let settled = policy.attempts().settle_call(ended.clone());
        assert_eq!(settled, ControlFlow::Break(ended.clone()), "as it is");
        let waited = policy.attempts().backoff_call(ended.clone().unwrap_err()).await;
        assert_eq!(waited, Err(ended.unwrap_err()));
    }
    let timed_out = Timeout::new(S).run(std::future::pending::<Outcome>).await;
    let (policy, before) = (exact().build(), Instant::now());
    let mut attempts = policy.attempts();
    assert_eq!(attempts.backoff_call(timed_out.clone().unwrap_err()).await, Ok(()));
    assert_eq!(before.elapsed(), S);
    assert_eq!(attempts.settle_call(timed_out), ControlFlow::Continue(2 * S));
}

#[test]
fn the_bare_decision_takes_a_verdict_and_nothing_else() {
    let policy = exact().max_attempts(3).build();
    let mut attempts = policy.attempts();
    let asked = Verdict::Transient { retry_after: Some(9 * S) };
    assert_eq!(attempts.next(asked), Next::RetryAfter(9 * S));
    assert_eq!(attempts.next(Verdict::TRANSIENT), Next::RetryAfter(2 * S));
    assert_eq!(attempts.next(Verdict::TRANSIENT), Next::GiveUp(ExhaustedReason::Attempts));
    for verdict in [Verdict::Success, Verdict::Permanent, Verdict::Ignored] {
        assert_eq!(policy.attempts().next(verdict), Next::Done, "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_whose_error_is_permanent_gets_it_back_at_once() {
    let policy = exact().when(|_: &Down| false).build();
    let before = Instant::now();
    let ended = policy.attempts().backoff(Down(7)).await;
    assert_eq!(ended, Err(Error::Operation(Down(7))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[test]
fn a_loop_that_says_that_it_succeeded_earns_by_the_terms_of_its_budget() {
    let budget = Arc::new(RetryBudget::aws());
    let retry = RetryExecutor::new(at_once().build()).budget(Arc::clone(&budget));
    common::spend(&budget);
    // A retry costs 14: 10 are left over, and a success without one gives 1 back.
    for _ in 0..4 {
        assert_eq!(budget.available(), 0);
        retry.attempts().succeeded();
    }
    assert_eq!(budget.available(), 1);
    let mut attempts = retry.attempts();
    assert!(attempts.backoff_blocking(Down(1)).is_ok());
    assert_eq!(budget.available(), 0);
    attempts.succeeded();
    assert_eq!(budget.available(), 1, "a success after a retry gives back what that cost");
}
