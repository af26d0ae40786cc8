//! Which headers cross the gateway, and which only it may say (P46-P55, J92-J96, J105-J110).

use crate::{
    client::Client,
    gateway::{Gateway, Setup, VIA, bearer, manifest, start_echo, token, token_with},
    origin::Origin,
};
use portcullis::{demo::Echo, demo::Seen, proxy::ClientAddress};
use serde_json::json;
use std::sync::Arc;

const RULES: &str = r#"
  hosts: [api.example.com]
  token: {cookie: access_token}
  claimHeaders: [{header: X-User, claim: sub}, {header: X-Roles, claim: roles, arrays: Repeat}, {header: X-Gone, claim: gone}]
  rules:
  - {path: /api}
  - {path: /open, access: Public}"#;

async fn world_of(rules: &str) -> (Gateway, Arc<Echo>) {
    let (echo, address) = start_echo().await;
    (Setup::new(&manifest(rules)).behind("web", &[address]).start(), echo)
}

async fn world() -> (Gateway, Arc<Echo>) {
    world_of(RULES).await
}

/// What the backend saw of a request that had to be answered with 200.
async fn seen(gateway: &Gateway, echo: &Echo, path: &str, headers: &[(&str, &str)]) -> Seen {
    let answer = gateway.get(path, headers).await;
    assert_eq!(answer.status, 200, "{headers:?}");
    echo.last().unwrap()
}

