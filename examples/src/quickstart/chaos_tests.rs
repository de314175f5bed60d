//! The same server and client, with faults between them that no server could be asked for.

use super::{
    client::{ApiError, PriceApi},
    phases::Phase,
    server::{Caller, Server},
};
use reqwest::StatusCode;
use seawall::{
    CircuitBreaker, FallbackChain, Pipeline, RetryPolicy,
    testing::{Chaos, chaos::Calls},
};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn faults_on_the_way_to_a_healthy_server_are_covered_and_never_reach_it() {
    let mut server = Server::start().expect("a port");
    server.enter(Phase::Healthy).await.expect("a listener");
    let client = super::client().build().expect("a client");
    let api = PriceApi::new(client, format!("http://{}/guarded", server.address()));

    let chaos = Chaos::new()
        .seed(11)
        .latency(Calls::rate(0.2), MS)
        .hang(Calls::rate(0.05))
        .error(Calls::rate(0.2), || ApiError::Status(StatusCode::BAD_GATEWAY));
    let switch = chaos.switch();
    let breaker = CircuitBreaker::builder().failure_threshold(100).build();
    let stack = Pipeline::builder()
        .fallback(FallbackChain::new().value(None))
        .circuit_breaker(&breaker)
        .retry(RetryPolicy::builder().max_attempts(4).base_delay(MS).build())
        .timeout(Duration::from_millis(250))
        .layer(chaos)
        .build();
    assert_eq!(stack.lint(), []);

    let ask = async |item| stack.run(|| async { api.price(item).await.map(Some) }).await;
    for item in 0..20 {
        assert!(ask(item).await.expect("an answer").is_some());
    }
    assert_eq!((switch.calls(), server.seen(Caller::Guarded).attempts), (0, 20), "off at first");

    switch.turn_on();
    let mut answered = 0;
    for item in 20..120 {
        answered += u64::from(ask(item).await.expect("an answer").is_some());
    }
    let injected = switch.injected();
    assert!(injected.errors > 0 && injected.hangs > 0 && injected.latencies > 0, "{injected:?}");
    assert!(answered >= 95, "with retries {answered} of 100 were answered by the server");
    // What chaos failed never set out; all the rest arrived, and nothing was asked for twice.
    let sent = switch.calls() - injected.errors - injected.hangs;
    assert_eq!((server.seen(Caller::Guarded).attempts, answered), (20 + sent, sent));

    switch.turn_off();
    assert!(ask(120).await.expect("an answer").is_some());
    assert_eq!(switch.injected(), injected);
}
