use seawall::{CircuitBreaker, Error, retry};

#[derive(Debug)]
struct Down;

static PATIENT: CircuitBreaker = CircuitBreaker::new();

#[retry(policy = PATIENT)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
