use seawall::{Error, timeout};

#[derive(Debug)]
struct Down;

#[timeout]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
