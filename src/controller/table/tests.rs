use super::*;
use crate::{
    controller::{
        secrets::Reader,
        sink::{Endpoints, Services, Slices},
        watch::Stores,
    },
    live::Live,
};
use k8s_openapi::api::core::v1::Service;
use kube::{
    core::DeserializeGuard,
    runtime::{
        reflector::store::Writer,
        watcher::Event::{Apply, Delete, Init, InitApply, InitDone},
    },
};
use serde_json::{Value, json};
use std::{sync::atomic::AtomicU64, time::Duration};
use tokio::time::timeout;

/// A table task, and the ends that the watches write to.
struct Cluster {
    endpoints: Endpoints,
    services: Services,
    slices: Slices,
    in_service: watch::Receiver<Option<InService>>,
}

impl Cluster {
    fn start() -> Self {
        let (changes, seen, by_service) = (Arc::new(Changes::default()), Arc::new(AtomicU64::new(0)), Arc::<SliceIndex>::default());
        let changes = || Arc::clone(&changes);
        let class = "portcullis".to_owned();
        let endpoints =
            Endpoints { store: Writer::default(), changes: changes(), class: class.clone(), newest: 0, seen: Arc::clone(&seen) };
        let services = Services { store: Writer::default(), changes: changes(), own: None };
        let slices = Slices { store: Writer::default(), by_service: Arc::clone(&by_service), changes: changes() };
        let (e, s, l) = (endpoints.store.as_reader(), services.store.as_reader(), slices.store.as_reader());
        let stores = Stores { endpoints: e, services: s, slices: l, by_service, secrets: Arc::default(), seen };
        let (namespace, reader) = (String::new(), Reader { role: String::new(), account: None });
        let config =
            Config { class, ownership: Ownership::default(), namespace, pod: None, service: None, reader, clock: || Duration::ZERO };
        let publisher = Publisher::new(Arc::new(Live::default()), Box::new(|_| ()));
        let task = TableTask::new(&config, stores, changes(), publisher, Box::new(|_| ()), Arc::default());
        let in_service = task.in_service();
        tokio::spawn(task.run());
        Self { endpoints, services, slices, in_service }
    }

    /// The first lists: of these objects, and of one Service.
    fn list(&mut self, objects: Vec<DeserializeGuard<RawEndpoint>>) {
        let service: Service = serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n"}})).unwrap();
        [Init, InitApply(service), InitDone].into_iter().for_each(|event| self.services.take(event));
        [Init, InitDone].into_iter().for_each(|event| self.slices.take(event));
        let objects = objects.into_iter().map(InitApply);
        std::iter::once(Init).chain(objects).chain([InitDone]).for_each(|event| self.endpoints.take(event));
    }

    async fn until_loaded(&mut self, version: u64, after: &str) {
        let loaded = self.in_service.wait_for(|it| it.as_ref().is_some_and(|it| it.loaded == version));
        assert!(timeout(Duration::from_secs(5), loaded).await.is_ok(), "{after}: {version} is not loaded");
    }
}

/// Of class `class`, with a spec that `path` stands for.
fn object(name: &str, class: &str, path: &str, version: u64, status: &Value) -> DeserializeGuard<RawEndpoint> {
    let metadata = json!({"name": name, "namespace": "n", "uid": name, "resourceVersion": version.to_string(), "generation": 1});
    let spec = json!({"className": class, "rules": [{"path": path, "claimHeaders": [{"header": "X-A", "claim": "a"}]}]});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

/// Else `Programmed`, for which all replicas must have loaded the newest version, would never come.
#[tokio::test]
async fn a_version_that_changes_nothing_in_the_table_is_loaded_too() {
    let mut cluster = Cluster::start();
    let (ours, theirs, none) = ("portcullis", "another", json!(null));
    cluster.list(vec![object("a", ours, "/", 5, &none), object("b", theirs, "/", 7, &none)]);
    cluster.until_loaded(7, "the newest that is listed is of another class").await;
    let addresses = json!({"addresses": ["192.0.2.1"]});
    let steps = [
        ("only the status changed", Apply(object("a", ours, "/", 8, &addresses))),
        ("another class's object changed", Apply(object("b", theirs, "/x", 9, &none))),
        ("another class's object is new", Apply(object("c", theirs, "/", 10, &none))),
        ("another class's object has gone", Delete(object("b", theirs, "/x", 11, &none))),
        ("the spec changed", Apply(object("a", ours, "/y", 12, &addresses))),
        ("ours became another's", Apply(object("a", theirs, "/y", 13, &addresses))),
        ("it has gone", Delete(object("a", theirs, "/y", 14, &addresses))),
        ("what was never here has gone", Delete(object("d", ours, "/", 15, &none))),
    ];
    for (version, (after, event)) in (8..).zip(steps) {
        cluster.endpoints.take(event);
        cluster.until_loaded(version, after).await;
    }
    // Many at once, the last of them without meaning: also while a compile runs.
    for burst in 0..20_u64 {
        let version = 20 + burst * 3;
        cluster.endpoints.take(Apply(object("a", ours, &format!("/{burst}"), version, &none)));
        tokio::time::sleep(Duration::from_millis(burst * 7)).await;
        cluster.endpoints.take(Apply(object("c", theirs, &format!("/{burst}"), version + 1, &none)));
        cluster.endpoints.take(Apply(object("a", ours, &format!("/{burst}"), version + 2, &addresses)));
    }
    cluster.until_loaded(20 + 19 * 3 + 2, "a burst").await;
}
