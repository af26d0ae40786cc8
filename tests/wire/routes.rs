//! What the backend saw is what was decided on: hosts, paths and methods (P27-P45), and rules that fail closed.

use crate::{
    gateway::{AUDIENCE, DOMAIN, Gateway, SERVICE, Setup, bearer, endpoint, manifest, start_echo},
    origin::Origin,
};
use portcullis::demo::Echo;
use proptest::{prelude::*, test_runner::TestRunner};
use std::sync::Arc;

const RULES: &str = r#"
  hosts: [api.example.com]
  rules:
  - {path: /, access: Public}
  - {path: /pub, access: Public}
  - {path: /admin, methods: [GET]}
  - {path: /exact, pathType: Exact}
  - {path: /a+b}
  - {path: /moved/x+y, access: Public, rewrite: /to}"#;

async fn world(manifests: &str) -> (Gateway, Arc<Echo>) {
    let (echo, address) = start_echo().await;
    (Setup::new(manifests).behind("web", &[address]).start(), echo)
}

#[tokio::test]
async fn p27_to_p36_paths_are_read_one_way_and_forwarded_as_read() {
    let (gateway, echo) = world(&manifest(RULES)).await;
    #[rustfmt::skip]
    let rows: &[(&str, &str, Result<&str, u16>)] = &[
        ("P27 resolved", "/pub/../x", Ok("/x")),
        ("P27 into the protected", "/pub/../admin", Err(401)),
        ("P27 above the root", "/../admin", Err(400)),
        ("P27 a dot", "/pub/./x", Ok("/pub/x")),
        ("P27 at the end", "/pub/..", Ok("/")),
        ("P28 escaped dots", "/pub/%2e%2e/admin", Err(401)),
        ("P28 half escaped", "/pub/.%2E/admin", Err(401)),
        ("P28 escaped letters", "/%61dmin", Err(401)),
        ("P28 escaped reserved characters", "/pub/a%2Bb%26c%3Dd%40%3a", Ok("/pub/a%2Bb%26c%3Dd%40%3A")),
        ("P28 escaped unreserved characters", "/pub/%7e%2D%5F", Ok("/pub/~-_")),
        ("P28 reserved in a rule's path", "/a+b", Err(401)),
        ("P28 escaped where a rule's path is not", "/a%2Bb", Err(400)),
        ("P28 escaped below a rewritten path", "/moved/x+y/%2B/z", Ok("/to/%2B/z")),
        ("P28 escaped in a rewritten path", "/moved/x%2By/z", Err(400)),
        ("P29 an escaped slash", "/pub%2f..%2fadmin", Err(400)),
        ("P29 an escaped backslash", "/pub%5c..%5cadmin", Err(400)),
        ("P29 a backslash", "/pub\\..\\admin", Err(400)),
        ("P30 two slashes", "//admin", Err(401)),
        ("P30 two slashes behind", "/pub//x", Ok("/pub/x")),
        ("P31 parameters", "/admin;x=y", Err(400)),
        ("P31 escaped parameters", "/admin%3Bx=y", Err(400)),
        ("P31 dots with parameters", "/pub/..;/admin", Err(400)),
        ("P31 parameters within one rule", "/pub/a;b", Ok("/pub/a;b")),
        ("P32 NUL", "/pub/%00", Err(400)),
        ("P33 a bad escape", "/pub/%zz", Err(400)),
        ("P33 half an escape", "/pub/%", Err(400)),
        ("P33 overlong", "/pub/%c0%af", Err(400)),
        ("P33 never twice", "/pub/%252e%252e/admin", Ok("/pub/%252e%252e/admin")),
        ("P34 a fragment", "/pub#/../admin", Ok("/pub")),
        ("P35 a query", "/exact?a", Err(401)),
        ("P35 an empty query", "/admin?", Err(401)),
        ("P35 a path in the query", "/pub?/../admin", Ok("/pub")),
        ("P36 a trailing slash", "/admin/", Err(401)),
        ("P36 another case", "/ADMIN", Ok("/ADMIN")),
        ("P36 another element", "/adminx", Ok("/adminx")),
        ("P36 exact is exact", "/exact/", Ok("/exact/")),
        ("P38 no slash", "admin", Err(400)),
    ];
    for (name, path, want) in rows {
        let before = echo.count();
        let answer = gateway.get(path, &[]).await;
        match want {
            Ok(seen) => {
                assert_eq!((answer.status, echo.count() - before), (200, 1), "{name}");
                assert_eq!(echo.last().unwrap().path, *seen, "{name}");
            }
            Err(status) => assert_eq!((answer.status, echo.count() - before), (*status, 0), "{name}"),
        }
    }
}

