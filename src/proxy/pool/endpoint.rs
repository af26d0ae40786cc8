//! One address, and the connections to it.

use super::{connect::Connection, health::Health, lock, opening::Opening, shared::Shared};
use crate::proxy::upload::Upload;
use hyper::client::conn::http1;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};
use tokio::time::Instant;

/// Idle connections kept to one address.
const MAX_IDLE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Endpoint {
    outstanding: AtomicUsize,
    /// HTTP/1.1 connections without a request, the one used last behind.
    idle: Mutex<Vec<Idle>>,
    /// HTTP/2 connections that take more requests.
    shared: Mutex<Vec<Arc<Shared>>>,
    pub(super) opening: Opening,
    pub(super) health: Health,
    /// What was agreed on last, over TLS.
    http1: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) sender: http1::SendRequest<Upload>,
    pub(super) born: Instant,
    /// Not to be used from then on.
    pub(super) until: Instant,
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }

    pub(super) fn began(&self) {
        self.outstanding.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self) {
        self.outstanding.fetch_sub(1, Relaxed);
    }

    pub(super) fn speaks_http1(&self) -> bool {
        self.http1.load(Relaxed)
    }

    /// The idle connection used last: the others grow old at the front and are closed.
    pub(super) fn take_idle(&self) -> Option<Idle> {
        let (mut idle, now) = (lock(&self.idle), Instant::now());
        let ready = idle.iter().rposition(|idle| now < idle.until && idle.sender.is_ready())?;
        Some(idle.remove(ready))
    }

    pub(super) fn put_idle(&self, connection: Idle) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    /// The first that has room: the others run empty and are closed.
    pub(super) fn share(&self) -> Option<Arc<Shared>> {
        let (shared, now) = (lock(&self.shared), Instant::now());
        shared.iter().find(|shared| shared.has_room(now)).cloned()
    }

    /// Remembers a connection that was just opened.
    pub(super) fn opened(&self, connection: &Connection) {
        match connection {
            Connection::Http1(_) => self.http1.store(true, Relaxed),
            Connection::Http2(shared) => {
                self.http1.store(false, Relaxed);
                lock(&self.shared).push(Arc::clone(shared));
            }
        }
    }

    /// No new request goes over this connection; it is closed when those under way have ended.
    pub(super) fn retire(&self, connection: &Arc<Shared>) {
        lock(&self.shared).retain(|shared| !Arc::ptr_eq(shared, connection));
    }

    /// The same for those over which no answer came since then.
    pub(super) fn retire_silent(&self, since: Instant) {
        lock(&self.shared).retain(|shared| shared.heard_since(since));
    }

    /// Closes what is too old; everything that is idle, when the address is no backend's any more.
    pub(super) fn sweep(&self, is_current: bool) {
        let now = Instant::now();
        lock(&self.idle).retain(|idle| is_current && now < idle.until && !idle.sender.is_closed());
        lock(&self.shared).retain(|shared| is_current && shared.is_usable(now));
    }

    /// Closes the connection that was idle for longest.
    pub(super) fn close_idle(&self) -> bool {
        let mut idle = lock(&self.idle);
        if !idle.is_empty() {
            drop(idle.remove(0));
            return true;
        }
        let mut shared = lock(&self.shared);
        let unused = shared.iter().position(|shared| shared.is_unused());
        unused.map(|index| shared.remove(index)).is_some()
    }

    pub(super) fn is_used(&self) -> bool {
        self.outstanding() > 0 || !lock(&self.idle).is_empty() || !lock(&self.shared).is_empty()
    }
}
