//! Puts a compiled view in service, in the one order that leaves no gap.
//!
//! ```text
//! endpoints and keys of old and new  ->  the table  ->  endpoints and keys of the new alone
//! ```
//!
//! A route therefore never names a backend or a key source that is not there yet, and no request that still holds the old
//! table finds its own gone (as long as it looks before it waits).

use crate::{
    compile::Compiled,
    jwt::Provider,
    live::{EndpointMap, Live},
    routing::{BackendId, EndpointSet},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The one writer of [`Live`]: owned by `controller` or by `source`, never by both.
pub struct Publisher {
    live: Arc<Live>,
    assign: AssignKeys,
    backends: Vec<BackendId>,
    providers: Vec<Provider>,
    complaint: Option<String>,
}

/// Tells who fetches keys which providers are in use: exactly these.
pub type AssignKeys = Box<dyn FnMut(&[Provider]) + Send>;

// === impl Publisher ===

impl Publisher {
    pub fn new(live: Arc<Live>, assign: AssignKeys) -> Self {
        Self { live, assign, backends: Vec::new(), providers: Vec::new(), complaint: None }
    }

    /// The backends that the table in service names. Sorted.
    pub fn backends(&self) -> &[BackendId] {
        &self.backends
    }

    /// Those of one Service: one a port.
    pub fn backends_of(&self, namespace: &str, service: &str) -> &[BackendId] {
        let key = |backend: &BackendId| (&*backend.namespace, &*backend.service).cmp(&(namespace, service));
        let start = self.backends.partition_point(|backend| key(backend).is_lt());
        let end = self.backends.partition_point(|backend| key(backend).is_le());
        self.backends.get(start..end).unwrap_or_default()
    }

    /// Whether a table is in service.
    pub fn serving(&self) -> bool {
        self.live.table.load().is_some()
    }

    /// Puts `compiled` in service; `addresses` tells what stands behind a backend now. Returns whether the table changed.
    pub fn publish(&mut self, compiled: Compiled, addresses: impl Fn(&BackendId) -> EndpointSet) -> bool {
        self.fill(self.backends.iter().chain(&compiled.backends), &addresses);
        self.assign(union(&self.providers, &compiled.providers));
        let changed = self.live.publish(compiled.snapshot);
        self.fill(compiled.backends.iter(), &addresses);
        self.assign(compiled.providers);
        self.backends = compiled.backends;
        self.complain(compiled.complaint);
        changed
    }

    /// Swaps the addresses of these backends, as far as they are in service.
    pub fn refresh(&self, backends: &[BackendId], addresses: impl Fn(&BackendId) -> EndpointSet) {
        let endpoints = self.live.endpoints.load();
        for (backend, now) in backends.iter().filter_map(|backend| Some((backend, endpoints.get(backend)?))) {
            now.put(addresses(backend));
        }
    }

    /// Makes the endpoint map hold exactly `backends`. One that stays keeps its place, and an equal set stays the same value.
    fn fill<'a>(&self, backends: impl Iterator<Item = &'a BackendId>, addresses: impl Fn(&BackendId) -> EndpointSet) {
        let old = self.live.endpoints.load();
        let mut new = EndpointMap::default();
        for backend in backends {
            new.entry(backend.clone()).or_insert_with(|| {
                let endpoints = old.get(backend).cloned().unwrap_or_default();
                endpoints.put(addresses(backend));
                endpoints
            });
        }
        if old.len() != new.len() || !new.keys().all(|backend| old.contains_key(backend)) {
            self.live.endpoints.store(Arc::new(new));
        }
    }

    /// Once for each thing that is wrong.
    fn complain(&mut self, complaint: Option<String>) {
        if let Some(complaint) = complaint.as_ref().filter(|new| self.complaint.as_ref() != Some(new)) {
            tracing::warn!("{complaint}");
        }
        self.complaint = complaint;
    }

    fn assign(&mut self, providers: Vec<Provider>) {
        if self.providers != providers {
            (self.assign)(&providers);
            self.providers = providers;
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("backends", &self.backends).field("providers", &self.providers).finish_non_exhaustive()
    }
}

/// Every provider of both lists, sorted by id; where both have it, as the new list has it.
fn union(old: &[Provider], new: &[Provider]) -> Vec<Provider> {
    let by_id: BTreeMap<_, _> = old.iter().chain(new).map(|p| (&p.id, p)).collect();
    by_id.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{self, EndpointObject, Inputs, ServiceObject, ServicePort};
    use serde_json::json;
    use std::sync::Mutex;

    /// One object `name` with a Service, an issuer and a host of that name.
    fn compiled(name: &str) -> Compiled {
        let spec = json!({
            "hosts": [format!("{name}.example.com")],
            "auth0": {"domain": format!("{name}.auth.example.com"), "audience": ["a"]},
            "backend": {"service": name, "port": 80},
            "rules": [{"path": "/"}],
        });
        let object = EndpointObject {
            namespace: "n".to_owned(),
            name: name.to_owned(),
            uid: String::new(),
            generation: 1,
            created: 0,
            spec,
            claims: Vec::new(),
            problems: Vec::new(),
        };
        let port = ServicePort { name: "http".to_owned(), number: 80, app_protocol: None };
        let service = ServiceObject { namespace: "n".to_owned(), name: name.to_owned(), external_name: false, ports: vec![port] };
        let class = "portcullis".to_owned();
        compile::compile(&Inputs { class, endpoints: vec![object], services: vec![service], ..Inputs::default() })
    }

    fn one_address(_: &BackendId) -> EndpointSet {
        ["10.0.0.1:80".parse().unwrap()].into_iter().collect()
    }

    /// What was in service when the key sources were assigned: hosts, Services with endpoints, issuers.
    type Seen = (Vec<String>, Vec<String>, usize);

    #[test]
    fn nothing_is_named_before_it_is_there_or_gone_while_it_is_named() {
        let (live, seen) = (Arc::new(Live::default()), Arc::new(Mutex::new(Vec::<Seen>::new())));
        let (watched, log) = (Arc::clone(&live), Arc::clone(&seen));
        let assign = Box::new(move |providers: &[Provider]| {
            let table = watched.table.load();
            let hosts = (*table).as_ref().iter().flat_map(|table| table.lines()).map(|line| line.host.to_string()).collect();
            let mut services: Vec<_> = watched.endpoints.load().keys().map(|id| id.service.to_string()).collect();
            services.sort();
            log.lock().unwrap().push((hosts, services, providers.len()));
        });
        let mut publisher = Publisher::new(live, assign);
        assert!(publisher.publish(compiled("old"), one_address));
        assert!(publisher.publish(compiled("new"), one_address));
        assert!(!publisher.publish(compiled("new"), one_address), "equal is not published again");
        let (old, new) = (|| vec!["old.example.com".to_owned()], || vec!["new.example.com".to_owned()]);
        let name = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let want = [(vec![], name(&["old"]), 1), (old(), name(&["new", "old"]), 2), (new(), name(&["new"]), 1)];
        assert_eq!(*seen.lock().unwrap(), want);
    }

    #[test]
    fn a_set_that_did_not_change_stays_the_same_value() {
        let live = Arc::new(Live::default());
        let mut publisher = Publisher::new(Arc::clone(&live), Box::new(|_| ()));
        publisher.publish(compiled("a"), one_address);
        let set = || live.endpoints.load().values().next().unwrap().now();
        let first = set();
        publisher.publish(compiled("a"), one_address);
        publisher.refresh(publisher.backends(), one_address);
        assert!(Arc::ptr_eq(&first, &set()));
        publisher.refresh(&[], |_| EndpointSet::default());
        assert!(Arc::ptr_eq(&first, &set()));
        publisher.refresh(publisher.backends(), |_| EndpointSet::default());
        assert!(set().addresses().is_empty());
    }

    /// K16: one changed Service among many costs what that Service costs.
    #[test]
    fn a_change_of_one_service_looks_at_its_backends_alone() {
        let live = Arc::new(Live::default());
        let mut publisher = Publisher::new(Arc::clone(&live), Box::new(|_| ()));
        let id = |namespace: &str, service: &str, port: &str| BackendId {
            namespace: namespace.into(),
            service: service.into(),
            port: port.into(),
        };
        let backends = [id("m", "s", "a"), id("n", "r", "a"), id("n", "s", "a"), id("n", "s", "b"), id("n", "t", "a"), id("o", "s", "a")];
        publisher.publish(Compiled { backends: backends.to_vec(), ..compiled("a") }, one_address);
        let (before, asked) = (live.endpoints.load_full(), Mutex::new(Vec::new()));
        publisher.refresh(publisher.backends_of("n", "s"), |backend| {
            asked.lock().unwrap().push(backend.clone());
            EndpointSet::default()
        });
        assert_eq!(*asked.lock().unwrap(), backends[2..4]);
        assert!(Arc::ptr_eq(&before, &live.endpoints.load_full()), "the map is not made anew");
        let empty: Vec<_> = backends.iter().map(|backend| live.endpoints_of(backend).unwrap().addresses().is_empty()).collect();
        assert_eq!(empty, [false, false, true, true, false, false]);
        for (namespace, service) in [("n", "none"), ("a", "s"), ("z", "s")] {
            assert!(publisher.backends_of(namespace, service).is_empty());
        }
    }
}
