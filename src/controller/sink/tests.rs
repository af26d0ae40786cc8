use super::*;
use crate::controller::changes::Touched;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

/// What an API server may say of one object.
#[derive(Clone, Debug)]
enum Step {
    Apply {
        name: u8,
        class: Option<u8>,
        path: u8,
    },
    Delete {
        name: u8,
    },
    /// A relist, with what is there then; what went meanwhile has no event of its own (K05).
    Relist,
    /// Lost while nobody watched.
    Vanish {
        name: u8,
    },
    /// A relist that breaks off.
    Broken,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6u8, proptest::option::of(0..2u8), 0..3u8).prop_map(|(name, class, path)| Step::Apply { name, class, path }),
        2 => (0..6u8).prop_map(|name| Step::Delete { name }),
        1 => (0..6u8).prop_map(|name| Step::Vanish { name }),
        1 => Just(Step::Relist),
        1 => Just(Step::Broken),
    ]
}

fn guarded(name: u8, class: Option<u8>, path: u8, version: u64) -> DeserializeGuard<RawEndpoint> {
    let class = class.map(|class| ["portcullis", "another"][usize::from(class)]);
    let mut object = json!({
        "metadata": {"name": format!("pe-{name}"), "namespace": "n", "uid": format!("{name}"), "resourceVersion": version.to_string()},
        "spec": {"path": path, "rules": [{"path": "/", "claimHeaders": claim_headers(path)}]},
    });
    if let Some(class) = class {
        object["spec"]["className"] = json!(class);
    }
    serde_json::from_value(object).unwrap()
}

/// Path 0 names none.
fn claim_headers(path: u8) -> serde_json::Value {
    if path == 0 { json!([]) } else { json!([{"header": format!("X-{path}"), "claim": "sub"}]) }
}

/// What the store shows of a spec: our class's as it is, another's claim headers, if any.
fn visible(class: Option<u8>, path: u8) -> Option<serde_json::Value> {
    match (class, path) {
        (Some(1), 0) => None,
        (Some(1), path) => Some(
            json!({"className": "another", "token": {"header": null, "forwardAs": null}, "claimHeaders": [{"header": format!("X-{path}")}]}),
        ),
        _ => guarded(0, class, path, 0).0.unwrap().data.get("spec").cloned(),
    }
}

type Cluster = BTreeMap<u8, (Option<u8>, u8, u64)>;

fn list(sink: &mut Endpoints, cluster: &Cluster, whole: bool) {
    sink.take(Event::Init);
    cluster.iter().for_each(|(name, (class, path, version))| sink.take(Event::InitApply(guarded(*name, *class, *path, *version))));
    if whole {
        sink.take(Event::InitDone);
    }
}

proptest! {
    /// K09: whatever the order of events, after a relist the store is what a fresh list says, and of another class no more than
    /// the headers it claims.
    #[test]
    fn the_store_follows_the_cluster(steps in proptest::collection::vec(step(), 0..60)) {
        let changes = Arc::new(Changes::default());
        let seen = Arc::new(AtomicU64::new(0));
        let mut sink = Endpoints { store: Writer::default(), changes, class: "portcullis".to_owned(), newest: 0, seen: Arc::clone(&seen) };
        let (mut cluster, mut lost) = (Cluster::new(), false);
        list(&mut sink, &cluster, true);
        for (version, step) in (1..).zip(steps) {
            match step {
                Step::Apply { name, class, path } => {
                    cluster.insert(name, (class, path, version));
                    sink.take(Event::Apply(guarded(name, class, path, version)));
                    prop_assert_eq!(seen.load(SeqCst), version, "an object of any class moves the version on");
                }
                Step::Delete { name } => if let Some((class, path, _)) = cluster.remove(&name) {
                    sink.take(Event::Delete(guarded(name, class, path, version)));
                },
                Step::Vanish { name } => lost |= cluster.remove(&name).is_some(),
                Step::Relist => { list(&mut sink, &cluster, true); lost = false; }
                Step::Broken => list(&mut sink, &cluster, false),
            }
            if !lost {
                let view = |(name, (class, path, _)): (&u8, &(_, _, _))| Some((format!("pe-{name}"), visible(*class, *path)?));
                let want: BTreeMap<_, _> = cluster.iter().filter_map(view).collect();
                let spec = |raw: &RawEndpoint| raw.data["spec"].clone();
                let have: BTreeMap<_, _> = sink.store.as_reader().state().iter().map(|raw| (raw.name_any(), spec(raw))).collect();
                prop_assert_eq!(have, want);
            }
        }
    }
}

