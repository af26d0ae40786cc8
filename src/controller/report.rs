//! Line 4 of the picture: verdicts become status patches and Events, by the Lease holder alone.
//!
//! A round compares what every status says with what it should say and writes the differences: generation changes first, four
//! at a time, 20 a second. Every write carries the resourceVersion it was derived from, so that a leader that was replaced
//! while it slept gets 409 (K23, K24).

use super::{
    Shared,
    bounded::bounded,
    raw::RawEndpoint,
    replicas::Replicas,
    rotation::Rotations,
    stamp::{Holder, Stamps},
    status::{self, Known, Programmed},
    throttle::Throttle,
    watch,
    write::{Held, Write, Writer},
};
use crate::{
    api::ProtectedEndpointStatus,
    compile::{Keys, ObjectRef, Outcome},
    jwks::KeyState,
    jwt::ProviderId,
};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, runtime::reflector::ObjectRef as StoreKey};
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

const PER_SECOND: u32 = 20;
const BURST: u32 = 200;
const IN_FLIGHT: usize = 4;
/// Keys come and go, and Leases expire, without an event.
const TICK: Duration = Duration::from_secs(5);
/// The same while somebody may wait for the first keys of an issuer.
const SHORT_TICK: Duration = Duration::from_secs(1);
/// Lets the replicas tell what they have loaded, so that most changes are one write.
const SETTLE: Duration = Duration::from_millis(200);
/// Between rounds at least: each looks at every object.
const PACE: Duration = Duration::from_secs(1);

/// The CRD's bound of status.addresses.
const MOST_ADDRESSES: usize = 16;

pub(super) struct Reporter {
    shared: Shared,
    writer: Writer,
    replicas: Arc<Replicas>,
    throttle: Throttle,
    /// By uid: the generation, and the resourceVersion at which this leader first saw it.
    first_seen: HashMap<String, (i64, u64)>,
    /// Whether some object only waits for what is under way.
    unsettled: bool,
    /// By uid: what keeps us from writing now.
    held: HashMap<String, Held>,
    rotations: Rotations,
}

/// What all statuses of one round are derived from.
struct View<'a> {
    /// Since the Unix epoch.
    now: Duration,
    addresses: Vec<String>,
    stamps: Stamps<'a>,
}

// === impl Reporter ===

impl Reporter {
    pub(super) fn new(shared: Shared) -> Self {
        let writer = Writer::new(shared.clone());
        let throttle = Throttle::new(PER_SECOND, BURST, Instant::now());
        Self {
            shared,
            writer,
            replicas: Arc::default(),
            throttle,
            unsettled: false,
            first_seen: HashMap::new(),
            held: HashMap::new(),
            rotations: Rotations::default(),
        }
    }

