use super::*;
use crate::routing::{Access, CanonicalPath, Found, Host, HostPattern, KeySource, Plan, Refusal, Route};
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

// === Objects ===

fn object(namespace: &str, name: &str, created: i64, spec: Value) -> EndpointObject {
    let uid = format!("{namespace}-{name}");
    EndpointObject { namespace: namespace.into(), name: name.into(), uid, generation: 1, created, spec, claims: vec![], problems: vec![] }
}

/// A sound spec: one Token rule for everything under `path`.
fn spec(hosts: &[&str], path: &str) -> Value {
    json!({
        "hosts": hosts,
        "auth0": {"domain": "tenant.eu.auth0.com", "audience": ["https://api.example.com"]},
        "backend": {"service": "web", "port": 80},
        "rules": [{"path": path}],
    })
}

fn public(hosts: &[&str], path: &str) -> Value {
    let mut spec = spec(hosts, path);
    spec["rules"][0]["access"] = json!("Public");
    spec
}

fn inputs(endpoints: Vec<EndpointObject>) -> Inputs {
    let port = ServicePort { name: "http".into(), number: 80, app_protocol: None };
    let service = |namespace: &str| ServiceObject {
        namespace: namespace.into(),
        name: "web".into(),
        external_name: false,
        ports: vec![port.clone()],
    };
    Inputs { class: "portcullis".into(), endpoints, services: ["a", "b", "c"].map(service).into(), ..Inputs::default() }
}

fn find(snapshot: &Snapshot, host: &str, path: &str, method: &Method) -> Option<Arc<Route>> {
    match snapshot.find(&Host::parse(host).unwrap(), &CanonicalPath::parse(path).unwrap(), method) {
        Found::Route(route) => Some(Arc::clone(route)),
        Found::MethodNotAllowed(_) | Found::NoRoute | Found::Ambiguous(_) => None,
    }
}

fn get(snapshot: &Snapshot, host: &str, path: &str) -> Option<Arc<Route>> {
    find(snapshot, host, path, &Method::GET)
}

fn is_public(route: &Route) -> bool {
    matches!(&route.plan, Plan::Serve(serve) if matches!(serve.access, Access::Public(_)))
}

fn accepted(compiled: &Compiled, name: &str) -> Verdict {
    let outcome = compiled.outcomes.iter().find(|(object, _)| object.name == name).unwrap().1;
    outcome.verdicts[0].clone()
}

// === Faults ===

#[test]
fn k14_a_panic_marks_its_object_and_harms_no_other() {
    let sound = object("a", "sound", 1, spec(&["sound.example.com"], "/"));
    let wide = object("a", "wide", 1, public(&["bad.example.com"], "/"));
    let bad = object("a", "bad", 2, spec(&["bad.example.com"], "/admin"));
    let inputs = inputs(vec![sound, wide, bad]);
    let compiled = compile_with(&inputs, &|object, services| match object.name.as_str() {
        "bad" => panic!("an injected fault"),
        _ => resource::compile(object, services),
    });
    assert_eq!(get(&compiled.snapshot, "bad.example.com", "/admin/x").unwrap().plan, Plan::Refuse(Refusal::InvalidSpec));
    assert_eq!((accepted(&compiled, "bad").good, accepted(&compiled, "bad").reason), (false, Reason::Invalid));
    let healthy = compile(&inputs);
    for host in ["sound.example.com", "bad.example.com"] {
        assert_eq!(get(&compiled.snapshot, host, "/"), get(&healthy.snapshot, host, "/"), "{host}");
    }
    assert!(accepted(&compiled, "sound").good);
}

// === Hosts ===

#[test]
fn a_bound_host_never_falls_to_a_namespace_that_may_not_serve_it() {
    let binding = |namespace: &str, hosts: &[&str]| HostBinding {
        namespaces: vec![namespace.into()],
        hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
    };
    let wide = object("a", "wide", 1, public(&["*.corp.example"], "/"));
    let mut inputs = inputs(vec![wide]);
    inputs.ownership.bindings = vec![binding("a", &["*.corp.example", "mine.corp.example"]), binding("b", &["theirs.corp.example"])];
    let table = compile(&inputs).snapshot;
    let served = ["x.corp.example", "mine.corp.example", "theirs.corp.example"].map(|host| get(&table, host, "/").is_some());
    assert_eq!(served, [true, true, false]);
}

