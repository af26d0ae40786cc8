//! What `run`, `serve` and `demo` have in common: the data plane, the key refresher and the ports for operators.

use super::{Error, limits::Limits, stop};
use crate::{
    admin::{self, Admin, Answer, Inspect, KeyMetrics, TokenMetrics},
    args, clock,
    jwks::{Connector, Fetcher, KeyRing, Refresher},
    jwt::TokenCache,
    live::Live,
    proxy::{Clock, Gateway, Opener, Port, Protocol, Server, Settings, Timeouts, listen},
    publish::AssignKeys,
    routing::Snapshot,
    telemetry::{self, AccessLog, Metrics},
};
use aws_lc_rs::digest::{SHA256, digest};
use prometheus_client::collector::Collector;
use std::{collections::HashSet, io, net::SocketAddr, num::NonZero, sync::Arc, thread, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{self, Handle},
    sync::watch,
    time::timeout,
};

/// Everything that was started, and the way to stop it.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) live: Arc<Live>,
    pub(super) ready: watch::Receiver<bool>,
    address: SocketAddr,
    server: Server,
    access_log: AccessLog,
    draining: watch::Sender<bool>,
    drain: stop::Drain,
}

/// Where to listen when the arguments do not say.
pub(super) struct Defaults {
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
    /// Once there is a certificate; `None`: only where the arguments say so.
    pub(super) https: Option<SocketAddr>,
    /// What all replicas share and no other installation has; `None`: this process is alone.
    pub(super) installation: Option<String>,
}

/// The control plane's threads: a long compile on one leaves the other to keys, probes and status.
const CONTROL_THREADS: usize = 2;
const MOST_WORKERS: usize = 4;

/// How often what is gone is forgotten; in the metrics it stays for one more.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// How often one looks for the first certificate, and tries again to open the port for it.
const CERTIFICATE_CHECK: Duration = Duration::from_millis(200);
const PORT_RETRY: Duration = Duration::from_secs(10);

/// How long a table that is in service waits for its key sources before this process calls itself ready.
const KEYS_PATIENCE: Duration = Duration::from_secs(10);

/// Runs `work` on the control plane's own runtime. What is still under way there afterwards (a name lookup, say) is left behind.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(CONTROL_THREADS).thread_name("control").enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

// === impl Defaults ===

impl Defaults {
    /// Of an installation: every address of this machine.
    pub(super) fn of(installation: Option<String>) -> Self {
        let any = |port| ([0, 0, 0, 0], port).into();
        Self { http: any(8080), admin: any(9090), https: Some(any(8443)), installation }
    }
}

// === impl Plane ===

impl Plane {
    /// Opens every port and starts the workers; until a table is published they answer 503. `table` tells when one is,
    /// `collectors` add to `/metrics`.
    ///
    /// # Errors
    /// When a port is taken, or the system lacks threads, randomness or TLS roots.
    pub(super) async fn start(
        args: &args::Gateway,
        defaults: &Defaults,
        table: watch::Receiver<bool>,
        collectors: Vec<Box<dyn Collector>>,
    ) -> Result<Self, Error> {
        let ports = ports(args, defaults)?;
        let live = Arc::new(Live::default());
        let ready = ready(table, Arc::clone(&live));
        let gateway = Arc::new(gateway(args, via(defaults.installation.as_deref())?, &live, collectors)?);
        tokio::spawn(forget(Arc::clone(&gateway)));
        let (draining, draining_rx) = watch::channel(false);
        let admin = Admin { metrics: Arc::clone(&gateway.metrics), ready: ready.clone(), draining: draining_rx };
        answer_on(args.admin.unwrap_or(defaults.admin), Arc::new(admin)).await?;
        answer_on(args.inspect, Arc::new(Inspect { live: Arc::clone(&live) })).await?;
        let server = Server::start(&gateway, ports, random()?)?;
        server.addresses().iter().for_each(|(protocol, address)| tell(*protocol, *address));
        if let (None, Some(address)) = (args.https, defaults.https) {
            tokio::spawn(open_https(address, Arc::clone(&live), server.opener()));
        }
        let address = server.address_of(Protocol::Http1).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        let drain = stop::Drain { delay: args.drain_delay, timeout: args.drain_timeout };
        Ok(Self { live, ready, address, server, access_log: gateway.access_log.clone(), draining, drain })
    }

    /// Of the port that is always there.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until a signal to stop, or until there is a reason not to go on; either way requests under way are finished.
    ///
    /// # Errors
    /// With what `broken` says, or when a worker has ended by itself: better another replica than half of this one (K27, K30).
    pub(super) async fn serve_until(self, broken: impl Future<Output = Error>) -> Result<(), Error> {
        let mut signals = stop::Signals::new()?;
        let end = tokio::select! {
            () = signals.next() => Ok(()),
            () = self.server.worker_ended() => Err(Error::Other("a thread of the data plane ended by itself".to_owned())),
            error = broken => Err(error),
        };
        if let Err(error) = &end {
            tracing::error!(%error, "stopping");
        }
        self.draining.send_replace(true);
        stop::drain(self.server, self.drain, signals).await;
        self.access_log.finish();
        end
    }

    /// Stops at once: for the demo, whose clients are its own.
    pub(super) async fn stop(self) {
        stop::stop(self.server).await;
        self.access_log.finish();
    }
}

/// What keeps the key ring supplied: called with the providers in use.
pub(super) fn assign_keys(args: &args::Gateway, live: &Arc<Live>) -> Result<AssignKeys, Error> {
    let mut refresher = Refresher::new(Handle::current(), Fetcher::new(connector(args)?), random()?);
    let live = Arc::clone(live);
    Ok(Box::new(move |providers| refresher.assign(&live.keys, providers)))
}

