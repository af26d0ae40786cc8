use super::*;
use crate::{
    compile::{self, Compiled, EndpointObject, HostClaim, Inputs, ServiceObject, ServicePort},
    routing::Snapshot,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proptest::{prelude::*, sample::subsequence};
use serde_json::json;

const HOSTS: [&str; 7] = ["a.x.example", "b.x.example", "*.x.example", "a.y.example", "*.y.example", "x.example", "*"];
const NAMESPACES: [&str; 3] = ["a", "b", "c"];

fn object(namespace: &str, created: i64, hosts: &[&str], claims: &[(&str, i64)]) -> EndpointObject {
    let spec = json!({
        "hosts": hosts,
        "auth0": {"domain": "tenant.eu.auth0.com", "audience": ["https://api.example.com"]},
        "backend": {"service": "web", "port": 80},
        "rules": [{"path": "/"}],
    });
    let claims = claims.iter().map(|(host, since)| HostClaim { host: (*host).to_owned(), since: *since }).collect();
    let object = EndpointObject::from_parts(&ObjectMeta::default(), &json!({ "spec": spec }));
    EndpointObject { namespace: namespace.to_owned(), created, claims, ..object }
}

fn inputs(endpoints: impl IntoIterator<Item = EndpointObject>) -> Inputs {
    let port = ServicePort { name: "http".to_owned(), number: 80, app_protocol: None };
    let service = |namespace: &str| ServiceObject {
        namespace: namespace.to_owned(),
        name: "web".to_owned(),
        external_name: false,
        ports: vec![port.clone()],
    };
    let name = |(index, object)| EndpointObject { name: format!("o{index}"), uid: format!("{index}"), ..object };
    let endpoints = endpoints.into_iter().enumerate().map(name).collect();
    Inputs { class: "portcullis".to_owned(), endpoints, services: NAMESPACES.map(service).into(), ..Inputs::default() }
}

fn hosts_of(compiled: &Compiled, object: &EndpointObject) -> Vec<String> {
    compiled.outcomes.iter().find(|(about, _)| about.uid == object.uid).unwrap().1.hosts.clone()
}

/// The table, and who holds what; through which claim is a matter of words.
fn ownership(compiled: &Compiled) -> (Snapshot, Vec<Vec<String>>) {
    (compiled.snapshot.clone(), compiled.outcomes.values().map(|outcome| outcome.hosts.clone()).collect())
}

/// What a round at `now` would write, object by object.
fn round(inputs: &Inputs, compiled: &Compiled, now: u64) -> Vec<Vec<HostSince>> {
    let stored = |object: &EndpointObject| -> Vec<HostSince> {
        object.claims.iter().map(|claim| HostSince { host: claim.host.clone(), since: time(claim.since) }).collect()
    };
    let parts: Vec<_> = inputs.endpoints.iter().map(|object| (object, hosts_of(compiled, object), stored(object))).collect();
    let holders =
        || parts.iter().map(|(object, hosts, claims)| Holder { namespace: &object.namespace, created: object.created, hosts, claims });
    let stamps = Stamps::new(holders(), Duration::from_secs(now));
    holders().map(|holder| stamps.claims(&holder)).collect()
}

fn write(object: &mut EndpointObject, claims: &[HostSince]) {
    object.claims = claims.iter().map(|claim| HostClaim { host: claim.host.clone(), since: claim.since.0.as_second() }).collect();
}

fn any_object() -> impl Strategy<Value = EndpointObject> {
    let claims = subsequence(HOSTS.to_vec(), 0..3).prop_flat_map(|hosts| {
        let length = hosts.len();
        (Just(hosts), prop::collection::vec(0..8_i64, length))
    });
    (prop::sample::select(&NAMESPACES), 0..4_i64, subsequence(HOSTS.to_vec(), 1..4), claims).prop_map(
        |(namespace, created, hosts, (claimed, since))| {
            let claims: Vec<_> = claimed.into_iter().zip(since).collect();
            object(namespace, created, &hosts, &claims)
        },
    )
}

/// One leader's round: its clock, and which of the new claims reach the API server, in this order.
fn any_round() -> impl Strategy<Value = (u64, Vec<(prop::sample::Index, prop::sample::Index)>)> {
    (0..12_u64, prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..5))
}

