//! The attribute macros. What they expand to stands in `expansion`.

pub use seawall_macros::{circuit_breaker, fallback, retry};

#[cfg(feature = "tokio")]
pub use seawall_macros::timeout;
