use super::*;

#[test]
fn a_retry_that_cannot_be_paid_ends_the_call_and_says_so() {
    let retry =
        RetryExecutor::new(at_once().max_attempts(9).build()).budget(RetryBudget::new(0.5, 2));
    let calls = Calls::new();
    let first = exhausted(retry.run_blocking(|| calls.fail()));
    assert_eq!((first.reason(), first.attempts()), (ExhaustedReason::Budget, 3));
    assert!(first.to_string().ends_with("the retry budget is used up"), "{first}");
    let second = exhausted(retry.run_blocking(|| calls.fail()));
    assert_eq!((second.reason(), second.attempts()), (ExhaustedReason::Budget, 1));
}

#[test]
fn the_last_attempt_is_not_blamed_on_the_budget() {
    let budget = Arc::new(RetryBudget::new(0.5, 2));
    let retry = RetryExecutor::new(at_once().build()).budget(Arc::clone(&budget));
    let ended = exhausted(retry.run_blocking(|| Outcome::Err(Down(1))));
    assert_eq!((ended.reason(), budget.available()), (ExhaustedReason::Attempts, 0));
}

#[test]
fn a_success_after_a_retry_earns_what_the_preset_says() {
    let budget = Arc::new(RetryBudget::aws());
    let retry = RetryExecutor::new(at_once().build()).budget(Arc::clone(&budget));
    common::spend(&budget);
    budget.record_success(true);
    assert_eq!(budget.available(), 1);
    let calls = Calls::new();
    assert_eq!(retry.run_blocking(|| calls.fail_first(1)), Ok(2));
    assert_eq!(budget.available(), 1, "paid by the retry, and earned back by its success");
}

#[tokio::test(start_paused = true)]
async fn clones_of_an_executor_share_its_budget() {
    let retry = RetryExecutor::new(at_once().build()).budget(RetryBudget::new(0.5, 3));
    let (calls, clone) = (Calls::new(), retry.clone());
    assert!(retry.run(async || calls.fail()).await.is_err());
    assert!(clone.run(async || calls.fail()).await.is_err());
    assert_eq!(calls.get(), 2 + 3);
}
