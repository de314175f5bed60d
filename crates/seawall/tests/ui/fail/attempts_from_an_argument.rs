use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(max_attempts = attempts)]
async fn load(attempts: u32) -> Result<String, Error<Down>> {
    println!("{attempts}");
    Err(Down)?
}

fn main() {}
