//! Tokens that are remembered by a running gateway: fewer verifications, and never a milder answer (J49, J101, J102, J104).

use crate::gateway::{AUDIENCE, DOMAIN, Gateway, SERVICE, Setup, endpoint, manifest, start_echo, token, token_with};
use portcullis::clock;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};

const RULES: &str = "  rules: [{path: /}]";

async fn get(gateway: &Gateway, host: &str, token: &str) -> u16 {
    gateway.get("/", &[("Host", host), ("Authorization", &format!("Bearer {token}"))]).await.status
}

fn behind(address: SocketAddr) -> [(String, Vec<SocketAddr>); 1] {
    [("web".to_owned(), vec![address])]
}

#[tokio::test]
async fn a_token_is_verified_once_and_the_setting_turns_that_off() {
    let (_, address) = start_echo().await;
    for (row, token_cache, hits, misses) in [("on", 1 << 20, 4, 1), ("off", 0, 0, 0)] {
        let gateway = Setup { token_cache, ..Setup::new(&manifest(RULES)).behind("web", &[address]) }.start();
        let good = token();
        for _ in 0..5 {
            assert_eq!(get(&gateway, "a", &good).await, 200, "{row}");
        }
        assert_eq!(get(&gateway, "a", &format!("{good}x")).await, 401, "{row}");
        let stats = gateway.tokens.stats();
        // The forged one cost no verification: it has a byte too many.
        assert_eq!((stats.hits, stats.misses - u64::from(misses > 0)), (hits, misses), "{row}");
    }
}

#[tokio::test]
async fn j101_a_remembered_token_is_refused_once_it_has_expired() {
    let (_, address) = start_echo().await;
    let manifest = manifest(RULES).replace("alg: RS256}", "alg: RS256, leeway: 0s}");
    let gateway = Setup::new(&manifest).behind("web", &[address]).start();
    let expires = clock::unix_now().as_secs() + 2;
    let short = token_with(&json!({ "exp": expires }));
    assert_eq!(get(&gateway, "a", &short).await, 200);
    while clock::unix_now().as_secs() < expires {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((get(&gateway, "a", &short).await, gateway.tokens.stats().hits), (401, 1), "the hit was looked at again");
}

/// J102: another resource with other checks. J104: this one, changed while it serves.
#[tokio::test]
async fn j102_j104_what_is_remembered_under_one_policy_decides_nothing_under_another() {
    let (echo, address) = start_echo().await;
    let resource = |name: &str, host: &str, auth: &str| {
        let spec = format!("hosts: [{host}]\n  auth0: {{domain: {DOMAIN}, {auth}}}\n  backend: {{service: web, port: 80}}\n{RULES}");
        endpoint(name, &spec)
    };
    let ours = format!("audience: [{AUDIENCE:?}]");
    let (same, other) = (resource("same", "same.example", &ours), resource("other", "other.example", "audience: [urn:other]"));
    let stricter = resource("stricter", "stricter.example", &format!("{ours}, organizations: [org_a]"));
    let all = format!("{same}\n---\n{other}\n---\n{stricter}\n---\n{SERVICE}");
    let gateway = Setup::new(&all).behind("web", &[address]).start();
    let good = token();
    assert_eq!(get(&gateway, "same.example", &good).await, 200);
    assert_eq!(get(&gateway, "other.example", &good).await, 401, "another audience");
    assert_eq!(get(&gateway, "stricter.example", &good).await, 401, "an organization");
    assert_eq!((gateway.tokens.stats().hits, gateway.tokens.stats().misses), (2, 1), "both were asked about a remembered token");

    let served = echo.count();
    for changed in [all.replace(&ours, "audience: [urn:new]"), all.replace(&ours, &format!("{ours}, alg: PS256"))] {
        gateway.publish(&changed, &behind(address));
        assert_eq!(get(&gateway, "same.example", &good).await, 401, "J104");
    }
    assert_eq!(echo.count(), served);
    gateway.publish(&all, &behind(address));
    assert_eq!(get(&gateway, "same.example", &good).await, 200);
}
