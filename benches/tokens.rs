//! What a token costs, in time: `cargo bench --no-default-features --bench tokens`. For people; machines compare instructions.rs.

#[path = "support/scene.rs"]
mod scene;
#[path = "../tests/support/tokens.rs"]
mod tokens;

use criterion::{Criterion, criterion_group, criterion_main};
use scene::{OWNER, Scene};
use std::hint::black_box;

const LIVE: usize = 100_000;

/// Target: 15 µs for RS256.
fn full_check(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("full check");
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let scene = Scene::new(algorithm);
        let token = scene.good();
        group.bench_function(algorithm, |bench| bench.iter(|| scene.verify(black_box(&token))));
    }
}

/// Target: 1.2 µs with 100,000 live tokens.
fn cache_hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache hit");
    // The cheapest to make of the size of an RS256 token.
    let scene = Scene::new("EdDSA");
    for live in [1, 1_000, LIVE] {
        let (cache, tokens) = scene.cache_of(live);
        // A step without a common factor visits every token, in an order that no prefetcher foresees.
        let mut places = (0..live).cycle().map(|n| n * 7_919 % live);
        let mut next = || places.next().and_then(|place| tokens.get(place));
        group.bench_function(format!("{live} live"), |bench| {
            bench.iter(|| next().map(|token| cache.verify(OWNER, black_box(token), &scene.checks, &scene.keys, scene.now)));
        });
        assert_eq!(cache.stats().misses, live as u64, "all of them were hits");
    }
}

/// Target: 1.5 µs, the cache's own look included.
fn refused(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refused by a cheap check");
    let scene = Scene::new("RS256");
    let (cache, _) = scene.cache_of(1);
    for (name, token) in scene.bad() {
        group.bench_function(format!("{name}, verifier alone"), |bench| bench.iter(|| scene.verify(black_box(&token))));
        let with_cache = || cache.verify(OWNER, black_box(&token), &scene.checks, &scene.keys, scene.now);
        group.bench_function(format!("{name}, with the cache"), |bench| bench.iter(with_cache));
    }
    let forged = scene.forged();
    let with_cache = || cache.verify(OWNER, black_box(&forged), &scene.checks, &scene.keys, scene.now);
    group.bench_function("a bad signature, remembered", |bench| bench.iter(with_cache));
}

criterion_group!(benches, full_check, cache_hit, refused);
criterion_main!(benches);
