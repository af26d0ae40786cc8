//! Whose turn it is to open a connection that many requests will share.

use super::{ConnectError, connect::Connection};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::{Mutex, MutexGuard};

/// One opens at a time. Who waited for one that failed fails with it: a backend that swallows packets must not hold up a queue
/// for one timeout after another.
#[derive(Debug, Default)]
pub(super) struct Opening {
    last: Mutex<Option<ConnectError>>,
    failures: AtomicUsize,
}

/// The right to open.
pub(super) struct Turn<'a> {
    last: MutexGuard<'a, Option<ConnectError>>,
    failures: &'a AtomicUsize,
}

// === impl Opening ===

impl Opening {
    /// # Errors
    /// With that of an attempt that ended while this one waited.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, ConnectError> {
        let before = self.failures.load(Relaxed);
        let last = self.last.lock().await;
        match *last {
            Some(error) if self.failures.load(Relaxed) != before => Err(error),
            _ => Ok(Turn { last, failures: &self.failures }),
        }
    }
}

// === impl Turn ===

impl Turn<'_> {
    pub(super) fn ended(&mut self, connected: Result<Connection, ConnectError>) -> Result<Connection, ConnectError> {
        if let Err(error) = &connected {
            *self.last = Some(*error);
            self.failures.fetch_add(1, Relaxed);
        }
        connected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_waited_for_a_failure_share_it_and_the_next_tries_anew() {
        let opening = Opening::default();
        let mut first = opening.turn().await.unwrap();
        let waiting = async { opening.turn().await.err() };
        let failing = async {
            tokio::task::yield_now().await;
            let ended = first.ended(Err(ConnectError::Refused)).err();
            drop(first);
            ended
        };
        assert_eq!(tokio::join!(biased; waiting, failing), (Some(ConnectError::Refused), Some(ConnectError::Refused)));
        assert!(opening.turn().await.is_ok());
    }
}
