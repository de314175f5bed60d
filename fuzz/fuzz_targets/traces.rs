//! Recorded traces out of any bytes: refused with a place, or replayed.
#![no_main]

#[path = "../../crates/seawall-sim/tests/traces/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check::check(bytes);
});
