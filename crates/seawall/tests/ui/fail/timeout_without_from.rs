use seawall::timeout;

#[derive(Debug)]
struct Down;

#[timeout("1s")]
async fn load() -> Result<String, Down> {
    Err(Down)
}

fn main() {}
