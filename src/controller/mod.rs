//! WATCH and STATUS. The kube client lives here only.
//!
//! ```text
//! API server --watch--> Stores --Changes--> TableTask --compile--> Publisher --> live::Live          every replica
//!      ^                  |                  | | InService
//!      '-- SecretWatches --(those it names)--' |
//!                         |                    +--> Replica: own Lease, "loaded up to resourceVersion N"  every replica
//!                         +--> Reporter <------+                                                   the Lease holder alone
//!                                 |  Replicas (what all have loaded), KeyRing, Service addresses
//!                                 +--> status patches, Events
//! ```
//!
//! The table never waits for anything below it: status, Leases and Events may hang, fail or be forbidden (K04, K23).

mod backoff;
mod bounded;
mod changes;
mod debounce;
mod events;
mod health;
mod lease;
mod once;
mod raw;
mod replica;
mod replicas;
mod report;
mod rotation;
mod secrets;
mod sink;
mod slices;
mod stamp;
mod status;
mod supervise;
mod table;
mod throttle;
mod trim;
mod watch;
mod write;

pub use self::{
    health::{Counters, Health, Heard},
    once::{Listed, list},
    secrets::Reader,
};

use self::{
    changes::Changes,
    events::Events,
    lease::Elector,
    replica::Replica,
    report::Reporter,
    secrets::SecretWatches,
    supervise::{Stop, supervise},
    table::{AssignSecrets, InService, TableTask},
    watch::{Stores, Watches},
};
use crate::{
    compile::Ownership,
    live::Live,
    publish::{AssignKeys, Publisher},
};
use kube::Client;
use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch as latest, task::JoinSet};

/// Reads the wall clock: the time since the Unix epoch.
pub type Clock = fn() -> Duration;

/// Who this replica is, and what it looks after.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of objects of other classes only the claim headers are seen: no client of their namespaces may send those.
    pub class: String,
    pub ownership: Ownership,
    /// Where this installation runs: its Leases are here.
    pub namespace: String,
    /// Without one this process is a guest: it serves what the cluster says, and writes nothing there.
    pub pod: Option<Pod>,
    /// Namespace and name of the Service in front of this installation, whose addresses `status.addresses` shows.
    pub service: Option<(String, String)>,
    /// Whose right to read Secrets counts.
    pub reader: Reader,
    pub clock: Clock,
}

/// One replica of the installation.
#[derive(Clone, Debug, Hash)]
pub struct Pod {
    /// Unique among the replicas.
    pub name: String,
    /// So that its Lease goes with it.
    pub uid: Option<String>,
}

/// Serves what the cluster says until `shutdown`, then gives its Leases back (a few seconds at most).
///
/// It never ends for a fault of the API server, whatever that is, and never empties the table: what is in `live` then stays.
/// End it after the data plane has drained: until then it follows the endpoints that requests still go to.
///
/// Ready, for which [`Health::ready`] is asked, comes with the first table. `assign` hears of the key sources in use.
pub async fn run(
    client: Client,
    config: Config,
    live: Arc<Live>,
    assign: AssignKeys,
    health: Arc<Health>,
    shutdown: impl Future<Output = ()>,
) {
    let (changes, stop) = (Arc::new(Changes::default()), Stop::default());
    let (watches, stores) = Watches::new(&config, &changes);
    let seed = seed(&config);
    let watch_secrets = watch_secrets(&client, &config, &stores, &changes, &health, seed);
    let publisher = Publisher::new(Arc::clone(&live), assign);
    let table = TableTask::new(&config, stores.clone(), changes, publisher, watch_secrets, Arc::clone(&health));
    let (in_service, events) = (table.in_service(), Arc::new(Events::new(Arc::clone(&health))));
    let helpers = match config.pod.clone() {
        Some(pod) => {
            let (client, health) = (client.clone(), Arc::clone(&health));
            start_helpers(&Shared { client, config, pod, live, health, events, stores, in_service }, &stop)
        }
        None => guest(),
    };
    tokio::select! {
        () = shutdown => {}
        () = table.run() => {}
        () = watches.run(&client, &health, seed) => {}
    }
    stop.now();
    helpers.join_all().await;
}

/// Told which Secrets the table names.
fn watch_secrets(
    client: &Client,
    config: &Config,
    stores: &Stores,
    changes: &Arc<Changes>,
    health: &Arc<Health>,
    seed: u64,
) -> AssignSecrets {
    let (states, changes, health) = (Arc::clone(&stores.secrets), Arc::clone(changes), Arc::clone(health));
    let mut watches = SecretWatches::new(client.clone(), config.reader.clone(), states, changes, health, seed ^ 4);
    Box::new(move |named| watches.assign(named))
}

/// What the tasks beside the table look at.
#[derive(Clone)]
struct Shared {
    client: Client,
    config: Config,
    pod: Pod,
    live: Arc<Live>,
    health: Arc<Health>,
    events: Arc<Events>,
    stores: Stores,
    in_service: latest::Receiver<Option<InService>>,
}

/// The tasks that the table does not depend on. One that panics is started again (K30).
fn start_helpers(shared: &Shared, stop: &Stop) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    spawn(&mut tasks, shared, stop, "election", |shared, stop| async move {
        let mut elector = Elector::new(shared.client, &shared.config, &shared.pod, shared.health.leading.clone());
        elector.run(stop.wait()).await;
    });
    spawn(&mut tasks, shared, stop, "replica", |shared, stop| async move {
        let mut replica = Replica::new(shared.client, &shared.config, shared.pod, shared.in_service);
        replica.run(stop.wait()).await;
    });
    spawn(&mut tasks, shared, stop, "status", |shared, stop| async move {
        let mut reporter = Reporter::new(shared);
        reporter.run(stop.wait()).await;
    });
    spawn(&mut tasks, shared, stop, "events", |shared, stop| async move {
        tokio::select! {
            () = stop.wait() => {}
            () = shared.events.send(shared.client.clone(), &shared.pod.name) => {}
        }
    });
    tasks
}

fn guest() -> JoinSet<()> {
    tracing::info!("no pod name is given: this process takes no part in the election and writes no status and no Lease");
    JoinSet::new()
}

fn spawn<F>(tasks: &mut JoinSet<()>, shared: &Shared, stop: &Stop, name: &'static str, task: fn(Shared, Stop) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (shared, stop) = (shared.clone(), stop.clone());
    tasks.spawn(supervise(name, Arc::clone(&shared.health), stop.clone(), move || task(shared.clone(), stop.clone())));
}

/// Spreads the replicas' retries apart.
fn seed(config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    config.pod.hash(&mut hasher);
    hasher.finish()
}
