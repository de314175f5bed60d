//! Policy files out of any bytes, in all three syntaxes.
#![no_main]

#[path = "../../crates/seawall/tests/model/policy_files.rs"]
mod policy_files;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    policy_files::check(bytes);
});
