//! An HTTP/2 connection: many requests at once, up to a bound of ours and of the backend's.

use super::{Patience, limit::Open, lock};
use crate::proxy::upload::Upload;
use hyper::client::conn::http2;
use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::{sync::Notify, time::Instant};

/// Requests at once, whatever the backend would take: each may have a window's worth of its answer here (P59).
pub(super) const MAX_STREAMS: usize = 100;

#[derive(Debug)]
pub(super) struct Shared {
    sender: http2::SendRequest<Upload>,
    /// `:scheme` of its requests.
    pub(super) scheme: &'static str,
    streams: AtomicUsize,
    bound: Arc<Bound>,
    born: Instant,
    /// When the last answer came.
    heard: Mutex<Option<Instant>>,
    /// Since when it has no request.
    unused: Mutex<Instant>,
    patience: Patience,
    _open: Open,
}

/// How many requests at once the backend takes, as far as it has said so: that comes with the first answer at the latest.
#[derive(Debug)]
pub(super) struct Bound {
    most: AtomicUsize,
    is_known: AtomicBool,
    answered: Notify,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(sender: http2::SendRequest<Upload>, scheme: &'static str, bound: Arc<Bound>, patience: Patience, open: Open) -> Self {
        let now = Instant::now();
        Self {
            sender,
            scheme,
            streams: AtomicUsize::new(0),
            bound,
            born: now,
            heard: Mutex::default(),
            unused: Mutex::new(now),
            patience,
            _open: open,
        }
    }

    pub(super) fn sender(&self) -> http2::SendRequest<Upload> {
        self.sender.clone()
    }

    pub(super) fn began(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self) {
        if self.streams.fetch_sub(1, Relaxed) == 1 {
            *lock(&self.unused) = Instant::now();
        }
    }

    /// An answer's head came.
    pub(super) fn answered(&self) {
        *lock(&self.heard) = Some(Instant::now());
        if !self.bound.is_known.swap(true, Relaxed) {
            self.bound.answered.notify_one();
        }
    }

    pub(super) fn heard_since(&self, since: Instant) -> bool {
        lock(&self.heard).is_some_and(|heard| heard > since)
    }

    /// A backend that takes no request at all is asked with one: it may say another number later.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let most = self.bound.most.load(Relaxed).clamp(1, MAX_STREAMS);
        self.streams.load(Relaxed) < most && self.is_usable(now)
    }

    pub(super) fn is_usable(&self, now: Instant) -> bool {
        let rested = self.is_unused() && now - *lock(&self.unused) >= self.patience.idle;
        !rested && now - self.born < self.patience.life && !self.sender.is_closed()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.streams.load(Relaxed) == 0
    }
}

// === impl Bound ===

impl Bound {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(MAX_STREAMS), is_known: AtomicBool::new(false), answered: Notify::new() })
    }

    /// Drives `connection` to its end. What `said` reads of it is looked at for each request, and when the first answer has come.
    pub(super) async fn follow<C: Future>(&self, connection: C, said: impl Fn(&C) -> usize) {
        let (mut connection, mut answered) = (pin!(connection), pin!(self.answered.notified()));
        let driven = std::future::poll_fn(|cx| {
            let _ = answered.as_mut().poll(cx);
            self.most.store(said(&connection), Relaxed);
            connection.as_mut().poll(cx)
        });
        let _ = driven.await;
    }
}
