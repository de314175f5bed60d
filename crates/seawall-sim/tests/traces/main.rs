//! Any bytes, as traces: those that fuzzing starts from, and what chance makes of them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod check;

use seawall::Random;
use std::{fs, path::Path};

#[test]
fn any_bytes_are_refused_with_a_place_or_can_be_replayed() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/traces");
    let mut seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|one| one.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 4);
    let mut random = Random::seeded(1);
    let mut below = |most: usize| usize::try_from(random.next_u64() % most as u64).unwrap();
    for seed in seeds {
        let text = fs::read(seed).unwrap();
        check::check(&text);
        for _ in 0..200 {
            let mut changed = text.clone();
            for _ in 0..=below(4) {
                if changed.is_empty() {
                    break;
                }
                let at = below(changed.len());
                match below(4) {
                    0 => changed[at] = b"0123456789.,;\"\n\r\tE-x"[below(20)],
                    1 => drop(changed.remove(at)),
                    2 => changed.insert(at, b"0123456789.,;\"\n\r\tE-x"[below(20)]),
                    _ => changed.truncate(at.max(1)),
                }
            }
            check::check(&changed);
        }
    }
}
