//! One worker's connections to backends. A connection carries one request at a time and goes back when its answer has ended.

use super::{balance, socket, upload::Upload};
use crate::telemetry::{Counted, Metrics};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

/// Idle connections kept to one address.
const MAX_IDLE: usize = 256;
/// A backend that acknowledges nothing for so long is gone. Longer than a client's: one that reads an upload slowly may live.
const BACKEND_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes read ahead of a client that takes them slowly, and so of an answer's head (P59).
const MAX_BUFFER: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Pool {
    endpoints: Mutex<HashMap<SocketAddr, Arc<Endpoint>>>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Endpoint {
    outstanding: AtomicUsize,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Upload>,
    since: Instant,
}

/// The right to send one request on one connection.
#[derive(Debug)]
pub(super) struct Lease {
    endpoint: Arc<Endpoint>,
    sender: Option<http1::SendRequest<Upload>>,
    /// Another request went over this connection before: it may have died meanwhile.
    pub(super) reused: bool,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(connect_timeout: Duration, idle_timeout: Duration, metrics: Arc<Metrics>) -> Self {
        Self { endpoints: Mutex::default(), connect_timeout, idle_timeout, metrics }
    }

    /// The better of two addresses drawn at random; never `avoid`.
    pub(super) fn choose(&self, addresses: &[SocketAddr], avoid: Option<SocketAddr>, random: u64) -> Option<SocketAddr> {
        balance::choose(addresses, avoid, random, |address| self.endpoint(address).outstanding.load(Relaxed))
    }

    /// A connection to `address`: an idle one, unless `fresh` or there is none.
    ///
    /// # Errors
    /// When no connection can be opened; nothing was sent then.
    pub(super) async fn lease(&self, address: SocketAddr, fresh: bool) -> io::Result<Lease> {
        let endpoint = self.endpoint(address);
        let idle = (!fresh).then(|| endpoint.take_idle(self.idle_timeout)).flatten();
        // Counted from here: an address that takes long to connect to must not look like the least busy one.
        let mut lease = Lease::new(endpoint, idle);
        if lease.sender.is_none() {
            lease.sender = Some(self.connect(address).await?);
        }
        Ok(lease)
    }

    /// Closes connections that were idle too long, and forgets addresses without any.
    pub(super) fn sweep(&self) {
        lock(&self.endpoints).retain(|_, endpoint| {
            lock(&endpoint.idle).retain(|idle| idle.is_usable(self.idle_timeout));
            endpoint.outstanding.load(Relaxed) > 0 || !lock(&endpoint.idle).is_empty()
        });
    }

    fn endpoint(&self, address: SocketAddr) -> Arc<Endpoint> {
        Arc::clone(lock(&self.endpoints).entry(address).or_default())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<http1::SendRequest<Upload>> {
        let connecting = tokio::time::timeout(self.connect_timeout, TcpStream::connect(address));
        let socket = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        socket::set_up(&socket, BACKEND_TIMEOUT)?;
        let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(socket));
        let (sender, connection) = handshake.await.map_err(io::Error::other)?;
        let open = Counted::new(&self.metrics.upstream_connections);
        tokio::spawn(async move {
            let _open = open;
            // Its requests hear of every failure.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// The connection used last: the others grow old at the front, in the order in which they were given back, and are closed.
    fn take_idle(&self, timeout: Duration) -> Option<http1::SendRequest<Upload>> {
        let (mut idle, now) = (lock(&self.idle), Instant::now());
        let old = idle.partition_point(|idle| now - idle.since >= timeout);
        drop(idle.drain(..old));
        let ready = idle.iter().rposition(|idle| idle.sender.is_ready())?;
        Some(idle.remove(ready).sender)
    }
}

// === impl Idle ===

impl Idle {
    fn is_usable(&self, timeout: Duration) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < timeout
    }
}

// === impl Lease ===

impl Lease {
    fn new(endpoint: Arc<Endpoint>, idle: Option<http1::SendRequest<Upload>>) -> Self {
        endpoint.outstanding.fetch_add(1, Relaxed);
        Self { endpoint, reused: idle.is_some(), sender: idle }
    }

    /// # Errors
    /// With the request, when it was not sent at all.
    pub(super) async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        let sender = self.sender.as_mut().expect("a lease holds its connection until it is given back");
        sender.try_send_request(request).await
    }

    pub(super) fn give_back(mut self) {
        let Some(sender) = self.sender.take().filter(|sender| !sender.is_closed()) else { return };
        let mut idle = lock(&self.endpoint.idle);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.outstanding.fetch_sub(1, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
