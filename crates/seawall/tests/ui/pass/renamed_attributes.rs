use seawall::retry as again;
use seawall::{Error, timeout as at_most};

#[derive(Debug)]
struct Down;

#[again(max_attempts = 2, base_delay = 0)]
fn load() -> Result<u32, Error<Down>> {
    Err(Down)?
}

#[at_most("1s")]
#[seawall::retry]
async fn later() -> Result<u32, Error<Down>> {
    Ok(1)
}

fn main() {
    assert!(matches!(load(), Err(Error::RetryExhausted(_))));
    drop(later());
}
