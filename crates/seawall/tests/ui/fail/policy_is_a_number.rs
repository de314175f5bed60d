use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(policy = 5)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
