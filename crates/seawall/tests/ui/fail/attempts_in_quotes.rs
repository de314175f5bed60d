use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(max_attempts = "3")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
