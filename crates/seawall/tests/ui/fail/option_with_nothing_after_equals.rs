use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(max_attempts =)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
