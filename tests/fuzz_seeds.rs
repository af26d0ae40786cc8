//! The fuzz targets' entries over their seeds, as they are and with thousands of changes.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[allow(unreachable_pub, clippy::indexing_slicing, reason = "public in the fuzz workspace; a panic is how an entry complains")]
#[path = "../fuzz/src/entries.rs"]
mod entries;

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use std::{fs, path::Path};

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn run(target: &str, entry: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 4, "no seeds for {target}");
    seeds.iter().for_each(|seed| entry(seed));
    let change = (any::<Index>(), any::<Index>(), prop::collection::vec(any::<u8>(), 0..4));
    let changed = (prop::sample::select(seeds), prop::collection::vec(change, 1..4)).prop_map(|(mut seed, changes)| {
        for (from, to, bytes) in changes {
            let (from, to) = (from.index(seed.len() + 1), to.index(seed.len() + 1));
            seed.splice(from.min(to)..from.max(to).min(from.min(to) + 3), bytes);
        }
        seed
    });
    let config = ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&changed, |data| {
            entry(&data);
            Ok(())
        })
        .unwrap();
}

#[test]
fn token() {
    run("token", entries::token);
}

#[test]
fn signed() {
    run("signed", entries::signed);
}

#[test]
fn jwks() {
    run("jwks", entries::jwks);
}
