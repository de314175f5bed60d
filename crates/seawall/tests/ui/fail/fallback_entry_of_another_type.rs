use seawall::{Error, fallback};

#[derive(Debug)]
struct Down;

fn stale() -> u32 {
    7
}

#[fallback([stale])]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
