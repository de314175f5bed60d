use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry]
const fn load() -> Result<u32, Error<Down>> {
    Ok(1)
}

fn main() {}
