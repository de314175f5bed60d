//! Bridges from events to logs and metrics.

#[cfg(feature = "tracing")]
pub mod tracing;

#[cfg(feature = "tracing")]
pub(crate) use tracing::{IS_THERE, emit, hears_rejections};

#[cfg(not(feature = "tracing"))]
pub(crate) use absent::{IS_THERE, emit, hears_rejections};

#[cfg(not(feature = "tracing"))]
mod absent {
    use crate::event::Event;

    /// Whether there is a bridge in this build.
    pub(crate) const IS_THERE: bool = false;

    pub(crate) const fn emit(_: &Event<'_>) {}

    pub(crate) const fn hears_rejections() -> bool {
        false
    }
}
