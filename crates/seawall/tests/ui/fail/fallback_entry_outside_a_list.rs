use seawall::{Error, fallback};

#[derive(Debug)]
struct Down;

fn from_cache() -> Result<String, Down> {
    Ok(String::from("cached"))
}

#[fallback(from_cache)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
