//! What a request asks for, in one canonical form: routed on, and forwarded exactly. What has none is refused (P02-P44).

use super::Rejection;
use crate::{
    routing::{CanonicalPath, Host},
    telemetry::MAX_METHOD,
};
use http::{HeaderMap, HeaderValue, Method, Version, header, request::Parts};

/// The parts of a request that decide where it goes.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// As the client wrote it: one Host line, or an absolute URI's authority.
    pub(super) authority: &'a str,
    pub(super) host: Host<'a>,
    pub(super) path: CanonicalPath<'a>,
}

/// Bytes of path and query (P57).
const MAX_TARGET: usize = 16 * 1024;
/// In any case: some backends take `trace` for TRACE.
const NEVER_FORWARDED: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];
/// What a proxy can answer for itself about a method it never forwards.
const FORWARDED_METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

impl<'a> Target<'a> {
    /// # Errors
    /// 400 (and a closed connection) for a method over 64 bytes and for what could be read in two ways; 405 for methods that a gateway must not pass on;
    /// 414 for a target over 16 KiB; 417 for expectations other than `100-continue`.
    pub(super) fn read(parts: &'a Parts) -> Result<Self, Rejection> {
        check_length(parts)?;
        check_method(&parts.method)?;
        check_framing(&parts.headers, parts.version)?;
        check_expectation(&parts.headers)?;
        let authority = authority(parts)?;
        let host = Host::parse(authority).map_err(|_| Rejection::BadRequest("host"))?;
        let path = CanonicalPath::parse_keeping_slashes(parts.uri.path()).map_err(|_| Rejection::BadRequest("path"))?;
        Ok(Self { authority, host, path })
    }
}

/// P57.
fn check_length(parts: &Parts) -> Result<(), Rejection> {
    let length = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    match length <= MAX_TARGET {
        true => Ok(()),
        false => Err(Rejection::UriTooLong),
    }
}

/// P24, P42: CONNECT opens tunnels, TRACE and TRACK echo credentials.
fn check_method(method: &Method) -> Result<(), Rejection> {
    match method.as_str() {
        name if NEVER_FORWARDED.iter().any(|never| name.eq_ignore_ascii_case(never)) => Err(Rejection::MethodNotAllowed(FORWARDED_METHODS)),
        // P44: no method anybody knows.
        name if name.len() > MAX_METHOD => Err(Rejection::BadRequest("method")),
        _ => Ok(()),
    }
}

/// P02, P03, P06: one line that says exactly `chunked`, and only in HTTP/1.1. The server library refuses the other spellings.
fn check_framing(headers: &HeaderMap, version: Version) -> Result<(), Rejection> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(Rejection::BadRequest("transfer_encoding")),
    }
}

/// P54 (RFC 9110 §10.1.1).
fn check_expectation(headers: &HeaderMap) -> Result<(), Rejection> {
    match headers.get_all(header::EXPECT).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        true => Ok(()),
        false => Err(Rejection::ExpectationFailed),
    }
}

/// P37-P39: an absolute URI's authority replaces Host (RFC 9112 §3.2.2); else there is exactly one Host line. In HTTP/2 Host may
/// be missing beside `:authority`, and must not differ from it (P19, P20; RFC 9113 §8.3.1).
fn authority(parts: &Parts) -> Result<&str, Rejection> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let absolute = match (parts.uri.scheme_str(), parts.uri.authority()) {
        (Some("http" | "https"), Some(authority)) => Some(authority.as_str()),
        (None, None) => None,
        _ => return Err(Rejection::BadRequest("target")),
    };
    match (first, second) {
        (None, None) if parts.version == Version::HTTP_2 => absolute.ok_or(Rejection::BadRequest("host")),
        (Some(host), None) if parts.version == Version::HTTP_2 && absolute.is_some_and(|absolute| !is_equal(host, absolute)) => {
            Err(Rejection::BadRequest("host"))
        }
        (Some(host), None) => absolute.map_or_else(|| host.to_str().map_err(|_| Rejection::BadRequest("host")), Ok),
        _ => Err(Rejection::BadRequest("host")),
    }
}

