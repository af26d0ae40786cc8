//! A client's socket, watched: what it does is told to its [`Activity`], and it ends in the way that loses nothing.

use super::{
    activity::Activity,
    connection::Socket,
    frames::{Credit, Frames},
    heads::Follower,
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Duration, Sleep},
};

#[derive(Debug)]
pub(super) struct Watched<S: Socket> {
    socket: S,
    activity: Arc<Activity>,
    followed: Followed,
    /// Runs since we have said all we will say.
    linger: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Followed {
    Http1(Follower),
    Http2(Box<Conversation>),
}

/// The frames of an HTTP/2 connection, each way.
#[derive(Debug)]
struct Conversation {
    read: Frames,
    written: Frames,
    credit: Credit,
}

/// How long the client may take to close after us. Closing before it has stopped sending would reset the connection, and take
/// the answer away that it has not read yet (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

// === impl Watched ===

impl<S: Socket> Watched<S> {
    pub(super) fn http1(socket: S, activity: &Arc<Activity>) -> Self {
        Self { socket, activity: Arc::clone(activity), followed: Followed::Http1(Follower::default()), linger: None }
    }

    pub(super) fn http2(socket: S, activity: &Arc<Activity>) -> Self {
        let conversation = Conversation { read: Frames::from_client(), written: Frames::to_client(), credit: Credit::new() };
        Self { socket, activity: Arc::clone(activity), followed: Followed::Http2(Box::new(conversation)), linger: None }
    }

    fn has_read(&mut self, bytes: &[u8]) {
        match &mut self.followed {
            Followed::Http1(follower) => {
                self.activity.read_some();
                follower.read(bytes, &self.activity.ambiguous);
            }
            Followed::Http2(conversation) => conversation.has_read(bytes, &self.activity),
        }
    }

    fn has_written<'a>(&mut self, polled: &Poll<io::Result<usize>>, bytes: impl Iterator<Item = &'a [u8]>) {
        self.activity.wrote(polled.is_pending());
        if let (Poll::Ready(Ok(count)), Followed::Http2(conversation)) = (polled, &mut self.followed) {
            conversation.has_written(*count, bytes, &self.activity);
        }
    }

    /// The last word to a client that floods us: it gets to know why, if it can be told at once.
    fn refuse_flood(&mut self, cx: &mut Context<'_>) -> io::Error {
        if let Followed::Http2(conversation) = &self.followed
            && conversation.written.is_at_boundary()
        {
            let farewell = conversation.read.calm_down();
            let _ = Pin::new(&mut self.socket).poll_write(cx, &farewell);
            let _ = Pin::new(&mut self.socket).poll_flush(cx);
        }
        io::Error::other("too many frames that ask for nothing")
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
impl<S: Socket> Drop for Watched<S> {
    fn drop(&mut self) {
        if self.activity.has_broken_off() {
            // A socket that cannot be reset is gone already.
            let _ = self.socket.tcp().set_zero_linger();
        }
    }
}

impl<S: Socket> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            this.has_read(read);
        }
        match this.activity.is_flooded() {
            true => Poll::Ready(Err(this.refuse_flood(cx))),
            false => polled,
        }
    }
}

impl<S: Socket> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.has_written(&polled, std::iter::once(buf));
        polled
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.has_written(&polled, bufs.iter().map(|buf| &**buf));
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.socket).poll_flush(cx);
        self.activity.flushed(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            self.linger = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        match self.followed {
            Followed::Http1(_) => self.poll_linger(cx).map(Ok),
            // Lingers outside, where it can after an error as well.
            Followed::Http2(_) => Poll::Ready(Ok(())),
        }
    }
}

// === impl Conversation ===

impl Conversation {
    fn has_read(&mut self, bytes: &[u8], activity: &Activity) {
        if !self.read.read(bytes, &mut self.credit) {
            activity.flooded();
        }
        activity.follow_frames(self.read.is_within_head());
    }

    fn has_written<'a>(&mut self, mut count: usize, all: impl Iterator<Item = &'a [u8]>, activity: &Activity) {
        for bytes in all {
            let written = bytes.get(..count).unwrap_or(bytes);
            count -= written.len();
            if !self.written.wrote(written, &mut self.credit) {
                activity.flooded();
            }
        }
    }
}
