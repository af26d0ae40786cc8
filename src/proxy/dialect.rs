//! One request in the words of each protocol. A request may change its protocol between two attempts.

use super::upload::Upload;
use http::{
    HeaderValue, Request, Uri,
    header::{CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING},
    uri::{Authority, Scheme},
};
use http_body::Body;

/// Path and query alone in the target, the authority in `Host`, and a body of unknown length in chunks.
pub(super) fn to_http1(request: &mut Request<Upload>) {
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str()).ok();
        host.and_then(|host| request.headers_mut().insert(HOST, host));
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    }
    let has_body = !request.body().is_end_stream();
    let headers = request.headers_mut();
    headers.remove(TE);
    if has_body && !headers.contains_key(CONTENT_LENGTH) {
        // Else the client library takes a GET's body for none.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Scheme and authority in the target, and nothing about framing (RFC 9113 §8.2.2, §8.3.1).
pub(super) fn to_http2(request: &mut Request<Upload>, scheme: &'static str) {
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    let Some(host) = headers.remove(HOST) else { return };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = scheme.parse::<Scheme>().ok();
    parts.authority = Authority::try_from(host.as_bytes()).ok();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}
