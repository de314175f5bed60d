use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(on_retry = |attempt: u32| println!("attempt {attempt}"))]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