#[test]
fn a_guessed_host_takes_nothing_from_anybody() {
    let younger = object("b", "younger", 9, public(&["b.example"], "/"));
    for spec in [json!(null), json!("x"), json!({"hosts": {}}), json!({"hosts": ["a b"]})] {
        let compiled = compile(&inputs(vec![object("a", "broken", 1, spec.clone()), younger.clone()]));
        assert!(accepted(&compiled, "younger").good, "{spec}");
        assert!(compiled.outcomes.values().all(|outcome| !outcome.hosts.contains(&"*".to_owned())), "{spec}");
    }
    let mut guessed = object("a", "guessed", 1, spec(&[], "/"));
    guessed.claims = vec![HostClaim { host: "*".into(), since: 0 }];
    let everything = object("b", "everything", 9, {
        let mut spec = spec(&[], "/");
        spec.as_object_mut().unwrap().remove("hosts");
        spec
    });
    let compiled = compile(&inputs(vec![guessed, everything]));
    assert_eq!(&*get(&compiled.snapshot, "x.example", "/").unwrap().id.namespace, "b");
    assert_eq!(accepted(&compiled, "everything").reason, Reason::Accepted);
}

const HOSTS: [&str; 6] = ["a.x.example", "b.x.example", "*.x.example", "y.example", "*.example.com", "*"];
const REQUESTS: [&str; 7] = ["a.x.example", "b.x.example", "c.x.example", "y.example", "z.example.com", "q.z.example.com", "other"];
const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/a/b/c", "/d"];

fn any_object(namespace: &'static str, created: std::ops::Range<i64>) -> impl Strategy<Value = EndpointObject> {
    let hosts = prop::collection::vec(prop::sample::select(HOSTS.to_vec()), 1..4);
    let paths = prop::collection::vec((prop::sample::select(PATHS.to_vec()), any::<bool>(), any::<bool>()), 1..4);
    ("[a-d]", created, hosts, paths).prop_map(move |(name, created, hosts, paths)| {
        let mut spec = spec(&hosts, "/");
        let rule = |(path, open, exact): (&str, bool, bool)| {
            json!({"path": path, "access": if open { "Public" } else { "Token" }, "pathType": if exact { "Exact" } else { "Prefix" }})
        };
        spec["rules"] = paths.into_iter().map(rule).collect();
        object(namespace, &name, created, spec)
    })
}

/// An API server holds each name once.
fn unique(objects: impl Iterator<Item = EndpointObject>) -> Vec<EndpointObject> {
    let by_name: BTreeMap<_, _> = objects.map(|object| ((object.namespace.clone(), object.name.clone()), object)).collect();
    by_name.into_values().collect()
}

/// What the lease holder stamps after a first compile at `now`.
fn stamp(inputs: &mut Inputs, now: i64) {
    let outcomes = compile(inputs).outcomes;
    for object in &mut inputs.endpoints {
        let hosts = outcomes.get(&object_ref(object)).map(|outcome| outcome.hosts.clone()).unwrap_or_default();
        object.claims = hosts.into_iter().map(|host| HostClaim { host, since: now }).collect();
    }
}

