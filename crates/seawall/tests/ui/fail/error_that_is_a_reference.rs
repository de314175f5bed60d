use seawall::retry;

#[retry]
fn load(name: &str) -> Result<u32, &str> {
    Err(name)
}

fn main() {}
