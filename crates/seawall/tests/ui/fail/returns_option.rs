use seawall::retry;

#[retry]
async fn find(id: u32) -> Option<String> {
    (id == 1).then(|| String::from("Ann"))
}

fn main() {}
