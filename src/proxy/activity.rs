//! A connection's patience: how long it may stay in each phase. One lazy timer a connection; a request costs two stores.

use super::{
    Timeouts,
    heads::{Ambiguous, Follower},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Duration, Instant},
};

/// What the connection does, since when. Written by its socket and its requests, read by its timer.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    phase: AtomicU8,
    since: AtomicU64,
    /// When the client first refused to take more bytes; 0: it takes them.
    stalled: AtomicU64,
    pub(super) ambiguous: Ambiguous,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;

/// A socket that reports to an [`Activity`].
#[derive(Debug)]
pub(super) struct Watched<T> {
    socket: T,
    activity: Arc<Activity>,
    follower: Follower,
}

// === impl Activity ===

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            start: Instant::now(),
            phase: AtomicU8::new(IDLE),
            since: zero(),
            stalled: zero(),
            ambiguous: Ambiguous::default(),
        })
    }

    pub(super) fn request_began(&self) {
        self.enter(BUSY);
    }

    pub(super) fn request_ended(&self) {
        self.enter(IDLE);
    }

    /// Returns when the connection has used up its patience.
    pub(super) async fn expired(&self, limits: &Timeouts) {
        loop {
            let deadline = self.deadline(limits);
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    fn deadline(&self, limits: &Timeouts) -> Instant {
        let at = |millis: u64, limit: Duration| self.start + Duration::from_millis(millis) + limit;
        let phase = match self.phase.load(Relaxed) {
            IDLE => at(self.since.load(Relaxed), limits.idle),
            HEAD => at(self.since.load(Relaxed), limits.header),
            // A request has its own limits; look again soon.
            _ => Instant::now() + limits.header,
        };
        match self.stalled.load(Relaxed) {
            0 => phase,
            since => phase.min(at(since, limits.write_stall)),
        }
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.elapsed(), Relaxed);
        self.phase.store(phase, Relaxed);
    }

    fn read_some(&self) {
        if self.phase.load(Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    fn wrote(&self, blocked: bool) {
        match (blocked, self.stalled.load(Relaxed)) {
            (false, 0) => {}
            (false, _) => self.stalled.store(0, Relaxed),
            (true, 0) => self.stalled.store(self.elapsed().max(1), Relaxed),
            (true, _) => {}
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

// === impl Watched ===

impl<T> Watched<T> {
    pub(super) fn new(socket: T, activity: &Arc<Activity>) -> Self {
        Self { socket, activity: Arc::clone(activity), follower: Follower::default() }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            this.activity.read_some();
            this.follower.read(read, &this.activity.ambiguous);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const LIMITS: Timeouts = Timeouts {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write_stall: Duration::from_secs(30),
        connect: Duration::from_secs(5),
        upstream_idle: Duration::from_secs(20),
    };

    async fn expires_after(activity: &Activity) -> Option<u64> {
        let start = Instant::now();
        timeout(Duration::from_secs(200), activity.expired(&LIMITS)).await.ok().map(|()| start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn p56_each_phase_has_its_limit() {
        let idle = Activity::new();
        assert_eq!(expires_after(&idle).await, Some(60), "idle");
        let head = Activity::new();
        head.read_some();
        assert_eq!(expires_after(&head).await, Some(10), "a slow head");
        let busy = Activity::new();
        busy.request_began();
        assert_eq!(expires_after(&busy).await, None, "a request has its own limits");
        let stalled = Activity::new();
        stalled.request_began();
        stalled.wrote(true);
        assert_eq!(expires_after(&stalled).await, Some(30), "a client that takes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn p56_a_head_that_trickles_is_not_given_more_time() {
        let activity = Activity::new();
        activity.read_some();
        tokio::time::sleep(Duration::from_secs(9)).await;
        activity.read_some();
        assert_eq!(expires_after(&activity).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_starts_again_with_each_request() {
        let activity = Activity::new();
        tokio::time::sleep(Duration::from_secs(50)).await;
        activity.request_began();
        activity.wrote(true);
        activity.wrote(false);
        activity.request_ended();
        assert_eq!(expires_after(&activity).await, Some(60));
    }
}
