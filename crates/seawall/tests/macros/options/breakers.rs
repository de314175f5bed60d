use super::*;
use seawall::breaker::CircuitBreakerBuilder;

/// What a breaker tells in many calls: at first most of them fail, and some are slow.
fn trace<R>(call: impl Fn(&ManualClock, u32) -> R) -> Vec<String> {
    let (events, clock, _entered) = world();
    for n in 0..120 {
        clock.advance(if n % 20 == 19 { 40 * S } else { S });
        let _ = call(&clock, n);
    }
    events.all().iter().map(ToString::to_string).collect()
}

fn step(clock: &ManualClock, n: u32) -> Outcome {
    clock.advance(if n % 4 == 0 { 3 * S } else { 10 * MS });
    if n < 70 && n % 5 != 2 { Err(Down(n)) } else { Ok(n) }
}

const fn new() -> CircuitBreakerBuilder {
    CircuitBreaker::builder()
}

macro_rules! reach {
    ($($name:ident: ($($option:tt)*) == $breaker:expr;)+) => {$(
        #[test]
        fn $name() {
            #[circuit_breaker($($option)*)]
            fn protected(clock: &ManualClock, n: u32) -> Rich<u32> {
                Ok(step(clock, n)?)
            }
            let breaker: CircuitBreakerBuilder = $breaker;
            let breaker = breaker.name("protected").build();
            let expected = trace(|clock, n| breaker.run_blocking(|| step(clock, n)));
            assert_eq!(trace(protected), expected);
            assert!(expected.len() > 3, "it has opened: {expected:?}");
        }
    )+};
}

reach! {
    failure_threshold: (failure_threshold = 3) == new().failure_threshold(3);
    failure_rate: (failure_rate = 0.5, over_calls = 20)
        == new().failure_rate(0.5).over_calls(20);
    failure_rate_of_all: (failure_rate = 1, over_calls = 20, minimum_calls = 2)
        == new().failure_rate(1.0).over_calls(20).minimum_calls(2);
    over_calls: (failure_rate = 0.5, over_calls = 12, failure_threshold = 99)
        == new().failure_rate(0.5).over_calls(12).failure_threshold(99);
    over_time: (failure_rate = 0.5, over_time = "20s") == new().failure_rate(0.5).over_time(20 * S);
    minimum_calls: (failure_rate = 0.5, over_calls = 20, minimum_calls = 4) == new().failure_rate(0.5).over_calls(20).minimum_calls(4);
    slow_calls: (
        slow_call_rate = 0.2, slow_call_duration = 2, over_calls = 10, minimum_calls = 5
    ) == new().slow_call_rate(0.2, 2 * S).over_calls(10).minimum_calls(5);
    recovery_timeout: (recovery_timeout = 30, failure_threshold = 3)
        == new().recovery_timeout(30 * S).failure_threshold(3);
    recovery_timeout_with_a_unit: (recovery_timeout = "5s", failure_threshold = 3)
        == new().recovery_timeout(5 * S).failure_threshold(3);
    recovery_multiplier: (recovery_multiplier = 2, recovery_timeout = 4, failure_threshold = 3)
        == new().recovery_multiplier(2.0).recovery_timeout(4 * S).failure_threshold(3);
    max_recovery_timeout: (
        max_recovery_timeout = 10, recovery_multiplier = 2.5, recovery_timeout = 4,
        failure_threshold = 3
    ) == new()
        .max_recovery_timeout(10 * S)
        .recovery_multiplier(2.5)
        .recovery_timeout(4 * S)
        .failure_threshold(3);
    recovery_jitter: (recovery_jitter = 0.5, recovery_timeout = 4, failure_threshold = 3)
        == new().recovery_jitter(0.5).recovery_timeout(4 * S).failure_threshold(3);
    successes_to_close: (successes_to_close = 3, failure_threshold = 3)
        == new().successes_to_close(3).failure_threshold(3);
}

