use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

const ATTEMPTS: u32 = 0;

#[retry(max_attempts = ATTEMPTS)]
fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {
    let _ = load();
}
