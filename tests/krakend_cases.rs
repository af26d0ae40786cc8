//! What KrakenD's own tests of its JWT validator ask, and what its sources say where they are silent: each as a request to the real
//! gateway, with KrakenD's answer beside ours. docs/krakend-parity.md gives the reasons.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "support/client.rs"]
mod client;
#[path = "support/gateway.rs"]
mod gateway;

use gateway::{DOMAIN, Gateway, SERVICE, Setup, TENANT, endpoint, start_echo};
use portcullis::{clock, demo::Echo};
use serde_json::{Value, json};
use std::sync::Arc;

/// KrakenD's fixtures are for this API.
const AUDIENCE: &str = "http://api.example.com";

/// One request, KrakenD's status, ours, and what decides where they differ.
struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    krakend: u16,
    ours: u16,
    why: &'static str,
}

fn case(name: &'static str, path: &'static str, headers: Vec<(&'static str, String)>, krakend: u16, ours: u16, why: &'static str) -> Case {
    Case { name, method: "GET", path, headers, krakend, ours, why }
}

/// KrakenD's `/private/custom` and its neighbours, as one resource.
const RULES: &str = "
  rules:
  - {path: /private/custom, pathType: Exact, methods: [GET], require: {roles: [role_a, role_c], rolesClaim: roles}}
  - {path: /private/scopes, require: {scopes: [a, b], scopesMatch: Any}}
  - {path: /private/all, require: {scopes: [a, b]}}
  - {path: /private/nested, require: {roles: [moderator], rolesClaimPath: [realm_access, roles]}}
  - {path: /private, claimHeaders: [{header: X-Krakend-Replace, claim: roles}, {header: X-Krakend-Lines, claim: roles, arrays: Repeat}]}
  - {path: /cel/jwt, rewrite: /param_forwarding, claimHeaders: [{header: X-Custom, claim: 'http://example.com/custom'}]}
  - {path: /static, access: Public}";

async fn world(auth: &str, rest: &str) -> (Gateway, Arc<Echo>) {
    let (echo, address) = start_echo().await;
    let auth = format!("auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}]{auth}}}");
    let spec = format!("{auth}\n  backend: {{service: web, port: 80}}\n  claimHeaders: [{{header: X-User, claim: sub}}]{rest}");
    let manifest = format!("{}\n---\n{SERVICE}", endpoint("krakend", &spec));
    (Setup::new(&manifest).behind("web", &[address]).start(), echo)
}

/// The claims of KrakenD's fixture tokens, from our issuer, with these in place of them; a null removes one.
fn token(claims: &Value) -> String {
    let mut all = json!({"iss": TENANT.issuer(), "aud": AUDIENCE, "sub": "1234567890qwertyuio", "exp": 2_051_882_755_u64, "roles": ["role_a", "role_b"]});
    for (name, value) in claims.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    TENANT.mint(&all)
}

fn bearer(claims: &Value) -> Vec<(&'static str, String)> {
    vec![("Authorization", format!("Bearer {}", token(claims)))]
}

async fn run(gateway: &Gateway, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for Case { name, method, path, headers, krakend, ours, why } in cases {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = gateway.request(method, path, &headers).await;
        if answer.status != ours {
            wrong.push(format!("{name}: {} instead of {ours}", answer.status));
        }
        // A refusal of the token has no body, as there; and no row may differ without a reason.
        if matches!(ours, 401 | 403) && !answer.body.is_empty() {
            wrong.push(format!("{name}: a body: {}", answer.body));
        }
        if (krakend == ours) != why.is_empty() {
            wrong.push(format!("{name}: {krakend} there, {ours} here: {why:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// tests/fixtures/specs of krakend-ce, those about JWT and their neighbours.
#[tokio::test]
async fn its_integration_specs() {
    let (gateway, _) = world("", RULES).await;
    let roles = |roles: &[&str]| json!({ "roles": roles });
    let small = |claims: &Value| vec![("Authorization", format!("bearer {}", token(claims)))];
    let mut cases = vec![
        case("router_401_1: no token", "/private/custom", vec![], 401, 401, ""),
        case("jwt_1: another role, lower-case bearer", "/private/custom", small(&roles(&["role_y"])), 403, 403, ""),
        case("jwt_2: no token at all", "/private/custom", vec![("Authorization", "bearer a.bad.token".to_owned())], 401, 401, ""),
        case("jwt_3: one of the roles", "/private/custom", bearer(&roles(&["role_a", "role_b"])), 200, 200, ""),
        case("jwt_5: a claim for the backend", "/private/extract_jwt_claim", bearer(&json!({})), 200, 200, ""),
        case(
            "cel-6: a token without its first letter",
            "/cel/jwt/ko",
            vec![("Authorization", format!("Bearer {}", &token(&json!({}))[1..]))],
            401,
            401,
            "",
        ),
        case("cel-7: a claim named by a URL", "/cel/jwt/ok", bearer(&json!({"http://example.com/custom": "foobar"})), 200, 200, ""),
        case("router_404", "/nowhere", vec![], 404, 404, ""),
        case("router_redirect: case", "/StAtic", vec![], 301, 404, "paths have case, and a redirect would tell what is there"),
    ];
    cases.push(Case { method: "POST", ..case("router_405", "/private/custom", vec![], 405, 405, "") });
    run(&gateway, cases).await;
}

/// What the backend is told: `{JWT.sub}` and `{JWT.http://example.com/custom}` in a URL there, headers here.
#[tokio::test]
async fn its_claims_reach_the_backend() {
    let (gateway, echo) = world("", RULES).await;
    let told = async |path: &str, claims: &Value, forged: &[(&str, &str)]| {
        let authorization = format!("Bearer {}", token(claims));
        let headers: Vec<_> = [("Authorization", authorization.as_str())].into_iter().chain(forged.iter().copied()).collect();
        assert_eq!(gateway.get(path, &headers).await.status, 200, "{path}");
        echo.last().unwrap().to_json()
    };
    let seen = told("/private/extract_jwt_claim", &json!({}), &[]).await;
    assert_eq!(seen["headers"]["x-user"], "1234567890qwertyuio", "jwt_5");
    let seen = told("/cel/jwt/ok", &json!({"http://example.com/custom": "foobar"}), &[]).await;
    assert_eq!((&seen["path"], &seen["headers"]["x-custom"]), (&json!("/param_forwarding/ok"), &json!("foobar")), "cel-7");
    // jose_test.go:189, :234
    let seen = told("/private/x", &json!({}), &[("X-Krakend-Replace", "forged"), ("x_krakend_replace", "forged")]).await;
    assert_eq!(seen["headers"]["x-krakend-replace"], "role_a,role_b", "the client's copy is overwritten");
    assert_eq!(seen["headers"]["x-krakend-lines"], json!(["role_a", "role_b"]), "one line an element");
    assert!(!seen.to_string().contains("forged"), "in no spelling: KrakenD lets x_krakend_replace pass");
    let seen = told("/private/x", &json!({"roles": null}), &[("X-Krakend-Replace", "forged")]).await;
    assert_eq!(seen["headers"].get("x-krakend-replace"), None, "an absent claim is no header; KrakenD sends an empty one");
    // jose_test.go, claim stringification.
    let rows =
        [(json!([]), json!("")), (json!(4.000_001), json!("4.000001")), (json!(4), json!("4")), (json!({"a": 1}), json!("{\"a\":1}"))];
    for (claim, header) in rows {
        assert_eq!(told("/private/x", &json!({"roles": claim}), &[]).await["headers"]["x-krakend-replace"], header, "{claim}");
    }
    let exact = told("/private/x", &json!({"roles": 4.000_000_1}), &[]).await;
    assert_eq!(exact["headers"]["x-krakend-replace"], "4.0000001", "a number is passed on as it is; KrakenD rounds it to 4");
}

/// gin/jose_test.go and jose_test.go of krakend-jose.
#[tokio::test]
async fn its_unit_tests() {
    let (gateway, _) = world("", RULES).await;
    let scopes = |claim: Value| bearer(&json!({ "scope": claim }));
    let cases = vec![
        case("CanAccess: words", "/private/custom", bearer(&json!({"roles": "x role_c"})), 200, 200, ""),
        case("CanAccess: no claim", "/private/custom", bearer(&json!({"roles": null})), 403, 403, ""),
        case("CanAccess: a part of a word", "/private/custom", bearer(&json!({"roles": "role_cc"})), 403, 403, ""),
        case("CanAccessNested", "/private/nested", bearer(&json!({"realm_access": {"roles": ["moderator"]}})), 200, 200, ""),
        case("CanAccessNested: another", "/private/nested", bearer(&json!({"realm_access": {"roles": ["user"]}})), 403, 403, ""),
        case("CanAccessNested: no object", "/private/nested", bearer(&json!({"realm_access": 1})), 403, 403, ""),
        case("ScopesAny", "/private/scopes", scopes(json!("x b")), 200, 200, ""),
        case("ScopesAny: array", "/private/scopes", scopes(json!(["b"])), 200, 200, ""),
        case("ScopesAny: none", "/private/scopes", scopes(json!("x")), 403, 403, ""),
        case("ScopesAll", "/private/all", scopes(json!("b a")), 200, 200, ""),
        case("ScopesAll: one", "/private/all", scopes(json!("a")), 403, 403, ""),
        case(
            "a role that is no text",
            "/private/custom",
            bearer(&json!({"roles": [1, "role_a"]})),
            500,
            403,
            "it panics; a claim of the wrong shape is a claim that does not suffice",
        ),
        case(
            "a scope that is no text",
            "/private/scopes",
            scopes(json!([1, "a"])),
            500,
            403,
            "it panics; a claim of the wrong shape is a claim that does not suffice",
        ),
    ];
    run(&gateway, cases).await;
}

/// gin/jose_test.go:284-309 and the order of jose.go:249-276.
#[tokio::test]
async fn its_places_of_a_token() {
    let (cookie, _) = world("", "\n  token: {cookie: access_token}\n  rules: [{path: /}]").await;
    let good = token(&json!({}));
    let in_cookie = || vec![("Cookie", format!("a=b; access_token={good}"))];
    let with = |header: &str| vec![("Cookie", format!("access_token={good}")), ("Authorization", header.to_owned())];
    let cases = vec![
        case("a cookie", "/x", in_cookie(), 200, 200, ""),
        case("a cookie beside a bad token", "/x", with("Bearer a.b.c"), 401, 401, ""),
        case("a cookie beside another scheme", "/x", with("Basic dTpw"), 401, 200, "no Bearer header is sent, so the cookie counts"),
        case(
            "a bare token in Authorization",
            "/x",
            vec![("Authorization", good.clone())],
            200,
            401,
            "RFC 6750 §2.1: credentials have a scheme",
        ),
        Case {
            method: "POST",
            ..case(
                "a cookie from another site",
                "/x",
                [in_cookie(), vec![("Origin", "https://evil.example".to_owned())]].concat(),
                200,
                403,
                "token.crossOrigin: a browser sends cookies for anybody",
            )
        },
    ];
    run(&cookie, cases).await;
    let (plain, _) = world("", "\n  rules: [{path: /}]").await;
    run(&plain, vec![case("a cookie that nobody asked for", "/x", in_cookie(), 200, 401, "token.cookie is off until it is set")]).await;
    let (custom, _) = world("", "\n  token: {header: X-Custom-Auth}\n  rules: [{path: /}]").await;
    let header = |name| vec![(name, format!("Bearer {good}"))];
    let cases = vec![
        case("a header of its own", "/x", header("X-Custom-Auth"), 200, 200, ""),
        case("a header of its own, bare", "/x", vec![("X-Custom-Auth", good.clone())], 200, 200, ""),
        case("Authorization then counts for nothing", "/x", header("Authorization"), 401, 401, ""),
    ];
    run(&custom, cases).await;
}

/// What KrakenD tests nowhere end to end; its answers are read from its sources.
#[tokio::test]
async fn what_it_does_not_test() {
    let (gateway, echo) = world("", RULES).await;
    let now = clock::unix_now().as_secs();
    let claims = |members: Value| bearer(&members);
    let with_header = |members: &Value| {
        let claims = json!({"iss": TENANT.issuer(), "aud": AUDIENCE, "exp": now + 600, "roles": ["role_a"]});
        vec![("Authorization", format!("Bearer {}", TENANT.mint_with_header(members, &claims)))]
    };
    let kid = TENANT.kid();
    let path = "/private/custom";
    let cases = vec![
        case("expired", path, claims(json!({"exp": now - 60})), 401, 401, ""),
        case("not valid yet", path, claims(json!({"nbf": now + 60})), 401, 401, ""),
        case("issued ahead", path, claims(json!({"iat": now + 60})), 401, 401, ""),
        case("another audience", path, claims(json!({"aud": "http://other.example.com"})), 401, 401, ""),
        case("alg none", path, with_header(&json!({"alg": "none", "kid": kid})), 401, 401, ""),
        case("another alg", path, with_header(&json!({"alg": "RS384", "kid": kid})), 401, 401, ""),
        case("an unknown key", path, with_header(&json!({"alg": "RS256", "kid": "other"})), 401, 401, ""),
        case("an unknown critical extension", path, with_header(&json!({"alg": "RS256", "kid": kid, "crit": ["x"], "x": 1})), 401, 401, ""),
        case("no exp", path, claims(json!({"exp": null})), 200, 401, "a token that never ends cannot be taken back"),
        case(
            "another issuer, where none is configured",
            path,
            claims(json!({"iss": "https://evil.example/"})),
            200,
            401,
            "the issuer is always checked: https://DOMAIN/",
        ),
        case("exp in a thousand years", path, claims(json!({"exp": now + 31_557_600_000_u64})), 200, 401, "ten years at most"),
        case(
            "bound to a key",
            path,
            claims(json!({"cnf": {"jkt": "x"}})),
            200,
            401,
            "without proof of that key it is stolen, for all we know",
        ),
        case(
            "a token for another purpose",
            path,
            with_header(&json!({"alg": "RS256", "kid": kid, "typ": "logout+jwt"})),
            200,
            401,
            "typ is checked",
        ),
        case(
            "without kid, and one key",
            path,
            with_header(&json!({"alg": "RS256"})),
            401,
            200,
            "the issuer has one key for this alg, so there is no doubt",
        ),
    ];
    let passed = cases.iter().filter(|case| case.ours == 200).count();
    run(&gateway, cases).await;
    assert_eq!(echo.count(), passed as u64, "what is refused forwards nothing");
}

/// "audience" there is all of; here that is a setting.
#[tokio::test]
async fn its_audience_is_a_setting() {
    let both = format!(", audienceMatch: All, audience: [{AUDIENCE:?}, 'http://b.example.com']");
    let any = both.replace("All", "Any");
    for (auth, one) in [(both, 401), (any, 200)] {
        let (echo, address) = start_echo().await;
        let spec = format!("auth0: {{domain: {DOMAIN}{auth}}}\n  backend: {{service: web, port: 80}}\n  rules: [{{path: /}}]");
        let manifest = format!("{}\n---\n{SERVICE}", endpoint("audience", &spec));
        let gateway = Setup::new(&manifest).behind("web", &[address]).start();
        let why = if one == 401 { "" } else { "audienceMatch: Any, which is the default" };
        let cases = vec![
            case("one of two", "/", bearer(&json!({})), 401, one, why),
            case("both", "/", bearer(&json!({"aud": ["http://b.example.com", AUDIENCE]})), 200, 200, ""),
        ];
        run(&gateway, cases).await;
        assert!(echo.count() > 0);
    }
}

/// jose_test.go:359 and ce#399: a validator that cannot be read. KrakenD 1.x serves it open; 2.x answers 401; an unknown alg ends it.
#[tokio::test]
async fn a_broken_validator_refuses_in_its_place_and_disturbs_nobody() {
    let broken = [
        "auth0: {}",
        "auth0: {domain: tenant.example.com, audience: [a], alg: RSA256}",
        "auth0: {domain: tenant.example.com, audience: []}",
    ];
    for auth in broken {
        let (echo, address) = start_echo().await;
        let rules = "backend: {service: web, port: 80}\n  rules: [{path: /}]";
        let spec = format!("hosts: [broken.example.com]\n  {auth}\n  {rules}");
        let sound = format!("hosts: [api.example.com]\n  auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}]}}\n  {rules}");
        let manifest = [&endpoint("broken", &spec), &endpoint("sound", &sound), SERVICE].join("\n---\n");
        let gateway = Setup::new(&manifest).behind("web", &[address]).start();
        let token = format!("Bearer {}", token(&json!({})));
        let headers = [("Host", "broken.example.com"), ("Authorization", token.as_str())];
        assert_eq!(gateway.get("/", &headers).await.status, 503, "{auth}");
        assert_eq!(echo.count(), 0, "{auth}");
        assert_eq!(gateway.get("/", &[("Authorization", &token)]).await.status, 200, "{auth}: others are served");
    }
}
