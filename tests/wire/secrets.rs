//! HS256: the key of a Secret, on the road from the manifests to the request.

use crate::gateway::{AUDIENCE, DOMAIN, Gateway, SERVICE, Setup, TENANT, bearer, endpoint, start_echo};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::net::SocketAddr;

const SECRET: &str = "a secret of thirty-two bytes, so";
const OTHER: &str = "another secret of thirty-two byt";

/// A rule under HS256 at `/api` with this Secret, if any; one that is open; and one under published keys at `/rsa`.
fn manifests(secret: Option<&str>) -> String {
    let hs256 = format!(
        "hosts: [hs.example.com]\n  auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}], alg: HS256, secretRef: {{name: tenant}}}}\n  \
         backend: {{service: web, port: 80}}\n  rules:\n  - {{path: /api}}\n  - {{path: /open, access: Public}}"
    );
    let rs256 = format!(
        "hosts: [rs.example.com]\n  auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}]}}\n  backend: {{service: web, port: 80}}\n  \
         rules: [{{path: /api}}]"
    );
    let secret =
        secret.map(|value| format!("\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: tenant}}\nstringData: {{secret: {value:?}}}"));
    format!("{}\n---\n{}\n---\n{SERVICE}{}", endpoint("hs", &hs256), endpoint("rs", &rs256), secret.unwrap_or_default())
}

/// A token of this algorithm by name, MACed with this key.
fn mint(alg: &str, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": alg, "typ": "JWT"})), part(&TENANT.claims("client", AUDIENCE)));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

async fn status(gateway: &Gateway, host: &str, path: &str, authorization: &str) -> u16 {
    gateway.get(path, &[("Host", host), ("Authorization", authorization)]).await.status
}

fn behind(address: SocketAddr) -> [(String, Vec<SocketAddr>); 1] {
    [("web".to_owned(), vec![address])]
}

#[tokio::test]
async fn j04_j05_a_token_of_the_secret_passes_where_the_secret_is_named_and_nowhere_else() {
    let (echo, address) = start_echo().await;
    let gateway = Setup::new(&manifests(Some(SECRET))).behind("web", &[address]).start();
    assert_eq!(status(&gateway, "hs.example.com", "/api", &mint("HS256", SECRET.as_bytes())).await, 200);
    assert_eq!(status(&gateway, "rs.example.com", "/api", &bearer()).await, 200);
    let served = echo.count();
    let jwks = TENANT.jwks().to_string();
    let modulus = TENANT.jwks()["keys"][0]["n"].as_str().unwrap().to_owned();
    let rows = [
        ("another secret", "hs.example.com", mint("HS256", OTHER.as_bytes())),
        ("no secret", "hs.example.com", mint("HS256", b"")),
        ("an algorithm that is not asked for", "hs.example.com", mint("HS512", SECRET.as_bytes())),
        ("a token of the issuer's published key", "hs.example.com", bearer()),
        ("the published keys as a secret", "hs.example.com", mint("HS256", jwks.as_bytes())),
        ("J04 HS256 where RS256 is asked for", "rs.example.com", mint("HS256", SECRET.as_bytes())),
        ("J04 a published key as a secret", "rs.example.com", mint("HS256", modulus.as_bytes())),
        ("J04 called RS256", "rs.example.com", mint("RS256", modulus.as_bytes())),
        ("the empty key", "rs.example.com", mint("HS256", b"")),
    ];
    for (name, host, authorization) in rows {
        assert_eq!(status(&gateway, host, "/api", &authorization).await, 401, "{name}");
    }
    assert_eq!(echo.count(), served, "nothing reached the backend");
}

/// A new value is in use at once, and what an old one verified is worth nothing any more.
#[tokio::test]
async fn a_changed_secret_is_live_and_a_missing_or_bad_one_closes_its_rule_alone() {
    let (_echo, address) = start_echo().await;
    let gateway = Setup::new(&manifests(Some(SECRET))).behind("web", &[address]).start();
    let (old, new) = (mint("HS256", SECRET.as_bytes()), mint("HS256", OTHER.as_bytes()));
    let rows = [
        ("the first value", Some(SECRET), 200, 401),
        ("another", Some(OTHER), 401, 200),
        ("31 bytes", Some(&SECRET[..31]), 503, 503),
        ("the first again", Some(SECRET), 200, 401),
        ("no Secret", None, 503, 503),
        ("another again", Some(OTHER), 401, 200),
    ];
    for (name, secret, first, second) in rows {
        gateway.publish(&manifests(secret), &behind(address));
        for authorization in [&old, &new] {
            let want = if authorization == &old { first } else { second };
            assert_eq!(status(&gateway, "hs.example.com", "/api", authorization).await, want, "{name}");
            assert_eq!(status(&gateway, "hs.example.com", "/api", authorization).await, want, "{name}, again");
        }
        assert_eq!(gateway.get("/open", &[("Host", "hs.example.com")]).await.status, 200, "{name}: a Public rule needs no key");
        assert_eq!(status(&gateway, "rs.example.com", "/api", &bearer()).await, 200, "{name}: nobody else is concerned");
    }
    let refused = gateway.logged("503").await;
    assert!(refused.contains("invalid_secret"), "{refused}");
    let log = gateway.log_lines().join("\n");
    assert!(!log.contains(SECRET) && !log.contains(OTHER), "{log}");
}
