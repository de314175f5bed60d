use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(clone = order)]
async fn send(order: String) -> Result<(), Error<Down>> {
    drop(order);
    Err(Down)?
}

fn main() {}
