use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(jitter = "lots")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
