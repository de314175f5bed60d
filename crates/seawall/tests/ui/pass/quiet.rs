#![deny(warnings, unreachable_code, clippy::all)]
//! Nothing that the attributes expand to is warned of.

use seawall::{Error, circuit_breaker, fallback, retry, timeout};

#[derive(Debug, PartialEq)]
struct Down;

/// Documented, and it stays so.
#[must_use = "and marked"]
#[inline]
#[fallback([from_cache, |error: &Error<Down>| format!("{error:?}").len(), 3], name = "answers")]
#[circuit_breaker(failure_rate = 0.5, over_calls = 10, ignore = |error| *error == Down)]
#[retry(base_delay = 0, when = |error| *error == Down, on_retry = |_| {})]
#[timeout(1)]
async fn stacked(mut id: usize, _unused: &str) -> Result<usize, Error<Down>> {
    id += 1;
    if id > 1 {
        return Ok(id);
    }
    Err(Down)?
}

async fn from_cache() -> Result<usize, Down> {
    Err(Down)
}

#[cfg_attr(all(), retry(base_delay = 0, when_result = |value| *value == 0, clone = [text]))]
fn blocking(text: String) -> Result<usize, Error<Down>> {
    #![allow(clippy::needless_return)]
    return Ok(text.into_bytes().len());
}

#[circuit_breaker(key = host, failure_threshold = 3)]
fn keyed(host: &str) -> Result<usize, Box<dyn std::error::Error>> {
    Ok(host.parse()?)
}

#[retry]
fn always_fails() -> Result<(), Error<Down>> {
    Err(Error::Operation(Down))
}

struct Client;

impl Client {
    #[retry(base_delay = 0)]
    #[circuit_breaker]
    fn load(&mut self) -> Result<(), Error<Down>> {
        Ok(())
    }
}

/// As a program, and as a part of the tests.
pub(crate) fn main() {
    drop(stacked(1, ""));
    drop(from_cache());
    assert_eq!(blocking(String::from("abc")).ok(), Some(3));
    assert!(keyed("none").is_err());
    assert!(Client.load().is_ok());
    let _: fn() -> Result<(), Error<Down>> = always_fails;
}
