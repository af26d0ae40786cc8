//! The listeners of one worker, one a protocol. Who waits longest at one of them does not wait for the others.

use super::listen::Protocol;
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    task::{Context, Poll},
};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug)]
pub(super) struct Doors {
    listeners: Vec<(Protocol, TcpListener)>,
    /// Where to look first.
    next: usize,
}

/// A connection that came, and through which door.
pub(super) type Accepted = (Protocol, io::Result<(TcpStream, SocketAddr)>);

// === impl Doors ===

impl Doors {
    /// To be called within the worker's runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch a listener.
    pub(super) fn open(listeners: Vec<(Protocol, std::net::TcpListener)>) -> io::Result<Self> {
        let open = |(protocol, listener)| Ok((protocol, TcpListener::from_std(listener)?));
        Ok(Self { listeners: listeners.into_iter().map(open).collect::<io::Result<_>>()?, next: 0 })
    }

    /// One more.
    ///
    /// # Errors
    /// As `open`.
    pub(super) fn add(&mut self, (protocol, listener): (Protocol, std::net::TcpListener)) -> io::Result<()> {
        self.listeners.push((protocol, TcpListener::from_std(listener)?));
        Ok(())
    }

    pub(super) async fn accept(&mut self) -> Accepted {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// In turn, so that a crowd at one door does not close the others.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        for _ in 0..self.listeners.len() {
            let at = self.next;
            self.next = (at + 1) % self.listeners.len();
            if let Some((protocol, listener)) = self.listeners.get(at)
                && let Poll::Ready(accepted) = listener.poll_accept(cx)
            {
                return Poll::Ready((*protocol, accepted));
            }
        }
        Poll::Pending
    }
}
