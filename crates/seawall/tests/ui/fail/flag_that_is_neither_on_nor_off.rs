use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(retry_on_open = "yes")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
