use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

#[circuit_breaker(max_keys = 100)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