proptest! {
    /// P69, P70: whatever another namespace adds, now or to an object that is older than all others, what is served under hosts
    /// that are owned stays.
    #[test]
    fn another_namespace_never_changes_what_an_owner_serves(
        owners in prop::collection::vec(any_object("a", 10..20), 1..4),
        others in prop::collection::vec(any_object("b", 10..20), 0..3),
        intruders in prop::collection::vec(any_object("c", 0..40), 1..4),
        forged in any::<bool>(),
    ) {
        let mut inputs = inputs(unique(owners.into_iter().chain(others)));
        stamp(&mut inputs, 20);
        let before = compile(&inputs).snapshot;
        inputs.endpoints.extend(intruders.into_iter().map(|mut intruder| {
            // A claim from before the object's own time is void.
            intruder.claims = HOSTS.map(|host| HostClaim { host: host.into(), since: intruder.created - 1 }).into_iter().filter(|_| forged).collect();
            intruder
        }));
        let after = compile(&inputs).snapshot;
        for (host, path) in REQUESTS.iter().flat_map(|host| PATHS.iter().map(move |path| (host, path))) {
            let owned = PATHS.iter().any(|path| get(&before, host, path).is_some());
            if owned {
                prop_assert_eq!(get(&before, host, path), get(&after, host, path), "{}{}", host, path);
            }
        }
    }

    /// One namespace a host, whatever is asked for.
    #[test]
    fn no_host_is_served_by_two_namespaces(
        objects in prop::collection::vec(prop_oneof![any_object("a", 0..5), any_object("b", 0..5), any_object("c", 0..5)], 0..8),
    ) {
        let compiled = compile(&inputs(objects));
        let mut owners: BTreeMap<_, String> = BTreeMap::new();
        for line in compiled.snapshot.lines() {
            let owner = owners.entry(line.host.clone()).or_insert_with(|| line.route.id.namespace.to_string());
            prop_assert_eq!(&*owner.clone(), &*line.route.id.namespace, "{}", line.host);
        }
    }

    #[test]
    fn the_order_of_lists_decides_nothing(
        (objects, shuffled) in prop::collection::vec(prop_oneof![any_object("a", 0..3), any_object("b", 0..3)], 0..8)
            .prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())),
    ) {
        let (one, mut other) = (inputs(objects), inputs(shuffled));
        other.services.reverse();
        prop_assert_eq!(compile(&one), compile(&other));
    }
}

// === Broken specs ===

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof!["[a-zA-Z*/.:%;-]{0,12}", ".{0,4}"].prop_map(Value::from),
        prop::sample::select(vec!["*", "/", "/admin", "Public", "Exact", "GET", "a.example", "https://a.example/", "5s"])
            .prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec!["hosts", "auth0", "domain", "rules", "path", "methods", "access", "claimHeaders", "header", "x"]);
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..3)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

fn full_spec() -> Value {
    json!({
        "hosts": ["api.example.com"],
        "auth0": {
            "domain": "t.auth0.com", "issuer": "https://t.auth0.com/", "jwksUrl": "https://t.auth0.com/k", "audience": ["a", "b"], "audienceMatch": "Any",
            "alg": "RS256", "jwksCacheDuration": "15m", "jwksMaxStaleness": "24h", "leeway": "5s",
            "organizations": ["org_1"], "requireAtJwt": true, "maxTokenLifetime": "1h",
        },
        "token": {
            "header": "X-Token", "cookie": "t", "query": "q", "forward": "Keep", "forwardAs": "X-Passed", "keepAuthorization": true,
            "crossOrigin": "Refuse", "streamsAtExpiry": "Close",
        },
        "backend": {"service": "web", "port": 80, "scheme": "https", "tls": {"serverName": "web.example"}},
        "maxRequestBody": "10Mi",
        "timeout": "30s",
        "require": {"scopes": ["s"], "scopesMatch": "All", "permissions": ["p"], "roles": ["r"], "rolesClaim": "c", "claims": [{"claim": "c", "values": ["v"]}]},
        "claimHeaders": [{"header": "X-A", "claim": "a", "arrays": "Join"}],
        "rules": [{
            "path": "/admin", "name": "admin", "pathType": "Prefix", "methods": ["GET"], "access": "Token", "rewrite": "/", "timeout": "3s", "escapedSlashes": "Keep",
            "require": {"scopes": ["q"]}, "backend": {"service": "web", "port": "http"}, "claimHeaders": [{"header": "X-B", "claimPath": ["b"]}],
        }],
    })
}

