//! The one task that decides what is in service: stores -> inputs -> compile -> publish.
//!
//! Changes of EndpointSlices are swapped in at once, also while a compile runs; everything else is debounced and compiled whole
//! on a blocking thread. It ends never; its end would be the end of the process (K30).

use super::{
    Config,
    changes::{Changes, Pending, ServiceKey, Touched},
    debounce::Debounce,
    health::{Health, count},
    raw::RawEndpoint,
    sink::service_of,
    watch::Stores,
};
use crate::{
    compile::{self, Compiled, EndpointObject, Inputs, Loopback, ObjectRef, Outcome, Ownership, ServiceObject},
    publish::Publisher,
    routing::{BackendId, EndpointSet},
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering::SeqCst},
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};

/// What was last put in service. Written by the table task; read by the status writer and the replica's Lease.
#[derive(Clone, Debug, Default)]
pub(super) struct InService {
    pub(super) outcomes: Arc<BTreeMap<ObjectRef, Outcome>>,
    /// Every ProtectedEndpoint up to this resourceVersion is in the table.
    pub(super) loaded: u64,
}

#[derive(Debug)]
pub(super) struct TableTask {
    pub(super) class: String,
    pub(super) ownership: Ownership,
    pub(super) stores: Stores,
    pub(super) changes: Arc<Changes>,
    pub(super) publisher: Publisher,
    pub(super) health: Arc<Health>,
    pub(super) in_service: watch::Sender<Option<InService>>,
    debounce: Debounce,
    compiling: Option<JoinHandle<(Compiled, u64)>>,
}

// === impl TableTask ===

impl TableTask {
    pub(super) fn new(config: &Config, stores: Stores, changes: Arc<Changes>, publisher: Publisher, health: Arc<Health>) -> Self {
        Self {
            class: config.class.clone(),
            ownership: config.ownership.clone(),
            stores,
            changes,
            publisher,
            health,
            in_service: watch::channel(None).0,
            debounce: Debounce::default(),
            compiling: None,
        }
    }

    pub(super) fn in_service(&self) -> watch::Receiver<Option<InService>> {
        self.in_service.subscribe()
    }

    /// Runs for ever. Nothing is compiled before every store has synced: half a view would be a wrong table (K03).
    pub(super) async fn run(mut self) {
        self.stores.synced().await;
        self.debounce.poke(Instant::now());
        loop {
            let due = self.debounce.due().filter(|_| self.compiling.is_none());
            tokio::select! {
                done = finished(&mut self.compiling) => self.finish(done),
                pending = self.changes.next() => self.note(&pending),
                () = at(due) => self.start(),
            }
        }
    }

    fn note(&mut self, pending: &Pending) {
        if pending.table {
            self.debounce.poke(Instant::now());
        }
        if !pending.endpoints.is_empty() {
            self.swap_endpoints(&pending.endpoints);
        }
        if pending.other && self.debounce.due().is_none() && self.compiling.is_none() {
            self.note_loaded();
        }
    }

    fn swap_endpoints(&self, touched: &Touched) {
        let concerned = |backend: &BackendId| touched.contains(&backend.namespace, &backend.service);
        let slices = self.slices_by_service(|(namespace, service)| touched.contains(namespace, service));
        self.publisher.refresh(concerned, |backend| addresses(&slices, backend));
    }

    /// What has changed was no part of the table: the table in service holds that version too.
    fn note_loaded(&self) {
        let seen = self.stores.seen.load(SeqCst);
        self.in_service.send_if_modified(|in_service| {
            in_service.iter_mut().for_each(|it| it.loaded = seen);
            true
        });
    }

    fn start(&mut self) {
        self.debounce.clear();
        let seen = self.stores.seen.load(SeqCst);
        let (class, ownership, stores) = (self.class.clone(), self.ownership.clone(), self.stores.clone());
        self.compiling = Some(spawn_blocking(move || (compile::compile(&inputs(class, ownership, &stores)), seen)));
    }

    fn finish(&mut self, done: Result<(Compiled, u64), JoinError>) {
        self.compiling = None;
        count(&self.health.counters.compiled);
        match done {
            Ok((compiled, seen)) => self.publish(compiled, seen),
            Err(error) => {
                count(&self.health.counters.compile_panics);
                tracing::error!(%error, "compile panicked: the table in service stays as it is");
            }
        }
    }

    fn publish(&mut self, mut compiled: Compiled, loaded: u64) {
        let outcomes = Arc::new(std::mem::take(&mut compiled.outcomes));
        let slices = self.slices_by_service(|_| true);
        if self.publisher.publish(compiled, |backend| addresses(&slices, backend)) {
            count(&self.health.counters.published);
            tracing::info!(objects = outcomes.len(), loaded, "a new table is in service");
        }
        self.in_service.send_replace(Some(InService { outcomes, loaded }));
        self.health.set_ready();
    }

    fn slices_by_service(&self, wanted: impl Fn(&ServiceKey) -> bool) -> SlicesByService {
        let mut slices = SlicesByService::new();
        for slice in self.stores.slices.state() {
            if let Some(service) = service_of(&slice).filter(&wanted) {
                slices.entry(service).or_default().push(slice);
            }
        }
        slices
    }
}

type SlicesByService = HashMap<ServiceKey, Vec<Arc<EndpointSlice>>>;

fn addresses(slices: &SlicesByService, backend: &BackendId) -> EndpointSet {
    let slices = slices.get(&(backend.namespace.to_string(), backend.service.to_string()));
    let slices = slices.into_iter().flatten().map(AsRef::as_ref);
    compile::endpoints(slices, &backend.port, Loopback::Refuse)
}

fn inputs(class: String, ownership: Ownership, stores: &Stores) -> Inputs {
    let endpoint = |raw: &Arc<RawEndpoint>| EndpointObject::from_parts(&raw.metadata, &raw.data);
    let endpoints = stores.endpoints.state().iter().map(endpoint).collect();
    let services = stores.services.state().iter().map(|service| ServiceObject::from(&**service)).collect();
    Inputs { class, endpoints, services, ownership }
}

/// The end of the compile that runs; never, when none does.
async fn finished<T>(running: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match running {
        Some(handle) => handle.await,
        None => std::future::pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
