//! The backends that are spoken to in one way, by address.

use super::{connect::Dial, endpoint::Endpoint, lock};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

#[derive(Debug)]
pub(in crate::proxy) struct Peers {
    dial: Dial,
    endpoints: Mutex<HashMap<SocketAddr, Arc<Endpoint>, foldhash::fast::RandomState>>,
}

// === impl Peers ===

impl Peers {
    pub(super) fn new(dial: Dial) -> Self {
        Self { dial, endpoints: Mutex::default() }
    }

    pub(super) fn dial(&self) -> &Dial {
        &self.dial
    }

    pub(super) fn endpoint(&self, address: SocketAddr) -> Arc<Endpoint> {
        Arc::clone(lock(&self.endpoints).entry(address).or_default())
    }

    /// Whether a new connection to this endpoint may turn out to be one that requests share.
    pub(super) fn may_share(&self, endpoint: &Endpoint) -> bool {
        match self.dial {
            Dial::Http => false,
            Dial::H2c => true,
            Dial::Https(_) => !endpoint.speaks_http1(),
        }
    }

    /// Closes what is idle too long, too old, or leads to none of the `current` addresses; forgets endpoints without connections.
    pub(super) fn sweep(&self, current: &HashSet<SocketAddr>) {
        lock(&self.endpoints).retain(|address, endpoint| {
            endpoint.sweep(current.contains(address));
            endpoint.is_used()
        });
    }

    /// Closes one idle connection, if there is one.
    pub(super) fn close_idle(&self) -> bool {
        lock(&self.endpoints).values().any(|endpoint| endpoint.close_idle())
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.endpoints).is_empty()
    }
}
