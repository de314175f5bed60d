//! Strategies, jitters, durations and whole policies out of any text.
#![no_main]

#[path = "../../crates/seawall/tests/model/words.rs"]
mod words;

libfuzzer_sys::fuzz_target!(|text: &str| {
    words::check(text);
});
