//! How many connections to backends one worker may have.

use super::ConnectError;
use crate::telemetry::{Counted, Metrics};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out places. Who finds none takes that of an idle connection, or waits, but not in an endless queue.
#[derive(Debug)]
pub(super) struct Limit {
    places: Arc<Semaphore>,
    most_waiting: usize,
    waiting: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// The place of one open connection; it lives as long as the connection.
#[derive(Debug)]
pub(super) struct Open {
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

/// One that waits.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Limit ===

impl Limit {
    pub(super) fn new(most: usize, metrics: Arc<Metrics>) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most_waiting: most, waiting: AtomicUsize::new(0), metrics }
    }

    /// `close_idle` closes a connection that nobody uses; `false`: there is none.
    ///
    /// # Errors
    /// [`ConnectError::Busy`] when as many wait already as may.
    pub(super) async fn open(&self, close_idle: impl FnOnce() -> bool) -> Result<Open, ConnectError> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait(close_idle).await?,
        };
        Ok(Open { _place: place, _counted: Counted::new(&self.metrics.upstream_connections) })
    }

    async fn wait(&self, close_idle: impl FnOnce() -> bool) -> Result<OwnedSemaphorePermit, ConnectError> {
        if self.waiting.load(Relaxed) >= self.most_waiting {
            return Err(ConnectError::Busy);
        }
        let _waiting = Waiting::new(&self.waiting);
        // Its place is free once its task has seen that nobody holds it.
        close_idle();
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| ConnectError::Busy)
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_taken_waited_for_or_refused() {
        let limit = Arc::new(Limit::new(1, Arc::default()));
        let first = limit.open(|| panic!("there is a place")).await.unwrap();
        let waiting = tokio::spawn({
            let limit = Arc::clone(&limit);
            async move { limit.open(|| false).await.is_ok() }
        });
        while limit.waiting.load(Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(limit.open(|| false).await.unwrap_err(), ConnectError::Busy, "the queue is full");
        assert_eq!(limit.metrics.upstream_connections.get(), 1);
        drop(first);
        assert!(waiting.await.unwrap());
        assert_eq!((limit.metrics.upstream_connections.get(), limit.waiting.load(Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn who_gives_up_waiting_no_longer_counts() {
        let limit = Limit::new(1, Arc::default());
        let _first = limit.open(|| false).await.unwrap();
        let second = tokio::time::timeout(std::time::Duration::from_millis(1), limit.open(|| false)).await;
        assert!(second.is_err() && limit.waiting.load(Relaxed) == 0);
    }
}
