//! A connection's patience: how long it may stay in each phase. One lazy timer a connection; a request costs two stores.

use super::{Timeouts, heads::Ambiguous};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
};
use tokio::time::{Duration, Instant};

/// What the connection does, since when. Written by its socket and its requests, read by its timer.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    phase: AtomicU8,
    since: AtomicU64,
    /// When the client first refused to take more bytes; 0: it takes them.
    stalled: AtomicU64,
    /// Since when the client is waited for to send more of a body; 0: it is not.
    awaited: AtomicU64,
    /// Bodies that still come.
    uploads: AtomicUsize,
    /// Requests under way on an HTTP/2 connection.
    streams: AtomicUsize,
    /// A request has begun here once.
    used: AtomicBool,
    /// An answer broke off: the connection must not end as though it were whole.
    broken: AtomicBool,
    /// More frames came that ask for nothing than a client can want to send.
    flooded: AtomicBool,
    pub(super) ambiguous: Ambiguous,
}

/// How long a client that has connected may take to send its first byte once we are closing.
const GRACE: Duration = Duration::from_millis(500);

const IDLE: u8 = 0;
const HEAD: u8 = 1;
/// From the request's head to the answer's.
const BUSY: u8 = 2;
/// The answer's body.
const ANSWER: u8 = 3;
/// What is left of the request's body when the answer has ended.
const UPLOAD: u8 = 4;

// === impl Activity ===

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            start: Instant::now(),
            phase: AtomicU8::new(IDLE),
            since: zero(),
            stalled: zero(),
            awaited: zero(),
            uploads: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            ambiguous: Ambiguous::default(),
        })
    }

    pub(super) fn request_began(&self) {
        self.enter(BUSY);
    }

    pub(super) fn answer_began(&self) {
        self.enter(ANSWER);
    }

    /// From here on the connection is no HTTP: it lives while bytes come or go.
    pub(super) fn switched(&self) {
        self.ambiguous.stop();
        self.answer_began();
    }

    pub(super) fn request_ended(&self) {
        let left = self.uploads.load(Relaxed) > 0;
        self.enter(if left { UPLOAD } else { IDLE });
    }

    pub(super) fn upload_began(&self) {
        self.uploads.fetch_add(1, Relaxed);
    }

    pub(super) fn upload_ended(&self) {
        let last = self.uploads.fetch_sub(1, Relaxed) == 1;
        if last && self.phase.load(Relaxed) == UPLOAD {
            self.enter(IDLE);
        }
    }

    /// One more request on this HTTP/2 connection, which has an activity of its own.
    pub(super) fn stream_began(&self) {
        self.used.store(true, Relaxed);
        self.streams.fetch_add(1, Relaxed);
        self.follow_frames(self.phase.load(Relaxed) == HEAD);
    }

    pub(super) fn stream_ended(&self) {
        self.streams.fetch_sub(1, Relaxed);
        self.follow_frames(self.phase.load(Relaxed) == HEAD);
    }

    /// Frames were read, and one that is no data has begun without having ended: a request's head, above all.
    pub(super) fn follow_frames(&self, within_head: bool) {
        let phase = match (within_head, self.streams.load(Relaxed)) {
            (true, _) => HEAD,
            (false, 0) => IDLE,
            (false, _) => BUSY,
        };
        if self.phase.load(Relaxed) != phase {
            self.enter(phase);
        }
    }

    /// Returns when a request has begun on this HTTP/2 connection, now or before.
    pub(super) async fn used(&self) {
        while !self.used.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns when the connection has used up its patience.
    pub(super) async fn expired(&self, limits: &Timeouts) {
        loop {
            let deadline = self.deadline(limits);
            if deadline <= Instant::now() {
                return;
            }
            // What begins from now on is over no sooner than the shortest limit: look again then.
            tokio::time::sleep_until(deadline.min(Instant::now() + limits.shortest())).await;
        }
    }

    /// Whether the client is waited for in the middle of a body.
    pub(super) fn awaits_body(&self, waiting: bool) {
        self.mark(&self.awaited, waiting);
    }

    /// Returns when no request can be lost by closing: one that has begun to come was read or gave up, and a client that has
    /// just connected has had a moment to send its first.
    pub(super) async fn settled(&self) {
        let asked = Instant::now();
        let is_new = || self.since.load(Relaxed) == 0 && asked.elapsed() < GRACE;
        while self.phase.load(Relaxed) == HEAD || (self.phase.load(Relaxed) == IDLE && is_new()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    pub(super) fn flooded(&self) {
        self.flooded.store(true, Relaxed);
    }

    pub(super) fn has_broken_off(&self) -> bool {
        self.broken.load(Relaxed)
    }

    pub(super) fn answer_broke_off(&self) {
        self.broken.store(true, Relaxed);
    }

    /// The client is waited for to take what an answer on an HTTP/2 stream holds; `now` it took some.
    pub(super) fn awaits_taking(&self, waiting: bool, now: bool) {
        if now {
            self.stalled.store(0, Relaxed);
        }
        self.mark(&self.stalled, waiting);
    }

    fn deadline(&self, limits: &Timeouts) -> Instant {
        let at = |millis: u64, limit: Duration| self.start + Duration::from_millis(millis) + limit;
        let phase = match self.phase.load(Relaxed) {
            IDLE => at(self.since.load(Relaxed), limits.idle),
            HEAD => at(self.since.load(Relaxed), limits.header),
            ANSWER | UPLOAD => at(self.since.load(Relaxed), limits.body_idle),
            // A request has its own limits.
            _ => Instant::now() + limits.idle,
        };
        let stall = |since: &AtomicU64, limit| Some(since.load(Relaxed)).filter(|since| *since != 0).map(|since| at(since, limit));
        let stalls = [stall(&self.stalled, limits.write_stall), stall(&self.awaited, limits.body_stall)];
        stalls.into_iter().flatten().fold(phase, Instant::min)
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.elapsed(), Relaxed);
        self.phase.store(phase, Relaxed);
    }

    pub(super) fn read_some(&self) {
        match self.phase.load(Relaxed) {
            IDLE => self.enter(HEAD),
            _ => self.moved(),
        }
    }

    pub(super) fn wrote(&self, blocked: bool) {
        self.mark(&self.stalled, blocked);
        if !blocked {
            self.moved();
        }
    }

    /// What was written before may be waiting still.
    pub(super) fn flushed(&self, blocked: bool) {
        self.mark(&self.stalled, blocked);
    }

    /// A byte of a body came or went.
    fn moved(&self) {
        if matches!(self.phase.load(Relaxed), ANSWER | UPLOAD) {
            self.since.store(self.elapsed(), Relaxed);
        }
    }

    /// Remembers since when something is so.
    fn mark(&self, since: &AtomicU64, is_so: bool) {
        match (is_so, since.load(Relaxed)) {
            (false, 0) => {}
            (false, _) => since.store(0, Relaxed),
            (true, 0) => since.store(self.elapsed().max(1), Relaxed),
            (true, _) => {}
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