fn lines<'a>(seen: &'a Seen, name: &str) -> Vec<&'a str> {
    seen.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn p46_hop_by_hop_headers_stay_on_their_hop() {
    let (gateway, echo) = world().await;
    let headers = [
        ("Connection", "keep-alive, X-Mine"),
        ("Connection", "x-other"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ("X-Mine", "1"),
        ("X-Other", "1"),
        ("X-Kept", "1"),
    ];
    let seen = seen(&gateway, &echo, "/open", &headers).await;
    let mut names: Vec<_> = seen.headers.keys().map(|name| name.as_str()).collect();
    let mut wanted = ["x-kept", "x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "host"];
    wanted.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, wanted, "P48 too: no upgrade to h2c");
}

#[tokio::test]
async fn p46_hop_by_hop_headers_of_the_backend_stay_on_theirs() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
        Upgrade: h2c\r\nX-Mine: 1\r\nX-Kept: 1\r\nX-Kept: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nWWW-Authenticate: Basic realm=\"theirs\"\r\n\r\nok";
    let origin = Origin::saying(answer).await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let answer = gateway.get("/open", &[]).await;
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let wanted = ["content-length", "date", "set-cookie", "set-cookie", "www-authenticate", "x-kept", "x-kept", "x-request-id"];
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn p47_a_connection_line_removes_nothing_that_decides() {
    let (gateway, echo) = world().await;
    let (token, listed) =
        (bearer(), "host, authorization, cookie, x-forwarded-for, x-user, via, forwarded, content-length, x-forwarded-host");
    let seen = seen(&gateway, &echo, "/api", &[("Authorization", &token), ("Cookie", "a=1"), ("Connection", listed)]).await;
    assert_eq!(lines(&seen, "authorization"), [token]);
    assert_eq!(lines(&seen, "cookie"), ["a=1"]);
    assert_eq!(lines(&seen, "host"), ["api.example.com"]);
    assert_eq!(lines(&seen, "x-user"), ["client@clients"], "J107");
    assert_eq!(lines(&seen, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(lines(&seen, "via"), [format!("1.1 {VIA}")]);
}

#[tokio::test]
async fn p55_a_client_says_nothing_about_where_it_came_from() {
    let (gateway, echo) = world().await;
    let lies = [
        ("Forwarded", "for=1.2.3.4"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-For", "5.6.7.8"),
        ("X-Forwarded-Host", "evil"),
        ("X-Forwarded-Port", "1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Server", "evil"),
        ("X-Forwarded-Ssl", "on"),
        ("X-Real-IP", "1.2.3.4"),
        ("X_Forwarded_For", "1.2.3.4"),
        ("X_Real-IP", "1.2.3.4"),
        ("Host", "API.example.com.:8080"),
    ];
    let seen = seen(&gateway, &echo, "/open", &lies).await;
    assert_eq!(lines(&seen, "host"), ["api.example.com:8080"], "P40: canonical");
    assert_eq!(lines(&seen, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(lines(&seen, "x-forwarded-host"), ["api.example.com:8080"]);
    assert_eq!(lines(&seen, "x-forwarded-proto"), ["http"]);
    assert_eq!(lines(&seen, "forwarded"), ["for=127.0.0.1;host=\"api.example.com:8080\";proto=http"]);
    for name in ["x-forwarded-port", "x-forwarded-server", "x-forwarded-ssl", "x-real-ip", "x_forwarded_for", "x_real-ip"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

/// Whatever a proxy might say about a user, a certificate or an address, a client did not hear it from one.
#[tokio::test]
async fn p55_the_whole_family_of_a_proxys_words_is_dropped() {
    let (gateway, echo) = world().await;
    let names = [
        "X-Forwarded",
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Access-Token",
        "X-Forwarded-Client-Cert",
        "X-Forwarded-Scheme",
        "x_forwarded_user",
        "X-Client-IP",
        "X_Client_IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
    ];
    let lies: Vec<_> = names.iter().map(|name| (*name, "admin")).collect();
    let token = bearer();
    let with_token: Vec<_> = lies.iter().copied().chain([("Authorization", token.as_str())]).collect();
    for seen in [seen(&gateway, &echo, "/open", &lies).await, seen(&gateway, &echo, "/api", &with_token).await] {
        assert!(names.iter().all(|name| !seen.headers.contains_key(*name)), "{:?}", seen.headers);
    }
}

#[tokio::test]
async fn j107_a_claim_may_be_passed_on_under_a_name_that_clients_may_not_use() {
    let (gateway, echo) = world_of(&RULES.replace("X-User", "X-Forwarded-User")).await;
    let (token, lie) = (bearer(), ("X-Forwarded-User", "admin"));
    assert_eq!(lines(&seen(&gateway, &echo, "/api", &[("Authorization", &token), lie]).await, "x-forwarded-user"), ["client@clients"]);
    assert!(lines(&seen(&gateway, &echo, "/open", &[lie]).await, "x-forwarded-user").is_empty());
}

#[tokio::test]
async fn p47_j96_a_verified_token_cannot_be_listed_away_from_a_header_of_its_own() {
    let (gateway, echo) = world_of(&RULES.replace("{cookie: access_token}", "{header: X-Access-Token}")).await;
    let token = token();
    let seen = seen(&gateway, &echo, "/api", &[("X-Access-Token", token.as_str()), ("Connection", "x-access-token")]).await;
    assert_eq!(lines(&seen, "x-access-token"), [token]);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_continued() {
    let (echo, address) = start_echo().await;
    let mut setup = Setup::new(&manifest(RULES)).behind("web", &[address]);
    setup.client_address = ClientAddress::TrustedProxies(vec!["127.0.0.0/8".parse().unwrap()]);
    let gateway = setup.start();
    let told = [
        ("X-Forwarded-For", "9.9.9.9, 1.2.3.4"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "www.example.com"),
        ("Via", "1.1 edge"),
    ];
    let seen = seen(&gateway, &echo, "/open", &told).await;
    assert_eq!(lines(&seen, "x-forwarded-for"), ["9.9.9.9, 1.2.3.4, 127.0.0.1"]);
    assert_eq!(lines(&seen, "x-forwarded-proto"), ["https"]);
    assert_eq!(lines(&seen, "x-forwarded-host"), ["www.example.com"]);
    assert_eq!(lines(&seen, "via"), [format!("1.1 edge, 1.1 {VIA}")]);
    gateway.logged(" 1.2.3.4 GET ").await;
}

#[tokio::test]
async fn j105_j106_only_the_token_says_who_it_is() {
    let (gateway, echo) = world().await;
    let spellings = ["X-User", "x-user", "X-USER", "X_User", "x_user", "X.User", "X-Roles", "X_Roles", "X-Gone", "x_gone"];
    let lies: Vec<_> = spellings.iter().chain(&spellings).map(|name| (*name, "admin")).collect();
    let on_public = seen(&gateway, &echo, "/open", &lies).await;
    let token = format!("Bearer {}", token_with(&json!({"sub": "auth0|1", "roles": ["a", "b\r\nX-Admin: 1"]})));
    let with_token: Vec<_> = lies.iter().copied().chain([("Authorization", token.as_str())]).collect();
    let on_token = seen(&gateway, &echo, "/api", &with_token).await;
    for name in spellings {
        assert!(lines(&on_public, name).is_empty(), "Public: {name}");
    }
    assert_eq!(lines(&on_token, "x-user"), ["auth0|1"]);
    assert_eq!(lines(&on_token, "x-roles"), ["a", "b%0D%0AX-Admin: 1"], "J108");
    assert!(lines(&on_token, "x-gone").is_empty(), "no such claim: the client's is gone all the same");
    for name in ["x_user", "x_roles", "x_gone", "x-admin"] {
        assert!(!on_token.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn j96_j106_p52_trailers_say_nothing() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let head = format!("POST /api HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: {}\r\n", bearer());
    let framing = "Transfer-Encoding: chunked\r\nTrailer: X-User, Authorization\r\nConnection: close\r\n\r\n";
    let body = "2\r\nhi\r\n0\r\nX-User: admin\r\nAuthorization: Bearer x\r\nX_User: admin\r\n\r\n";
    let answer = gateway.raw([&head, framing, body].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let sent = origin.text();
    assert!(sent.ends_with("2\r\nhi\r\n0\r\n\r\n") && !sent.contains("admin"), "{sent}");
}

#[tokio::test]
async fn trailers_of_the_backend_are_dropped() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: a=1\r\n\r\n";
    let origin = Origin::saying(answer).await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let answer = gateway.raw("GET /open HTTP/1.1\r\nHost: api.example.com\r\nTE: trailers\r\n\r\n").await;
    assert!(answer.ends_with("2\r\nok\r\n0\r\n\r\n") && !answer.to_lowercase().contains("cookie"), "{answer}");
}

#[tokio::test]
async fn j110_nobody_tells_the_backend_another_path() {
    let (gateway, echo) = world().await;
    let names = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Envoy-Original-Path",
        "X-Forwarded-Uri",
        "X-Forwarded-Prefix",
        "X_Original_URL",
        "X-Original-Uri",
    ];
    let lies: Vec<_> = names.iter().map(|name| (*name, "/admin")).collect();
    let seen = seen(&gateway, &echo, "/open", &lies).await;
    assert!(names.iter().all(|name| !seen.headers.contains_key(*name)), "{:?}", seen.headers);
}

#[tokio::test]
async fn p43_no_header_changes_the_method() {
    let rules = "  rules:\n  - {path: /, access: Public, methods: [GET]}";
    let (gateway, echo) = world_of(rules).await;
    let overrides = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override"].map(|name| (name, "DELETE"));
    let seen = seen(&gateway, &echo, "/", &overrides).await;
    assert_eq!(seen.method, "GET");
    assert!(overrides.iter().all(|(name, _)| !seen.headers.contains_key(*name)), "nor by a backend: {:?}", seen.headers);
    assert_eq!(gateway.request("DELETE", "/", &[("X-HTTP-Method-Override", "GET")]).await.status, 405);
}

#[tokio::test]
async fn the_verified_token_is_kept_and_every_other_credential_goes() {
    let (gateway, echo) = world().await;
    let (bearer, cookie) = (bearer(), format!("a=\"1; x\"; access_token={};b=2;  c=3", token()));
    let by_header = seen(&gateway, &echo, "/api", &[("Authorization", &bearer), ("Cookie", &cookie)]).await;
    assert_eq!(lines(&by_header, "authorization"), [bearer]);
    assert_eq!(lines(&by_header, "cookie"), ["a=\"1; x\";b=2;  c=3"], "byte for byte");
    let by_cookie = seen(&gateway, &echo, "/api", &[("Authorization", "Basic x"), ("Cookie", &cookie)]).await;
    assert_eq!((lines(&by_cookie, "authorization"), lines(&by_cookie, "cookie")), (vec![], vec![cookie.as_str()]));
    let public = seen(&gateway, &echo, "/open", &[("Authorization", "Basic x"), ("Cookie", "a=1")]).await;
    assert_eq!((lines(&public, "authorization"), lines(&public, "cookie")), (vec!["Basic x"], vec!["a=1"]), "Public and Keep");
}

#[tokio::test]
async fn strip_removes_the_token_wherever_it_was() {
    let rules = RULES.replace("{cookie: access_token}", "{cookie: access_token, forward: Strip}");
    let (gateway, echo) = world_of(&rules).await;
    let (bearer, cookie) = (bearer(), format!("access_token={}; b=2", token()));
    for (path, headers) in [
        ("/api", vec![("Authorization", bearer.as_str()), ("Cookie", cookie.as_str())]),
        ("/api", vec![("Cookie", cookie.as_str())]),
        ("/open", vec![("Authorization", bearer.as_str()), ("Cookie", cookie.as_str())]),
    ] {
        let seen = seen(&gateway, &echo, path, &headers).await;
        assert_eq!((lines(&seen, "authorization"), lines(&seen, "cookie")), (vec![], vec!["b=2"]), "{path}");
    }
}

#[tokio::test]
async fn a_header_of_its_own_leaves_no_other_spelling_and_no_authorization() {
    let rules = RULES.replace("{cookie: access_token}", "{header: X-Auth-Token}");
    let (gateway, echo) = world_of(&rules).await;
    let token = token();
    let headers = [
        ("X-Auth-Token", token.as_str()),
        ("X_Auth_Token", "forged"),
        ("X.Auth.Token", "forged"),
        ("Authorization", "Bearer forged"),
        ("Authorization", "Basic x"),
    ];
    let seen = seen(&gateway, &echo, "/api", &headers).await;
    assert_eq!(lines(&seen, "x-auth-token"), [token]);
    assert!(!seen.headers.contains_key("x_auth_token"), "J86, J106: the backend must not read another token than the gateway");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn j92_a_token_in_the_query_is_no_token() {
    let (gateway, echo) = world().await;
    assert_eq!(gateway.get(&format!("/api?access_token={}", token()), &[]).await.status, 401);
    assert_eq!(echo.count(), 0);
    assert!(!gateway.logged(" 401 ").await.contains("access_token"), "queries are not logged");
}

#[tokio::test]
async fn p42_j98_every_method_needs_the_token() {
    let (gateway, echo) = world().await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO", "get", "PROPFIND"] {
        let mut client: Client = gateway.client().await;
        assert_eq!(client.request(method, "/api", &[]).await.status, 401, "{method}");
        let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")];
        assert_eq!(gateway.request(method, "/api", &preflight).await.status, 401, "J97 {method}");
    }
    assert_eq!(echo.count(), 0);
}
