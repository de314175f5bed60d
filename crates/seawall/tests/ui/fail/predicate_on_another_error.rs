use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

fn is_timeout(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::TimedOut
}

#[retry(when = is_timeout)]
async fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {}
