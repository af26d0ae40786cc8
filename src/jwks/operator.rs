//! What the operator, never a tenant, says about issuers' addresses: `--connect-to` and `--private-issuers`.

use ipnet::IpNet;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// `HOST:PORT:ADDR:PORT` with curl's meaning: a connection to the first pair goes to the second, and the TLS name stays the
/// first. An empty HOST or PORT matches any; an empty ADDR or second PORT keeps the original. IPv6 stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    host: Option<String>,
    port: Option<u16>,
    to_host: Option<String>,
    to_port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {problem}; write HOST:PORT:ADDRESS:PORT, such as tenant.example.com:443:127.0.0.1:8443")]
pub struct ConnectToError {
    text: String,
    problem: &'static str,
}

/// Hosts and networks that may be issuers although their addresses are not the public Internet's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateIssuers {
    hosts: BTreeSet<String>,
    networks: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is neither a host name such as idp.corp.example nor a network such as 10.0.0.0/8")]
pub struct PrivateIssuersError {
    entry: String,
}

// === impl ConnectTo ===

impl ConnectTo {
    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        self.host.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(host)) && self.port.is_none_or(|own| own == port)
    }

    pub(super) fn target<'a>(&'a self, host: &'a str, port: u16) -> (&'a str, u16) {
        (self.to_host.as_deref().unwrap_or(host), self.to_port.unwrap_or(port))
    }

    /// Whether the operator named where to go, so that a private address is meant.
    pub(super) fn names_an_address(&self) -> bool {
        self.to_host.is_some()
    }
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_connect_to(text).map_err(|problem| ConnectToError { text: text.to_owned(), problem })
    }
}

// === impl PrivateIssuers ===

impl PrivateIssuers {
    /// By its name, or by a network that is at most as wide as `length`.
    pub(super) fn allow(&self, host: &str, address: IpAddr, length: u8) -> bool {
        let network = |network: &IpNet| network.prefix_len() >= length && network.contains(&address.to_canonical());
        self.hosts.contains(&host.to_ascii_lowercase()) || self.networks.iter().any(network)
    }
}

/// Comma-separated; the empty list allows none.
impl FromStr for PrivateIssuers {
    type Err = PrivateIssuersError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parsed = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if let Ok(network) = entry.parse().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from)) {
                parsed.networks.push(network);
            } else if is_host_name(entry) {
                parsed.hosts.insert(entry.to_ascii_lowercase());
            } else {
                return Err(PrivateIssuersError { entry: entry.to_owned() });
            }
        }
        Ok(parsed)
    }
}

fn parse_connect_to(text: &str) -> Result<ConnectTo, &'static str> {
    let (host, rest) = host_part(text)?;
    let (port, rest) = rest.split_once(':').ok_or("it ends after the first port")?;
    let (to_host, to_port) = host_part(rest)?;
    Ok(ConnectTo { host, port: port_part(port)?, to_host, to_port: port_part(to_port)? })
}

/// A host and what follows the colon behind it; an address in brackets loses them.
fn host_part(text: &str) -> Result<(Option<String>, &str), &'static str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once("]:").ok_or("a bracket is not closed before a colon")?;
        let address: Ipv6Addr = address.parse().map_err(|_| "what stands in brackets is not an IPv6 address")?;
        return Ok((Some(address.to_string()), rest));
    }
    match text.split_once(':') {
        Some(("", rest)) => Ok((None, rest)),
        Some((host, rest)) if host.parse::<IpAddr>().is_ok() || is_host_name(host) => Ok((Some(host.to_owned()), rest)),
        Some(_) => Err("a host is neither a name nor an address"),
        None => Err("it has fewer than four parts"),
    }
}

fn port_part(text: &str) -> Result<Option<u16>, &'static str> {
    match text {
        "" => Ok(None),
        _ => text.parse().ok().filter(|port| *port != 0).map(Some).ok_or("a port is not a number from 1 to 65535"),
    }
}

