//! Workers: accept, serve connections, and stop without dropping one.

use super::{Gateway, Rejection, activity::Activity, handle::handle, pool::Pool, record::Record, watched::Watched};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The data plane in service: one thread a worker.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shutdown: Handle,
    workers: Vec<JoinHandle<()>>,
}

/// The way to stop a [`Server`] that is being joined.
#[derive(Clone, Debug)]
pub struct Handle(watch::Sender<Shutdown>);

/// How far the end has come. Only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    Running,
    /// Still accepting, for those who have not heard yet; every answer says `Connection: close`.
    Draining,
    /// No new connections; each closes when its request is done.
    Closing,
    /// Now.
    Stopped,
}

/// One worker's own: nothing here is shared with another thread.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) gateway: Arc<Gateway>,
    pub(super) pool: Pool,
    shutdown: watch::Receiver<Shutdown>,
    random: AtomicU64,
}

/// How often idle upstream connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);
/// After a failed accept (out of file descriptors, say): leave time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A request head over 64 KiB is 431 (P57).
const MAX_HEAD: usize = 64 * 1024;

// === impl Server ===

impl Server {
    /// Starts one worker a listener. `seed` feeds request ids and load balancing.
    ///
    /// # Errors
    /// When a thread, runtime or listener cannot be set up.
    pub fn start(gateway: &Arc<Gateway>, listeners: Vec<std::net::TcpListener>, seed: u64) -> io::Result<Self> {
        let address = listeners.first().ok_or(io::ErrorKind::InvalidInput)?.local_addr()?;
        let (shutdown, receiver) = watch::channel(Shutdown::Running);
        let start = |(n, listener): (usize, _)| {
            let worker = Worker::new(gateway, receiver.clone(), seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            start_thread(n, worker, listener)
        };
        let workers = listeners.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { address, shutdown: Handle(shutdown), workers })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn handle(&self) -> Handle {
        self.shutdown.clone()
    }

    pub fn shut_down(&self, to: Shutdown) {
        self.shutdown.shut_down(to);
    }

    /// Waits until every worker has ended. Blocks: call it off the runtime.
    pub fn join(self) {
        for worker in self.workers {
            // A worker that panicked has ended, too.
            let _ = worker.join();
        }
    }
}

impl Handle {
    /// Moves the end on; never back.
    pub fn shut_down(&self, to: Shutdown) {
        self.0.send_if_modified(|now| {
            let later = to > *now;
            *now = (*now).max(to);
            later
        });
    }
}

fn start_thread(n: usize, worker: Worker, listener: std::net::TcpListener) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    thread::Builder::new().name(format!("worker-{n}")).spawn(move || runtime.block_on(Arc::new(worker).run(listener)))
}

// === impl Worker ===

impl Worker {
    fn new(gateway: &Arc<Gateway>, shutdown: watch::Receiver<Shutdown>, seed: u64) -> Self {
        let timeouts = &gateway.settings.timeouts;
        let pool = Pool::new(timeouts.connect, timeouts.upstream_idle, Arc::clone(&gateway.metrics));
        Self { gateway: Arc::clone(gateway), pool, shutdown, random: AtomicU64::new(seed) }
    }

    /// SplitMix64: for choices and ids, never for secrets.
    pub(super) fn random(&self) -> u64 {
        let state = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.shutdown.borrow() != Shutdown::Running
    }

    async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut shutdown = self.shutdown.clone();
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|at| *at >= Shutdown::Closing) => break,
                accepted = listener.accept() => self.accept(accepted, &mut connections).await,
                Some(_) = connections.join_next() => {}
                _ = sweep.tick() => self.pool.sweep(),
            }
        }
        self.accept_the_rest(&listener, &mut connections).await;
        drop(listener);
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => {}
            _ = shutdown.wait_for(|at| *at == Shutdown::Stopped) => {}
        }
    }

    async fn accept(self: &Arc<Self>, accepted: io::Result<(TcpStream, SocketAddr)>, connections: &mut JoinSet<()>) {
        match accepted {
            Ok((socket, peer)) => {
                connections.spawn(Arc::clone(self).connection(socket, peer));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Closing a listener resets what waits in its queue: empty it first.
    async fn accept_the_rest(self: &Arc<Self>, listener: &TcpListener, connections: &mut JoinSet<()>) {
        while let Ok(accepted) = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await {
            if accepted.is_err() {
                return;
            }
            self.accept(accepted, connections).await;
        }
    }

    async fn connection(self: Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        // Small answers must not wait for more to send.
        let _ = socket.set_nodelay(true);
        let activity = Activity::new();
        let io = TokioIo::new(Watched::new(socket, &activity));
        let open = self.gateway.metrics.connections.clone();
        open.inc();
        let service = service_fn(|request| {
            let (worker, activity) = (Arc::clone(&self), Arc::clone(&activity));
            async move { Ok::<_, Infallible>(handle(worker, peer, activity, request).await) }
        });
        // The library's own head timeout also ends idle connections; `Activity` tells the two apart.
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None).max_buf_size(MAX_HEAD).max_header_size(MAX_HEAD).title_case_headers(true);
        let mut connection = builder.serve_connection(io, service);
        let mut shutdown = self.shutdown.clone();
        let mut closing = false;
        loop {
            tokio::select! {
                // First: what has arrived is read before anything is closed.
                biased;
                ended = &mut connection => {
                    let whole = ended.is_ok();
                    self.ended(ended, peer, &activity);
                    if whole {
                        // Done already, unless the client asked for an upgrade: the library leaves such connections to us.
                        let _ = connection.into_parts().io.into_inner().shutdown().await;
                    }
                    break;
                }
                () = activity.expired(&self.gateway.settings.timeouts) => break,
                () = async {
                    let _ = shutdown.wait_for(|at| *at >= Shutdown::Closing).await;
                    activity.settled().await;
                }, if !closing => {
                    closing = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
        open.dec();
    }

    /// Records what the library refused by itself; any other end is the client's business.
    fn ended(&self, ended: hyper::Result<()>, peer: SocketAddr, activity: &Arc<Activity>) {
        let Some(error) = ended.err().filter(hyper::Error::is_parse) else { return };
        let rejection = if error.is_parse_too_large() { Rejection::HeadTooLarge } else { Rejection::BadRequest("head") };
        Record::refused(&self.gateway, activity, peer.ip(), &rejection);
    }
}