#[test]
fn without_options_it_has_the_defaults() {
    #[circuit_breaker]
    fn protected(fails: bool) -> Rich<u32> {
        if fails {
            Err(Down(1))?
        }
        Ok(1)
    }
    let (events, clock, _entered) = world();
    for _ in 0..6 {
        assert!(protected(true).is_err());
    }
    clock.advance(60 * S);
    assert_eq!(protected(false), Ok(1));
    events.assert_sequence([
        "breaker \"protected\" closed -> open by consecutive_failures for 60s",
        "breaker \"protected\" rejected",
        "breaker \"protected\" open -> half_open",
        "breaker \"protected\" half_open -> closed by probe_succeeded",
    ]);
}

#[circuit_breaker(failure_threshold = 1, recovery_timeout = 1, probes = 2, probe_lease = "5s")]
async fn hangs(calls: &Calls, fails: bool) -> Rich<u32> {
    calls.count();
    if fails {
        Err(Down(1))?;
    }
    pending().await
}

#[test]
fn probes_and_probe_lease() {
    let (_, clock, _entered) = world();
    let calls = Calls::new();
    assert!(poll_once(pin!(hangs(&calls, true))).is_ready());
    clock.advance(2 * S);
    let mut probes = [pin!(hangs(&calls, false)), pin!(hangs(&calls, false))];
    assert!(probes.iter_mut().all(|probe| poll_once(probe.as_mut()).is_pending()));
    assert!(poll_once(pin!(hangs(&calls, false))).is_ready(), "the third is rejected");
    clock.advance(6 * S);
    assert!(poll_once(pin!(hangs(&calls, false))).is_pending(), "a lease has ended");
    assert_eq!(calls.get(), 4);
}

#[circuit_breaker(name = "payments", failure_threshold = 1)]
fn named() -> Rich<u32> {
    Err(Down(1))?
}

#[test]
fn name() {
    assert!(named().is_err());
    let Err(Error::Rejected(rejection)) = named() else { panic!() };
    assert!(rejection.to_string().contains("payments"), "{rejection}");
}

#[circuit_breaker(failure_threshold = 1, expected_exception = |down| down.0 == 7)]
fn expects(n: u32) -> Rich<u32> {
    Err(Down(n))?
}

#[circuit_breaker(failure_threshold = 1, ignore = is_seven)]
async fn ignores(n: u32) -> Rich<u32> {
    pending_once().await;
    Err(Down(n))?
}

fn is_seven(down: &Down) -> bool {
    down.0 == 7
}

#[tokio::test]
async fn expected_exception_and_ignore() {
    let of = |outcome: Rich<u32>| outcome.unwrap_err().operation().map(|down| down.0);
    assert_eq!([expects(1), expects(7), expects(1)].map(of), [Some(1), Some(7), None]);
    let outcomes = [ignores(7).await, ignores(7).await, ignores(1).await, ignores(7).await];
    assert_eq!(outcomes.map(of), [Some(7), Some(7), Some(1), None]);
}

static BREAKERS: CircuitBreakers = CircuitBreakers::new(new().failure_threshold(1)).max_keys(2);

#[circuit_breaker(policy = BREAKERS, key = host)]
async fn per_host(host: &str, fails: bool) -> Rich<u32> {
    if fails {
        Err(Down(1))?;
    }
    Ok(1)
}

#[circuit_breaker(key = format_args!("{host}:{port}"), failure_threshold = 1, max_keys = 3)]
fn per_address(host: &str, port: u16, fails: bool) -> Rich<u32> {
    if fails {
        Err(Down(1))?;
    }
    Ok(1)
}

#[tokio::test]
async fn key_and_max_keys() {
    assert!(per_host("a", true).await.is_err());
    assert!(matches!(per_host("a", false).await, Err(Error::Rejected(_))));
    for host in ["b", "c", "d"] {
        assert_eq!(per_host(host, false).await, Ok(1));
    }
    assert_eq!(BREAKERS.len(), 2, "bounded");
    assert!(matches!(per_host("a", false).await, Err(Error::Rejected(_))), "the open one stays");

    assert!(per_address("a", 1, true).is_err());
    let Err(Error::Rejected(rejection)) = per_address("a", 1, false) else { panic!() };
    assert!(rejection.to_string().contains("per_address[a:1]"), "{rejection}");
    for port in 2..9 {
        assert_eq!(per_address("a", port, false), Ok(1));
    }
    assert!(per_address("a", 1, false).is_err());
}
