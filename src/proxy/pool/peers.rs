//! The backends that are spoken to in one way, by address.

use super::{connect::Dial, endpoint::Endpoint, health::Health, lock};
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

    /// Those to choose from while some are left out: one whose turn it is to be tried, else those that are not left out, else, when
    /// these are less than half, all. Better a failing endpoint than too much for the few that are left.
    pub(super) fn fit(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let endpoints = lock(&self.endpoints);
        let health = |address| endpoints.get(address).map(|endpoint| &endpoint.health);
        if let Some(due) = addresses.iter().find(|address| health(address).is_some_and(Health::may_try)) {
            return vec![*due];
        }
        let fit: Vec<_> = addresses.iter().filter(|address| !health(address).is_some_and(Health::is_out)).copied().collect();
        if fit.len() * 2 < addresses.len() { addresses.to_vec() } else { fit }
    }

    /// Closes what is idle too long, too old, or leads to none of the `current` addresses; forgets endpoints without connections.
    pub(super) fn sweep(&self, current: &HashSet<SocketAddr>) {
        lock(&self.endpoints).retain(|address, endpoint| {
            let is_current = current.contains(address);
            endpoint.sweep(is_current);
            endpoint.is_used() || is_current && endpoint.health.is_out()
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
