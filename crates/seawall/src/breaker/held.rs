//! What a breaker remembers, as plain data: for those who keep it elsewhere, and for other settings.
#![cfg_attr(
    not(feature = "foreign"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "windows are data, and data is public, for others only"
    )
)]

use super::CircuitState;

/// What a breaker remembers, as plain data. Settings have no part in it, and times are spans: one
/// who keeps it adds a clock of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The state.
    pub state: CircuitState,
    /// One more at each transition; outcomes of another one do not count.
    pub generation: u64,
    /// Failed probes since it opened from closed; counts to 15.
    pub reopenings: u64,
    /// Failures in a row, while closed.
    pub failures: u32,
    /// Probes in flight, while half-open.
    pub probes_in_flight: u64,
    /// Probes that succeeded, while half-open.
    pub probe_successes: u64,
    /// While open, how long it stays so; while half-open, how long the last lease lasts; in ms.
    pub left: u64,
    /// The window of the breaker, while closed.
    pub window: HeldWindow,
}

/// What a window holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldWindow {
    /// There is none, or nothing in it.
    Nothing,
    /// The last calls, the oldest first: bit 0 is set if it failed, bit 1 if it was slow.
    Calls(Vec<u8>),
    /// Calls by time.
    Buckets(Vec<HeldBucket>),
}

/// Calls of a short time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBucket {
    /// How long ago that time began, in ms.
    pub age: u64,
    /// Calls.
    pub calls: u64,
    /// Failures among them.
    pub failures: u64,
    /// Slow calls among them.
    pub slow: u64,
}
