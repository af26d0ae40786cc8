//! The Secrets that resources name, each watched by its name: no other is ever asked for, and one that nobody names any more is
//! forgotten at once.
//!
//! The right to read them is a namespace's to give, by a RoleBinding, and to take. A right is looked at whenever a watch begins,
//! which is every ten seconds; what was read under one that is gone is dropped then (P68). A missing right is asked for again
//! within about five seconds, so that a new RoleBinding needs nothing else (K12).

use super::{
    backoff::Capped,
    bounded::bounded_at,
    changes::Changes,
    health::{Health, count},
};
use crate::{
    compile::{SecretData, SecretRef, SecretState},
    secret::SecretBytes,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource,
    runtime::watcher::{self, Event},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

/// Seconds until the server ends a watch, and looks at the right anew when the next begins.
const TIMEOUT: u32 = 10;
/// As for the other watches: one that went wrong unseen would be believed for ever (K19).
const RELIST: Duration = Duration::from_secs(600);
/// Between two lists of any of them.
const LISTS: Duration = Duration::from_millis(20);
/// Each is a connection to the API server and its memory.
const MOST_IN_NAMESPACE: usize = 64;
const MOST: usize = 512;

/// Who reads Secrets, to name the RoleBinding that is missing.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The ClusterRole that gives the right where it is bound.
    pub role: String,
    /// Namespace and name of the ServiceAccount; `None` outside a cluster.
    pub account: Option<(String, String)>,
}

/// What is known of the Secrets that are watched. Written by the watches, read by who compiles.
#[derive(Debug, Default)]
pub(super) struct SecretStates(Mutex<BTreeMap<SecretRef, SecretState>>);

/// The watches that run. Dropping it ends them.
#[derive(Debug)]
pub(super) struct SecretWatches {
    shared: Shared,
    running: HashMap<SecretRef, Running>,
}

/// Ends its task when it is dropped.
#[derive(Debug)]
struct Running(JoinHandle<()>);

#[derive(Clone)]
struct Shared {
    client: Client,
    reader: Arc<Reader>,
    states: Arc<SecretStates>,
    changes: Arc<Changes>,
    health: Arc<Health>,
    seed: u64,
}

/// The watch of one Secret.
struct Watch {
    reference: SecretRef,
    shared: Shared,
    backoff: Capped,
    /// Its newest error has been told.
    failing: bool,
}

/// A Secret as the cluster has it. Whatever is in it can be read: the client library logs what cannot.
#[derive(Clone, Deserialize)]
struct RawSecret {
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "values")]
    data: SecretData,
}

// === impl Reader ===

impl Reader {
    fn remedy(&self, namespace: &str) -> String {
        let Self { role, account } = self;
        let whom = match account {
            Some((namespace, name)) => format!("--serviceaccount={namespace}:{name}"),
            None => "--user=NAME".to_owned(),
        };
        format!(
            "a RoleBinding of ClusterRole {role} in namespace {namespace} gives the right: kubectl create rolebinding {role} \
             --namespace={namespace} --clusterrole={role} {whom}"
        )
    }
}

// === impl SecretStates ===

impl SecretStates {
    pub(super) fn all(&self) -> BTreeMap<SecretRef, SecretState> {
        self.lock().clone()
    }

    /// Whether something is known of each of these, or is no longer waited for.
    pub(super) fn know(&self, named: &[SecretRef]) -> bool {
        let states = self.lock();
        named.iter().all(|reference| states.contains_key(reference))
    }

    /// Of these, what nobody has answered for is no longer waited for.
    pub(super) fn give_up(&self, named: &[SecretRef]) {
        let mut states = self.lock();
        for reference in named {
            states.entry(reference.clone()).or_default();
        }
    }

    /// Returns whether that is new.
    fn put(&self, reference: &SecretRef, state: SecretState) -> bool {
        let mut states = self.lock();
        let new = states.get(reference) != Some(&state);
        if new {
            states.insert(reference.clone(), state);
        }
        new
    }

