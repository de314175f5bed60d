//! Bridges from events to logs and metrics.

#[cfg(feature = "tracing")]
pub mod tracing;

#[cfg(feature = "tracing")]
pub(crate) use tracing::{emit, hears_rejections};

#[cfg(not(feature = "tracing"))]
pub(crate) use absent::{emit, hears_rejections};

#[cfg(not(feature = "tracing"))]
mod absent {
    use crate::event::Event;

    pub(crate) const fn emit(_: &Event<'_>) {}

    pub(crate) const fn hears_rejections() -> bool {
        false
    }
}
