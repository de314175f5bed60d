use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(backoff = "exponentail")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
