//! One worker: accepts connections, as many as it may have, and stops without dropping one.

use super::{
    Gateway, Settings,
    doors::{Accepted, Doors},
    listen::{BACKLOG, Protocol},
    pool::{Patience, Pool},
    serve::Shutdown,
    tls::Handshakes,
};
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinSet, yield_now},
    time::{Instant, timeout},
};

/// One worker's own: nothing here is shared with another thread.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) gateway: Arc<Gateway>,
    pub(super) pool: Pool,
    pub(super) shutdown: watch::Receiver<Shutdown>,
    /// Connections at once; the next wait in the kernel's queue.
    most: usize,
    /// Room for requests beside the first of each HTTP/2 connection.
    pub(super) streams: Arc<Semaphore>,
    pub(super) handshakes: Handshakes,
    random: AtomicU64,
}

/// What one worker may carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    connections: usize,
    streams: usize,
}

/// Counts accepted connections, and lets others have their turn in between.
#[derive(Debug, Default)]
struct Turns(usize);

/// Connections accepted in a row.
const ACCEPTS: usize = 16;
/// How often idle upstream connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);
/// After a failed accept (out of file descriptors, say): leave time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the queue of a listener that is being closed is emptied.
const LAST_ACCEPTS: Duration = Duration::from_millis(100);

// === impl Worker ===

impl Worker {
    pub(super) fn new(gateway: &Arc<Gateway>, shutdown: watch::Receiver<Shutdown>, share: Share, seed: u64) -> Self {
        let timeouts = &gateway.settings.timeouts;
        let patience =
            Patience { connect: timeouts.connect, idle: timeouts.upstream_idle, life: timeouts.upstream_life, ejection: timeouts.ejection };
        let pool = Pool::new(patience, share.connections + share.streams, &gateway.metrics);
        let streams = Arc::new(Semaphore::new(share.streams));
        Self {
            gateway: Arc::clone(gateway),
            pool,
            shutdown,
            most: share.connections,
            streams,
            handshakes: Handshakes::default(),
            random: AtomicU64::new(seed),
        }
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

    pub(super) async fn run(self: Arc<Self>, mut doors: Doors, mut more: mpsc::UnboundedReceiver<(Protocol, TcpListener)>) {
        let mut shutdown = self.shutdown.clone();
        let mut connections = JoinSet::new();
        let mut turns = Turns::default();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|at| *at >= Shutdown::Closing) => break,
                Some(_) = connections.join_next() => {}
                Some(door) = more.recv() => {
                    if let Err(error) = doors.add(door) {
                        tracing::error!(%error, "cannot listen on one more port");
                    }
                }
                _ = sweep.tick() => self.pool.sweep(&self.gateway.live.addresses()),
                // Last, and not without end: those who are here come before those who come (P58).
                accepted = doors.accept(), if connections.len() < self.most => {
                    self.accept(accepted, &mut connections).await;
                    turns.take().await;
                }
            }
        }
        self.accept_the_rest(&mut doors, &mut connections).await;
        drop(doors);
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => {}
            _ = shutdown.wait_for(|at| *at == Shutdown::Stopped) => {}
        }
    }

    async fn accept(self: &Arc<Self>, (protocol, accepted): Accepted, connections: &mut JoinSet<()>) {
        match accepted {
            Ok((socket, peer)) => {
                connections.spawn(Arc::clone(self).connection(protocol, socket, peer));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Closing a listener resets what waits in its queue: empty it first. Who comes meanwhile must not keep us.
    async fn accept_the_rest(self: &Arc<Self>, doors: &mut Doors, connections: &mut JoinSet<()>) {
        let start = Instant::now();
        for _ in 0..BACKLOG {
            let Ok(accepted @ (_, Ok(_))) = timeout(Duration::from_millis(1), doors.accept()).await else { return };
            self.accept(accepted, connections).await;
            if start.elapsed() > LAST_ACCEPTS || *self.shutdown.borrow() == Shutdown::Stopped {
                return;
            }
        }
    }
}

// === impl Share ===

impl Share {
    pub(super) fn of(settings: &Settings, workers: usize) -> Self {
        let share = |of: usize| of.div_ceil(workers.max(1)).max(1);
        Self { connections: share(settings.max_connections), streams: share(settings.max_streams) }
    }
}

// === impl Turns ===

impl Turns {
    async fn take(&mut self) {
        self.0 = (self.0 + 1) % ACCEPTS;
        if self.0 == 0 {
            yield_now().await;
        }
    }
}
