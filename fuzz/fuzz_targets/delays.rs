//! Law 5 for any settings and any attempt number.
#![no_main]

#[path = "../../crates/seawall/tests/model/delays.rs"]
mod delays;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut all = [0; delays::BYTES];
    let given = bytes.len().min(all.len());
    all[..given].copy_from_slice(&bytes[..given]);
    delays::check(&all);
});
