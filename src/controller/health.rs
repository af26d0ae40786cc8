//! What the outside may know of the control plane: readiness, staleness, leadership, counters. Written by the controller, read
//! by the admin port.

use super::lease::Leading;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

#[derive(Debug)]
pub struct Health {
    ready: watch::Sender<bool>,
    pub protected_endpoints: Heard,
    pub services: Heard,
    pub endpoint_slices: Heard,
    /// Only while this replica leads.
    pub(super) leases: Heard,
    /// Only while a resource names one.
    pub(super) secrets: Heard,
    pub(super) leading: Leading,
    pub counters: Counters,
    /// Every ProtectedEndpoint up to this resourceVersion is in the table.
    loaded: AtomicU64,
}

/// When one watch last heard from the API server.
#[derive(Debug)]
pub struct Heard {
    start: Instant,
    /// Milliseconds since `start`.
    last: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Counters {
    /// Tables compiled, and those that differed from the one in service.
    pub compiled: AtomicU64,
    pub published: AtomicU64,
    /// Compiles that panicked; the table in service stayed.
    pub compile_panics: AtomicU64,
    pub watch_errors: AtomicU64,
    pub status_writes: AtomicU64,
    pub status_errors: AtomicU64,
    pub events_sent: AtomicU64,
    pub events_failed: AtomicU64,
    /// Events that never went: too many waited.
    pub events_dropped: AtomicU64,
    /// Control-plane tasks that panicked and were started again.
    pub task_panics: AtomicU64,
}

// === impl Health ===

impl Health {
    /// Becomes true when every store has synced and the first table is in service, and stays true (K01, K03).
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// How long ago the most silent watch heard from the API server. About 30 s at most while all is well (K01, K06).
    pub fn staleness(&self) -> Duration {
        let watches = [&self.protected_endpoints, &self.services, &self.endpoint_slices];
        watches.into_iter().map(Heard::age).max().unwrap_or_default()
    }

    /// Whether this replica writes status now.
    pub fn leads(&self) -> bool {
        self.leading.now()
    }

    /// The highest resourceVersion up to which every ProtectedEndpoint is in the table; 0 until there is one.
    pub fn loaded(&self) -> u64 {
        self.loaded.load(Relaxed)
    }

    pub(super) fn set_loaded(&self, version: u64) {
        self.loaded.store(version, Relaxed);
    }

    pub(super) fn set_ready(&self) {
        self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
    }
}

impl Default for Health {
    fn default() -> Self {
        let heard = Heard::default;
        let (protected_endpoints, services, endpoint_slices) = (heard(), heard(), heard());
        let (leading, leases, secrets, counters) = (Leading::default(), heard(), heard(), Counters::default());
        let (ready, loaded) = (watch::Sender::new(false), AtomicU64::new(0));
        Self { ready, protected_endpoints, services, endpoint_slices, leases, secrets, leading, counters, loaded }
    }
}

// === impl Heard ===

impl Heard {
    pub(super) fn now(&self) {
        self.last.store(millis(self.start.elapsed()), Relaxed);
    }

    /// Since the last answer; since the start when there was none.
    pub fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Relaxed)))
    }
}

impl Default for Heard {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }
}

// === impl Counters ===

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn staleness_is_that_of_the_most_silent_watch_k01() {
        let health = Health::default();
        tokio::time::advance(Duration::from_secs(60)).await;
        health.protected_endpoints.now();
        health.services.now();
        assert_eq!(health.staleness(), Duration::from_secs(60), "never heard of EndpointSlices");
        health.endpoint_slices.now();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(health.staleness(), Duration::from_secs(7));
    }
}
