//! Scenario files out of any bytes, in all three syntaxes, and the beginning of what they say.
#![no_main]

#[path = "../../crates/seawall-sim/tests/files/any.rs"]
mod any;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    any::check(bytes);
});