    fn retain(&self, named: &HashSet<&SecretRef>) {
        self.lock().retain(|reference, _| named.contains(reference));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SecretRef, SecretState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl SecretWatches ===

impl SecretWatches {
    pub(super) fn new(
        client: Client,
        reader: Reader,
        states: Arc<SecretStates>,
        changes: Arc<Changes>,
        health: Arc<Health>,
        seed: u64,
    ) -> Self {
        let client = bounded_at(client, Arc::clone(&health), |health| &health.secrets, LISTS);
        Self { shared: Shared { client, reader: Arc::new(reader), states, changes, health, seed }, running: HashMap::new() }
    }

    /// Watches exactly these, which are distinct. Of more than can be watched, those that already are come first.
    pub(super) fn assign(&mut self, named: &[SecretRef]) {
        let (watched, over) = self.within_quota(named);
        self.running.retain(|reference, running| watched.contains(reference) && !running.0.is_finished());
        self.shared.states.retain(&named.iter().collect());
        for reference in over {
            let remedy = format!("at most {MOST_IN_NAMESPACE} Secrets of a namespace, and {MOST} in all, are read: name fewer");
            self.shared.learn(reference, SecretState::NotPermitted { remedy: remedy.into() });
        }
        for reference in watched {
            self.running.entry(reference.clone()).or_insert_with(|| Watch::start(reference.clone(), self.shared.clone()));
        }
    }

    /// Those to watch, and those that are too many.
    fn within_quota<'a>(&self, named: &'a [SecretRef]) -> (HashSet<&'a SecretRef>, Vec<&'a SecretRef>) {
        let (mut watched, mut of_namespace) = (HashSet::new(), HashMap::<&str, usize>::new());
        let (known, new): (Vec<_>, Vec<_>) = named.iter().partition(|reference| self.running.contains_key(*reference));
        let mut over = Vec::new();
        for reference in known.into_iter().chain(new) {
            let count = of_namespace.entry(&reference.namespace).or_default();
            match *count < MOST_IN_NAMESPACE && watched.len() < MOST {
                true => drop(watched.insert(reference)),
                false => over.push(reference),
            }
            *count += 1;
        }
        (watched, over)
    }
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Shared ===

impl Shared {
    fn learn(&self, reference: &SecretRef, state: SecretState) {
        if self.states.put(reference, state) {
            self.changes.table();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("reader", &self.reader).field("states", &self.states).finish_non_exhaustive()
    }
}

// === impl Watch ===

impl Watch {
    fn start(reference: SecretRef, shared: Shared) -> Running {
        let backoff = Capped::new(shared.seed);
        Running(tokio::spawn(Self { reference, shared, backoff, failing: false }.run()))
    }

    /// For ever. It begins anew with a list every ten minutes, and after a refusal.
    async fn run(mut self) {
        let config = watcher::Config::default().timeout(TIMEOUT).fields(&format!("metadata.name={}", self.reference.name));
        let api = Api::<RawSecret>::namespaced(self.shared.client.clone(), &self.reference.namespace);
        loop {
            let (mut events, mut listed) = (pin!(watcher::watcher(api.clone(), config.clone())), SecretState::Missing);
            let end = Instant::now() + RELIST;
            while let Some(event) = tokio::select! { event = events.next() => event, () = sleep_until(end) => None } {
                match event {
                    Ok(event) => self.take(event, &mut listed),
                    Err(error) if is_forbidden(&error) => {
                        self.forbidden().await;
                        break;
                    }
                    Err(error) => self.failed(&error).await,
                }
            }
        }
    }

    /// `listed`: what a list that is coming in has said so far.
    fn take(&mut self, event: Event<RawSecret>, listed: &mut SecretState) {
        let is_it = |secret: &RawSecret| secret.metadata.name.as_deref() == Some(&*self.reference.name);
        match event {
            Event::Init => *listed = SecretState::Missing,
            Event::InitApply(secret) if is_it(&secret) => *listed = SecretState::Known(secret.data),
            Event::InitDone => self.learn(std::mem::replace(listed, SecretState::Missing)),
            Event::Apply(secret) if is_it(&secret) => self.learn(SecretState::Known(secret.data)),
            Event::Delete(secret) if is_it(&secret) => self.learn(SecretState::Missing),
            // Nobody asked for it.
            Event::InitApply(_) | Event::Apply(_) | Event::Delete(_) => {}
        }
    }

    fn learn(&mut self, state: SecretState) {
        self.failing = false;
        self.shared.learn(&self.reference, state);
    }

    /// No longer known, whatever it was before.
    async fn forbidden(&mut self) {
        let remedy = self.shared.reader.remedy(&self.reference.namespace).into();
        self.learn(SecretState::NotPermitted { remedy });
        self.pause().await;
    }

    /// What was known stays so (K01).
    async fn failed(&mut self, error: &watcher::Error) {
        count(&self.shared.health.counters.watch_errors);
        let secret = &self.reference;
        match std::mem::replace(&mut self.failing, true) {
            false => tracing::warn!(%secret, %error, "the watch of a Secret failed, trying again"),
            true => tracing::debug!(%secret, %error, "the watch of a Secret failed again"),
        }
        self.pause().await;
    }

    async fn pause(&mut self) {
        let pause = self.backoff.next().unwrap_or(RELIST);
        sleep(pause).await;
    }
}

/// 403, whenever it comes.
fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.is_forbidden(),
        _ => false,
    }
}

// === impl RawSecret ===

impl Resource for RawSecret {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Secret".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "secrets".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSecret").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

/// The values that can be read; the server lets no other through.
fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretData, D::Error> {
    let values = match Value::deserialize(deserializer)? {
        Value::Object(values) => values,
        _ => Map::new(),
    };
    let bytes = |value: &Value| STANDARD.decode(value.as_str()?).ok().map(SecretBytes::from);
    Ok(values.iter().filter_map(|(key, value)| Some((key.clone(), bytes(value)?))).collect())
}

#[cfg(test)]
mod tests;
