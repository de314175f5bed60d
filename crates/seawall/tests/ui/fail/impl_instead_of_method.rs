use seawall::{Error, circuit_breaker};

#[derive(Debug)]
struct Down;

struct Client;

#[circuit_breaker]
impl Client {
    async fn load(&self) -> Result<String, Error<Down>> {
        Err(Down)?
    }
}

fn main() {}
