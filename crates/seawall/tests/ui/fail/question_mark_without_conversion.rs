use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry]
async fn load(text: &str) -> Result<u32, Error<Down>> {
    Ok(text.parse()?)
}

fn main() {}
