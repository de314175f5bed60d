use seawall::{Error, fallback};

#[derive(Debug)]
struct Down;

fn from_cache() -> Result<String, Down> {
    Ok(String::from("cached"))
}

fn from_backup() -> Result<String, Down> {
    Ok(String::from("backup"))
}

#[fallback(from_cache, from_backup)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
