use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry]
fn load(text: &str) -> Result<u32, Error<Down>> {
    let number: u32 = text.parse()?;
    Ok(number)
}

fn main() {}
