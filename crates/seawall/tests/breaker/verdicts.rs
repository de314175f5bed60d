use super::*;

fn failures<C: Classify<u32, Down>>(breaker: &CircuitBreaker<C>, outcome: Outcome) -> u32 {
    let _ = breaker.run_blocking(|| outcome);
    breaker.counters().consecutive_failures
}

#[test]
fn errors_outside_the_expected_ones_count_as_success() {
    let breaker =
        CircuitBreaker::builder().expected_exception(|error: &Down| error.0 >= 500).build();
    assert_eq!(failures(&breaker, Err(Down(500))), 1);
    assert_eq!(failures(&breaker, Err(Down(503))), 2);
    assert_eq!(failures(&breaker, Err(Down(404))), 0, "the callee was well enough to answer");
}

#[test]
fn ignored_errors_count_neither_way() {
    let breaker = CircuitBreaker::builder().ignore(|error: &Down| error.0 == 499).build();
    assert_eq!(failures(&breaker, Err(Down(500))), 1);
    assert_eq!(failures(&breaker, Err(Down(499))), 1);
    assert_eq!(failures(&breaker, Ok(1)), 0);
}

#[test]
fn expected_and_ignored_errors_can_both_be_set_in_any_order() {
    let builder = || CircuitBreaker::builder().failure_rate(1.0).over_calls(9).minimum_calls(9);
    let expected = |error: &Down| error.0 >= 500;
    let ignored = |error: &Down| error.0 == 503;
    let one = builder().expected_exception(expected).ignore(ignored).build();
    let other = builder().ignore(ignored).expected_exception(expected).build();
    for status in [200, 404, 500, 503] {
        let _ = one.run_blocking(|| Outcome::Err(Down(status)));
        let _ = other.run_blocking(|| Outcome::Err(Down(status)));
    }
    assert_eq!((one.counters().calls, one.counters().failures), (3, 1));
    assert_eq!(one.counters(), other.counters());
}

#[test]
fn a_classifier_of_ones_own_may_count_a_value_as_a_failure() {
    struct ByStatus;
    impl<E> Classify<u32, E> for ByStatus {
        fn classify(&self, outcome: Result<&u32, &E>) -> Verdict {
            match outcome {
                Ok(500..) => Verdict::Permanent,
                Ok(499) => Verdict::Ignored,
                _ => Verdict::Success,
            }
        }
    }
    let breaker = CircuitBreaker::builder().classify_with(ByStatus).build();
    assert_eq!(failures(&breaker, Ok(503)), 1);
    assert_eq!(failures(&breaker, Ok(499)), 1);
    assert_eq!(failures(&breaker, Ok(500)), 2);
    assert_eq!(failures(&breaker, Err(Down(1))), 0);
}

#[test]
fn a_permit_takes_transient_and_permanent_as_failures() {
    for verdict in [Verdict::TRANSIENT, Verdict::Permanent] {
        let breaker = sensitive().build();
        breaker.try_acquire().unwrap().record(verdict);
        assert_eq!(breaker.state(), CircuitState::Open, "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_passes_through_as_it_is() {
    let breaker = CircuitBreaker::new();
    assert_eq!(breaker.run(async || Outcome::Ok(7)).await, Ok(7));
    assert_eq!(breaker.run_blocking(|| Outcome::Ok(7)), Ok(7));
    let failed = Err(Error::Operation(Down(7)));
    assert_eq!(breaker.run(async || Outcome::Err(Down(7))).await, failed);
    assert_eq!(breaker.run_blocking(|| Outcome::Err(Down(7))), failed);
    let timed_out = Err(Error::Rejected(Rejection::TimedOut { limit: S }));
    let stack = Pipeline::new((&breaker, Timeout::new(S)));
    assert_eq!(stack.run(std::future::pending::<Outcome>).await, timed_out);
}