/// Every place of a spec, as a JSON pointer.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (format!("{at}/{index}"), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    };
    children.into_iter().flat_map(|(at, value)| std::iter::once(at.clone()).chain(pointers(value, &at))).collect()
}

/// Fields by which an author may move a rule, open it, or give it to another installation.
fn moves_or_opens(pointer: &str) -> bool {
    ["/hosts", "/rules/0/path", "/rules/0/methods", "/rules/0/access", "/rules/0/pathType"].iter().any(|field| pointer.starts_with(field))
        || pointer == "/rules"
        || pointer == "/rules/0"
}

fn wide_and_public() -> [EndpointObject; 3] {
    [
        object("a", "older", 1, public(&["api.example.com"], "/")),
        object("a", "younger", 9, public(&["api.example.com"], "/admin")),
        object("a", "everywhere", 1, public(&["*"], "/")),
    ]
}

fn claims(hosts: &[&str]) -> Vec<HostClaim> {
    hosts.iter().map(|host| HostClaim { host: (*host).to_owned(), since: 5 }).collect()
}

fn compile_beside_public(spec: Value) -> Compiled {
    let mutant = EndpointObject { claims: claims(&["api.example.com"]), ..object("a", "mutant", 5, spec) };
    compile(&inputs(wide_and_public().into_iter().chain([mutant]).collect()))
}

/// What a request to the protected place gets: never a Public rule, and never another rule.
fn assert_closed(compiled: &Compiled, name: &str) {
    for path in ["/admin", "/admin/", "/admin/x"] {
        let route = get(&compiled.snapshot, "api.example.com", path).unwrap_or_else(|| panic!("{name}: {path} vanished"));
        assert_eq!(&*route.id.name, "mutant", "{name}: {path} went to {}", route.id);
        assert!(!is_public(&route), "{name}: {path} is public");
    }
}

#[test]
fn the_full_spec_is_sound() {
    let compiled = compile_beside_public(full_spec());
    assert_closed(&compiled, "sound");
    assert!(accepted(&compiled, "mutant").good, "{:?}", accepted(&compiled, "mutant"));
    assert!(matches!(get(&compiled.snapshot, "api.example.com", "/admin").unwrap().plan, Plan::Serve(_)));
}

#[test]
fn p63_k28_whatever_is_unknown_or_wrong_keeps_its_rule_closed_in_place() {
    let wrong = [
        json!(null),
        json!(-1),
        json!(""),
        json!("no-such-value"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"unknown": 1}),
        json!("999999h"),
    ];
    for pointer in pointers(&full_spec(), "") {
        for value in &wrong {
            let mut spec = full_spec();
            *spec.pointer_mut(&pointer).unwrap() = value.clone();
            let compiled = compile_beside_public(spec);
            // Another host moves the rule; everything else leaves it where it was.
            let moved = pointer == "/hosts/0" && value.as_str().is_some_and(|host| HostPattern::parse(host).is_ok());
            if !moved {
                assert_closed(&compiled, &format!("{pointer} = {value}"));
            }
        }
    }
}

/// A path may be unreadable in many ways; where it could have meant /admin, nothing Public stands there.
#[test]
fn p63_a_path_that_cannot_be_read_keeps_whatever_it_may_have_meant() {
    for path in ["/admin/*", "/admin;x", "/admin//", "//admin", "admin", "/open/../admin", "/open/.%2E/admin", "/%61dmin/?x", "/a*", ""] {
        let mut spec = full_spec();
        spec["rules"][0]["path"] = json!(path);
        assert_closed(&compile_beside_public(spec), path);
    }
}

