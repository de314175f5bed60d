use seawall::retry;

#[retry]
struct Client {
    url: String,
}

fn main() {}