fn is_equal(host: &HeaderValue, authority: &str) -> bool {
    host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn read(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(String, String), u16> {
        read_as(Version::HTTP_11, method, uri, headers)
    }

    fn read_as(version: Version, method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(String, String), u16> {
        let builder = headers.iter().fold(Request::builder().method(method).uri(uri), |b, (name, value)| b.header(*name, *value));
        let builder = builder.version(version);
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let target = Target::read(&parts).map_err(|rejection| rejection.status().as_u16())?;
        Ok((target.host.as_str().to_owned(), target.path.as_str().to_owned()))
    }

    #[test]
    fn requests_are_read_one_way_or_refused() {
        let ok = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        let host = ("host", "a.example");
        #[rustfmt::skip]
        let cases: &[(&str, &str, &str, &[(&str, &str)], _)] = &[
            ("plain", "GET", "/a", &[host], ok("a.example", "/a")),
            ("P37 the absolute form's authority counts", "GET", "http://b.example/x", &[host], ok("b.example", "/x")),
            ("P38 userinfo", "GET", "http://u:p@b.example/", &[host], Err(400)),
            ("P38 another scheme", "GET", "ftp://b.example/", &[host], Err(400)),
            ("P38 asterisk", "OPTIONS", "*", &[host], Err(400)),
            ("P39 no host", "GET", "/", &[], Err(400)),
            ("P39 two hosts", "GET", "/", &[host, ("host", "b.example")], Err(400)),
            ("P39 two equal hosts", "GET", "/", &[host, host], Err(400)),
            ("P39 a list", "GET", "/", &[("host", "a.example, b.example")], Err(400)),
            ("P39 userinfo", "GET", "/", &[("host", "u@a.example")], Err(400)),
            ("P39 a port too high", "GET", "/", &[("host", "a.example:99999")], Err(400)),
            ("P39 empty", "GET", "/", &[("host", "")], Err(400)),
            ("P40 case, dot, port", "GET", "/", &[("host", "A.Example.:80")], ok("a.example", "/")),
            ("P02 two codings", "POST", "/", &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Err(400)),
            ("P03 gzip, chunked", "POST", "/", &[host, ("transfer-encoding", "gzip, chunked")], Err(400)),
            ("chunked", "POST", "/", &[host, ("transfer-encoding", "Chunked")], ok("a.example", "/")),
            ("P24 CONNECT", "CONNECT", "a.example:80", &[host], Err(405)),
            ("P42 TRACE", "TRACE", "/", &[host], Err(405)),
            ("P42 trace", "trace", "/", &[host], Err(405)),
            ("P42 TRACK", "TRACK", "/", &[host], Err(405)),
            ("P54 an unknown expectation", "PUT", "/", &[host, ("expect", "foo")], Err(417)),
            ("100-continue", "PUT", "/", &[host, ("expect", "100-Continue")], ok("a.example", "/")),
            ("P27 resolved", "GET", "/pub/../admin?x", &[host], ok("a.example", "/admin")),
            ("P29 escaped slash, for a rule to judge", "GET", "/a%2fb", &[host], ok("a.example", "/a%2Fb")),
            ("P29 escaped slash beside a climb", "GET", "/a%2fb/..", &[host], Err(400)),
        ];
        for (name, method, uri, headers, want) in cases {
            assert_eq!(read(method, uri, headers), *want, "{name}");
        }
    }

    #[test]
    fn p19_to_p21_in_http_2_the_authority_is_the_host() {
        let ok = |host: &str| Ok((host.to_owned(), "/x".to_owned()));
        #[rustfmt::skip]
        let cases: &[(&str, &str, &[(&str, &str)], _)] = &[
            ("authority alone", "https://a.example/x", &[], ok("a.example")),
            ("P19 equal", "https://a.example/x", &[("host", "A.example")], ok("a.example")),
            ("P19 different", "https://a.example/x", &[("host", "b.example")], Err(400)),
            ("P19 another port", "https://a.example/x", &[("host", "a.example:80")], Err(400)),
            ("P19 two hosts", "https://a.example/x", &[("host", "a.example"), ("host", "a.example")], Err(400)),
            ("P20 host alone", "/x", &[("host", "a.example")], ok("a.example")),
            ("P39 neither", "/x", &[], Err(400)),
            ("P21 userinfo", "https://u@a.example/x", &[], Err(400)),
            ("P38 another scheme", "ftp://a.example/x", &[], Err(400)),
        ];
        for (name, uri, headers, want) in cases {
            assert_eq!(read_as(Version::HTTP_2, "GET", uri, headers), *want, "{name}");
        }
        assert_eq!(read_as(Version::HTTP_2, "CONNECT", "a.example:80", &[]), Err(405), "P24");
    }
}
