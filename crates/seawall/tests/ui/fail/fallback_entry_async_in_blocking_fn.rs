use seawall::{Error, fallback};

#[derive(Debug)]
struct Down;

async fn from_backup() -> Result<String, Down> {
    Ok(String::from("backup"))
}

#[fallback([from_backup])]
fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