/// A rule may keep escaped slashes; no such request reaches what another rule serves, however the backend reads it.
#[tokio::test]
async fn p29_p45_escaped_slashes_pass_where_a_rule_keeps_them() {
    let rules = "  rules:\n  - {path: /, access: Public}\n  - {path: /files, access: Public, escapedSlashes: Keep}\n  - {path: /files/secret}\n  \
        - {path: /files/one/two, pathType: Exact}\n  - {path: /moved, access: Public, escapedSlashes: Keep, rewrite: /to/x}";
    let (gateway, echo) = world(&manifest(rules)).await;
    let rows: &[(&str, &str, Result<&str, u16>)] = &[
        ("kept", "/files/a%2fb", Ok("/files/a%2Fb")),
        ("a backslash", "/files/a%5Cb", Ok("/files/a%5Cb")),
        ("a URL in a path", "/files/https%3A%2F%2Fa.example%2Fb?c=%2F", Ok("/files/https%3A%2F%2Fa.example%2Fb")),
        ("another rule's", "/other/a%2Fb", Err(400)),
        ("no rule's", "/a%2Fb", Err(400)),
        ("into the protected", "/files%2Fsecret", Err(400)),
        ("into the protected below", "/files/secret%2Fx", Err(400)),
        ("into the protected with a backslash", "/files/%5Csecret", Err(400)),
        ("into the protected with parameters", "/files/a;%2Fb", Ok("/files/a;%2Fb")),
        ("into an exact path", "/files/one%2Ftwo", Err(400)),
        ("out of the rule", "/files/a%2F..%2F..%2Fadmin", Err(400)),
        ("out of the rule, escaped", "/files/a%2F%2e%2e/b", Err(400)),
        ("out of the rule with parameters", "/files/a%2F..;/b", Err(400)),
        ("above what a rewrite names", "/moved/..%2F..%2Fadmin", Err(400)),
        ("below what a rewrite names", "/moved/a%2Fb", Ok("/to/x/a%2Fb")),
        ("half of the prefix", "/moved%2Fa", Err(400)),
        ("escaped twice", "/other/a%252Fb", Ok("/other/a%252Fb")),
    ];
    for (name, path, want) in rows {
        let before = echo.count();
        let answer = gateway.get(path, &[]).await;
        let seen = echo.last().map(|seen| seen.path).filter(|_| echo.count() > before);
        assert_eq!(seen.as_deref().ok_or(answer.status), *want, "{name}");
    }
    assert_eq!(gateway.get("/files/secret%2Fx", &[("Authorization", &bearer())]).await.status, 400, "nor with a token");
}

#[tokio::test]
async fn p37_to_p40_hosts_are_read_one_way() {
    let (gateway, echo) = world(&manifest(RULES)).await;
    let get = |target: &str, hosts: &[&str]| {
        let lines: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
    };
    #[rustfmt::skip]
    let rows = [
        ("P37 the absolute form counts", get("http://api.example.com/pub", &["evil.example.com"]), Ok("api.example.com")),
        ("P37 and is routed", get("http://evil.example.com/pub", &["api.example.com"]), Err(404)),
        ("P38 userinfo", get("http://u:p@api.example.com/pub", &["api.example.com"]), Err(400)),
        ("P38 another scheme", get("file:///pub", &["api.example.com"]), Err(400)),
        ("P38 asterisk", get("*", &["api.example.com"]), Err(400)),
        ("P39 none", get("/pub", &[]), Err(400)),
        ("P39 two", get("/pub", &["api.example.com", "api.example.com"]), Err(400)),
        ("P39 empty", get("/pub", &[""]), Err(400)),
        ("P39 a list", get("/pub", &["api.example.com,b"]), Err(400)),
        ("P39 userinfo", get("/pub", &["u@api.example.com"]), Err(400)),
        ("P39 a path", get("/pub", &["api.example.com/x"]), Err(400)),
        ("P39 a port too high", get("/pub", &["api.example.com:99999"]), Err(400)),
        ("P39 not ASCII", get("/pub", &["äpi.example.com"]), Err(400)),
        ("P40 other spellings", get("/pub", &["API.Example.COM.:8443"]), Ok("api.example.com:8443")),
    ];
    for (name, request, want) in rows {
        let before = echo.count();
        let answer = gateway.raw(request).await;
        let (status, host) = want.map_or_else(|status| (status, None), |host| (200, Some(host)));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer:?}");
        assert_eq!(echo.count() - before, u64::from(host.is_some()), "{name}");
        if let Some(host) = host {
            assert_eq!(echo.last().unwrap().headers["host"], host, "{name}");
        }
    }
}

