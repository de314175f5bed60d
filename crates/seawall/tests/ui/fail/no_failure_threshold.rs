use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

#[circuit_breaker(failure_threshold = 0)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
