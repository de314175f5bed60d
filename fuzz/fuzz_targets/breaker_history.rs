//! The breaker beside the naive one: eight bytes of settings, then two an operation.
#![no_main]

#[path = "../../crates/seawall/tests/model/history.rs"]
mod history;
#[path = "../../crates/seawall/tests/model/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((setup, codes)) = bytes.split_first_chunk::<8>() else { return };
    let codes: Vec<[u8; 2]> = codes.chunks_exact(2).map(|code| [code[0], code[1]]).collect();
    history::play(*setup, &codes);
});
