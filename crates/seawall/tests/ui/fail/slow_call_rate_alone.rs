use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

#[circuit_breaker(slow_call_rate = 0.5, over_calls = 100)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
