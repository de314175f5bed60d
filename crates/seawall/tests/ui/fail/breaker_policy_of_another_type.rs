use seawall::{Error, RetryPolicy, circuit_breaker};

#[derive(Debug)]
struct Down;

static BREAKER: RetryPolicy = RetryPolicy::new();

#[circuit_breaker(policy = BREAKER)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
