use super::*;
use crate::routing::{ManagedHeaders, Plan, Refusal, RuleId};
use proptest::prelude::*;

/// host, kind, path, methods: the place of one rule. Its index is its name.
type Place = (&'static str, PathKind, &'static str, &'static [&'static str]);
use PathKind::{Exact, Prefix};

fn route(index: usize, methods: &[&str]) -> Arc<Route> {
    let id = RuleId { namespace: "ns".into(), name: "pe".into(), rule: index.to_string().into() };
    let methods = methods.iter().map(|m| m.parse().unwrap()).collect();
    Arc::new(Route { id, methods, managed: Arc::new(ManagedHeaders::default()), cors: None, plan: Plan::Refuse(Refusal::InvalidSpec) })
}

fn table(places: &[Place]) -> Snapshot {
    let mut builder = SnapshotBuilder::default();
    for (index, (host, kind, path, methods)) in places.iter().enumerate() {
        let (host, path) = (HostPattern::parse(host).unwrap(), CanonicalPath::parse(path).unwrap());
        let _ = builder.add(&host, &Spot::new(*kind, &path), &route(index, methods));
    }
    builder.build()
}

/// "2" for the third rule, "405 GET, HEAD", "404" or "400".
fn find(table: &Snapshot, method: &str, host: &str, path: &str) -> String {
    let (host, path) = (Host::parse(host).unwrap(), CanonicalPath::parse(path).unwrap());
    match table.find(&host, &path, &method.parse().unwrap()) {
        Found::Route(route) => route.id.rule.to_string(),
        Found::MethodNotAllowed(allow) => format!("405 {}", allow.to_str().unwrap()),
        Found::NoRoute => "404".into(),
        Found::Ambiguous(_) => "400".into(),
    }
}

/// P44: methods are case-sensitive, but no other case of one may pass by the rule that names it.
#[test]
fn p44_another_case_of_a_method_never_passes_a_rule_that_names_it() {
    let admin: &[Place] = &[("a.example", Prefix, "/", &["DELETE"]), ("a.example", Prefix, "/", &[])];
    let lower: &[Place] =
        &[("a.example", Prefix, "/", &["purge"]), ("a.example", Prefix, "/", &["PURGE"]), ("a.example", Prefix, "/", &[])];
    let cases = [
        ("as named", admin, "DELETE", "0"),
        ("lower case", admin, "delete", "400"),
        ("mixed case", admin, "Delete", "400"),
        ("one that no rule names", admin, "patch", "1"),
        ("a rule that names lower case", lower, "purge", "0"),
        ("and one that names upper case", lower, "PURGE", "1"),
        ("between them", lower, "Purge", "400"),
        ("405 is safe", &admin[..1], "delete", "405 DELETE"),
    ];
    for (name, places, method, want) in cases {
        assert_eq!(find(&table(places), method, "a.example", "/x"), want, "{name}");
    }
}

