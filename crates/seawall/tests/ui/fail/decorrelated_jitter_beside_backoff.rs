use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(backoff = "linear", jitter = "decorrelated")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
