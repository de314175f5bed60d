use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

const PERCENT: f64 = 50.0;

#[circuit_breaker(failure_rate = PERCENT, over_calls = 100)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
