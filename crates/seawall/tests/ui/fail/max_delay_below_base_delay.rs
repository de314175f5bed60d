use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(base_delay = "2s", max_delay = "1s")]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
