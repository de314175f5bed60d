use super::*;

#[tokio::test(start_paused = true)]
async fn one_breaker_is_shared_by_reference_by_arc_and_as_a_static() {
    static SHARED: CircuitBreaker =
        CircuitBreaker::builder().failure_rate(0.5).over_time(HOUR).minimum_calls(6).build();
    let counted = Arc::new(CircuitBreaker::new());
    for _ in 0..2 {
        assert!(SHARED.run(async || Outcome::Err(Down(1))).await.is_err());
        assert!(Pipeline::new(&SHARED).run_blocking(|| Outcome::Err(Down(1))).is_err());
        assert!(Pipeline::new((&SHARED,)).run(async || Outcome::Err(Down(1))).await.is_err());
        let clone = Arc::clone(&counted);
        assert!(Pipeline::new(clone).run_blocking(|| Outcome::Err(Down(1))).is_err());
    }
    assert_eq!(SHARED.state(), CircuitState::Open);
    assert_eq!(counted.counters().consecutive_failures, 2);
}

#[test]
fn eight_threads_lose_no_outcome_in_either_window() {
    let (clock, _own) = virtual_time();
    let scope = Scope::new(clock);
    let builder = CircuitBreaker::builder().failure_rate(1.0).minimum_calls(1_000_000);
    for builder in [builder.over_calls(1_000_000), builder.over_time(HOUR)] {
        let breaker = builder.build();
        together(8, |thread| {
            let _scope = scope.enter();
            for n in 0..5000 {
                if (n + thread) % 5 == 0 { fail(&breaker) } else { succeed(&breaker) }
            }
        });
        assert_eq!((breaker.counters().calls, breaker.counters().failures), (40_000, 8000));
    }
}

/// More threads than a window has places of their own for.
#[test]
fn a_hundred_threads_lose_no_outcome_in_a_time_window() {
    let (clock, _own) = virtual_time();
    let scope = Scope::new(clock);
    let builder = CircuitBreaker::builder().failure_rate(1.0).minimum_calls(1_000_000);
    let breaker = builder.over_time(HOUR).build();
    let all_here = common::Meeting::new(100);
    together(100, |_| {
        let _scope = scope.enter();
        fail(&breaker);
        all_here.wait();
        for _ in 0..99 {
            succeed(&breaker);
        }
        all_here.wait();
    });
    assert_eq!((breaker.counters().calls, breaker.counters().failures), (10_000, 100));
}
