use seawall::circuit_breaker;

#[circuit_breaker]
fn greeting() -> String {
    String::from("hello")
}

fn main() {}