#[tokio::test]
async fn a_path_that_is_known_never_falls_to_a_wider_one_for_its_method() {
    let (gateway, echo) = world(&manifest(RULES)).await;
    for method in ["POST", "DELETE", "OPTIONS", "FOO", "get"] {
        for path in ["/admin", "/admin/x", "/pub/../admin"] {
            let answer = gateway.request(method, path, &[("Content-Length", "0")]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    assert_eq!(echo.count(), 0);
}

/// A broken auth block answers 503 at its place, good token or none, though a wider Public rule would serve.
#[tokio::test]
async fn every_broken_auth_block_refuses_in_place() {
    let good = format!("{{domain: {DOMAIN}, audience: [{AUDIENCE:?}]}}");
    let wide = endpoint("wide", &format!("auth0: {good}\n  backend: {{service: web, port: 80}}\n  rules: [{{path: /, access: Public}}]"));
    let auth = |auth: &str, rest: &str| format!("auth0: {auth}\n  backend: {{service: web, port: 80}}\n  rules: [{{path: /api{rest}}}]");
    #[rustfmt::skip]
    let rows = [
        ("no audience", auth(&format!("{{domain: {DOMAIN}}}"), "")),
        ("an empty audience", auth(&format!("{{domain: {DOMAIN}, audience: []}}"), "")),
        ("the algorithm none", auth(&format!("{{domain: {DOMAIN}, audience: [a], alg: none}}"), "")),
        ("RSA256", auth(&format!("{{domain: {DOMAIN}, audience: [a], alg: RSA256}}"), "")),
        ("an address for a domain", auth("{domain: 127.0.0.1, audience: [a]}", "")),
        ("P63 a cluster name", auth("{domain: kubernetes.default.svc, audience: [a]}", "")),
        ("P63 a port", auth(&format!("{{domain: \"{DOMAIN}:6443\", audience: [a]}}"), "")),
        ("no issuer at all", auth("{audience: [a]}", "")),
        ("an issuer without keys", auth("{issuer: \"https://a.example.com/\", audience: [a]}", "")),
        ("keys over plain HTTP", auth("{issuer: \"https://a.example.com/\", jwksUrl: \"http://a.example.com/k\", audience: [a]}", "")),
        ("HS256 without a Secret", auth(&format!("{{domain: {DOMAIN}, audience: [a], alg: HS256}}"), "")),
        ("a leeway of an hour", auth(&format!("{{domain: {DOMAIN}, audience: [a], leeway: 1h}}"), "")),
        ("an unknown field", auth(&format!("{{domain: {DOMAIN}, audience: [a], allowAll: true}}"), "")),
        ("an unknown value", auth(&good, ", access: Anybody")),
        ("an unknown field of the rule", auth(&good, ", acces: Public")),
        ("a CA that is none", auth(&format!("{{domain: {DOMAIN}, audience: [a], caBundle: x}}"), "")),
        ("no auth block", "backend: {service: web, port: 80}\n  rules: [{path: /api}]".to_owned()),
        ("auth of the wrong shape", auth("[]", "")),
        ("requirements nobody can hold", auth(&good, ", require: {roles: [admin]}")),
        ("requirements on a Public rule", auth(&good, ", access: Public, require: {scopes: [a]}")),
        ("a claim over Host", format!("{}\n  claimHeaders: [{{header: Host, claim: sub}}]", auth(&good, ""))),
    ];
    for (name, spec) in rows {
        let manifests = [wide.as_str(), &endpoint("broken", &spec), SERVICE].join("\n---\n");
        let (gateway, echo) = world(&manifests).await;
        for path in ["/api", "/api/x", "//api", "/%61pi"] {
            for headers in [vec![], vec![("Authorization", bearer())]] {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let answer = gateway.get(path, &headers).await;
                assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{name}: {path}");
            }
        }
        assert_eq!(echo.count(), 0, "{name}");
        assert_eq!(gateway.get("/other", &[]).await.status, 200, "{name}: others are unaffected");
    }
}

#[tokio::test]
async fn p69_another_namespace_has_no_say_under_an_owned_host() {
    let (echo, ours) = start_echo().await;
    let theirs = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    let evil = format!(
        "auth0: {{domain: {DOMAIN}, audience: [a]}}\n  hosts: [api.example.com]\n  backend: {{service: evil, port: 80}}\n  \
        claimHeaders: [{{header: X-Tenant, claim: sub}}]\n  rules: [{{path: /api/deeper, access: Public}}, {{path: /new, access: Public}}]"
    );
    let evil = endpoint("aaa", &evil).replace("{name: aaa}", "{name: aaa, namespace: zzz}");
    let evil_service = SERVICE.replace("{name: web}", "{name: evil, namespace: zzz}");
    let manifests = [manifest("  hosts: [api.example.com]\n  rules: [{path: /api}]"), evil, evil_service].join("\n---\n");
    let gateway = Setup::new(&manifests).behind("web", &[ours]).behind("evil", &[theirs.address]).start();
    assert_eq!(gateway.get("/api/deeper", &[]).await.status, 401, "the owner's rule holds");
    assert_eq!(gateway.get("/new", &[]).await.status, 404, "no rule beside the owner's");
    assert_eq!(gateway.get("/api", &[("Authorization", &bearer()), ("X-Tenant", "kept")]).await.status, 200);
    assert_eq!(echo.last().unwrap().headers["x-tenant"], "kept", "nor a managed header");
    assert_eq!(theirs.text(), "");
}

#[tokio::test]
async fn rewrites_change_what_was_matched_and_nothing_else() {
    let rules = "  rules:\n  - {path: /api, access: Public, rewrite: /}\n  - {path: /v1, access: Public, rewrite: /v2/x}\n  \
        - {path: /one, pathType: Exact, access: Public, rewrite: /other}";
    let (gateway, echo) = world(&manifest(rules)).await;
    let rows = [
        ("/api/x?q=%2F..", "/x"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/v1/a/%20b", "/v2/x/a/%20b"),
        ("/one?a=b", "/other"),
        ("/v1/../api/y", "/y"),
    ];
    for (path, seen) in rows {
        assert_eq!(gateway.get(path, &[]).await.status, 200, "{path}");
        let last = echo.last().unwrap();
        assert_eq!((last.path.as_str(), last.query.as_deref()), (seen, path.split_once('?').map(|(_, query)| query)), "{path}");
    }
}

// --- any table, any request ---

#[derive(Clone, Debug)]
struct Rule {
    path: String,
    exact: bool,
    methods: Vec<&'static str>,
    public: bool,
    keep: bool,
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let path = prop_oneof![Just("/".to_owned()), "(/[ab]){1,3}", "(/[ab]){1,2}/"];
    let methods = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["GET"]), 1 => Just(vec!["POST"]), 1 => Just(vec!["GET", "POST"])];
    let rule = (path, any::<bool>(), methods, any::<bool>(), any::<bool>());
    let rule = rule.prop_map(|(path, exact, methods, public, keep)| Rule { path, exact, methods, public, keep });
    proptest::collection::vec(rule, 1..6)
}

fn target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "/[ab]", 2 => Just("/".to_owned()), 1 => Just("/.".to_owned()), 1 => Just("/..".to_owned()), 1 => Just("/%61".to_owned()),
        1 => Just("/%2e%2E".to_owned()), 1 => Just(";a".to_owned()), 1 => Just("%3b/".to_owned()), 1 => Just("%2f".to_owned()),
        2 => Just("%2F".to_owned()), 1 => Just("%5c".to_owned()), 1 => Just("%2B".to_owned()), 1 => Just("+".to_owned()), 1 => Just("%40a".to_owned()),
        1 => Just("%252e".to_owned()), 1 => Just("/..;".to_owned()), 1 => Just("\\".to_owned()), 1 => Just("/%41".to_owned()),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// The contract in its plainest words: may this method be forwarded to this path without a token?
fn open_by_contract(rules: &[Rule], method: &str, path: &str) -> bool {
    let trimmed = |rule: &Rule| rule.path.trim_end_matches('/').to_owned();
    let exact = rules.iter().any(|rule| rule.exact && rule.path == path);
    let prefixes = rules.iter().filter(|rule| !rule.exact).map(trimmed);
    let longest = prefixes.filter(|prefix| path == prefix || path.starts_with(&format!("{prefix}/"))).max_by_key(String::len);
    let here: Vec<_> = rules
        .iter()
        .filter(|rule| if exact { rule.exact && rule.path == path } else { !rule.exact && Some(trimmed(rule)) == longest })
        .collect();
    let named = here.iter().find(|rule| rule.methods.contains(&method));
    named.or_else(|| here.iter().find(|rule| rule.methods.is_empty())).is_some_and(|rule| rule.public)
}

/// What backends of four kinds make of a path (P45), and one for which a backslash is a slash.
fn readings(path: &str) -> Vec<String> {
    let decode = |path: &str| {
        let (mut out, mut rest) = (Vec::new(), path.as_bytes());
        while let Some((first, tail)) = rest.split_first() {
            let code = tail.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
            let code = code.filter(|_| *first == b'%');
            rest = if code.is_some() { &tail[2..] } else { tail };
            out.push(code.unwrap_or(*first));
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    let resolve = |path: &str| {
        let mut kept: Vec<&str> = vec![];
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            match segment {
                "." => {}
                ".." => drop(kept.pop()),
                segment => kept.push(segment),
            }
        }
        format!("/{}{}", kept.join("/"), if path.ends_with('/') && !kept.is_empty() { "/" } else { "" })
    };
    let cut = |path: &str| path.split('/').map(|segment| segment.split(';').next().unwrap_or("")).collect::<Vec<_>>().join("/");
    let decoded = decode(path);
    let slashes = decoded.replace('\\', "/");
    vec![path.to_owned(), decoded.clone(), resolve(&decoded), resolve(&cut(&decoded)), resolve(&slashes), resolve(&cut(&slashes))]
}

/// P45: nothing is forwarded without a token unless the contract opens it, in every reading a backend may have of it.
#[test]
fn p45_what_the_backend_saw_was_allowed_however_it_reads_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (echo, address) = runtime.block_on(start_echo());
    let gateway = runtime.block_on(async { Setup::new(&manifest("  rules: [{path: /}]")).behind("web", &[address]).start() });
    let cases = (rules(), proptest::collection::vec((target(), prop_oneof![Just("GET"), Just("POST"), Just("DELETE"), Just("post")]), 12));
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() });
    let count = std::cell::Cell::new(0_usize);
    runner
        .run(&cases, |(rules, requests)| {
            gateway.publish(&manifest(&yaml(&rules)), &[("web".to_owned(), vec![address])]);
            for (target, method) in requests {
                let before = echo.count();
                let answer = runtime.block_on(gateway.request(method, &target, &[("Content-Length", "0")]));
                if echo.count() == before {
                    prop_assert!(matches!(answer.status, 400 | 401 | 404 | 405), "{answer:?}");
                    continue;
                }
                count.set(count.get() + 1);
                let seen = echo.last().unwrap();
                prop_assert_eq!((answer.status, seen.method.as_str()), (200, method));
                for reading in readings(&seen.path) {
                    for method in [method, &method.to_uppercase()] {
                        prop_assert!(
                            open_by_contract(&rules, method, &reading),
                            "{method} {target} was seen as {}, read as {reading}",
                            seen.path
                        );
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    let forwarded = count.get();
    assert!(forwarded > 50, "only {forwarded} requests were open: the test proves little");
}

fn yaml(rules: &[Rule]) -> String {
    let rule = |rule: &Rule| {
        let (kind, access) = (if rule.exact { "Exact" } else { "Prefix" }, if rule.public { "Public" } else { "Token" });
        let methods = if rule.methods.is_empty() { String::new() } else { format!(", methods: {:?}", rule.methods) };
        let slashes = if rule.keep { ", escapedSlashes: Keep" } else { "" };
        format!("  - {{path: {}, pathType: {kind}, access: {access}{slashes}{methods}}}\n", rule.path)
    };
    format!("  rules:\n{}", rules.iter().map(rule).collect::<String>())
}
