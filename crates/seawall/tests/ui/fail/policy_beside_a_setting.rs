use seawall::{Error, RetryPolicy, retry};

#[derive(Debug)]
struct Down;

static PATIENT: RetryPolicy = RetryPolicy::new();

#[retry(policy = PATIENT, max_attempts = 5)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
