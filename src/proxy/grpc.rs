//! What gRPC needs beyond HTTP/2: refusals in its own words, and trailers, which tell how a call ended.

use super::headers;
use crate::routing::ManagedHeaders;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header::CONTENT_TYPE, request::Parts};
use std::sync::Arc;

/// Which trailers of a request may cross.
#[derive(Clone, Debug)]
pub(super) struct Trailers {
    pub(super) managed: Arc<ManagedHeaders>,
    /// Where a token is looked for: one that comes behind the body was never verified.
    pub(super) credential: HeaderName,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The content type of a gRPC request. Over HTTP/1.1, and by any other method, a refusal must not look like success to whoever
/// goes by the HTTP status.
pub(super) fn content_type(parts: &Parts) -> Option<&HeaderValue> {
    let is_call = parts.version == Version::HTTP_2 && parts.method == Method::POST;
    let kind = is_call.then(|| parts.headers.get(CONTENT_TYPE)).flatten()?;
    let rest = kind.as_bytes().strip_prefix(b"application/grpc")?;
    matches!(rest.first(), None | Some(b'+' | b';' | b'-' | b' ')).then_some(kind)
}

/// Turns an answer without a body into one that a gRPC client understands: trailers and nothing else.
pub(super) fn translate<B>(response: &mut Response<B>, content_type: &HeaderValue, message: &'static str) {
    let status = HeaderValue::from(code(response.status()));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.clone());
    headers.insert(GRPC_STATUS, status);
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
}

/// The gRPC status that says the same.
fn code(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 | 414 | 417 | 431 => 3, // INVALID_ARGUMENT
        401 => 16,                  // UNAUTHENTICATED
        403 => 7,                   // PERMISSION_DENIED
        404 | 405 => 12,            // UNIMPLEMENTED
        413 => 8,                   // RESOURCE_EXHAUSTED
        504 => 4,                   // DEADLINE_EXCEEDED
        502 | 503 => 14,            // UNAVAILABLE
        508 => 9,                   // FAILED_PRECONDITION
        _ => 2,                     // UNKNOWN
    }
}

// === impl Trailers ===

impl Trailers {
    /// They come after authorisation, so they may say nothing that was decided on (P52, J96).
    pub(super) fn clean(&self, trailers: &mut HeaderMap) {
        headers::remove_managed(trailers, &self.managed);
        trailers.remove(&self.credential);
        headers::clean_trailers(trailers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(version: Version, method: Method, kind: &'static str) -> Parts {
        let request = Request::builder().version(version).method(method).header(CONTENT_TYPE, kind).body(());
        request.unwrap().into_parts().0
    }

    #[test]
    fn a_call_is_known_by_protocol_method_and_content_type() {
        let rows = [
            ("a call", Version::HTTP_2, Method::POST, "application/grpc", true),
            ("a coding", Version::HTTP_2, Method::POST, "application/grpc+proto", true),
            ("a parameter", Version::HTTP_2, Method::POST, "application/grpc; a=b", true),
            ("for browsers", Version::HTTP_2, Method::POST, "application/grpc-web+proto", true),
            ("another type", Version::HTTP_2, Method::POST, "application/grpcx", false),
            ("JSON", Version::HTTP_2, Method::POST, "application/json", false),
            ("GET", Version::HTTP_2, Method::GET, "application/grpc", false),
            ("HTTP/1.1", Version::HTTP_11, Method::POST, "application/grpc", false),
        ];
        for (name, version, method, kind, want) in rows {
            assert_eq!(content_type(&parts(version, method, kind)).is_some(), want, "{name}");
        }
    }

    #[test]
    fn p52_trailers_say_nothing_that_was_decided_on() {
        let trailers =
            Trailers { managed: Arc::new(["x-user".parse().unwrap()].into_iter().collect()), credential: "x-token".parse().unwrap() };
        let names = [
            "x-user",
            "x_user",
            "x-token",
            "authorization",
            "cookie",
            "set-cookie",
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "te",
            "trailer",
            "x-forwarded-for",
            "x_forwarded_for",
            "forwarded",
            "x-original-url",
            "x-http-method-override",
            "via",
            "content-type",
            "content-encoding",
            "cache-control",
            "location",
            "www-authenticate",
            "x-request-id",
            "expect",
            "age",
        ];
        let mut all: HeaderMap = names.iter().map(|name| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("a"))).collect();
        all.insert("grpc-status", HeaderValue::from_static("0"));
        all.insert("x-checksum", HeaderValue::from_static("1"));
        trailers.clean(&mut all);
        let mut left: Vec<_> = all.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
