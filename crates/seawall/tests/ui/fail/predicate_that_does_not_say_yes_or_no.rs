use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(when = |error| println!("{error:?}"))]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
