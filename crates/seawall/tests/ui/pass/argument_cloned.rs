use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

fn send(order: String) -> Result<(), Down> {
    drop(order);
    Err(Down)
}

#[retry(clone = [order], base_delay = 0)]
fn place(order: String) -> Result<(), Error<Down>> {
    send(order)?;
    Ok(())
}

#[retry(base_delay = 0)]
fn place_by_hand(order: String) -> Result<(), Error<Down>> {
    send(order.clone())?;
    Ok(())
}

fn main() {
    assert!(place(String::from("tea")).is_err());
    assert!(place_by_hand(String::from("tea")).is_err());
}
