//! The life of keys on the wall clock, with the shortest settings that a resource may have: the program as it is shipped, an issuer that
//! rotates, removes a key, goes away and comes back, and 200 requests a second meanwhile. About four minutes, so `make test` runs it
//! beside the end-to-end run, and `cargo test` leaves it out; alone it is `make life`.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "support/client.rs"]
mod client;
#[path = "support/issuer.rs"]
mod issuer;
#[path = "support/origin.rs"]
mod origin;
#[path = "support/program.rs"]
mod program;
#[path = "support/tokens.rs"]
mod tokens;

use client::Client;
use issuer::Issuer;
use origin::Origin;
use portcullis::clock;
use program::Program;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokens::{Signer, auth0_claims, jwks};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

const DOMAIN: &str = "tenant.example.com";
const AUDIENCE: &str = "https://api.example.com";
const CACHE: Duration = Duration::from_secs(60);
const STALENESS: Duration = Duration::from_secs(120);
/// Of a busy machine.
const SLACK: Duration = Duration::from_secs(10);
/// The longest pause between two attempts.
const BACKOFF: Duration = Duration::from_secs(60);

/// 200 requests a second with one good token, over four connections, until it is dropped.
struct Load {
    statuses: Arc<Mutex<BTreeMap<u16, usize>>>,
    _connections: JoinSet<()>,
}

// === impl Load ===

impl Load {
    fn start(address: SocketAddr, token: &str) -> Self {
        let statuses = Arc::<Mutex<BTreeMap<u16, usize>>>::default();
        let mut connections = JoinSet::new();
        for _ in 0..4 {
            connections.spawn(Self::connection(address, token.to_owned(), Arc::clone(&statuses)));
        }
        Self { statuses, _connections: connections }
    }

    async fn connection(address: SocketAddr, token: String, statuses: Arc<Mutex<BTreeMap<u16, usize>>>) {
        let mut pace = interval(Duration::from_millis(20));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut client = Client::connect(address).await;
        loop {
            pace.tick().await;
            let status = client.request("GET", "/", &[("Authorization", &format!("Bearer {token}"))]).await.status;
            *statuses.lock().unwrap().entry(status).or_default() += 1;
        }
    }

    fn count(&self, status: u16) -> usize {
        self.statuses.lock().unwrap().get(&status).copied().unwrap_or_default()
    }
}

async fn status(program: &Program, token: &str) -> u16 {
    let mut client = Client::connect(program.address).await;
    client.request("GET", "/", &[("Authorization", &format!("Bearer {token}")), ("Connection", "close")]).await.status
}

/// Waits until `token` gets `wanted`; returns after how long.
async fn until(program: &Program, token: &str, wanted: u16, patience: Duration) -> Duration {
    let start = Instant::now();
    loop {
        let status = status(program, token).await;
        if status == wanted {
            return start.elapsed();
        }
        assert!(start.elapsed() < patience, "{status} after {:?}, wanted {wanted}", start.elapsed());
        sleep(Duration::from_millis(200)).await;
    }
}

fn manifests(issuer: &Issuer, origin: &Origin) -> String {
    let auth = format!("domain: {DOMAIN}\n    audience: [{AUDIENCE:?}]\n    jwksCacheDuration: 1m\n    jwksMaxStaleness: 2m");
    format!("{}---\n{}", program::service("web", origin.address), program::endpoint("life", "api.example.com", &auth, &issuer.ca))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j46_j47_j48_j49_keys_live_as_long_as_the_resource_says() {
    let [first, second] = ["first", "second"].map(|kid| Signer::generate("RS256", kid));
    let claims = auth0_claims(&format!("https://{DOMAIN}/"), AUDIENCE, clock::unix_now().as_secs());
    let [old, new] = [&first, &second].map(|signer| signer.mint(&claims));
    let issuer = Issuer::serving(DOMAIN, jwks([&first])).await;
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let program = Program::serve("life", &manifests(&issuer, &origin), &[&issuer.connect_to()]).await;
    program.ready().await;
    assert_eq!((status(&program, &old).await, issuer.connections()), (200, 1));

    // J48: a key that was not there is asked for at once, by the first token that names it.
    issuer.publish(&jwks([&first, &second]));
    assert_eq!((status(&program, &new).await, issuer.connections()), (200, 2), "rotation");
    assert_eq!(status(&program, &old).await, 200, "both");

    // J49: a key that is removed is gone with the next refresh, and so is what was remembered of its tokens.
    issuer.publish(&jwks([&second]));
    let took = until(&program, &old, 401, CACHE + SLACK).await;
    println!("a removed key was refused after {took:?}");
    assert_eq!(status(&program, &new).await, 200);

    // J47: the issuer goes away. Nobody is told that a good token is a bad one: first it is taken, then there are no keys.
    let removed = Instant::now();
    issuer.go_away();
    let load = Load::start(program.address, &new);
    sleep(STALENESS - CACHE).await;
    assert_eq!((load.count(401), load.count(503)), (0, 0), "keys serve while they are stale");
    until(&program, &new, 503, STALENESS + SLACK).await;
    println!("stale keys served for {:?}, {} requests", removed.elapsed(), load.count(200));
    assert!(removed.elapsed() > STALENESS - SLACK, "not before they are too old");
    assert_eq!(program.admin("/readyz").await.get(9..12), Some("200"), "an issuer that is away is no reason to leave");

    // J46: it comes back, and so do the keys.
    issuer.publish(&jwks([&second]));
    let took = until(&program, &new, 200, BACKOFF + SLACK).await;
    println!("fresh again after {took:?}");
    let served = load.count(200);
    sleep(Duration::from_secs(1)).await;
    assert!(load.count(200) > served, "the load is served again");
    let statuses = load.statuses.lock().unwrap().clone();
    println!("answers to a good token throughout: {statuses:?}");
    assert!(statuses.keys().all(|status| [200, 503].contains(status)), "0 false 401: {statuses:?}");
    assert!(load.count(200) > 10_000, "about 200 a second: {statuses:?}");
}