#[test]
fn host_then_path_then_method_and_never_back() {
    let places: &[Place] = &[
        ("api.example.com", Prefix, "/admin", &["GET"]),
        ("api.example.com", Prefix, "/", &[]),
        ("api.example.com", Exact, "/admin/x", &["POST"]),
        ("*.example.com", Prefix, "/wild", &[]),
        ("*", Prefix, "/any/", &[]),
        ("api.example.com", Prefix, "/v1/things", &[]),
        ("api.example.com", Exact, "/v1", &[]),
    ];
    let cases = [
        ("prefix", "GET", "api.example.com", "/admin/y", "0"),
        ("GET names HEAD", "HEAD", "api.example.com", "/admin", "0"),
        ("POST /admin never falls to /", "POST", "api.example.com", "/admin", "405 GET, HEAD"),
        ("nor below it", "DELETE", "api.example.com", "/admin/y", "405 GET, HEAD"),
        ("an exact path is final", "GET", "api.example.com", "/admin/x", "405 POST"),
        ("exact wins", "POST", "api.example.com", "/admin/x", "2"),
        ("P36 elements, not letters", "POST", "api.example.com", "/administrator", "1"),
        ("P36 case", "POST", "api.example.com", "/Admin", "1"),
        ("longest prefix", "GET", "api.example.com", "/v1/things/3", "5"),
        ("between", "GET", "api.example.com", "/v1/other", "1"),
        ("exact is not a prefix", "GET", "api.example.com", "/v1/", "1"),
        ("exact", "GET", "api.example.com", "/v1", "6"),
        ("wildcard", "GET", "b.example.com", "/wild", "3"),
        ("a host never falls to a wider one", "GET", "api.example.com", "/wild", "1"),
        ("nor the wildcard's", "GET", "b.example.com", "/any", "404"),
        ("one label", "GET", "a.b.example.com", "/wild", "404"),
        ("any host", "GET", "other.test", "/any/x", "4"),
        ("a trailing slash on a prefix means nothing", "GET", "other.test", "/any", "4"),
        ("no route", "GET", "other.test", "/", "404"),
        ("P44 methods are case-sensitive", "get", "api.example.com", "/admin", "405 GET, HEAD"),
        ("P31 another rule for another reading", "GET", "api.example.com", "/admin;x", "400"),
        ("P31 escaped", "GET", "api.example.com", "/admin%3Bx/y", "400"),
        ("P31 the same rule for both readings", "GET", "api.example.com", "/admin/a;x", "0"),
        ("P31 below the root", "GET", "api.example.com", "/other;x", "1"),
    ];
    let table = table(places);
    for (name, method, host, path, want) in cases {
        assert_eq!(find(&table, method, host, path), want, "{name}");
    }
}

#[test]
fn people_are_told_the_place_that_a_request_falls_to() {
    let places: &[Place] = &[
        ("api.example.com", Prefix, "/admin", &["GET"]),
        ("api.example.com", Prefix, "/", &[]),
        ("api.example.com", Exact, "/admin/x", &["POST"]),
        ("*.example.com", Prefix, "/wild/", &[]),
        ("*", Prefix, "/any", &[]),
    ];
    let cases = [
        ("prefix", "api.example.com", "/admin/y", Some(("api.example.com", Some((Prefix, "/admin"))))),
        ("root", "api.example.com", "/other", Some(("api.example.com", Some((Prefix, "/"))))),
        ("exact", "api.example.com", "/admin/x", Some(("api.example.com", Some((Exact, "/admin/x"))))),
        ("wildcard", "b.example.com", "/wild", Some(("*.example.com", Some((Prefix, "/wild"))))),
        ("a host never falls to a wider one", "b.example.com", "/any", Some(("*.example.com", None))),
        ("any", "a.b.example.com", "/any/x", Some(("*", Some((Prefix, "/any"))))),
        ("no path", "other.test", "/", Some(("*", None))),
    ];
    let standing = |table: &Snapshot, host: &str, path: &str| {
        let (host, path) = (Host::parse(host).unwrap(), CanonicalPath::parse(path).unwrap());
        table.standing(&host, &path).map(|it| (it.host.to_string(), it.path.map(|(kind, path)| (kind, path.to_owned()))))
    };
    let all = table(places);
    for (name, host, path, want) in cases {
        let want = want.map(|(host, path)| (host.to_owned(), path.map(|(kind, path)| (kind, path.to_owned()))));
        assert_eq!(standing(&all, host, path), want, "{name}");
    }
    assert_eq!(standing(&table(&places[..4]), "other.test", "/any"), None, "no host fits");
}

