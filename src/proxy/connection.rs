//! One client's connection, from its first byte to a gentle end.

use super::{
    Rejection, activity::Activity, handle::handle, listen::Protocol, record::Record, serve::Shutdown, socket, tunnel::Slot,
    watched::Watched, worker::Worker,
};
use crate::telemetry::Counted;
use http::Version;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Who is at the other end, and how the connection came.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// `None`: in clear text.
    pub(super) secured: Option<Secured>,
}

/// A connection within TLS.
#[derive(Clone, Debug)]
pub(super) struct Secured {
    /// The name of the certificate that the client was shown.
    pub(super) certificate: Option<Arc<str>>,
}

// === impl Peer ===

impl Peer {
    /// As `X-Forwarded-Proto` has it.
    pub(super) fn scheme(&self) -> &'static str {
        if self.secured.is_some() { "https" } else { "http" }
    }
}

/// A client's connection as its protocol sees it.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

/// A request head over 64 KiB is 431 (P57).
const MAX_HEAD: usize = 64 * 1024;
/// A client that acknowledges nothing for so long is gone.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl<S: Socket> Socket for &mut S {
    fn tcp(&self) -> &TcpStream {
        (**self).tcp()
    }
}

impl Worker {
    pub(super) async fn connection(self: Arc<Self>, protocol: Protocol, mut socket: TcpStream, address: SocketAddr) {
        // A socket that cannot be set up is gone already.
        let _ = socket::set_up(&socket, CLIENT_TIMEOUT);
        let _open = Counted::new(&self.gateway.metrics.connections);
        let Ok(address) = self.client_of(&mut socket, address).await else { return };
        let peer = Peer { address, secured: None };
        match protocol {
            Protocol::Http1 => self.http1(socket, peer).await,
            Protocol::Http2 => self.http2(socket, peer).await,
            Protocol::Tls => self.tls(socket, peer).await,
        }
    }

    pub(super) async fn http1<S: Socket>(self: Arc<Self>, socket: S, peer: Peer) {
        let activity = Activity::new();
        let io = TokioIo::new(Watched::http1(socket, &activity));
        let slot = Slot::default();
        let service = service_fn(|request| {
            let (worker, activity, peer, slot) = (Arc::clone(&self), Arc::clone(&activity), peer.clone(), slot.clone());
            // Asked here: requests are called in order.
            let admitted = if activity.ambiguous.next_is() { Err(Rejection::BadRequest("transfer_encoding")) } else { Ok(()) };
            async move { Ok::<_, Infallible>(slot.keep(handle(worker, peer, activity, admitted, request).await)) }
        });
        // The library's own head timeout also ends idle connections; `Activity` tells the two apart.
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None).max_buf_size(MAX_HEAD).max_header_size(MAX_HEAD).title_case_headers(true);
        let mut connection = builder.serve_connection(io, service);
        let mut shutdown = self.shutdown.clone();
        let mut closing = false;
        loop {
            tokio::select! {
                // First: what has arrived is read before anything is closed.
                biased;
                ended = &mut connection => {
                    let whole = ended.is_ok();
                    self.ended(ended, &peer, &activity);
                    if whole {
                        // Done already, unless the client asked for an upgrade: the library leaves such connections to us.
                        let parts = connection.into_parts();
                        let mut client = parts.io.into_inner();
                        match slot.take() {
                            Some(tunnel) => tunnel.run(&self, client, parts.read_buf, &activity).await,
                            None => drop(client.shutdown().await),
                        }
                    }
                    break;
                }
                () = activity.expired(&self.gateway.settings.timeouts) => break,
                () = async {
                    let _ = shutdown.wait_for(|at| *at >= Shutdown::Closing).await;
                    activity.settled().await;
                }, if !closing => {
                    closing = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
    }

    /// Records what the library refused by itself; any other end is the client's business.
    fn ended(&self, ended: hyper::Result<()>, peer: &Peer, activity: &Arc<Activity>) {
        let Some(error) = ended.err().filter(hyper::Error::is_parse) else { return };
        let rejection = if error.is_parse_too_large() { Rejection::HeadTooLarge } else { Rejection::BadRequest("head") };
        Record::refused(&self.gateway, activity, peer.address.ip(), Version::HTTP_11, &rejection);
    }
}