/// What is below a path that cannot be read is taken too; what is beside it is not.
#[test]
fn a_guess_goes_before_sound_rules_and_they_are_told() {
    let mut guess = spec(&["api.example.com"], "/a/*");
    guess["rules"][0]["name"] = json!("guess");
    let mut sound = public(&["api.example.com"], "/");
    sound["rules"] = json!([
        {"path": "/", "access": "Public"},
        {"path": "/a", "access": "Public"},
        {"path": "/a/b", "access": "Public"},
        {"path": "/a/b", "pathType": "Exact", "methods": ["PURGE"], "access": "Public"},
        {"path": "/ab", "access": "Public"},
    ]);
    let compiled = compile(&inputs(vec![object("a", "sound", 1, sound), object("a", "broken", 2, guess)]));
    for (path, open) in [("/", true), ("/ab", true), ("/a", false), ("/a/", false), ("/a/b", false), ("/a/b/c", false)] {
        for method in [Method::GET, Method::from_bytes(b"PURGE").unwrap()] {
            let route = find(&compiled.snapshot, "api.example.com", path, &method).unwrap();
            assert_eq!(is_public(&route), open, "{method} {path}");
        }
    }
    let verdict = accepted(&compiled, "sound");
    assert_eq!(verdict.reason, Reason::Overlapped);
    let told = "rules[1]: Prefix /a of api.example.com answers 503, because a/broken/guess cannot be read and may have meant it";
    assert!(verdict.message.contains(told), "{}", verdict.message);
}

/// The host that cannot be read is one that the object held; where nothing is remembered, as in a directory, it may be one that
/// another object of the namespace serves, be it as part of a wider one.
#[test]
fn p63_a_host_that_cannot_be_read_keeps_whatever_it_may_have_meant() {
    for (hosts, held) in [
        (json!(["sound.example.com", "api..example.com"]), vec![]),
        (json!([5]), vec![]),
        (json!("api.example.com"), vec![]),
        (json!(["sound.example.com", 5]), vec!["sound.example.com", "api.example.com"]),
        (json!({}), vec!["api.example.com"]),
    ] {
        for wide in ["api.example.com", "*.example.com", "*"] {
            let mut spec = full_spec();
            spec["hosts"] = hosts.clone();
            let problems = if held.is_empty() { vec!["spec.hosts: wrong".to_owned()] } else { vec![] };
            let mutant = EndpointObject { claims: claims(&held), problems, ..object("a", "mutant", 5, spec) };
            // What serves a wider host serves this one by accident: there even what is older or longer is not what was meant.
            let (age, below) = if wide == "api.example.com" { (9, "a-deep") } else { (1, "mutant") };
            let others = [("a-root", "/"), ("a-same", "/admin"), ("a-deep", "/admin/x")];
            let others = others.map(|(name, path)| object("a", name, age, public(&[wide], path))).into_iter();
            let compiled = compile(&inputs(others.chain([mutant]).collect()));
            for (path, want) in [("/admin", "mutant"), ("/admin/y", "mutant"), ("/admin/x", below)] {
                let route = get(&compiled.snapshot, "api.example.com", path).unwrap();
                assert_eq!((&*route.id.name, is_public(&route)), (want, want != "mutant"), "{hosts} beside {wide}: {path}");
            }
            let other = get(&compiled.snapshot, "api.example.com", "/other");
            assert_eq!(other.is_some_and(|route| is_public(&route)), wide == "api.example.com" || held.is_empty(), "{hosts} beside {wide}");
            let outcome = compiled.outcomes.iter().find(|(object, _)| object.name == "mutant").unwrap().1;
            let claimed: Vec<_> = outcome.hosts.iter().map(String::as_str).filter(|host| *host != "sound.example.com").collect();
            let remembered: Vec<_> = held.iter().copied().filter(|host| *host != "sound.example.com").collect();
            assert_eq!(claimed, remembered, "what is remembered stays remembered, and a guess is no claim");
        }
    }
}

