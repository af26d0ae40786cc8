//! Connections to issuers: the name is resolved once, each address is judged, and only a judged address is connected to (P64).

use super::{ConnectTo, EgressProxy, FetchError, NoProxy, PrivateIssuers, guard::Guard, resolve::Resolver};
use crate::trust;
use ipnet::IpNet;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// One address that swallows packets must not use up the whole deadline.
const PER_ADDRESS: Duration = Duration::from_millis(1500);

pub type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Opens TLS connections to names that tenants choose, under the operator's rules about where they may lead.
#[derive(Clone, Debug)]
pub struct Connector {
    connect_to: Vec<ConnectTo>,
    guard: Guard,
    egress: Option<(EgressProxy, NoProxy)>,
    resolver: Resolver,
    system: Arc<ClientConfig>,
}

// === impl Connector ===

impl Connector {
    /// # Errors
    /// When this build's TLS cannot be set up at all.
    pub fn new(connect_to: Vec<ConnectTo>, private: PrivateIssuers) -> Result<Self, rustls::Error> {
        let guard = Guard::new(private, Vec::new());
        Ok(Self { connect_to, guard, egress: None, resolver: Resolver::default(), system: client_config(trust::system())? })
    }

    /// The same, but for these networks, whether their addresses are public or not: only what `private` names there is reached.
    #[must_use]
    pub fn outside_of(mut self, cluster: Vec<IpNet>) -> Self {
        self.guard.set_cluster(cluster);
        self
    }

    /// The same through `proxy`, but for hosts in `except` and those that a [`ConnectTo`] leads elsewhere.
    ///
    /// The proxy resolves names itself, so it must keep its clients out of private networks. What can be judged here is: an address, and a
    /// name that resolves here to nothing but forbidden addresses, are not asked for.
    #[must_use]
    pub fn through(mut self, proxy: EgressProxy, except: NoProxy) -> Self {
        self.egress = Some((proxy, except));
        self
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
        let stream = self.reach(host, port).await?;
        let tls = tokio_rustls::TlsConnector::from(config).connect(name, stream).await;
        tls.map_err(|error| refused(&error, FetchError::Tls))
    }

    #[cfg(test)]
    pub(super) fn resolving(mut self, script: impl Fn(&str) -> Vec<std::net::IpAddr> + Send + Sync + 'static) -> Self {
        self.resolver = Resolver::Scripted(Arc::new(script));
        self
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let redirect = self.connect_to.iter().find(|rule| rule.matches(host, port));
        match &self.egress {
            Some((proxy, except)) if redirect.is_none() && !except.contains(host, port) => self.reach_through(proxy, host, port).await,
            _ => connect_to_any(&self.addresses(host, port, redirect).await?).await,
        }
    }

    /// A name that only the proxy can resolve is left to the proxy.
    async fn reach_through(&self, proxy: &EgressProxy, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        match self.addresses(host, port, None).await {
            Ok(_) | Err(FetchError::Dns) => {}
            Err(forbidden) => return Err(forbidden),
        }
        let unreachable = |error: &dyn std::error::Error| refused(error, FetchError::Proxy);
        let found = tokio::net::lookup_host((proxy.host.as_str(), proxy.port)).await.map_err(|error| unreachable(&error))?;
        let stream = connect_to_any(&found.collect::<Vec<_>>()).await.map_err(|error| unreachable(&error))?;
        proxy.tunnel(stream, host, port).await
    }

    /// Where `host` leads, without the addresses it must not lead to.
    async fn addresses(&self, host: &str, port: u16, redirect: Option<&ConnectTo>) -> Result<Vec<SocketAddr>, FetchError> {
        let (to_host, to_port) = redirect.map_or((host, port), |rule| rule.target(host, port));
        let found = self.resolver.resolve(to_host, to_port).await.map_err(|error| refused(&error, FetchError::Dns))?;
        let trusted = redirect.is_some_and(ConnectTo::names_an_address);
        let allowed: Vec<_> = found.iter().copied().filter(|address| trusted || self.guard.allows(host, address.ip())).collect();
        match (found.is_empty(), allowed.is_empty()) {
            (true, _) => Err(FetchError::Dns),
            (_, true) => Err(FetchError::Forbidden),
            _ => Ok(allowed),
        }
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
