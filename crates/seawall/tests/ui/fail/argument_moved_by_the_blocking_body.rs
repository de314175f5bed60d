use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

fn send(order: String) -> Result<(), Down> {
    drop(order);
    Err(Down)
}

#[retry]
fn place(order: String) -> Result<(), Error<Down>> {
    send(order)?;
    Ok(())
}

fn main() {}
