use seawall::{Error, RetryPolicy, fallback};

#[derive(Debug)]
struct Down;

static CHAIN: RetryPolicy = RetryPolicy::new();

#[fallback(policy = CHAIN)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
