use seawall::{Error, retry};

#[derive(Debug)]
struct Down;

trait Load {
    #[retry]
    fn load(&self) -> Result<String, Error<Down>>;
}

fn main() {}