/// On hosts that it does not name a rule refuses, be it sound: its author did not say that it stands there.
#[test]
fn a_sound_rule_opens_nothing_under_a_host_that_it_does_not_name() {
    for (claims, host) in [(claims(&["sound.example.com", "held.example.com"]), "held.example.com"), (vec![], "elsewhere.example.com")] {
        let half = EndpointObject { claims, ..object("a", "half", 1, public(&["sound.example.com", "a b"], "/")) };
        let compiled = compile(&inputs(vec![half, object("a", "other", 2, spec(&["held.example.com"], "/x"))]));
        assert!(is_public(&get(&compiled.snapshot, "sound.example.com", "/").unwrap()));
        assert_eq!(get(&compiled.snapshot, host, "/").unwrap().plan, Plan::Refuse(Refusal::InvalidSpec), "{host}");
        let sound = get(&compiled.snapshot, "held.example.com", "/x").unwrap();
        assert!(matches!(sound.plan, Plan::Serve(_)), "its own longer path stays");
    }
}

/// Of an object that says nothing and held nothing no other suffers, but where it may stand itself.
#[test]
fn k13_garbage_in_a_cluster_harms_no_sound_object() {
    let sound = object("a", "sound", 9, spec(&["sound.example.com"], "/"));
    for spec in [json!(null), json!("x"), json!({"rules": 5, "hosts": 5})] {
        let compiled = compile(&inputs(vec![object("a", "garbage", 1, spec.clone()), sound.clone()]));
        assert!(matches!(get(&compiled.snapshot, "sound.example.com", "/").unwrap().plan, Plan::Serve(_)), "{spec}");
        assert!(matches!(get(&compiled.snapshot, "other.example.com", "/").unwrap().plan, Plan::Refuse(_)), "{spec}");
    }
}

#[test]
fn k28_an_unknown_field_anywhere_keeps_every_rule_closed() {
    for pointer in pointers(&full_spec(), "").into_iter().chain([String::new()]) {
        let mut spec = full_spec();
        if let Some(fields) = spec.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            fields.insert("ofTomorrow".into(), json!(true));
            let compiled = compile_beside_public(spec);
            assert_closed(&compiled, &pointer);
            let route = get(&compiled.snapshot, "api.example.com", "/admin").unwrap();
            assert_eq!(route.plan, Plan::Refuse(Refusal::UnsupportedField), "{pointer}");
            assert_eq!(accepted(&compiled, "mutant").reason, Reason::UnsupportedField, "{pointer}");
        }
    }
}

#[test]
fn p71_an_object_beyond_every_bound_is_refused_where_it_stands() {
    let many = |make: &dyn Fn(usize) -> Value| (0..20_000).map(make).collect::<Value>();
    let cases = [
        ("hosts", "/hosts", many(&|n| json!(format!("h{n}.example.com")))),
        ("hosts that are none", "/hosts", many(&|n| json!(format!("h{n}..example.com")))),
        ("rules", "/rules", many(&|n| json!({"path": format!("/{n}")}))),
        ("methods", "/rules/0/methods", many(&|n| json!(format!("M{n}")))),
        ("audience", "/auth0/audience", many(&|n| json!(n.to_string()))),
        ("headers", "/claimHeaders", many(&|n| json!({"header": format!("X-{n}"), "claim": "c"}))),
        ("scopes", "/require/scopes", many(&|n| json!(n.to_string()))),
        ("claims", "/require/claims", many(&|n| json!({"claim": n.to_string(), "values": ["v"]}))),
        ("long text", "/auth0/audience/0", json!("a".repeat(64 * 1024))),
        ("long path", "/rules/0/path", json!(format!("/admin/{}", "a/".repeat(32 * 1024)))),
    ];
    for (name, pointer, value) in cases {
        let mut spec = full_spec();
        *spec.pointer_mut(pointer).unwrap() = value;
        let compiled = compile(&inputs(vec![object("a", "huge", 1, spec)]));
        assert_eq!(accepted(&compiled, "huge").reason, Reason::Invalid, "{name}");
        assert!(compiled.snapshot.lines().iter().all(|line| matches!(line.route.plan, Plan::Refuse(_))), "{name}");
        assert!(!compiled.snapshot.lines().is_empty(), "{name}");
    }
}

