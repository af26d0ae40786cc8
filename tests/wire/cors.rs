//! What browsers are told where a rule has `cors`, and that it opens nothing (J97).

use crate::{
    client::Answer,
    gateway::{Gateway, Setup, bearer, endpoint, manifest, start_echo},
    origin::Origin,
};
use portcullis::demo::Echo;
use std::sync::Arc;

const APP: &str = "https://app.example.com";
const RULES: &str = r#"
  hosts: [api.example.com]
  rules:
  - {path: /api, methods: [GET, PUT]}
  - {path: /scope, require: {scopes: [none]}}
  - {path: /broken, backend: {service: nowhere, port: 80}}
  - {path: /open, access: Public}"#;

fn manifest_with(cors: &str) -> String {
    manifest(&format!("{RULES}\n  cors: {cors}"))
}

async fn world(cors: &str) -> (Gateway, Arc<Echo>) {
    let (echo, address) = start_echo().await;
    (Setup::new(&manifest_with(cors)).behind("web", &[address]).start(), echo)
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str, method: &str) -> Answer {
    let lines = [("Origin", origin), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", "authorization")];
    gateway.request("OPTIONS", path, &lines).await
}

fn said(answer: &Answer) -> Vec<(&str, &str)> {
    let about = |(name, value): &'_ (String, String)| name.starts_with("access-control-") || (name == "vary" && !value.is_empty());
    let mut said: Vec<_> = answer.headers.iter().filter(|line| about(line)).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    said.sort_unstable();
    said
}

const PREFLIGHT_VARY: (&str, &str) = ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

#[tokio::test]
async fn j97_a_preflight_is_answered_before_a_token_is_asked_for_and_never_forwarded() {
    let (gateway, echo) = world(&format!("{{allowOrigins: [\"{APP}\"], allowCredentials: true, maxAge: 10m, exposeHeaders: [X-A]}}")).await;
    let granted = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "Authorization, Content-Type"),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-origin", APP),
        ("access-control-expose-headers", "X-A"),
        ("access-control-max-age", "600"),
        PREFLIGHT_VARY,
    ];
    for path in ["/api", "/api/x"] {
        let answer = preflight(&gateway, path, APP, "PUT").await;
        assert_eq!((answer.status, said(&answer)), (204, granted.to_vec()), "{path}");
    }
    for origin in ["https://evil.example", "null", "https://app.example.com:8443", "http://app.example.com", "https://app.example.com.evil"]
    {
        let answer = preflight(&gateway, "/api", origin, "PUT").await;
        assert_eq!((answer.status, said(&answer)), (204, vec![PREFLIGHT_VARY]), "{origin}");
    }
    gateway.logged(" 204 preflight ").await;
    assert_eq!(echo.count(), 0);
}

/// Only what a browser sends before it asks is a preflight; anything else needs what the rule needs.
#[tokio::test]
async fn j97_what_is_no_preflight_is_a_request_like_any_other() {
    let (gateway, echo) = world(&format!("{{allowOrigins: [\"{APP}\"]}}")).await;
    let (origin, asks) = (("Origin", APP), ("Access-Control-Request-Method", "GET"));
    let rows: &[(&str, &str, &str, &[(&str, &str)], u16)] = &[
        ("no origin", "OPTIONS", "/scope", &[asks], 401),
        ("no method", "OPTIONS", "/scope", &[origin], 401),
        ("two methods", "OPTIONS", "/scope", &[origin, asks, asks], 401),
        ("two origins", "OPTIONS", "/scope", &[origin, origin, asks], 401),
        ("another method", "GET", "/scope", &[origin, asks], 401),
        ("no method at all", "OPTIONS", "/scope", &[origin, ("Access-Control-Request-Method", "a b")], 401),
        ("a method that the path does not have", "OPTIONS", "/api", &[origin, ("Access-Control-Request-Method", "DELETE")], 405),
        ("no path", "OPTIONS", "/none", &[origin, asks], 404),
        ("no reading", "OPTIONS", "/api%2f", &[origin, asks], 400),
        ("a method of the path", "OPTIONS", "/api", &[origin, asks], 204),
    ];
    for (name, method, path, lines, status) in rows {
        assert_eq!(gateway.request(method, path, lines).await.status, *status, "{name}");
    }
    assert_eq!(echo.count(), 0);
}

