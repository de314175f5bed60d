use seawall::{Error, retry};
use std::future::{self, Future};

#[derive(Debug)]
struct Down;

#[retry]
fn load() -> impl Future<Output = Result<u32, Error<Down>>> {
    future::ready(Err(Error::Operation(Down)))
}

fn main() {}