#[tokio::test]
async fn only_what_the_table_is_made_of_asks_for_a_compile() {
    let changes = Arc::new(Changes::default());
    let seen = Arc::new(AtomicU64::new(0));
    let mut sink = Endpoints { store: Writer::default(), changes: Arc::clone(&changes), class: "portcullis".to_owned(), newest: 0, seen };
    let object = |spec: &str, status: serde_json::Value| -> DeserializeGuard<RawEndpoint> {
        let metadata = json!({"name": "pe", "namespace": "n", "uid": "u", "generation": 1});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"x": spec}, "status": status})).unwrap()
    };
    let hosts = |host: &str| json!({"hosts": [{"host": host, "since": "2026-01-01T00:00:00Z"}]});
    let cases = [
        ("a new object", Event::Apply(object("a", json!(null))), true),
        ("the same again", Event::Apply(object("a", json!(null))), false),
        ("another status", Event::Apply(object("a", json!({"addresses": ["192.0.2.1"]}))), false),
        ("a claim", Event::Apply(object("a", hosts("h"))), true),
        ("another spec", Event::Apply(object("b", hosts("h"))), true),
        ("a delete", Event::Delete(object("b", hosts("h"))), true),
        ("a delete of what was not there", Event::Delete(object("b", hosts("h"))), false),
    ];
    for (name, event, want) in cases {
        sink.take(event);
        let pending = changes.next().await;
        assert_eq!(pending.table, want, "{name}");
    }
}

#[tokio::test]
async fn of_another_class_the_managed_headers_alone_count_j105() {
    let changes = Arc::new(Changes::default());
    let seen = Arc::new(AtomicU64::new(0));
    let mut sink = Endpoints { store: Writer::default(), changes: Arc::clone(&changes), class: "portcullis".to_owned(), newest: 0, seen };
    let object = |generation: u8, spec: serde_json::Value, status: serde_json::Value| -> DeserializeGuard<RawEndpoint> {
        let mut spec = spec;
        spec["className"] = json!("another");
        let metadata = json!({"name": "pe", "namespace": "n", "uid": "u", "generation": generation});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
    };
    let headers = |name: &str| json!([{"header": name, "claim": "sub"}]);
    let hosts = json!({"hosts": [{"host": "h", "since": "2026-01-01T00:00:00Z"}]});
    let cases = [
        ("no header", object(1, json!({"hosts": ["a"]}), json!(null)), false, 0),
        ("a header", object(2, json!({"claimHeaders": headers("X-A")}), json!(null)), true, 1),
        ("its other fields", object(3, json!({"claimHeaders": headers("X-A"), "hosts": ["b"]}), hosts), false, 1),
        ("a rule's header", object(4, json!({"rules": [{"claimHeaders": headers("X-B")}]}), json!(null)), true, 1),
        ("no header any more", object(5, json!({"rules": 7, "claimHeaders": {}}), json!(null)), true, 0),
        ("a token passed on", object(6, json!({"token": {"forwardAs": "X-Token"}}), json!(null)), true, 1),
        ("where it comes from", object(7, json!({"token": {"forwardAs": "X-Token", "header": "X-In"}}), json!(null)), true, 1),
        ("a name that is none", object(8, json!({"token": {"forwardAs": 7}}), json!(null)), true, 0),
    ];
    for (name, object, matters, kept) in cases {
        sink.take(Event::Apply(object));
        assert_eq!((changes.next().await.table, sink.store.as_reader().len()), (matters, kept), "{name}");
    }
}

#[tokio::test]
async fn a_slice_that_changes_its_service_concerns_both() {
    let changes = Arc::new(Changes::default());
    let by_service = Arc::<SliceIndex>::default();
    let mut sink = Slices { store: Writer::default(), by_service: Arc::clone(&by_service), changes: Arc::clone(&changes) };
    let key = |service: &str| ("n".to_owned(), service.to_owned());
    let slice = |service: &str| -> EndpointSlice {
        let metadata =
            json!({"name": "s", "namespace": "n", "labels": {"kubernetes.io/service-name": service, "x": "y"}, "annotations": {"a": "b"}});
        serde_json::from_value(
            json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n"}]}),
        )
        .unwrap()
    };
    sink.take(Event::Apply(slice("old")));
    assert_eq!(changes.next().await.endpoints, Touched::These([key("old")].into()));
    assert_eq!(by_service.of(&key("old")).len(), 1);
    sink.take(Event::Apply(slice("new")));
    assert_eq!(changes.next().await.endpoints, Touched::These([key("old"), key("new")].into()));
    assert_eq!((by_service.of(&key("old")).len(), by_service.of(&key("new")).len()), (0, 1));
    let stored = sink.store.as_reader().state();
    assert_eq!((stored[0].metadata.annotations.as_ref(), stored[0].endpoints[0].node_name.as_ref()), (None, None), "trimmed");
    assert_eq!(stored[0].labels().len(), 1);
    for event in [Event::Init, Event::InitApply(slice("old")), Event::InitDone] {
        sink.take(event);
    }
    assert_eq!(changes.next().await.endpoints, Touched::All);
    assert_eq!((by_service.of(&key("old")).len(), by_service.of(&key("new")).len()), (1, 0), "as the list says");
    sink.take(Event::Delete(slice("old")));
    assert!(by_service.of(&key("old")).is_empty());
}