proptest! {
    /// P69, P70: whatever order claims are written in, by leaders whose clocks disagree, nobody's host becomes another's.
    #[test]
    fn no_stamp_changes_an_owner(
        objects in prop::collection::vec(any_object(), 1..7),
        rounds in prop::collection::vec(any_round(), 0..6),
    ) {
        let mut inputs = inputs(objects);
        let decided = compile::compile(&inputs);
        for (now, writes) in rounds {
            let planned = round(&inputs, &decided, now);
            for (which, host) in writes {
                let index = which.index(inputs.endpoints.len());
                let object = &mut inputs.endpoints[index];
                let held = hosts_of(&decided, object);
                let known = |claim: &HostSince| object.claims.iter().any(|old| old.host == claim.host && old.since >= object.created);
                let new: Vec<_> = planned[index].iter().filter(|claim| !known(claim)).collect();
                if !new.is_empty() {
                    let new = new[host.index(new.len())].clone();
                    object.claims.retain(|claim| claim.host != new.host && held.contains(&claim.host));
                    object.claims.push(HostClaim { host: new.host, since: new.since.0.as_second() });
                }
                prop_assert_eq!(ownership(&compile::compile(&inputs)), ownership(&decided));
            }
        }
        // And nothing waits for ever: exact names, then wildcards, then the catch-all.
        for _ in 0..3 {
            for (object, claims) in round(&inputs, &decided, 5).into_iter().enumerate() {
                write(&mut inputs.endpoints[object], &claims);
            }
            prop_assert_eq!(ownership(&compile::compile(&inputs)), ownership(&decided));
        }
        for object in &inputs.endpoints {
            prop_assert_eq!(object.claims.len(), hosts_of(&decided, object).len());
        }
    }
}

#[test]
fn what_is_wide_waits_and_is_younger_than_what_it_covers_p70() {
    let narrow = object("b", 5, &["a.x.example"], &[]);
    let mut inputs = inputs([object("a", 7, &["*.x.example"], &[]), narrow, object("c", 9, &["*"], &[])]);
    let decided = compile::compile(&inputs);
    let claim = |host: &str, since| vec![HostSince { host: host.to_owned(), since: time(since) }];
    assert_eq!(round(&inputs, &decided, 100), [vec![], claim("a.x.example", 100), vec![]], "the exact name first");
    write(&mut inputs.endpoints[1], &claim("a.x.example", 100));
    // This leader's clock stands behind that of the one before.
    assert_eq!(round(&inputs, &decided, 50), [claim("*.x.example", 101), claim("a.x.example", 100), vec![]]);
    write(&mut inputs.endpoints[0], &claim("*.x.example", 101));
    assert_eq!(round(&inputs, &decided, 50)[2], claim("*", 102));
}

#[test]
fn what_ones_own_namespace_has_not_stamped_holds_nothing_back() {
    let inputs = inputs([object("a", 7, &["*.x.example"], &[]), object("a", 5, &["a.x.example"], &[])]);
    let decided = compile::compile(&inputs);
    assert!(round(&inputs, &decided, 100).iter().all(|claims| claims.len() == 1));
}

#[test]
fn a_host_keeps_its_since_leaves_when_it_is_lost_and_has_none_from_before_the_object() {
    let hosts = ["a.example.com".to_owned(), "b.example.com".to_owned()];
    let at = |host: &str, second| HostSince { host: host.to_owned(), since: time(second) };
    let claims = [at("b.example.com", 700), at("gone.example.com", 700), at("a.example.com", 499)];
    let holder = Holder { namespace: "n", created: 500, hosts: &hosts, claims: &claims };
    let stamps = |holder: Holder<'_>, now| Stamps::new([holder], Duration::from_secs(now)).claims(&holder);
    assert_eq!(stamps(holder, 1_000), [at("a.example.com", 1_000), at("b.example.com", 700)]);
    assert!(stamps(Holder { hosts: &[], ..holder }, 1_000).is_empty());
    let early = stamps(Holder { claims: &[], ..holder }, 10);
    assert_eq!(early[0], at("a.example.com", 500), "our clock may stand before the API server's; the claim is not void for that");
}