#[test]
fn equal_places_go_to_the_first() {
    let mut builder = SnapshotBuilder::default();
    let (host, spot) = (HostPattern::Any, Spot::new(Prefix, &CanonicalPath::parse("/a").unwrap()));
    let (first, second, third) = (route(0, &["GET"]), route(1, &["GET", "POST"]), route(2, &[]));
    let lost = |holders: &[&Arc<Route>], whole| Some(Lost { holders: holders.iter().copied().cloned().collect(), whole });
    assert_eq!(builder.add(&host, &spot, &first), None);
    assert_eq!(builder.add(&host, &spot, &second), lost(&[&first], false));
    assert_eq!(builder.add(&host, &spot, &third), None);
    assert_eq!(builder.add(&host, &spot, &route(3, &[])), lost(&[&third], true));
    assert_eq!(builder.add(&host, &spot, &route(4, &["POST", "HEAD", "GET"])), lost(&[&second, &first], true), "several have it all");
    let table = builder.build();
    let got = ["GET", "HEAD", "POST", "PUT"].map(|method| find(&table, method, "x", "/a"));
    assert_eq!(got, ["0", "0", "1", "2"]);
    let lines: Vec<_> =
        table.lines().iter().map(|l| format!("{} {:?} {} {:?} {}", l.host, l.kind, l.path, l.methods, l.route.id)).collect();
    assert_eq!(lines, ["* Prefix /a [GET, HEAD] ns/pe/0", "* Prefix /a [POST] ns/pe/1", "* Prefix /a [] ns/pe/2"]);
}

#[test]
fn an_empty_table_has_no_route() {
    assert_eq!(find(&Snapshot::default(), "GET", "a.example", "/"), "404");
}

/// The contract once more, slowly: filter, then choose.
fn naive(places: &[Place], method: &str, host: &str, path: &str) -> String {
    let specificity = |pattern: &str| match pattern {
        "*" => 0,
        wildcard if wildcard.starts_with("*.") => 1,
        _ => 2,
    };
    let names = |pattern: &str| pattern == "*" || pattern == host || host.split_once('.').is_some_and(|(_, p)| pattern == format!("*.{p}"));
    let reaches = |kind, rule: &str| match kind {
        Exact => rule == path,
        Prefix => {
            let elements = |p: &str| p.split('/').filter(|e| !e.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            elements(path).starts_with(&elements(rule))
        }
    };
    let hosts: Vec<_> = places.iter().enumerate().filter(|(_, p)| names(p.0)).collect();
    let Some(best_host) = hosts.iter().map(|(_, p)| specificity(p.0)).max() else { return "404".into() };
    let paths: Vec<_> = hosts.into_iter().filter(|(_, p)| specificity(p.0) == best_host && reaches(p.1, p.2)).collect();
    let rank = |p: &Place| (p.1 == Exact, p.2.trim_end_matches('/').len());
    let Some(best_path) = paths.iter().map(|(_, p)| rank(p)).max() else { return "404".into() };
    let methods: Vec<_> = paths.into_iter().filter(|(_, p)| rank(p) == best_path).collect();
    let named = methods.iter().find(|(_, p)| p.3.contains(&method) || (method == "HEAD" && p.3.contains(&"GET")));
    match named.or_else(|| methods.iter().find(|(_, p)| p.3.is_empty())) {
        Some((index, _)) => index.to_string(),
        None => "405".into(),
    }
}

fn place() -> impl Strategy<Value = Place> {
    let host = prop::sample::select(vec!["a.x.y", "b.x.y", "*.x.y", "*"]);
    let path = prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b"]);
    let methods = prop::sample::select(vec![&[] as &[&str], &["GET"], &["POST"], &["GET", "POST"], &["HEAD"]]);
    (host, prop::sample::select(vec![Exact, Prefix]), path, methods)
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_contract_read_slowly(
        places in prop::collection::vec(place(), 0..12),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT"]),
        host in prop::sample::select(vec!["a.x.y", "b.x.y", "c.x.y", "z"]),
        path in prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c/d", "/ab", "/abc", "/b/a"]),
    ) {
        let got = find(&table(&places), method, host, path);
        prop_assert_eq!(got.split(' ').next().unwrap_or_default(), naive(&places, method, host, path));
    }
}
