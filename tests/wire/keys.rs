//! Keys that change, are unknown, or never came: the real refresher against a real tenant over TLS (J46-J51).

use crate::gateway::{AUDIENCE, DOMAIN, Gateway, Setup, endpoint, manifest, new_tenant, start_echo};
use portcullis::demo::{Behaviour, Echo, JWKS_PATH, SigningKey, Tenant};
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::Instant};

async fn serve(tenant: &Arc<Tenant>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(tenant).serve(listener));
    address
}

/// A rule under the tenant's keys at `/api`, and one that is open.
fn manifests(tenant: &Tenant) -> String {
    let ca = tenant.ca_pem().trim_end().replace('\n', "\n      ");
    let auth = format!("auth0:\n    domain: {DOMAIN}\n    audience: [{AUDIENCE:?}]\n    caBundle: |\n      {ca}");
    let rules = "rules:\n  - {path: /api}\n  - {path: /open, access: Public}";
    let spec = format!("{auth}\n  backend: {{service: web, port: 80}}\n  {rules}");
    format!("{}\n---\n{}", endpoint("messages", &spec), crate::gateway::SERVICE)
}

async fn world(tenant: &Arc<Tenant>) -> (Gateway, Arc<Echo>) {
    let (echo, address) = start_echo().await;
    let issuer = serve(tenant).await;
    (Setup::new(&manifests(tenant)).behind("web", &[address]).issuer(issuer).start(), echo)
}

async fn api(gateway: &Gateway, token: &str) -> u16 {
    gateway.get("/api", &[("Authorization", &format!("Bearer {token}"))]).await.status
}

async fn until_served(gateway: &Gateway, token: &str) {
    let start = Instant::now();
    while api(gateway, token).await != 200 {
        assert!(start.elapsed() < Duration::from_secs(10), "never served: {:?}", gateway.log_lines().last());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn token(tenant: &Tenant) -> String {
    tenant.mint(&tenant.claims("client", AUDIENCE))
}

#[tokio::test]
async fn j48_a_rotated_key_is_fetched_once_for_everybody() {
    let tenant = Arc::new(new_tenant());
    let (gateway, echo) = world(&tenant).await;
    until_served(&gateway, &token(&tenant)).await;
    let (served, fetched) = (echo.count(), tenant.requests(JWKS_PATH));
    tenant.rotate().unwrap();
    let new = token(&tenant);
    let start = Instant::now();
    let statuses = tokio::join!(api(&gateway, &new), api(&gateway, &new), api(&gateway, &new), api(&gateway, &new));
    assert_eq!(statuses, (200, 200, 200, 200));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!((tenant.requests(JWKS_PATH) - fetched, echo.count() - served), (1, 4));
}

/// J49: with its key, what was remembered of a token is gone.
#[tokio::test]
async fn j49_a_remembered_token_of_a_removed_key_is_refused() {
    let tenant = Arc::new(new_tenant());
    let (gateway, _echo) = world(&tenant).await;
    let old = token(&tenant);
    until_served(&gateway, &old).await;
    assert_eq!((api(&gateway, &old).await, gateway.tokens.stats().tokens), (200, 1));
    tenant.rotate().unwrap();
    tenant.revoke_old_keys();
    assert_eq!(api(&gateway, &token(&tenant)).await, 200, "the new key is fetched");
    assert_eq!(api(&gateway, &old).await, 401);
}

#[tokio::test]
async fn j50_j51_a_flood_of_unknown_keys_costs_one_fetch_and_nobody_else() {
    let tenant = Arc::new(new_tenant());
    let (gateway, _echo) = world(&tenant).await;
    let good = token(&tenant);
    until_served(&gateway, &good).await;
    let fetched = tenant.requests(JWKS_PATH);
    let stranger = SigningKey::generate().unwrap();
    for n in 0..100 {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": format!("kid-{n}")});
        let unknown = stranger.sign_with_header(&header, &tenant.claims("client", AUDIENCE));
        assert_eq!(api(&gateway, &unknown).await, 401, "{n}");
        assert_eq!(api(&gateway, &good).await, 200, "{n}");
    }
    assert_eq!(tenant.requests(JWKS_PATH) - fetched, 1);
}

#[tokio::test]
async fn j46_keys_that_never_came_close_their_rule_alone_and_heal() {
    let tenant = Arc::new(new_tenant());
    tenant.behave(Behaviour::Fail(http::StatusCode::INTERNAL_SERVER_ERROR));
    let (gateway, echo) = world(&tenant).await;
    let good = token(&tenant);
    let refused = gateway.get("/api", &[("Authorization", &format!("Bearer {good}"))]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(gateway.get("/api", &[]).await.status, 401, "without a token there is nothing to wait for");
    assert_eq!((gateway.get("/open", &[]).await.status, echo.count()), (200, 1));
    tenant.behave(Behaviour::Normal);
    until_served(&gateway, &good).await;
}

/// The keys of one issuer do nothing for another.
#[tokio::test]
async fn a_rule_whose_issuer_has_no_keys_is_not_opened_by_those_of_another() {
    let (echo, address) = start_echo().await;
    let other = manifest("  rules: [{path: /}]").replace(DOMAIN, "other.example.com");
    let gateway = Setup::new(&other).behind("web", &[address]).start();
    assert_eq!(gateway.get("/", &[("Authorization", &crate::gateway::bearer())]).await.status, 503);
    assert_eq!(echo.count(), 0);
}
