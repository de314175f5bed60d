use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

#[circuit_breaker]
fn load() -> Result<u32, Error<Down>> {
    7
}

fn main() {}
