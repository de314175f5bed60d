use seawall::retry;

#[retry]
async fn save(line: &str) {
    println!("{line}");
}

fn main() {}
