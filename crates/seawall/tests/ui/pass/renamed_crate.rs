mod hidden {
    pub mod deps {
        pub use seawall as waves;
    }
}

use hidden::deps::waves::{Error, circuit_breaker, fallback, retry};

#[derive(Debug)]
struct Down;

#[fallback([String::new()], crate = crate::hidden::deps::waves)]
#[circuit_breaker(crate = crate::hidden::deps::waves)]
#[retry(max_attempts = 2, base_delay = 0, crate = crate::hidden::deps::waves)]
fn load() -> Result<String, Error<Down>> {
    Err(Down)?
}

fn main() {
    assert_eq!(load().unwrap(), "");
}
