//! Hosts, parsed once: a request's host, and the pattern a resource names.

use std::{borrow::Cow, fmt, net::Ipv6Addr, sync::Arc};

/// A request's host in canonical form: lower case, without port and without one trailing dot (P40).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host<'a>(Cow<'a, str>);

/// `api.example.com`, `*.example.com` (exactly one label) or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    Exact(Arc<str>),
    /// The part after `*.`.
    Wildcard(Arc<str>),
    Any,
}

/// Not a host that can be served: 400 for a request (P38, P39), a message for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host: want a DNS name such as api.example.com")]
pub struct HostError(());

/// A name of this many bytes at most (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

// === impl Host ===

impl<'a> Host<'a> {
    /// Reads the value of a Host header or a URI's authority (RFC 9110 §7.2): a name or address, and a port that is checked
    /// and dropped.
    ///
    /// # Errors
    /// Empty, userinfo, a list, a path, a bad port, or bytes that no DNS name has.
    pub fn parse(authority: &'a str) -> Result<Self, HostError> {
        if authority.starts_with('[') {
            return Self::parse_ipv6(authority);
        }
        let (name, port) = authority.split_once(':').map_or((authority, None), |(name, port)| (name, Some(port)));
        check_port(port)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        check_name(name)?;
        Ok(Self(lower(name)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse_ipv6(authority: &'a str) -> Result<Self, HostError> {
        let (address, rest) = authority.strip_prefix('[').and_then(|a| a.split_once(']')).ok_or(HostError(()))?;
        match rest {
            "" => {}
            _ => check_port(Some(rest.strip_prefix(':').ok_or(HostError(()))?))?,
        }
        let address: Ipv6Addr = address.parse().map_err(|_| HostError(()))?;
        Ok(Self(format!("[{address}]").into()))
    }
}

// === impl HostPattern ===

impl HostPattern {
    /// Reads an entry of `spec.hosts`. Case and one trailing dot mean nothing.
    ///
    /// # Errors
    /// Anything but a DNS name, `*.` and a DNS name of two labels or more, or `*`.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        match name.strip_prefix("*.") {
            Some(parent) if parent.contains('.') => check_name(parent).map(|()| Self::Wildcard(lower(parent).into())),
            Some(_) => Err(HostError(())),
            None => check_name(name).map(|()| Self::Exact(lower(name).into())),
        }
    }

    /// Whether every host that `other` names is also named by this pattern.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Wildcard(parent), Self::Exact(name)) => name.split_once('.').is_some_and(|(_, rest)| rest == &**parent),
            (Self::Wildcard(_) | Self::Exact(_), _) => self == other,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Any => f.write_str("*"),
        }
    }
}

fn check_port(port: Option<&str>) -> Result<(), HostError> {
    match port {
        None => Ok(()),
        // An empty port is the default one (RFC 3986 §3.2.3).
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok()) => Ok(()),
        Some(_) => Err(HostError(())),
    }
}

/// Letters, digits, hyphens and (seen inside clusters) underscores.
fn check_name(name: &str) -> Result<(), HostError> {
    let label =
        |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match (1..=MAX_NAME).contains(&name.len()) && name.split('.').all(label) {
        true => Ok(()),
        false => Err(HostError(())),
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p40_spellings_of_one_host_are_one_host() {
        let same = ["a.example", "A.EXAMPLE", "a.example.", "a.example:8080", "A.example.:80", "a.example:"];
        for text in same {
            assert_eq!(Host::parse(text).map(|h| h.as_str().to_owned()), Ok("a.example".to_owned()), "{text}");
        }
        let others = [("[::1]", "[::1]"), ("[0:0:0:0:0:0:0:1]:80", "[::1]"), ("127.0.0.1:8080", "127.0.0.1"), ("localhost", "localhost")];
        for (text, want) in others {
            assert_eq!(Host::parse(text).unwrap().as_str(), want, "{text}");
        }
    }

    #[test]
    fn p39_what_is_no_host_is_refused() {
        let long = "a.".repeat(127) + "a";
        let bad = [
            "",
            ".",
            "a..b",
            "a,b",
            "u@a",
            "a/b",
            "a:99999",
            "a:8x",
            "a:-1",
            "a b",
            "bücher.example",
            "a\0b",
            "[::1",
            "::1",
            "[::1]x",
            "[zz]",
            "a.example..",
            "*",
            "a%2eb",
            "[::1]:x",
            &long,
        ];
        for text in bad {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn patterns_read_names_wildcards_and_the_catch_all() {
        let cases = [
            ("*", Ok("*")),
            ("*.Example.com", Ok("*.example.com")),
            ("API.example.com.", Ok("api.example.com")),
            ("*.com", Err(())),
            ("*.*.com", Err(())),
            ("a*.example.com", Err(())),
            ("", Err(())),
            ("a.example:80", Err(())),
        ];
        for (text, want) in cases {
            assert_eq!(HostPattern::parse(text).map(|p| p.to_string()).map_err(|_| ()), want.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn p70_a_wildcard_covers_one_label() {
        let pattern = |text: &str| HostPattern::parse(text).unwrap();
        let cases = [
            ("*.corp.example", "a.corp.example", true),
            ("*.corp.example", "a.b.corp.example", false),
            ("*.corp.example", "corp.example", false),
            ("*.corp.example", "*.corp.example", true),
            ("*", "a.corp.example", true),
            ("*", "*.corp.example", true),
            ("a.corp.example", "*.corp.example", false),
            ("*.corp.example", "*", false),
        ];
        for (wide, narrow, want) in cases {
            assert_eq!(pattern(wide).covers(&pattern(narrow)), want, "{wide} covers {narrow}");
        }
    }
}
