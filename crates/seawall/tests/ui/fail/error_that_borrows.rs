use seawall::retry;

#[derive(Debug)]
struct Unknown<'a>(&'a str);

#[retry]
async fn load(name: &str) -> Result<u32, Unknown<'_>> {
    Err(Unknown(name))
}

fn main() {}
