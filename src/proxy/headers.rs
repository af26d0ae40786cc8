//! Which headers cross the gateway, each way.

use super::{ClientAddress, Rejection, connection::Peer};
use crate::routing::folded;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        self, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE, VIA,
    },
};
use std::{borrow::Cow, net::IpAddr};

/// What belongs to one connection and never crosses (RFC 9110 §7.6.1).
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a `Connection` line must not remove: the backend would read another request than the gateway did (P47, J96), or not
/// know it under the same id.
static UNREMOVABLE: [HeaderName; 6] = [AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, VIA, X_REQUEST_ID];

/// Where and from whom a request came, as proxies tell it, beside all of `X-Forwarded-*`. A client's own word is dropped (P55).
static FORWARDING: [&str; 5] = ["forwarded", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-real-ip"];

/// What some backends and proxies take for the request's path or method: never read here, never passed on (P43, J110).
static OVERRIDES: [HeaderName; 9] = [
    HeaderName::from_static("x-envoy-original-path"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// What has no place behind a body, beside what is removed from heads or kept in them.
static HEAD_ONLY: [HeaderName; 19] = [
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PRAGMA,
    PROXY_AUTHENTICATE,
    header::RANGE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::VARY,
    header::WARNING,
    header::WWW_AUTHENTICATE,
];

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Removes from a client's request what must not reach a backend in any spelling, and keeps `verified`, the header that held the
/// token. Done before anything of ours is set, so that a client's `Connection` line can never remove what the gateway says (J107).
pub(super) fn clean_request(headers: &mut HeaderMap, trusted: bool, verified: Option<&HeaderName>) {
    remove_listed(headers, verified);
    HOP_BY_HOP.iter().chain(&OVERRIDES).for_each(|name| drop(headers.remove(name)));
    if !trusted {
        remove_where(headers, |name| is_forwarding(name.as_str()));
    }
    remove_look_alikes(headers);
}

/// Removes what belongs to the upstream's connection. A body's length and its framing are said anew; both at once are a
/// smuggler's (requirements F), so the length goes.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_listed(headers, None);
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
    headers.remove(PROXY_AUTHENTICATE);
}

/// Removes from trailers, of a request or an answer, what belongs into a head if anywhere: framing, routing, credentials, and how
/// a body is to be read or kept (RFC 9110 §6.5.1).
pub(super) fn clean_trailers(trailers: &mut HeaderMap) {
    let listed = |name: &HeaderName| HOP_BY_HOP.iter().chain(&UNREMOVABLE).chain(&OVERRIDES).chain(&HEAD_ONLY).any(|known| known == name);
    remove_where(trailers, |name| listed(name) || is_forwarding(name.as_str()));
    remove_look_alikes(trailers);
}

/// Removes every header that only the gateway may set.
pub(super) fn remove_managed(headers: &mut HeaderMap, managed: &crate::routing::ManagedHeaders) {
    if !managed.is_empty() {
        remove_where(headers, |name| managed.contains(name));
    }
}

/// # Errors
/// When this installation has forwarded the request twice already: once is a gateway that protects itself, as in the
/// walk-through, twice is a loop.
pub(super) fn check_loop(headers: &HeaderMap, via: &str) -> Result<(), Rejection> {
    let lines = headers.get_all(VIA).iter().filter_map(|line| line.to_str().ok());
    let ours = |hop: &&str| hop.split_whitespace().nth(1) == Some(via);
    match lines.flat_map(|line| line.split(',')).filter(ours).count() {
        0 | 1 => Ok(()),
        _ => Err(Rejection::Loop),
    }
}

/// Says where the request came from: `Forwarded` (RFC 7239), `X-Forwarded-*` and `Via`, of which `via` is our element.
pub(super) fn set_forwarding(headers: &mut HeaderMap, peer: &Peer, authority: &str, via: &str) {
    let (address, scheme) = (peer.address.ip().to_canonical(), peer.scheme());
    append(headers, X_FORWARDED_FOR, &address.to_string());
    set_if_absent(headers, X_FORWARDED_HOST, authority);
    set_if_absent(headers, X_FORWARDED_PROTO, scheme);
    append(headers, FORWARDED, &format!("for={};host=\"{authority}\";proto={scheme}", forwarded_node(address)));
    append(headers, VIA, via);
}

impl ClientAddress {
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Self::Direct | Self::ProxyProtocol(_) => false,
            Self::TrustedProxies(networks) => networks.iter().any(|network| network.contains(&peer.to_canonical())),
        }
    }

    /// The client: the peer, or the nearest address in `X-Forwarded-For` that no trusted proxy has.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer.to_canonical();
        }
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        let mut nearest = peer;
        for hop in hops {
            nearest = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        nearest.to_canonical()
    }
}

/// The headers that `Connection` names, except what would change the request's meaning.
fn remove_listed(headers: &mut HeaderMap, verified: Option<&HeaderName>) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let lines: Vec<_> = headers.get_all(CONNECTION).iter().cloned().collect();
    let names = lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let names = names.filter_map(|name| name.trim().parse::<HeaderName>().ok());
    names.filter(|name| !is_unremovable(name) && Some(name) != verified).for_each(|name| drop(headers.remove(name)));
}

fn is_unremovable(name: &HeaderName) -> bool {
    UNREMOVABLE.contains(name) || is_forwarding(name.as_str())
}

/// `name` is spelled with dashes.
fn is_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded") || FORWARDING.contains(&name)
}

/// `X_Forwarded_For` and `X.Forwarded.For` are `X-Forwarded-For` to a CGI-like backend (J106): what folds to a protected name goes.
fn remove_look_alikes(headers: &mut HeaderMap) {
    let known = |name: &str| HOP_BY_HOP.iter().chain(&UNREMOVABLE).chain(&OVERRIDES).any(|known| name == known.as_str());
    remove_where(headers, |name| match folded(name) {
        Cow::Owned(folded) => known(&folded) || is_forwarding(&folded),
        Cow::Borrowed(_) => false,
    });
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<_> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    names.into_iter().for_each(|name| drop(headers.remove(name)));
}

/// One line that continues what trusted proxies said before.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before: Vec<_> = headers.get_all(&name).iter().filter_map(|line| line.to_str().ok()).collect();
    let line = before.into_iter().chain([element]).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&line) {
        headers.insert(name, value);
    }
}

fn set_if_absent(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.entry(name).or_insert(value);
    }
}

/// RFC 7239 §6: IPv6 in brackets and quotes.
fn forwarded_node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("\"[{v6}]\""),
    }
}

#[cfg(test)]
mod tests;
