use seawall::{CircuitBreakerOpenError, Rejection, circuit_breaker, timeout};

#[derive(Debug)]
enum Failure {
    Down,
    Open(CircuitBreakerOpenError),
    Ended(Rejection),
}

impl From<CircuitBreakerOpenError> for Failure {
    fn from(open: CircuitBreakerOpenError) -> Self {
        Self::Open(open)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Ended(rejection)
    }
}

#[circuit_breaker(failure_threshold = 1)]
fn load() -> Result<u32, Failure> {
    Err(Failure::Down)
}

#[timeout("1s")]
async fn later() -> Result<u32, Failure> {
    Err(Failure::Down)
}

fn main() {
    assert!(matches!(load(), Err(Failure::Down)));
    assert!(matches!(load(), Err(Failure::Open(_))));
    drop(later());
}
