use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

#[circuit_breaker(failure_rate = 0.5, over_calls = 100, over_time = 60)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
