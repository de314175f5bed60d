use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(base_delay = "500")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
