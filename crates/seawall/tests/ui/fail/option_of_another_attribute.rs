use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(recovery_timeout = 30)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
