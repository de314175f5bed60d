use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

struct Order;

#[retry(clone = [order])]
async fn send(order: Order) -> Result<(), Error<Down>> {
    drop(order);
    Err(Down)?
}

fn main() {}
