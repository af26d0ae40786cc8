//! The requests of one HTTP/2 connection. Each is a task of its own with a patience of its own: one that is slow is reset, and
//! the others live on.

use super::{
    activity::Activity,
    chunk::{Account, Outbox},
    worker::Worker,
};
use hyper::rt::Executor;
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// What the streams of a connection share.
#[derive(Debug)]
pub(super) struct Session {
    worker: Arc<Worker>,
    activity: Arc<Activity>,
    outbox: Arc<Outbox>,
    /// One request at a time comes with the connection; others need room of the worker's.
    first: AtomicBool,
    hopeless: Notify,
}

/// One request and its answer, to the last byte sent.
#[derive(Debug)]
pub(super) struct Stream {
    session: Arc<Session>,
    room: Room,
    pub(super) activity: Arc<Activity>,
    pub(super) account: Arc<Account>,
}

#[derive(Debug)]
enum Room {
    OfConnection,
    OfWorker { _permit: OwnedSemaphorePermit },
    None,
}

/// Runs each stream that the server library hands over.
#[derive(Clone, Debug)]
pub(super) struct Streams(pub(super) Arc<Session>);

tokio::task_local! {
    static STREAM: Arc<Stream>;
}

// === impl Session ===

impl Session {
    pub(super) fn new(worker: &Arc<Worker>, activity: &Arc<Activity>) -> Arc<Self> {
        Arc::new(Self {
            worker: Arc::clone(worker),
            activity: Arc::clone(activity),
            outbox: Arc::default(),
            first: AtomicBool::new(false),
            hopeless: Notify::new(),
        })
    }

    /// Returns when the client does not take what the server library holds for it: that can only be given up with the connection.
    pub(super) async fn hopeless(&self) {
        self.hopeless.notified().await;
    }

    fn open(self: &Arc<Self>) -> Arc<Stream> {
        self.activity.stream_began();
        let activity = Activity::new();
        let account = Account::new(&self.outbox, &activity);
        Arc::new(Stream { session: Arc::clone(self), room: self.room(), activity, account })
    }

    fn room(&self) -> Room {
        if !self.first.swap(true, Relaxed) {
            return Room::OfConnection;
        }
        let permit = Arc::clone(&self.worker.streams).try_acquire_owned();
        permit.map_or(Room::None, |permit| Room::OfWorker { _permit: permit })
    }
}

// === impl Stream ===

impl Stream {
    /// The one that this task serves.
    pub(super) fn current() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    pub(super) fn has_room(&self) -> bool {
        !matches!(self.room, Room::None)
    }

    async fn run(self: Arc<Self>, work: impl Future<Output = ()>) {
        let limits = self.session.worker.gateway.settings.timeouts;
        tokio::select! {
            biased;
            () = work => {}
            // The library resets a stream that is let go.
            () = self.activity.expired(&limits) => return,
        }
        tokio::select! {
            biased;
            () = poll_fn(|cx| self.account.poll_sent(cx)) => {}
            () = self.activity.expired(&limits) => self.session.hopeless.notify_one(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if matches!(self.room, Room::OfConnection) {
            self.session.first.store(false, Relaxed);
        }
        self.session.activity.stream_ended();
    }
}

// === impl Streams ===

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, work: F) {
        let stream = self.0.open();
        tokio::spawn(STREAM.scope(Arc::clone(&stream), stream.run(work)));
    }
}
