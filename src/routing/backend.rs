//! Where a route sends its requests: a name, and the addresses behind it.

use std::{fmt, net::SocketAddr, sync::Arc};

/// One port of one Service. `port` is the Service port's *name* ("" when the Service has a single unnamed port), which is
/// what EndpointSlices carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId {
    pub namespace: Arc<str>,
    pub service: Arc<str>,
    pub port: Arc<str>,
}

/// The addresses that may receive requests now: sorted, without duplicates. Empty: the backend has no ready endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSet {
    addresses: Vec<SocketAddr>,
}

// === impl BackendId ===

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.service, self.port)
    }
}

// === impl EndpointSet ===

impl EndpointSet {
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl FromIterator<SocketAddr> for EndpointSet {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        let mut addresses: Vec<_> = addresses.into_iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        Self { addresses }
    }
}
