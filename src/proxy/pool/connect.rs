//! Opens a connection: TCP, TLS where it is asked for, and the protocol that both sides speak.

use super::{
    Patience,
    held::Held,
    limit::Open,
    shared::{Bound, MAX_STREAMS, Shared},
};
use crate::{
    proxy::{socket, upload::Upload},
    routing::Tls,
    trust,
};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{CertificateError, ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// How the backends of one transport are reached.
#[derive(Debug)]
pub(super) enum Dial {
    Http,
    H2c,
    /// `None`: what was asked for cannot be had. Nobody is reached then.
    Https(Option<Secure>),
}

/// What every TLS connection of one identity has in common, sessions to resume included.
pub(super) struct Secure {
    connector: TlsConnector,
    /// Offers no other protocol.
    http1: TlsConnector,
    name: ServerName<'static>,
}

/// An open connection.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(http1::SendRequest<Upload>),
    Http2(Arc<Shared>),
}

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum ConnectError {
    /// As many connections are in use as may be, and as many requests wait for one.
    Busy,
    Failed,
    Refused,
    Timeout,
    /// The reason says what of TLS failed.
    Tls(&'static str),
}

/// A backend that acknowledges nothing for so long is gone. Longer than a client's: one that reads an upload slowly may live.
const BACKEND_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes read ahead of a client that takes them slowly, and so of an answer's head (P59). Over HTTP/2 for each request, and as
/// many together as requests: one slow client never stops the others.
const MAX_BUFFER: u32 = 64 * 1024;

// === impl Dial ===

impl Dial {
    pub(super) fn https(tls: &Tls) -> Self {
        let secure = Secure::new(tls);
        if let Err(error) = &secure {
            tracing::warn!(server = &*tls.server_name, error, "no connection to this backend can be made");
        }
        Self::Https(secure.ok())
    }

    /// A connection of HTTP/1.1, whatever else the backend speaks. There is no deadline here.
    pub(super) async fn connect_http1(&self, address: SocketAddr, open: Open) -> Result<Connection, ConnectError> {
        let socket = TcpStream::connect(address).await?;
        socket::set_up(&socket, BACKEND_TIMEOUT)?;
        match self {
            Self::Http => http1(socket, open).await,
            Self::H2c => Err(ConnectError::Failed),
            Self::Https(None) => Err(ConnectError::Tls("tls_config")),
            Self::Https(Some(secure)) => {
                let stream = secure.http1.connect(secure.name.clone(), socket).await.map_err(|error| tls_error(&error))?;
                http1(stream, open).await
            }
        }
    }

    /// There is no deadline here.
    pub(super) async fn connect(&self, address: SocketAddr, open: Open, patience: Patience) -> Result<Connection, ConnectError> {
        let socket = TcpStream::connect(address).await?;
        socket::set_up(&socket, BACKEND_TIMEOUT)?;
        match self {
            Self::Http => http1(socket, open).await,
            Self::H2c => http2(socket, "http", open, patience).await,
            Self::Https(None) => Err(ConnectError::Tls("tls_config")),
            Self::Https(Some(secure)) => {
                let stream = secure.connector.connect(secure.name.clone(), socket).await.map_err(|error| tls_error(&error))?;
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http2(stream, "https", open, patience).await,
                    _ => http1(stream, open).await,
                }
            }
        }
    }
}

async fn http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, open: Open) -> Result<Connection, ConnectError> {
    let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER as usize).handshake(TokioIo::new(Held::new(io, open)));
    let (sender, connection) = handshake.await.map_err(|_| ConnectError::Failed)?;
    tokio::spawn(async move {
        // Its requests hear of every failure.
        let _ = connection.with_upgrades().await;
    });
    Ok(Connection::Http1(sender))
}

async fn http2(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    scheme: &'static str,
    open: Open,
    patience: Patience,
) -> Result<Connection, ConnectError> {
    let handshake = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(MAX_BUFFER)
        .initial_connection_window_size(MAX_BUFFER * MAX_STREAMS as u32)
        .max_send_buf_size(MAX_BUFFER as usize)
        .max_header_list_size(MAX_BUFFER)
        .handshake(TokioIo::new(io));
    let (sender, connection) = handshake.await.map_err(|_| ConnectError::Failed)?;
    let bound = Bound::new();
    let shared = Shared::new(sender, scheme, Arc::clone(&bound), patience, open);
    tokio::spawn(async move { bound.follow(connection, |connection| connection.current_max_send_streams()).await });
    Ok(Connection::Http2(Arc::new(shared)))
}

// === impl Secure ===

impl Secure {
    fn new(tls: &Tls) -> Result<Self, String> {
        let roots = match tls.ca_bundle.as_deref() {
            Some(pem) => Arc::new(trust::bundle(pem).map_err(|error| error.to_string())?),
            None => trust::system(),
        };
        let name = ServerName::try_from(tls.server_name.to_string()).map_err(|error| error.to_string())?;
        let config = client_config(roots).map_err(|error| error.to_string())?;
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), http1: TlsConnector::from(Arc::new(http1)), name })
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}

fn client_config(roots: Arc<RootCertStore>) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

// === impl ConnectError ===

impl ConnectError {
    /// A bounded label for metrics and logs.
    pub(in crate::proxy) fn reason(self) -> &'static str {
        match self {
            Self::Busy => "upstream_limit",
            Self::Failed => "connect_failed",
            Self::Refused => "connect_refused",
            Self::Timeout => "connect_timeout",
            Self::Tls(reason) => reason,
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Failed,
        }
    }
}

fn tls_error(error: &io::Error) -> ConnectError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    ConnectError::Tls(match cause {
        Some(rustls::Error::InvalidCertificate(error)) => certificate_error(error),
        // The backend refuses us: it may want a certificate, or another protocol version.
        Some(rustls::Error::AlertReceived(_)) => "tls_refused",
        _ => "tls_handshake",
    })
}

fn certificate_error(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "tls_expired",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "tls_wrong_name",
        _ => "tls_untrusted",
    }
}
