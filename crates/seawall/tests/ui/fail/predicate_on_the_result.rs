use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(when_result = |text: &u32| *text == 0)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
