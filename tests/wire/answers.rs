//! The walk-through, and the table of answers of the contract.

use crate::{
    client::head,
    gateway::{self, Gateway, Setup, bearer, manifest, start_echo, token, token_with},
    origin::Origin,
};
use portcullis::demo::Echo;
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};

const WALK_THROUGH: &str = r#"
  token: {cookie: access_token}
  timeout: 3s
  rules:
  - path: /auth0-protected
    pathType: Exact
    methods: [GET]
    rewrite: /__health"#;

/// One of each kind of rule.
const RULES: &str = r#"
  hosts: [api.example.com]
  token: {cookie: access_token}
  rules:
  - {path: /open, access: Public}
  - {path: /api}
  - {path: /read, methods: [GET, POST]}
  - {path: /scope, require: {scopes: ["write:messages", "read:messages"]}}
  - {path: /permission, require: {permissions: ["delete:messages"]}}
  - {path: /role, require: {roles: [admin], rolesClaim: "https://my.app/roles"}}
  - {path: /empty, backend: {service: empty, port: 80}}
  - {path: /refused, backend: {service: refused, port: 80}}
  - {path: /slow, backend: {service: slow, port: 80}, timeout: 100ms}
  - {path: /nowhere, backend: {service: nowhere, port: 80}}"#;

fn service(name: &str) -> String {
    gateway::SERVICE.replace("web", name)
}

/// A gateway that is its own backend, as in the walk-through.
async fn walk_through() -> Gateway {
    let gateway = Setup::new(&manifest(WALK_THROUGH)).start();
    gateway.set_endpoints("web", &[gateway.address]);
    gateway
}

async fn world() -> (Gateway, Arc<Echo>, Origin) {
    let (echo, address) = start_echo().await;
    let slow = Origin::start(|mut conversation| async move { conversation.end().await }).await;
    let manifests = [manifest(RULES), service("empty"), service("refused"), service("slow")].join("\n---\n");
    let setup = Setup::new(&manifests).behind("web", &[address]).behind("refused", &[closed_port()]).behind("slow", &[slow.address]);
    (setup.start(), echo, slow)
}

fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_walk_through_of_the_seed() {
    let gateway = walk_through().await;
    let health = gateway.get("/__health", &[]).await;
    assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#));
    assert_eq!(health.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(health.header("content-length"), Some("15"));

    let refused = gateway.get("/auth0-protected", &[("Host", "localhost:8080")]).await;
    assert_eq!((refused.status, refused.body.as_str()), (401, ""));
    assert_eq!(refused.header("content-length"), Some("0"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"localhost\""));
    let line = gateway.logged("Token not found").await;
    assert!(line.contains(" GET localhost /auth0-protected 401 missing_token default/messages/rules[0] "), "{line}");

    let with_header = gateway.get("/auth0-protected", &[("Authorization", &bearer())]).await;
    assert_eq!((with_header.status, with_header.body.as_str()), (200, r#"{"status":"ok"}"#));
    let cookie = format!("a=1; access_token={}; b=2", token());
    let with_cookie = gateway.get("/auth0-protected", &[("Cookie", &cookie)]).await;
    assert_eq!((with_cookie.status, with_cookie.body.as_str()), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn every_row_of_the_table_of_answers() {
    let (gateway, echo, _slow) = world().await;
    let good = bearer();
    let expired = format!("Bearer {}", token_with(&json!({"exp": 1})));
    let roles = format!("Bearer {}", token_with(&json!({"https://my.app/roles": ["user"]})));
    let challenge = |error: &str| Some(("www-authenticate", format!("Bearer realm=\"api.example.com\"{error}")));
    let retry = || Some(("retry-after", "5".to_owned()));
    let allow = |methods: &str| Some(("allow", methods.to_owned()));
    let auth = |value: &str| vec![("Authorization".to_owned(), value.to_owned())];
    #[rustfmt::skip]
    let rows = [
        ("no route", "GET", "/nothing", vec![], 404, None),
        ("another host", "GET", "/api", vec![("Host".to_owned(), "other.example.com".to_owned())], 404, None),
        ("path known, method not", "DELETE", "/read", vec![], 405, allow("GET, HEAD, POST")),
        ("no token", "GET", "/api", vec![], 401, challenge("")),
        ("J91 another scheme", "GET", "/api", auth("Basic dTpw"), 401, challenge("")),
        ("token refused", "GET", "/api", auth(&expired), 401, challenge(", error=\"invalid_token\"")),
        ("bad shape", "GET", "/api", auth("Bearer garbage"), 401, challenge(", error=\"invalid_token\"")),
        ("J86 doubled header", "GET", "/api", [auth(&good), auth(&good)].concat(), 400, challenge(", error=\"invalid_request\"")),
        ("J90 Bearer alone", "GET", "/api", auth("Bearer"), 400, challenge(", error=\"invalid_request\"")),
        ("J87 two tokens", "GET", "/api", auth(&format!("{good}, {good}")), 400, challenge(", error=\"invalid_request\"")),
        ("J95 two cookies", "GET", "/api", vec![("Cookie".to_owned(), "access_token=a; access_token=b".to_owned())], 400, challenge(", error=\"invalid_request\"")),
        ("scope missing", "GET", "/scope", auth(&good), 403, challenge(", error=\"insufficient_scope\", scope=\"write:messages read:messages\"")),
        ("permission missing", "GET", "/permission", auth(&good), 403, challenge(", error=\"insufficient_scope\", scope=\"delete:messages\"")),
        ("role missing", "GET", "/role", auth(&roles), 403, challenge(", error=\"insufficient_scope\"")),
        ("cookie from elsewhere", "POST", "/api", vec![("Cookie".to_owned(), format!("access_token={}", token()))], 403, None),
        ("no ready endpoint", "GET", "/empty", auth(&good), 503, retry()),
        ("no such Service", "GET", "/nowhere", auth(&good), 503, retry()),
        ("refused", "GET", "/refused", auth(&good), 502, None),
        ("too slow", "GET", "/slow", auth(&good), 504, None),
        ("P24 CONNECT", "CONNECT", "/api", auth(&good), 405, allow("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")),
        ("P42 TRACE", "TRACE", "/api", auth(&good), 405, allow("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")),
        ("P54 another expectation", "GET", "/api", vec![("Expect".to_owned(), "luck".to_owned())], 417, None),
    ];
    for (name, method, path, headers, status, header) in rows {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = gateway.request(method, path, &headers).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{name}");
        if let Some((field, value)) = header {
            assert_eq!(answer.header(field), Some(value.as_str()), "{name}");
        }
        assert!(answer.header("x-request-id").is_some_and(|id| id.len() == 32), "{name}: {answer:?}");
        problem_on_request_only(&gateway, name, method, path, &headers, status).await;
    }
    assert_eq!(echo.count(), 0, "nothing of all this reached the backend");
}

async fn problem_on_request_only(gateway: &Gateway, name: &str, method: &str, path: &str, headers: &[(&str, &str)], status: u16) {
    let headers: Vec<_> = headers.iter().copied().chain([("Accept", "application/problem+json"), ("X-Request-Id", "my-1")]).collect();
    let answer = gateway.request(method, path, &headers).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (status, Some("my-1")), "{name}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&problem["status"], &problem["requestId"]), (&json!(status), &json!("my-1")), "{name}");
    assert!(problem["type"].as_str().unwrap().starts_with("https://portcullis.dev/problems/"), "{name}");
}

#[tokio::test]
async fn before_the_first_table_every_path_but_none_is_503() {
    let mut setup = Setup::new("");
    setup.publish = false;
    let gateway = setup.start();
    for path in ["/", "/api", "/__health"] {
        let answer = gateway.get(path, &[]).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{path}");
    }
}

#[tokio::test]
async fn a_request_that_comes_back_twice_is_a_loop() {
    let rules = "  rules:\n  - {path: /, access: Public, rewrite: /x}";
    let gateway = Setup::new(&manifest(rules)).start();
    gateway.set_endpoints("web", &[gateway.address]);
    assert_eq!(gateway.get("/a", &[]).await.status, 508);
    let loops = gateway.log_lines().iter().filter(|line| line.contains(" 508 loop ")).count();
    gateway.logged(" 508 loop ").await;
    assert!(loops <= 1);
}

#[tokio::test]
async fn head_is_answered_with_the_head_of_get() {
    let (gateway, _echo, _slow) = world().await;
    let mut client = gateway.client().await;
    let health = client.request("HEAD", "/__health", &[]).await;
    assert_eq!((health.status, health.header("content-length")), (200, Some("15")));
    let forwarded = client.request("HEAD", "/read", &[("Authorization", &bearer())]).await;
    assert_eq!(forwarded.status, 200);
    let refused = client.request("HEAD", "/api", &[("Accept", "application/json")]).await;
    assert_eq!(refused.status, 401);
    assert_eq!(client.request("GET", "/__health", &[]).await.body, r#"{"status":"ok"}"#, "no body was sent in between");
}

#[tokio::test]
async fn health_stands_only_where_no_rule_matches_and_for_reading() {
    let (gateway, _echo, _slow) = world().await;
    assert_eq!(gateway.request("POST", "/__health", &[]).await.status, 404);
    let (gateway, echo) = {
        let (echo, address) = start_echo().await;
        (Setup::new(&manifest("  rules: [{path: /}]")).behind("web", &[address]).start(), echo)
    };
    assert_eq!(gateway.get("/__health", &[]).await.status, 401, "a rule owns this path");
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn a_request_id_is_kept_when_harmless_and_told_to_both_sides() {
    let (gateway, echo, _slow) = world().await;
    let long = "x".repeat(65);
    let rows = [("abc-1._Z", true), (&long, false), ("a b", false), ("a\"b", false), ("é", false)];
    for (id, kept) in rows {
        let answer = gateway.get("/open", &[("X-Request-Id", id)]).await;
        let ours = answer.header("x-request-id").unwrap();
        assert_eq!(ours == id, kept, "{id}");
        assert_eq!(echo.last().unwrap().headers["x-request-id"], ours, "{id}");
    }
    let doubled = gateway.get("/open", &[("X-Request-Id", "a"), ("X-Request-Id", "b")]).await;
    assert_eq!(doubled.header("x-request-id").unwrap().len(), 32);
    let listed = gateway.get("/open", &[("X-Request-Id", "mine"), ("Connection", "x-request-id")]).await;
    assert_eq!(listed.header("x-request-id"), Some("mine"));
    assert_eq!(echo.last().unwrap().headers.get("x-request-id").map(|v| v.to_str().unwrap()), Some("mine"), "J107");
}

#[tokio::test]
async fn the_log_has_one_line_for_each_request() {
    let (gateway, _echo, _slow) = world().await;
    let mut client = gateway.client().await;
    client.send([head("GET", "/open", &[]), head("GET", "/api", &[]), head("GET", "/none", &[])].concat()).await;
    let statuses = [client.answer(false).await.status, client.answer(false).await.status, client.answer(false).await.status];
    assert_eq!(statuses, [200, 401, 404]);
    gateway.logged(" /none 404 no_route - - ").await;
    assert_eq!(gateway.log_lines().len(), 3, "{:#?}", gateway.log_lines());
}
