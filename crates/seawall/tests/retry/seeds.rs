use super::*;

fn jittered() -> RetryPolicy {
    RetryPolicy::builder().jitter(Jitter::Full).max_attempts(9).build()
}

#[test]
fn the_same_seed_gives_the_same_waits() {
    let waits = |seed| blocking_waits(RetryExecutor::new(jittered()).seed(seed));
    assert_eq!(waits(7), waits(7));
    assert_ne!(waits(7), waits(8));
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_async_calls_the_waits_of_blocking_ones() {
    let executor = || RetryExecutor::new(jittered()).seed(7);
    let log = Log::default();
    let retry = executor().sleeper({
        let log = log.clone();
        move |delay| {
            log.push(delay);
            std::future::ready(())
        }
    });
    assert!(retry.run(async || Outcome::Err(Down(1))).await.is_err());
    assert_eq!(log.all(), blocking_waits(executor()));
}

#[test]
fn each_call_draws_anew_and_clones_share_the_stream() {
    let one = RetryExecutor::new(jittered()).seed(7);
    let other = one.clone();
    let (first, second) = (blocking_waits(one), blocking_waits(other));
    assert_ne!(first, second, "the clone's call is the second of the stream");
    let again = RetryExecutor::new(jittered()).seed(7);
    assert_eq!(blocking_waits(again.clone()), first);
    assert_eq!(blocking_waits(again), second);
}

#[test]
fn calls_without_a_seed_differ() {
    let waits = || blocking_waits(RetryExecutor::new(jittered()));
    assert_ne!(waits(), waits());
}

#[test]
fn a_scope_seeds_policies_that_can_be_handed_nothing() {
    let waits = || {
        let clock = ManualClock::new();
        let _scopes = (Scope::new(Seed::new(3)).enter(), Scope::new(clock.clone()).enter());
        let before = clock.now();
        assert!(jittered().run_blocking(|| Outcome::Err(Down(1))).is_err());
        (clock.now() - before, jittered().delays().collect::<Vec<_>>())
    };
    assert_eq!(waits(), waits());
}

#[test]
fn delays_and_attempts_of_one_seed_agree() {
    let policy = jittered();
    let mut attempts = policy.attempts().seeded(7);
    for delay in policy.delays().seeded(7) {
        assert_eq!(attempts.next(Verdict::TRANSIENT), Next::RetryAfter(delay));
    }
}
