use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(base_delay = "half a second")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