/// RFC 1123 labels; the last is not a number, so that no half-written address passes for a name.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last_is_number = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_connect_to_rule_sends_what_it_matches_elsewhere() {
        let rows = [
            ("both", "a.com:443:127.0.0.1:8443", "a.com", 443, Some(("127.0.0.1", 8443))),
            ("case", "A.com:443:127.0.0.1:8443", "a.COM", 443, Some(("127.0.0.1", 8443))),
            ("to a name", "a.com:443:issuer.test:8443", "a.com", 443, Some(("issuer.test", 8443))),
            ("other host", "a.com:443:127.0.0.1:8443", "b.com", 443, None),
            ("other port", "a.com:443:127.0.0.1:8443", "a.com", 444, None),
            ("any host", ":443:127.0.0.1:8443", "b.com", 443, Some(("127.0.0.1", 8443))),
            ("any port", "a.com::127.0.0.1:8443", "a.com", 1, Some(("127.0.0.1", 8443))),
            ("same port", "::127.0.0.1:", "a.com", 443, Some(("127.0.0.1", 443))),
            ("same host", "a.com:443::8443", "a.com", 443, Some(("a.com", 8443))),
            ("IPv6", "[0:0::1]:443:[2001:DB8::1]:8443", "::1", 443, Some(("2001:db8::1", 8443))),
        ];
        for (name, rule, host, port, target) in rows {
            let rule: ConnectTo = rule.parse().unwrap();
            assert_eq!(rule.matches(host, port).then(|| rule.target(host, port)), target, "{name}");
        }
    }

    #[test]
    fn a_connect_to_rule_that_is_not_one_says_why_and_what_would_be_right() {
        let rows = [
            ("", "fewer than four parts"),
            ("a.com", "fewer than four parts"),
            ("a.com:443", "ends after the first port"),
            ("a.com:443:b.com", "fewer than four parts"),
            ("a.com:443:b.com:443:", "a port is not a number"),
            ("a.com:http:b.com:443", "a port is not a number"),
            ("a.com:0:b.com:443", "a port is not a number"),
            ("a.com:443:b.com:65536", "a port is not a number"),
            ("a b:443:b.com:443", "neither a name nor an address"),
            ("a.com:443:10.0.0:443", "neither a name nor an address"),
            ("a.com:443:::1:443", "a port is not a number"),
            ("[::1:443:b.com:443", "bracket is not closed"),
            ("[a.com]:443:b.com:443", "not an IPv6 address"),
        ];
        for (text, problem) in rows {
            let error = text.parse::<ConnectTo>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}`")) && error.contains(problem), "{text}: {error}");
            assert!(error.contains("HOST:PORT:ADDRESS:PORT"), "{text}: {error}");
        }
    }

    #[test]
    fn private_issuers_are_hosts_addresses_and_networks() {
        let list: PrivateIssuers = "idp.corp.example, 10.1.0.0/16,fd00::/8,192.168.7.7,".parse().unwrap();
        let rows = [
            ("the host, wherever it is", "IDP.corp.example", "127.0.0.1", true),
            ("below the host", "x.idp.corp.example", "127.0.0.1", false),
            ("in the network", "any", "10.1.2.3", true),
            ("mapped into IPv6", "any", "::ffff:10.1.2.3", true),
            ("beside the network", "any", "10.2.0.1", false),
            ("in the IPv6 network", "any", "fd12::1", true),
            ("the address", "any", "192.168.7.7", true),
            ("the next address", "any", "192.168.7.8", false),
        ];
        for (name, host, address, allowed) in rows {
            assert_eq!(list.allow(host, address.parse().unwrap(), 0), allowed, "{name}");
        }
        assert_eq!("".parse(), Ok(PrivateIssuers::default()));
        for bad in ["10.0.0.0/33", "10.0.0", "a..b", "-a.com", "a.com:443", "https://a.com", "*.a.com", "a b", "good.com,10/8"] {
            let error = bad.parse::<PrivateIssuers>().unwrap_err().to_string();
            assert!(error.contains("neither a host name such as"), "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parsers(text in "[a-c0-9:.,/\\[\\]%é-]{0,24}") {
            let _ = text.parse::<ConnectTo>();
            let _ = text.parse::<PrivateIssuers>();
        }

        #[test]
        fn a_well_formed_rule_is_read_as_written(host in "[a-z]{1,9}\\.com", port in 1u16.., to in any::<IpAddr>(), to_port in 1u16..) {
            let bracketed = if to.is_ipv6() { format!("[{to}]") } else { to.to_string() };
            let rule: ConnectTo = format!("{host}:{port}:{bracketed}:{to_port}").parse().unwrap();
            prop_assert!(rule.matches(&host, port));
            let to = to.to_string();
            prop_assert_eq!(rule.target(&host, port), (&*to, to_port));
        }
    }
}