/// A path whose rules are of two resources: the rule that would serve the request speaks.
#[tokio::test]
async fn j97_a_preflight_goes_by_the_method_that_it_asks_for() {
    let other = "auth0: {domain: tenant.example.com, audience: [a]}\n  backend: {service: web, port: 80}\n  hosts: [api.example.com]\n  \
        rules: [{path: /api, methods: [DELETE, OPTIONS]}]";
    let (echo, address) = start_echo().await;
    let manifests = format!("{}\n---\n{}", manifest_with(&format!("{{allowOrigins: [\"{APP}\"]}}")), endpoint("zzz", other));
    let gateway = Setup::new(&manifests).behind("web", &[address]).start();
    assert_eq!(preflight(&gateway, "/api", APP, "PUT").await.status, 204);
    let deleting = preflight(&gateway, "/api", APP, "DELETE").await;
    assert_eq!((deleting.status, said(&deleting)), (401, vec![]), "its rule has no cors: OPTIONS is for the rule that names it");
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn our_refusals_can_be_read_by_the_page_that_asked() {
    let (gateway, _) = world(&format!("{{allowOrigins: [\"{APP}\"]}}")).await;
    let token = bearer();
    let rows: &[(&str, &str, &[(&str, &str)], u16)] = &[
        ("no token", "/api", &[], 401),
        ("not enough", "/scope", &[("Authorization", &token)], 403),
        ("a rule that refuses", "/broken", &[("Authorization", &token)], 503),
    ];
    for (name, path, lines, status) in rows {
        let from = |origin| lines.iter().copied().chain([("Origin", origin)]).collect::<Vec<_>>();
        let own = gateway.get(path, &from(APP)).await;
        assert_eq!((own.status, said(&own)), (*status, vec![("access-control-allow-origin", APP), ("vary", "Origin")]), "{name}");
        let foreign = gateway.get(path, &from("https://evil.example")).await;
        assert_eq!((foreign.status, said(&foreign)), (*status, vec![("vary", "Origin")]), "{name}");
    }
    let wrong = gateway.request("POST", "/api", &[("Origin", APP), ("Content-Length", "0")]).await;
    assert_eq!((wrong.status, wrong.header("access-control-allow-origin")), (405, Some(APP)));
}

#[tokio::test]
async fn the_rule_speaks_instead_of_the_backend() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
        Access-Control-Expose-Headers: X-Secret\r\nAccess-Control-Allow-Methods: DELETE\r\nVary: Accept-Encoding\r\n\r\nok";
    let origin = Origin::saying(answer).await;
    let theirs = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "DELETE"),
        ("access-control-allow-origin", "*"),
        ("access-control-expose-headers", "X-Secret"),
        ("vary", "Accept-Encoding"),
    ];
    let rows: &[(&str, String, Option<&str>, Vec<(&str, &str)>)] = &[
        (
            "named",
            manifest_with(&format!("{{allowOrigins: [\"{APP}\"]}}")),
            Some(APP),
            vec![("access-control-allow-origin", APP), ("vary", "Accept-Encoding"), ("vary", "Origin")],
        ),
        (
            "foreign",
            manifest_with(&format!("{{allowOrigins: [\"{APP}\"]}}")),
            Some("https://x.example"),
            vec![("vary", "Accept-Encoding"), ("vary", "Origin")],
        ),
        (
            "no script",
            manifest_with(&format!("{{allowOrigins: [\"{APP}\"]}}")),
            None,
            vec![("vary", "Accept-Encoding"), ("vary", "Origin")],
        ),
        (
            "any",
            manifest_with("{allowOrigins: [\"*\"], exposeHeaders: [X-B, X-C]}"),
            Some(APP),
            vec![
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "X-B, X-C"),
                ("vary", "Accept-Encoding"),
                ("vary", "Origin"),
            ],
        ),
        ("no cors", manifest(RULES), Some(APP), theirs.to_vec()),
    ];
    for (name, manifest, from, want) in rows {
        let gateway = Setup::new(manifest).behind("web", &[origin.address]).start();
        let lines: Vec<_> = from.iter().map(|from| ("Origin", *from)).collect();
        let answer = gateway.get("/open", &lines).await;
        assert_eq!((answer.status, said(&answer)), (200, want.clone()), "{name}");
    }
}

/// A cookie acts for the pages that the rule names, where the browser says no more than Origin.
#[tokio::test]
async fn a_cookie_acts_for_the_origins_that_are_named() {
    let (_echo, address) = start_echo().await;
    let cookie = format!("t={}", crate::gateway::token());
    for (cors, from, status) in [
        (format!("{{allowOrigins: [\"{APP}\"]}}"), APP, 200),
        (format!("{{allowOrigins: [\"{APP}\"]}}"), "https://evil.example", 403),
        ("{allowOrigins: [\"*\"]}".to_owned(), APP, 403),
    ] {
        let manifest = manifest(&format!("  token: {{cookie: t}}\n  cors: {cors}\n  rules: [{{path: /x}}]"));
        let gateway = Setup::new(&manifest).behind("web", &[address]).start();
        let lines = [("Origin", from), ("Cookie", cookie.as_str()), ("Content-Length", "0")];
        assert_eq!(gateway.request("POST", "/x", &lines).await.status, status, "{cors} {from}");
    }
}
