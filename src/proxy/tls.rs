//! TLS with clients: the certificate of the name that they ask for, as the table has it at that moment.
//!
//! ```text
//! client hello -> name -> table -> certificate -> handshake -> ALPN: h2 | http/1.1
//!      |                     | none: the handshake fails
//!      bounded in time and in number: who is slow gives way to who comes
//! ```

use super::{
    connection::{Peer, Secured, Socket},
    worker::Worker,
};
use crate::routing::{Certificate, Host};
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpStream, sync::oneshot, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

/// What the installation asks of every TLS connection. Shared by all workers, session tickets included.
#[derive(Clone, Debug)]
pub struct TlsTerms(Arc<ServerConfig>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// Handshakes under way on one worker. Beyond so many the oldest is given up: it is the slowest.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<VecDeque<oneshot::Sender<()>>>);

#[derive(Debug)]
struct Chosen(Option<Arc<CertifiedKey>>);

const MAX_HANDSHAKES: usize = 256;
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

// === impl TlsTerms ===

impl TlsTerms {
    /// `ciphers` are names of suites, such as TLS13_AES_256_GCM_SHA384; empty: the library's choice. Key exchange begins with
    /// X25519MLKEM768, and session tickets change their key every few hours.
    ///
    /// # Errors
    /// When a cipher has another name than those listed in the message, or none is left for a version.
    pub fn new(least: TlsVersion, ciphers: &[String]) -> Result<Self, String> {
        let provider = CryptoProvider { cipher_suites: suites(ciphers)?, ..aws_lc_rs::default_provider() };
        let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(least.and_newer());
        let builder = builder.map_err(|error| error.to_string())?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::new(Chosen(None)));
        config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self(Arc::new(config)))
    }

    fn with(&self, certificate: Option<&Certificate>) -> Arc<ServerConfig> {
        let mut config = (*self.0).clone();
        config.cert_resolver = Arc::new(Chosen(certificate.map(|certificate| Arc::clone(certificate.key()))));
        Arc::new(config)
    }
}

impl TlsVersion {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &NEWEST,
        }
    }
}

fn suites(names: &[String]) -> Result<Vec<rustls::SupportedCipherSuite>, String> {
    let known = aws_lc_rs::default_provider().cipher_suites;
    let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite());
    let find = |wanted: &String| {
        let found = known.iter().find(|suite| name(suite) == *wanted).copied();
        found.ok_or_else(|| format!("{wanted} is no cipher: want {}", known.iter().map(name).collect::<Vec<_>>().join(", ")))
    };
    match names.is_empty() {
        true => Ok(known.clone()),
        false => names.iter().map(find).collect(),
    }
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

// === impl Worker ===

impl Worker {
    pub(super) async fn tls(self: Arc<Self>, socket: TcpStream, peer: Peer) {
        let hurried = self.handshakes.begin();
        let shaken = tokio::select! {
            shaken = timeout(self.gateway.settings.timeouts.header, self.shake_hands(socket)) => shaken,
            _ = hurried => return,
        };
        let Ok(Ok((stream, secured))) = shaken else {
            self.gateway.metrics.failed_handshakes.inc();
            return;
        };
        let peer = Peer { secured: Some(secured), ..peer };
        match stream.get_ref().1.alpn_protocol() {
            Some(H2) => self.http2(stream, peer).await,
            _ => self.http1(stream, peer).await,
        }
    }

    async fn shake_hands(&self, socket: TcpStream) -> io::Result<(TlsStream<TcpStream>, Secured)> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
        let certificate = self.certificate_for(start.client_hello().server_name());
        let terms = self.gateway.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let stream = start.into_stream(terms.with(certificate.as_ref())).await?;
        Ok((stream, Secured { certificate: certificate.map(|certificate| certificate.name().into()) }))
    }

    fn certificate_for(&self, name: Option<&str>) -> Option<Certificate> {
        let table = self.gateway.live.table.load();
        let host = name.and_then(|name| Host::parse(name).ok());
        table.as_ref().as_ref()?.certificate(host.as_ref()).cloned()
    }
}

// === impl Handshakes ===

impl Handshakes {
    /// Until the receiver is dropped the handshake counts; when it hears of the end, another has taken its place.
    fn begin(&self) -> oneshot::Receiver<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !one.is_closed());
        if all.len() >= MAX_HANDSHAKES {
            drop(all.pop_front());
        }
        let (place, hurried) = oneshot::channel();
        all.push_back(place);
        hurried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_the_installations() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(TlsTerms::new(TlsVersion::Tls12, &[]).is_ok());
        assert!(TlsTerms::new(TlsVersion::Tls13, &names(&["TLS13_AES_256_GCM_SHA384"])).is_ok());
        let unknown = TlsTerms::new(TlsVersion::Tls12, &names(&["TLS_RSA_WITH_RC4_128_MD5"])).unwrap_err();
        assert!(unknown.starts_with("TLS_RSA_WITH_RC4_128_MD5 is no cipher: want TLS13_AES_256_GCM_SHA384, "), "{unknown}");
        assert!(TlsTerms::new(TlsVersion::Tls13, &names(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])).is_err());
        let terms = TlsTerms::new(TlsVersion::Tls12, &[]).unwrap();
        let groups: Vec<_> = terms.0.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups.first(), Some(&rustls::NamedGroup::X25519MLKEM768));
        assert!(terms.0.ticketer.enabled() && terms.0.max_early_data_size == 0);
    }

    #[test]
    fn p56_beyond_the_limit_the_oldest_handshake_gives_way() {
        let handshakes = Handshakes::default();
        let mut all: Vec<_> = (0..MAX_HANDSHAKES).map(|_| handshakes.begin()).collect();
        drop(all.remove(1));
        let _one_more = handshakes.begin();
        assert!(all[0].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty), "there was room");
        let _and_another = handshakes.begin();
        assert!(all[0].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(all[1].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
    }
}
