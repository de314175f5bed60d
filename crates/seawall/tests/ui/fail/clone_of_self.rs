use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

#[derive(Clone)]
struct Order;

impl Order {
    #[retry(clone = [self])]
    async fn send(self) -> Result<(), Error<Down>> {
        drop(self);
        Err(Down)?
    }
}

fn main() {}
