use seawall::{Error, timeout};

#[derive(Debug)]
struct Down;

#[timeout("1s", limit = "2s")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
