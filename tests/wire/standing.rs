//! J100: an answer under way ends soon after the same request would be refused: its resource deleted or changed, its key removed.

use crate::{
    client::{Client, head},
    gateway::{AUDIENCE, DOMAIN, Gateway, SERVICE, Setup, bearer, endpoint, manifest, new_tenant},
    origin::Origin,
};
use portcullis::{
    demo::{JWKS_PATH, Tenant},
    proxy::Timeouts,
};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

/// Much longer than between two looks.
const SOON: Duration = Duration::from_secs(5);

fn looking_often() -> Timeouts {
    Timeouts { standing: Duration::from_millis(100), ..Timeouts::default() }
}

/// An event stream that says nothing after its head, for a minute at most.
async fn stream() -> Origin {
    Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n").await;
        let _ = timeout(Duration::from_secs(60), conversation.end()).await;
    })
    .await
}

/// A client in the middle of an answer.
async fn listening(gateway: &Gateway, path: &str, authorization: &str) -> Client {
    let mut client = gateway.client().await;
    client.send(head("GET", path, &[("Authorization", authorization)])).await;
    assert_eq!(client.answer_head().await.status, 200, "{path}");
    client
}

#[tokio::test]
async fn j100_a_changed_resource_ends_the_answers_that_it_would_not_give_again() {
    let token_rule = "  rules: [{path: /}]";
    let public_rule = "  rules: [{path: /, access: Public}]";
    let auth = format!("audience: [{AUDIENCE:?}]");
    let rows = [
        ("unchanged", token_rule, manifest(token_rule), true),
        ("changed elsewhere", token_rule, manifest("  timeout: 3s\n  rules: [{path: /}]"), true),
        ("opened", token_rule, manifest(public_rule), true),
        ("deleted", token_rule, SERVICE.to_owned(), false),
        ("deleted, Public", public_rule, SERVICE.to_owned(), false),
        ("another path", token_rule, manifest("  rules: [{path: /other}]"), false),
        ("another method", token_rule, manifest("  rules: [{path: /, methods: [POST]}]"), false),
        ("another audience", token_rule, manifest(token_rule).replace(&auth, "audience: [urn:other]"), false),
        ("a scope that it lacks", token_rule, manifest("  require: {scopes: [\"delete:all\"]}\n  rules: [{path: /}]"), false),
        ("closed", public_rule, manifest(token_rule), false),
        ("kept beyond the token, deleted", "  token: {streamsAtExpiry: Keep}\n  rules: [{path: /}]", SERVICE.to_owned(), false),
    ];
    let mut all = JoinSet::new();
    for (row, before, after, goes_on) in rows {
        all.spawn(async move {
            let origin = stream().await;
            let gateway = Setup::new(&manifest(before)).behind("web", &[origin.address]).timeouts(looking_often()).start();
            let mut client = listening(&gateway, "/", &bearer()).await;
            gateway.publish(&after, &[("web".to_owned(), vec![origin.address])]);
            let patience = if goes_on { Duration::from_secs(1) } else { SOON };
            assert_eq!(!client.is_closed_within(patience).await, goes_on, "{row}");
            if !goes_on {
                gateway.logged("withdrawn").await;
            }
        });
    }
    all.join_all().await;
}

async fn serve(tenant: &Arc<Tenant>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(tenant).serve(listener));
    address
}

#[tokio::test]
async fn j100_a_removed_key_ends_the_answers_to_its_tokens() {
    let (origin, tenant) = (stream().await, Arc::new(new_tenant()));
    let ca = tenant.ca_pem().trim_end().replace('\n', "\n      ");
    let auth = format!("auth0:\n    domain: {DOMAIN}\n    audience: [{AUDIENCE:?}]\n    caBundle: |\n      {ca}");
    let spec = format!("{auth}\n  backend: {{service: web, port: 80}}\n  rules: [{{path: /}}]");
    let manifests = format!("{}\n---\n{SERVICE}", endpoint("messages", &spec));
    let gateway = Setup::new(&manifests).behind("web", &[origin.address]).timeouts(looking_often()).issuer(serve(&tenant).await).start();
    let provider = gateway.live.keys.all().remove(0).1;
    provider.attempted().await;
    let bearer = || format!("Bearer {}", tenant.mint(&tenant.claims("client", AUDIENCE)));
    let mut old = listening(&gateway, "/", &bearer()).await;
    tenant.rotate().unwrap();
    tenant.revoke_old_keys();
    let mut new = listening(&gateway, "/", &bearer()).await;
    assert_eq!(tenant.requests(JWKS_PATH), 2, "the new key came, and the old one is gone");
    assert!(old.is_closed_within(SOON).await, "of the removed key");
    assert!(!new.is_closed_within(Duration::from_secs(1)).await, "of the new one");
}
