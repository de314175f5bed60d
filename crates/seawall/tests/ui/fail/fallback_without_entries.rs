use seawall::{Error, fallback};

#[derive(Debug)]
struct Down;

#[fallback]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