/// The one way out to addresses that tenants name.
pub(super) fn connector(args: &args::Gateway) -> Result<Connector, Error> {
    let connector = Connector::new(args.connect_to.clone(), args.private_issuers.clone())?.outside_of(args.cluster_cidrs.clone());
    Ok(match &args.egress_proxy {
        Some(proxy) => connector.through(proxy.clone(), args.no_proxy.clone()),
        None => connector,
    })
}

pub(super) fn init_log(args: &args::Gateway) -> Result<(), Error> {
    telemetry::init(args.log_format(), &args.log_filter).map_err(|error| Error::LogFilter(error.to_string()))
}

/// True once a table is in service and each of its key sources was tried: before that, Token rules would answer 503 here that
/// another replica can serve. A source that does not answer holds back nobody's rules but its own for long.
fn ready(mut table: watch::Receiver<bool>, live: Arc<Live>) -> watch::Receiver<bool> {
    let (ready, receiver) = watch::channel(false);
    tokio::spawn(async move {
        if table.wait_for(|there| *there).await.is_ok() {
            // In vain or not: what there is now is served.
            let _ = timeout(KEYS_PATIENCE, all_attempted(&live.keys)).await;
            ready.send_replace(true);
        }
    });
    receiver
}

async fn all_attempted(keys: &KeyRing) {
    for (_, provider) in keys.all() {
        provider.attempted().await;
    }
}

/// Removes what is no longer in the table: from the metrics its rules (P74), from the remembered tokens those of its namespaces.
async fn forget(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(FORGET_AFTER).await;
        if let Some(table) = gateway.live.table.load().as_ref() {
            let rules: HashSet<_> = table.lines().iter().map(|line| &line.route.id).collect();
            gateway.metrics.retain_rules(&rules);
            let namespaces: HashSet<_> = rules.iter().map(|rule| &*rule.namespace).collect();
            gateway.tokens.tidy(|namespace| namespaces.contains(namespace), gateway.clock.now());
        }
    }
}

/// This installation's name in `Via`: the same in every replica, for a loop through two of them is one as well.
fn via(installation: Option<&str>) -> Result<String, Error> {
    let id = match installation {
        Some(name) => digest(&SHA256, name.as_bytes()).as_ref().iter().take(8).fold(0, |id, b| id << 8 | u64::from(*b)),
        None => random()?,
    };
    Ok(format!("portcullis-{id:016x}"))
}

fn gateway(args: &args::Gateway, via: String, live: &Arc<Live>, collectors: Vec<Box<dyn Collector>>) -> Result<Gateway, Error> {
    let mut metrics = Metrics::default();
    let limits = Limits::read();
    let tokens = Arc::new(TokenCache::new(limits.tokens(args.token_cache)));
    metrics.collect_from(Box::new(KeyMetrics { live: Arc::clone(live) }));
    metrics.collect_from(Box::new(TokenMetrics { tokens: Arc::clone(&tokens) }));
    collectors.into_iter().for_each(|collector| metrics.collect_from(collector));
    let access_log = match args.access_log() {
        true => AccessLog::start(args.log_format(), io::stdout())?,
        false => AccessLog::off(),
    };
    metrics.watch(&access_log);
    let max_connections = limits.connections(args.max_connections as usize);
    let settings = Settings {
        health_path: args.health_path(),
        client_address: args.client_address(),
        via,
        timeouts: Timeouts { body_idle: args.body_idle, websocket_life: args.websocket_life, ..Timeouts::default() },
        max_connections,
        https_public_port: args.https_public_port,
        max_streams: Limits::streams(max_connections),
    };
    let clock = Clock::Running(clock::unix_now);
    let tls = Some(args.tls().map_err(Error::Other)?);
    Ok(Gateway { live: Arc::clone(live), tokens, settings, tls, metrics: Arc::new(metrics), access_log, clock })
}

async fn answer_on(address: SocketAddr, answers: Arc<dyn Answer>) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await.map_err(|error| Error::Bind(address, error))?;
    tokio::spawn(admin::serve(listener, answers));
    Ok(())
}

fn ports(args: &args::Gateway, defaults: &Defaults) -> Result<Vec<Port>, Error> {
    let wanted = [(Protocol::Http1, Some(args.http.unwrap_or(defaults.http))), (Protocol::Http2, args.h2c), (Protocol::Tls, args.https)];
    let open = |(protocol, address): (_, Option<SocketAddr>)| Some(listen(protocol, address?, workers(args)));
    Ok(wanted.into_iter().filter_map(open).collect::<Result<_, _>>()?)
}

/// Opens the usual port for TLS once there is a certificate: until then nobody could be served there.
async fn open_https(address: SocketAddr, live: Arc<Live>, opener: Opener) {
    while !live.table.load().as_ref().as_ref().is_some_and(Snapshot::has_certificate) {
        tokio::time::sleep(CERTIFICATE_CHECK).await;
    }
    loop {
        match listen(Protocol::Tls, address, opener.workers()) {
            Ok(port) => {
                tell(Protocol::Tls, address);
                return opener.open(port);
            }
            Err(error) => tracing::error!("no TLS: {error}"),
        }
        tokio::time::sleep(PORT_RETRY).await;
    }
}

fn tell(protocol: Protocol, address: SocketAddr) {
    match protocol {
        Protocol::Http1 => tracing::info!(%address, "listening"),
        Protocol::Http2 => tracing::info!(%address, "listening for HTTP/2 in clear text"),
        Protocol::Tls => tracing::info!(%address, "listening for TLS"),
    }
}

fn workers(args: &args::Gateway) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS);
    args.workers.map_or_else(cores, usize::from)
}

/// A seed from the system; not a secret.
pub(super) fn random() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Other("the system has no randomness to give".to_owned()))?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests;
