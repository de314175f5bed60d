use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

async fn send(order: String) -> Result<(), Down> {
    drop(order);
    Err(Down)
}

#[retry]
async fn place(order: String) -> Result<(), Error<Down>> {
    send(order).await?;
    Ok(())
}

fn main() {}
