use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[retry(clone = [request])]
async fn send(order: String) -> Result<(), Error<Down>> {
    drop(order);
    Err(Down)?
}

fn main() {}