proptest! {
    #[test]
    fn any_json_is_compiled_and_answered_for(spec in any_json()) {
        let theirs = spec.get("className").is_some();
        let compiled = compile(&inputs(vec![object("a", "any", 1, spec)]));
        prop_assert!(theirs || compiled.outcomes.len() == 1);
        prop_assert!(theirs || !compiled.snapshot.lines().is_empty(), "a rule vanished");
    }

    #[test]
    fn a_spec_with_any_field_replaced_never_opens(
        pointer in prop::sample::select(pointers(&full_spec(), "").into_iter().filter(|p| !moves_or_opens(p)).collect::<Vec<_>>()),
        value in any_json(),
    ) {
        let mut spec = full_spec();
        *spec.pointer_mut(&pointer).unwrap() = value.clone();
        assert_closed(&compile_beside_public(spec), &format!("{pointer} = {value}"));
    }

    #[test]
    fn nobody_elses_rules_change_when_an_object_breaks(spec in any_json()) {
        let mut inputs = inputs(wide_and_public().into());
        stamp(&mut inputs, 20);
        let before = compile(&inputs).snapshot;
        inputs.endpoints.push(object("b", "broken", 0, spec));
        prop_assert_eq!(before, compile(&inputs).snapshot);
    }

    /// What is published about keys and backends is what routes use.
    #[test]
    fn providers_and_backends_agree_with_routes_and_outcomes(
        objects in prop::collection::vec(prop_oneof![any_object("a", 0..3), any_object("b", 0..3)], 0..6),
    ) {
        let compiled = compile(&inputs(objects));
        for line in compiled.snapshot.lines() {
            if let Plan::Serve(serve) = &line.route.plan {
                prop_assert!(compiled.backends.contains(&serve.upstream.backend));
                if let Access::Token(policy) = &serve.access {
                    let KeySource::Published { provider: named, .. } = &policy.keys else { continue };
                    prop_assert!(compiled.providers.iter().any(|provider| provider.id == *named));
                }
            }
        }
        for outcome in compiled.outcomes.values() {
            let Keys::Published(id) = &outcome.keys else { continue };
            prop_assert!(compiled.providers.iter().any(|provider| provider.id == *id));
        }
    }
}

// === Cost ===

fn measured<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let done = work();
    eprintln!("{what}: {:?}", start.elapsed());
    done
}

/// `cargo test --lib -- --ignored --nocapture what_compiling_costs`; it tells numbers and judges nothing.
#[test]
#[ignore = "a measurement, not a test"]
fn what_compiling_costs() {
    let many_rules = |n: usize| {
        let mut spec = spec(&[&format!("h{n}.example.com")], "/");
        spec["rules"] = (0..5).map(|rule| json!({"path": format!("/api/{rule}"), "methods": ["GET", "POST"]})).collect();
        object("a", &format!("pe-{n}"), 1, spec)
    };
    let wide = inputs((0..10_000).map(many_rules).collect());
    measured("10,000 resources of 5 rules", || compile(&wide));

    let hosts: Vec<_> = (0..64).map(|n| format!("h{n}.example.com")).collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let mut dense = spec(&hosts, "/");
    let methods = |rule: usize| (0..16).map(|n| format!("M{rule}X{n}")).collect::<Vec<_>>();
    dense["rules"] = (0..128).map(|rule| json!({"path": "/", "methods": methods(rule)})).collect();
    let dense = inputs(vec![object("a", "dense", 1, dense)]);
    measured("1 resource of 128 rules of 16 methods on one path of 64 hosts", || compile(&dense));

    let both = |n: usize| object(&format!("n{n}"), "pe", 1, spec(&["*", &format!("h{n}.example.com")], "/"));
    let mut bound = inputs((0..2_000).map(both).collect());
    let bind =
        |n: usize| HostBinding { namespaces: vec![format!("n{n}")], hosts: vec![HostPattern::Exact(format!("h{n}.example.com").into())] };
    let all = HostBinding { namespaces: (0..2_000).map(|n| format!("n{n}")).collect(), hosts: vec![HostPattern::Any] };
    bound.ownership.bindings = (0..2_000).map(bind).chain([all]).collect();
    measured("2,000 namespaces that name * and a host bound to each alone", || compile(&bound));
}