    /// Writes whenever this replica leads, until `stop`.
    pub(super) async fn run(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = self.lead() => {}
            }
        }
    }

    /// One term. What was remembered of an earlier one is void.
    async fn lead(&mut self) {
        let leading = self.shared.health.leading.clone();
        leading.begun().await;
        self.first_seen.clear();
        self.held.clear();
        self.rotations = Rotations::default();
        self.replicas = Arc::default();
        let leases = follow_replicas(self.shared.clone(), Arc::clone(&self.replicas));
        tokio::select! {
            () = leading.over() => {}
            () = leases => {}
            () = self.rounds() => {}
        }
    }

    async fn rounds(&mut self) {
        loop {
            let began = Instant::now();
            while self.round().await {
                sleep(PACE).await;
            }
            tokio::select! {
                changed = self.shared.in_service.changed() => if changed.is_err() { return },
                () = self.replicas.changed.notified() => {}
                () = sleep(if self.unsettled { SHORT_TICK } else { TICK }) => {}
            }
            sleep(SETTLE).await;
            sleep_until(began + PACE).await;
        }
    }

    /// Writes what may be written now; true: there is more.
    async fn round(&mut self) -> bool {
        let mut writes = self.plan();
        let planned = writes.len();
        writes.retain(|_| self.throttle.take(Instant::now()));
        let more = writes.len() < planned;
        let writer = &self.writer;
        let done: Vec<_> = futures::stream::iter(writes).map(|write| writer.write(write)).buffer_unordered(IN_FLIGHT).collect().await;
        self.held.extend(done.into_iter().flatten());
        more
    }

    /// Every status that should say something else, the most urgent first.
    fn plan(&mut self) -> Vec<Write> {
        let Some(in_service) = self.shared.in_service.borrow_and_update().clone() else { return Vec::new() };
        self.announce_rotations(&in_service.outcomes);
        let objects = self.shared.stores.endpoints.state();
        self.forget_all_but(&objects);
        self.unsettled = false;
        let served: Vec<_> = objects.iter().filter_map(|raw| Some((&**raw, in_service.outcomes.get(&raw.reference())?))).collect();
        let now = (self.shared.config.clock)();
        let stamps = Stamps::new(served.iter().map(|(raw, outcome)| holder(raw, outcome)), now);
        let view = View { now, addresses: self.addresses(), stamps };
        let mut writes: Vec<_> = served.iter().filter_map(|(raw, outcome)| self.difference(raw, outcome, &view)).collect();
        sort_by_urgency(&mut writes);
        writes
    }

    /// Once for each issuer in each namespace that uses it: on the first object by name.
    fn announce_rotations(&mut self, outcomes: &BTreeMap<ObjectRef, Outcome>) {
        let mut users: BTreeMap<(&ProviderId, &str), &ObjectRef> = BTreeMap::new();
        for (object, id) in outcomes.iter().filter_map(|(object, outcome)| Some((object, outcome.keys.provider()?))) {
            users.entry((id, object.namespace.as_str())).or_insert(object);
        }
        self.rotations.retain(|id| users.keys().any(|(used, _)| *used == id));
        for (id, keys) in self.shared.live.keys.all() {
            let Some((keys, _)) = keys.state().good.clone() else { continue };
            let Some(note) = self.rotations.observe(&id, &keys, Instant::now()) else { continue };
            let of_this = users.iter().filter(|((used, _), _)| **used == id);
            of_this.for_each(|(_, object)| self.shared.events.announce_rotation(object, note.clone()));
        }
    }

    fn difference(&mut self, raw: &RawEndpoint, outcome: &Outcome, view: &View<'_>) -> Option<Write> {
        let compiled = raw.metadata.generation.unwrap_or_default() == outcome.generation;
        if !compiled || self.is_held(raw) {
            return None;
        }
        // A source that serves no host is not fetched.
        let state = match &outcome.keys {
            Keys::Published(id) => self.shared.live.keys.find(id).map(|keys| keys.state()),
            Keys::NotNeeded | Keys::Secret { .. } => None,
        };
        let after = self.desired(raw, outcome, state.as_deref(), view);
        self.unsettled |= status::condition(&after, "KeysReady").is_some_and(|keys| keys.status == "Unknown");
        let differs = !status::means_the_same(&after, &raw.status);
        differs.then(|| Write {
            object: raw.reference(),
            version: raw.metadata.resource_version.clone(),
            before: raw.status.clone(),
            after,
        })
    }

    fn desired(&mut self, raw: &RawEndpoint, outcome: &Outcome, keys: Option<&KeyState>, view: &View<'_>) -> ProtectedEndpointStatus {
        let programmed = self.programmed(raw, outcome.generation);
        let claims = view.stamps.claims(&holder(raw, outcome));
        status::desired(Known { outcome, keys, programmed, claims, addresses: &view.addresses, previous: &raw.status }, view.now)
    }

    /// Once True for a generation it stays so, whatever replicas come and go.
    fn programmed(&mut self, raw: &RawEndpoint, generation: i64) -> Programmed {
        let stored = status::condition(&raw.status, "Programmed");
        if stored.is_some_and(|c| c.status == "True" && c.observed_generation == Some(generation)) {
            return Programmed::Yes;
        }
        let Some(version) = raw.version() else { return Programmed::Unknowable };
        let seen = self.first_seen.entry(raw.reference().uid).or_insert((generation, version));
        if seen.0 != generation {
            *seen = (generation, version);
        }
        match self.replicas.reached(Instant::now()) {
            Some(reached) if reached >= seen.1 => Programmed::Yes,
            _ => Programmed::NotYet,
        }
    }

    fn is_held(&self, raw: &RawEndpoint) -> bool {
        let held = self.held.get(&raw.reference().uid);
        held.is_some_and(|held| held.holds(raw.metadata.resource_version.as_ref()))
    }

    fn forget_all_but(&mut self, objects: &[Arc<RawEndpoint>]) {
        let alive: std::collections::HashSet<_> = objects.iter().filter_map(|raw| raw.metadata.uid.as_deref()).collect();
        self.held.retain(|uid, _| alive.contains(uid.as_str()));
        self.first_seen.retain(|uid, _| alive.contains(uid.as_str()));
    }

    fn addresses(&self) -> Vec<String> {
        let Some((namespace, name)) = &self.shared.config.service else { return Vec::new() };
        let service = self.shared.stores.services.get(&StoreKey::<Service>::new(name).within(namespace));
        service.map(|service| addresses(&service)).unwrap_or_default()
    }
}

fn holder<'a>(raw: &'a RawEndpoint, outcome: &'a Outcome) -> Holder<'a> {
    let namespace = raw.metadata.namespace.as_deref().unwrap_or_default();
    Holder { namespace, created: raw.created(), hosts: &outcome.hosts, claims: &raw.status.hosts }
}

/// Generation changes first, then by name.
fn sort_by_urgency(writes: &mut [Write]) {
    writes.sort_by_cached_key(|write| (write.is_known(), write.object.clone()));
}

async fn follow_replicas(shared: Shared, replicas: Arc<Replicas>) {
    let client = bounded(shared.client.clone(), Arc::clone(&shared.health), |health| &health.leases);
    let leases = Api::namespaced(client, &shared.config.namespace);
    let config = Replicas::watch_config(&shared.config.class);
    watch::follow(leases, config, &shared.health, 3, |event| replicas.take(event, Instant::now())).await;
}

/// What users of Ingress expect: the load balancer's addresses; else external IPs; else the Service's own.
fn addresses(service: &Service) -> Vec<String> {
    let ingress = service.status.iter().filter_map(|s| s.load_balancer.as_ref()).flat_map(|lb| lb.ingress.iter().flatten());
    let balancer: Vec<_> = ingress.filter_map(|ingress| ingress.hostname.clone().or_else(|| ingress.ip.clone())).collect();
    let spec = service.spec.clone().unwrap_or_default();
    let candidates = [balancer, spec.external_ips.unwrap_or_default(), spec.cluster_ips.unwrap_or_default()];
    let found = candidates.into_iter().find(|list| !list.is_empty()).unwrap_or_default();
    found.into_iter().filter(|address| address != "None").take(MOST_ADDRESSES).collect()
}

#[cfg(test)]
mod tests;
