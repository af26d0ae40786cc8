//! The one task that decides what is in service: stores -> inputs -> compile -> publish.
//!
//! Changes of EndpointSlices are swapped in at once, also while a compile runs; everything else is debounced and compiled whole
//! on a blocking thread. It ends never; its end would be the end of the process (K30).

use super::{
    Config,
    changes::{Changes, Pending, Touched},
    debounce::Debounce,
    health::{Health, count},
    raw::RawEndpoint,
    slices::SliceIndex,
    watch::Stores,
};
use crate::{
    compile::{self, Compiled, EndpointObject, Inputs, Loopback, ObjectRef, Outcome, Ownership, SecretRef, Secrets, ServiceObject},
    publish::Publisher,
    routing::{BackendId, EndpointSet},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
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

/// Tells who watches Secrets which ones the newest table names: exactly these.
pub(super) type AssignSecrets = Box<dyn FnMut(&[SecretRef]) + Send>;

/// How long a new table waits for the Secrets that it names first: a rule would refuse that need not. The very first table
/// waits longer, while other replicas serve.
const SECRETS_PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct TableTask {
    pub(super) class: String,
    pub(super) ownership: Ownership,
    pub(super) stores: Stores,
    pub(super) changes: Arc<Changes>,
    pub(super) publisher: Publisher,
    watch_secrets: AssignSecrets,
    pub(super) health: Arc<Health>,
    pub(super) in_service: watch::Sender<Option<InService>>,
    debounce: Debounce,
    /// Every change up to this resourceVersion has been taken: it is in the table, in the compile that runs, or it waits.
    taken: u64,
    /// The newest compile panicked: its changes are not in the table.
    failed: bool,
    compiling: Option<JoinHandle<(Compiled, u64)>>,
    /// Compiled, and not in service before its Secrets have been read; until when.
    held: Option<(Compiled, u64, Instant)>,
}

// === impl TableTask ===

impl TableTask {
    pub(super) fn new(
        config: &Config,
        stores: Stores,
        changes: Arc<Changes>,
        publisher: Publisher,
        watch_secrets: AssignSecrets,
        health: Arc<Health>,
    ) -> Self {
        Self {
            class: config.class.clone(),
            ownership: config.ownership.clone(),
            stores,
            changes,
            publisher,
            watch_secrets,
            health,
            in_service: watch::channel(None).0,
            debounce: Debounce::default(),
            taken: 0,
            failed: false,
            compiling: None,
            held: None,
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
                () = at(self.held.as_ref().map(|(.., until)| *until)) => self.release(),
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
        if let Some(seen) = pending.seen {
            self.taken = seen;
            self.note_loaded();
        }
    }

    fn swap_endpoints(&self, touched: &Touched) {
        let addresses = |backend: &BackendId| addresses(&self.stores.by_service, backend);
        match touched {
            Touched::All => self.publisher.refresh(self.publisher.backends(), addresses),
            Touched::These(services) => services.iter().for_each(|(namespace, service)| {
                self.publisher.refresh(self.publisher.backends_of(namespace, service), addresses);
            }),
        }
    }

    /// Where nothing waits, what has changed since was no part of the table: the table in service holds that version too.
    fn note_loaded(&self) {
        let idle = self.debounce.due().is_none() && self.compiling.is_none() && self.held.is_none();
        if idle && !self.failed {
            self.in_service.send_modify(|it| it.iter_mut().for_each(|it| it.loaded = it.loaded.max(self.taken)));
        }
        let loaded = self.in_service.borrow().as_ref().map_or(0, |it| it.loaded);
        self.health.set_loaded(loaded);
    }

    fn start(&mut self) {
        self.debounce.clear();
        let seen = self.stores.seen.load(SeqCst);
        let (class, ownership, stores) = (self.class.clone(), self.ownership.clone(), self.stores.clone());
        self.compiling = Some(spawn_blocking(move || (compile::compile(&inputs(class, ownership, &stores)), seen)));
    }

    fn finish(&mut self, done: Result<(Compiled, u64), JoinError>) {
        self.compiling = None;
        self.failed = done.is_err();
        count(&self.health.counters.compiled);
        match done {
            Ok((compiled, seen)) => self.take(compiled, seen),
            Err(error) => {
                count(&self.health.counters.compile_panics);
                tracing::error!(%error, "compile panicked: the table in service stays as it is");
            }
        }
    }

    fn take(&mut self, compiled: Compiled, seen: u64) {
        (self.watch_secrets)(&compiled.secrets);
        let patience = if self.publisher.serving() { SECRETS_PATIENCE } else { FIRST_PATIENCE };
        let until = self.held.take().map_or_else(|| Instant::now() + patience, |(.., until)| until);
        match self.stores.secrets.know(&compiled.secrets) {
            true => self.publish(compiled, seen),
            false => self.held = Some((compiled, seen, until)),
        }
    }

    /// Its Secrets have had their time.
    fn release(&mut self) {
        if let Some((compiled, seen, _)) = self.held.take() {
            self.stores.secrets.give_up(&compiled.secrets);
            self.publish(compiled, seen);
        }
    }

    fn publish(&mut self, mut compiled: Compiled, loaded: u64) {
        let outcomes = Arc::new(std::mem::take(&mut compiled.outcomes));
        let slices = &self.stores.by_service;
        if self.publisher.publish(compiled, |backend| addresses(slices, backend)) {
            count(&self.health.counters.published);
            tracing::info!(objects = outcomes.len(), loaded, "a new table is in service");
        }
        self.in_service.send_replace(Some(InService { outcomes, loaded }));
        self.note_loaded();
        self.health.set_ready();
    }
}

fn addresses(slices: &SliceIndex, backend: &BackendId) -> EndpointSet {
    let slices = slices.of(&(backend.namespace.to_string(), backend.service.to_string()));
    compile::endpoints(slices.iter().map(AsRef::as_ref), &backend.port, Loopback::Refuse)
}

fn inputs(class: String, ownership: Ownership, stores: &Stores) -> Inputs {
    let endpoint = |raw: &Arc<RawEndpoint>| EndpointObject::from_parts(&raw.metadata, &raw.data);
    let endpoints = stores.endpoints.state().iter().map(endpoint).collect();
    let services = stores.services.state().iter().map(|service| ServiceObject::from(&**service)).collect();
    Inputs { class, endpoints, services, secrets: Secrets::watched(stores.secrets.all()), ownership }
}

impl fmt::Debug for TableTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableTask").field("class", &self.class).field("taken", &self.taken).finish_non_exhaustive()
    }
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

#[cfg(test)]
mod tests;
