use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(multiplier = f64::NAN)]
fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {
    let _ = load();
}
