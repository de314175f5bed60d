use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

#[circuit_breaker(failure_rate = -0.1, over_calls = 100)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
