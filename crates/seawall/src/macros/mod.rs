//! The attribute macros. They are made in `seawall-macros`; what they expand to stands in `expansion`.

#[doc = include_str!("circuit_breaker.md")]
pub use seawall_macros::circuit_breaker;
#[doc = include_str!("fallback.md")]
pub use seawall_macros::fallback;
#[doc = include_str!("retry.md")]
pub use seawall_macros::retry;
#[cfg(feature = "tokio")]
#[doc = include_str!("timeout.md")]
pub use seawall_macros::timeout;
