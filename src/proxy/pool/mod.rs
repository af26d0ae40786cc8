//! One worker's connections to backends.
//!
//! ```text
//! Pool -> Peers (one transport: protocol and TLS identity) -> Endpoint (one address) -> connections, idle or shared
//! ```
//!
//! An HTTP/1.1 connection carries one request at a time and goes back when its answer has ended; an HTTP/2 connection carries many.
//! What two backends have in common is an address at most: a connection made under one transport is never used under another.

mod connect;
mod endpoint;
mod health;
mod held;
mod lease;
mod limit;
mod opening;
mod peers;
mod shared;

pub(super) use self::{connect::ConnectError, lease::Lease, peers::Peers};

use self::{
    connect::{Connection, Dial},
    health::Ward,
    limit::Limit,
};
use super::balance;
use crate::{
    routing::{Tls, Transport},
    telemetry::Metrics,
};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};

#[derive(Debug)]
pub(super) struct Pool {
    http: Arc<Peers>,
    h2c: Arc<Peers>,
    https: Mutex<HashMap<Arc<Tls>, Arc<Peers>>>,
    limit: Limit,
    ward: Ward,
    patience: Patience,
}

/// How long what a connection does may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To be open, TLS included.
    pub(super) connect: Duration,
    /// To be without a request.
    pub(super) idle: Duration,
    /// To take new requests: endpoints come and go, and those that came should get their share.
    pub(super) life: Duration,
    /// How long an endpoint that failed is left out at first.
    pub(super) ejection: Duration,
}

// === impl Pool ===

impl Pool {
    /// At most `most` connections at once.
    pub(super) fn new(patience: Patience, most: usize, metrics: &Arc<Metrics>) -> Self {
        Self {
            http: Arc::new(Peers::new(Dial::Http)),
            h2c: Arc::new(Peers::new(Dial::H2c)),
            https: Mutex::default(),
            limit: Limit::new(most, Arc::clone(metrics)),
            ward: Ward::new(patience.ejection, metrics),
            patience,
        }
    }

    /// Those that are spoken to in this way.
    pub(super) fn peers(&self, transport: &Transport) -> Arc<Peers> {
        match transport {
            Transport::Http => Arc::clone(&self.http),
            Transport::H2c => Arc::clone(&self.h2c),
            Transport::Https(tls) => self.https(tls),
        }
    }

    /// The better of two addresses drawn at random, of those that are not left out; never `avoid`.
    pub(super) fn choose(&self, peers: &Peers, addresses: &[SocketAddr], avoid: Option<SocketAddr>, random: u64) -> Option<SocketAddr> {
        let choose = |addresses: &[SocketAddr]| balance::choose(addresses, avoid, random, |address| peers.endpoint(address).outstanding());
        match self.ward.is_empty() {
            true => choose(addresses),
            false => choose(&peers.fit(addresses)).or_else(|| choose(addresses)),
        }
    }

    /// The right to send one request to `address`, over a connection that is there, unless `fresh` or there is none.
    ///
    /// # Errors
    /// When no connection can be opened; nothing was sent then.
    pub(super) async fn lease(&self, peers: &Peers, address: SocketAddr, fresh: bool) -> Result<Lease, ConnectError> {
        // Counted from here: an address that takes long to connect to must not look like the least busy one.
        let mut lease = Lease::new(peers.endpoint(address), self.patience);
        if !fresh && lease.take() {
            return Ok(lease);
        }
        match self.fill(peers, address, &mut lease).await {
            Ok(()) => Ok(lease),
            Err(error) => {
                if error != ConnectError::Busy {
                    self.failed(peers, address);
                }
                Err(error)
            }
        }
    }

    /// A request to this address failed, and not for the client's sake.
    pub(super) fn failed(&self, peers: &Peers, address: SocketAddr) {
        peers.endpoint(address).health.failed(&self.ward);
    }

    /// A request to this address got no answer in the time since then: a shared connection on which nobody got one is dead.
    pub(super) fn timed_out(&self, peers: &Peers, address: SocketAddr, since: Instant) {
        peers.endpoint(address).retire_silent(since);
        self.failed(peers, address);
    }

    /// As [`Self::lease`], over a connection of HTTP/1.1 that no other request has used: it may become something else.
    pub(super) async fn lease_alone(&self, peers: &Peers, address: SocketAddr) -> Result<Lease, ConnectError> {
        let mut lease = Lease::new(peers.endpoint(address), self.patience);
        let open = async {
            let open = self.limit.open(|| self.close_idle()).await?;
            peers.dial().connect_http1(address, open).await
        };
        let connection = timeout(self.patience.connect, open).await.unwrap_or(Err(ConnectError::Timeout));
        match connection {
            Ok(connection) => lease.hold_alone(connection),
            Err(error) => {
                if error != ConnectError::Busy {
                    self.failed(peers, address);
                }
                return Err(error);
            }
        }
        Ok(lease)
    }

    /// Closes connections that were idle too long, are too old, or lead to an address that is none of a backend's any more, and
    /// forgets addresses without any.
    pub(super) fn sweep(&self, current: &HashSet<SocketAddr>) {
        self.all().iter().for_each(|peers| peers.sweep(current));
        lock(&self.https).retain(|_, peers| !peers.is_empty());
    }

    fn https(&self, tls: &Arc<Tls>) -> Arc<Peers> {
        let mut https = lock(&self.https);
        let known = https.get(tls).map(Arc::clone);
        known.unwrap_or_else(|| Arc::clone(https.entry(Arc::clone(tls)).or_insert_with(|| Arc::new(Peers::new(Dial::https(tls))))))
    }

    async fn fill(&self, peers: &Peers, address: SocketAddr, lease: &mut Lease) -> Result<(), ConnectError> {
        match peers.may_share(lease.endpoint()) {
            true => self.share(peers, address, lease).await?,
            false => lease.hold(self.connect(peers, address).await?),
        }
        Ok(())
    }

    /// Of requests that may share a connection one opens it, and the others wait for it.
    async fn share(&self, peers: &Peers, address: SocketAddr, lease: &mut Lease) -> Result<(), ConnectError> {
        let endpoint = Arc::clone(lease.endpoint());
        let mut turn = endpoint.opening.turn().await?;
        if lease.take() {
            return Ok(());
        }
        lease.hold(turn.ended(self.connect(peers, address).await)?);
        Ok(())
    }

    async fn connect(&self, peers: &Peers, address: SocketAddr) -> Result<Connection, ConnectError> {
        // Waiting for a place is not the backend's fault.
        let place = self.limit.open(|| self.close_idle());
        let open = timeout(self.patience.connect, place).await.unwrap_or(Err(ConnectError::Busy))?;
        let connected = timeout(self.patience.connect, peers.dial().connect(address, open, self.patience));
        connected.await.unwrap_or(Err(ConnectError::Timeout))
    }

    /// Makes room for another connection. `false`: each is in use.
    fn close_idle(&self) -> bool {
        self.all().iter().any(|peers| peers.close_idle())
    }

    fn all(&self) -> Vec<Arc<Peers>> {
        let https = lock(&self.https);
        [&self.http, &self.h2c].into_iter().chain(https.values()).cloned().collect()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
