//! Connections to issuers: the name is resolved once, each address is judged, and only a judged address is connected to (P64).

use super::{ConnectTo, FetchError, PrivateIssuers, address};
use crate::trust;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// One address that swallows packets must not use up the whole deadline.
const PER_ADDRESS: Duration = Duration::from_millis(1500);

pub type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Opens TLS connections to names that tenants choose, under the operator's rules about where they may lead.
#[derive(Clone, Debug)]
pub struct Connector {
    connect_to: Vec<ConnectTo>,
    private: PrivateIssuers,
    system: Arc<ClientConfig>,
}

// === impl Connector ===

impl Connector {
    /// # Errors
    /// When this build's TLS cannot be set up at all.
    pub fn new(connect_to: Vec<ConnectTo>, private: PrivateIssuers) -> Result<Self, rustls::Error> {
        Ok(Self { connect_to, private, system: client_config(trust::system())? })
    }

    /// A connection to `host`, whose certificate must be for `host` wherever the connection leads, and be signed by the system's roots or,
    /// when `ca_bundle` is given, by exactly those.
    ///
    /// # Errors
    /// `Dns`, `Forbidden`, `Connect` or `Tls`. Bound it in time: there is no deadline here.
    pub async fn connect(&self, host: &str, port: u16, ca_bundle: Option<&str>) -> Result<TlsStream, FetchError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Dns)?;
        let config = match ca_bundle {
            Some(pem) => bundle_config(pem)?,
            None => Arc::clone(&self.system),
        };
        let stream = connect_to_any(&self.addresses(host, port).await?).await?;
        let tls = tokio_rustls::TlsConnector::from(config).connect(name, stream).await;
        tls.map_err(|error| refused(&error, FetchError::Tls))
    }

    /// Where `host` leads, without the addresses it must not lead to.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let redirect = self.connect_to.iter().find(|rule| rule.matches(host, port));
        let (to_host, to_port) = redirect.map_or((host, port), |rule| rule.target(host, port));
        let found = tokio::net::lookup_host((to_host, to_port)).await.map_err(|error| refused(&error, FetchError::Dns))?;
        let found: Vec<_> = found.collect();
        let trusted = redirect.is_some_and(ConnectTo::names_an_address);
        let allowed: Vec<_> = found.iter().copied().filter(|address| trusted || self.may_reach(host, address.ip())).collect();
        match (found.is_empty(), allowed.is_empty()) {
            (true, _) => Err(FetchError::Dns),
            (_, true) => Err(FetchError::Forbidden),
            _ => Ok(allowed),
        }
    }

    fn may_reach(&self, host: &str, address: IpAddr) -> bool {
        address::is_public(address) || self.private.allow(host, address)
    }
}

async fn connect_to_any(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    for address in addresses {
        match timeout(PER_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => tracing::debug!(%address, %error, "no connection"),
            Err(_) => tracing::debug!(%address, "no connection in time"),
        }
    }
    Err(FetchError::Connect)
}

fn bundle_config(pem: &str) -> Result<Arc<ClientConfig>, FetchError> {
    let roots = trust::bundle(pem).map_err(|error| refused(&error, FetchError::Tls))?;
    client_config(roots.into()).map_err(|error| refused(&error, FetchError::Tls))
}

fn client_config(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn refused(error: &dyn std::error::Error, code: FetchError) -> FetchError {
    tracing::debug!(error = %error, %code, "no connection to the issuer");
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let good = listener.local_addr().unwrap();
        assert_eq!(connect_to_any(&[refusing, good]).await.unwrap().peer_addr().unwrap(), good);
        assert_eq!(connect_to_any(&[refusing]).await.unwrap_err(), FetchError::Connect);
    }
}
