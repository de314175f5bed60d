use seawall::fallback;

fn from_cache() -> Result<String, String> {
    Err("cold".to_owned())
}

#[fallback([from_cache()?, "default".to_owned()])]
async fn load() -> Result<String, String> {
    Err("down".to_owned())
}

fn main() {}
