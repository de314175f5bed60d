use seawall::circuit_breaker;

#[derive(Debug)]
struct Down;

#[circuit_breaker]
async fn load() -> Result<String, Down> {
    Err(Down)
}

fn main() {}
