//! The opening handshake of a WebSocket (RFC 6455 §4): what a client asks, what the backend is asked, and what it must answer.
//! No other protocol is ever switched to: every other `Upgrade` is removed (P48).

use super::Rejection;
use crate::routing::Transport;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    request::Parts,
};

/// A WebSocket that a client asks for, in one way only.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    key: HeaderValue,
}

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const SWITCH: HeaderValue = HeaderValue::from_static("Upgrade");
/// The only version there is.
pub(super) const VERSION: HeaderValue = HeaderValue::from_static("13");
/// Proves that who answers has understood the question (RFC 6455 §1.3).
const PROOF: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `None`: the client asks for no WebSocket, or the backend's protocol has none; what it asks for is then removed.
///
/// # Errors
/// 426 for another version; 400 when it is asked for with a body, another method or without one sound key (P49).
pub(super) fn asked(parts: &Parts, has_body: bool, transport: &Transport) -> Result<Option<Handshake>, Rejection> {
    let switches = names(&parts.headers, &CONNECTION, "upgrade") && names(&parts.headers, &UPGRADE, "websocket");
    if !switches || parts.version != Version::HTTP_11 || *transport == Transport::H2c {
        return Ok(None);
    }
    if parts.method != Method::GET || has_body || parts.headers.contains_key(CONTENT_LENGTH) {
        return Err(Rejection::BadRequest("websocket"));
    }
    if only(&parts.headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(Rejection::WebSocketVersion);
    }
    let key = only(&parts.headers, &SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    key.map(|key| Some(Handshake { key: key.clone() })).ok_or(Rejection::BadRequest("websocket"))
}

// === impl Handshake ===

impl Handshake {
    /// Asks the backend, whatever a `Connection` line of the client removed.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        switch(headers);
        headers.insert(SEC_WEBSOCKET_KEY, self.key.clone());
        headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
    }

    /// # Errors
    /// 502 when a 101 does not answer this question: the bytes behind it would be anything (P50).
    pub(super) fn check(&self, answer: &HeaderMap) -> Result<(), Rejection> {
        let switches = names(answer, &CONNECTION, "upgrade");
        let to = only(answer, &UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let proven = only(answer, &SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept.as_bytes() == self.proof().as_bytes());
        (switches && to && proven).then_some(()).ok_or(Rejection::Upstream("invalid_101"))
    }

    fn proof(&self) -> String {
        let question = [self.key.as_bytes(), PROOF].concat();
        STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &question))
    }
}

/// `headers` are those of a hop that becomes a WebSocket.
pub(super) fn switch(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONNECTION, SWITCH);
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether a list names `element`, in any case.
fn names(headers: &HeaderMap, list: &HeaderName, element: &str) -> bool {
    let lines = headers.get_all(list).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|name| name.trim().eq_ignore_ascii_case(element))
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_standard() {
        let handshake = Handshake { key: HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==") };
        assert_eq!(handshake.proof(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455 §1.3");
    }
}
