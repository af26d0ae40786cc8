//! The proxy that issuers are reached through: `--egress-proxy` and `NO_PROXY`.

use super::FetchError;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header::PROXY_AUTHORIZATION};
use http_body_util::Empty;
use hyper::{client::conn::http1, upgrade};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use std::{fmt, net::IpAddr, str::FromStr};
use tokio::net::TcpStream;

/// An HTTP proxy that opens tunnels with CONNECT (RFC 9110 §9.3.6).
#[derive(Clone, PartialEq, Eq)]
pub struct EgressProxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// `Basic …`, marked as sensitive.
    authorization: Option<HeaderValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "want http://HOST:PORT of a proxy that allows CONNECT, such as http://proxy.corp.example:3128; credentials go before the host: USER:PASSWORD@"
)]
pub struct EgressProxyError;

/// Hosts that are reached without the proxy, as most programs read `NO_PROXY`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Exempt>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exempt {
    All,
    Network(IpNet),
    /// The name itself and every name below it; with a port that port alone.
    Domain(String, Option<u16>),
}

const MAX_HEAD: usize = 16 << 10;

// === impl EgressProxy ===

impl EgressProxy {
    /// Asks on `stream`, a connection to the proxy, for a tunnel to `host`. The name goes to the proxy as it is: it may be the only one
    /// that can resolve it.
    pub(super) async fn tunnel(&self, stream: TcpStream, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let request = self.connect(host, port)?;
        let handshake = http1::Builder::new().max_header_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
        let ask = async {
            let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
            match response.status() {
                StatusCode::OK => upgrade::on(response).await.map_err(|error| broken(&error)),
                status => {
                    tracing::debug!(status = status.as_u16(), "the egress proxy opens no tunnel");
                    Err(FetchError::Proxy)
                }
            }
        };
        // The connection ends when it has become the tunnel, or with this future.
        let drive = async {
            let _ = connection.with_upgrades().await;
            std::future::pending().await
        };
        let upgraded = tokio::select! {
            biased;
            answer = ask => answer?,
            never = drive => never,
        };
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| FetchError::Proxy)?;
        // In TLS the client speaks first: what came before that is not the issuer's.
        if parts.read_buf.is_empty() { Ok(parts.io.into_inner()) } else { Err(FetchError::Proxy) }
    }

    fn connect(&self, host: &str, port: u16) -> Result<Request<Empty<Bytes>>, FetchError> {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let uri: Uri = authority.parse().map_err(|_| FetchError::Dns)?;
        let mut request = Request::builder().method(Method::CONNECT).uri(uri).header(http::header::HOST, &authority);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        request.body(Empty::new()).map_err(|_| FetchError::Dns)
    }
}

impl FromStr for EgressProxy {
    type Err = EgressProxyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("http://").ok_or(EgressProxyError)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, address) = rest.rsplit_once('@').map_or((None, rest), |(credentials, address)| (Some(credentials), address));
        let (host, port) = address.rsplit_once(':').ok_or(EgressProxyError)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(EgressProxyError)?;
        let authorization = credentials.map(basic).transpose()?;
        Ok(Self { host: host_of(host).ok_or(EgressProxyError)?, port, authorization })
    }
}

/// Nothing of the credentials.
impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressProxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

// === impl NoProxy ===

impl NoProxy {
    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok();
        let host = host.to_ascii_lowercase();
        self.0.iter().any(|exempt| match exempt {
            Exempt::All => true,
            Exempt::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Exempt::Domain(domain, only) => {
                let below = || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
                (host == *domain || below()) && only.is_none_or(|only| only == port)
            }
        })
    }
}

/// Comma-separated: `*`, addresses, networks, and names with or without a leading dot, each with a port or without. It is written for many
/// programs, so what cannot be read exempts nothing, and is no error.
impl FromStr for NoProxy {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.split(',').map(str::trim).filter_map(exempt).collect()))
    }
}

fn exempt(entry: &str) -> Option<Exempt> {
    if entry == "*" {
        return Some(Exempt::All);
    }
    let address = entry.trim_start_matches('[').trim_end_matches(']');
    if let Ok(network) = address.parse().or_else(|_| address.parse::<IpAddr>().map(IpNet::from)) {
        return Some(Exempt::Network(network));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    super::operator::is_host_name(name).then(|| Exempt::Domain(name.to_ascii_lowercase(), port))
}

fn host_of(text: &str) -> Option<String> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    match bracketed {
        Some(address) => is_address(address).then(|| address.to_owned()),
        None => (super::operator::is_host_name(text) || (is_address(text) && !text.contains(':'))).then(|| text.to_owned()),
    }
}

/// Percent-encoded in the URL, base64 in the header (RFC 7617).
fn basic(credentials: &str) -> Result<HeaderValue, EgressProxyError> {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(credentials).collect();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(decoded))).map_err(|_| EgressProxyError)?;
    value.set_sensitive(true);
    Ok(value)
}

fn broken(error: &hyper::Error) -> FetchError {
    tracing::debug!(%error, "the connection to the egress proxy broke");
    FetchError::Proxy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_plain_http_url_and_its_credentials_are_never_shown() {
        let proxy: EgressProxy = "http://us%3Aer:CANARY@proxy.corp.example:3128/".parse().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.corp.example", 3128));
        let sent = proxy.connect("issuer.example", 443).unwrap();
        assert_eq!(sent.headers()["proxy-authorization"], format!("Basic {}", STANDARD.encode("us:er:CANARY")).as_str());
        assert!(!format!("{proxy:?}{sent:?}").contains("CANARY") && !format!("{sent:?}").contains(&STANDARD.encode("us:er:CANARY")));
        assert_eq!("http://[::1]:3128".parse::<EgressProxy>().unwrap().host, "::1");
        assert_eq!("http://10.0.0.1:8080".parse::<EgressProxy>().unwrap().authorization, None);
        for bad in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://proxy:0",
            "http://proxy:x",
            "http://:3128",
            "http://a b:1",
            "http://::1:3128",
            "http://proxy:1/x",
            "http://[zz]:1",
        ] {
            assert_eq!(bad.parse::<EgressProxy>(), Err(EgressProxyError), "{bad}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_networks_and_ports() {
        let rows = [
            ("", "a.example", 443, false),
            ("*", "a.example", 443, true),
            ("a.example", "a.example", 443, true),
            ("A.example", "a.EXAMPLE", 443, true),
            (".example", "a.example", 443, true),
            ("*.example", "a.example", 443, true),
            ("example", "b.a.example", 443, true),
            ("ample", "a.example", 443, false),
            ("a.example:443", "a.example", 443, true),
            ("a.example:444", "a.example", 443, false),
            ("x, 10.0.0.0/8 ,y", "10.1.2.3", 443, true),
            ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("[::1]", "::1", 443, true),
            ("::1", "::1", 443, true),
            ("http://a.example, a b, a.example:x", "a.example", 443, false),
        ];
        for (list, host, port, exempt) in rows {
            assert_eq!(list.parse::<NoProxy>().unwrap().contains(host, port), exempt, "{host} in {list:?}");
        }
    }
}
