use seawall::{Error, timeout};

#[derive(Debug)]
struct Down;

#[timeout("1s")]
fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
