use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

static PATIENT: &str = "patient";

#[retry(policy = PATIENT)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
