//! A client's socket, watched: what it does is told to its [`Activity`], and it ends in the way that loses nothing.

use super::{activity::Activity, heads::Follower};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Duration, Sleep},
};

#[derive(Debug)]
pub(super) struct Watched {
    socket: TcpStream,
    activity: Arc<Activity>,
    follower: Follower,
    /// Runs since we have said all we will say.
    linger: Option<Pin<Box<Sleep>>>,
}

/// How long the client may take to close after us. Closing before it has stopped sending would reset the connection, and take
/// the answer away that it has not read yet (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

// === impl Watched ===

impl Watched {
    pub(super) fn new(socket: TcpStream, activity: &Arc<Activity>) -> Self {
        Self { socket, activity: Arc::clone(activity), follower: Follower::default(), linger: None }
    }

    /// Reads what still comes and forgets it, until the client closes or takes too long.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        if self.linger.as_mut().is_none_or(|linger| linger.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(());
        }
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

/// Where the end of the connection ends a body (HTTP/1.0), a reset alone says that it was not whole.
impl Drop for Watched {
    fn drop(&mut self) {
        if self.activity.has_broken_off() {
            // A socket that cannot be reset is gone already.
            let _ = self.socket.set_zero_linger();
        }
    }
}

impl AsyncRead for Watched {
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

impl AsyncWrite for Watched {
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
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            self.linger = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        self.poll_linger(cx).map(Ok)
    }
}
