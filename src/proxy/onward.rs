//! What the backend is asked: the same request, cleaned, under the path that was routed on.

use super::{Rejection, connection::Peer, headers, target::Target, upload::Upload, worker::Worker};
use crate::routing::{CanonicalPath, Rewrite, Upstream};
use http::{HeaderName, HeaderValue, Request, Uri, Version, header, request::Parts, uri::PathAndQuery};
use std::sync::Arc;

/// What the backend is asked for.
pub(super) struct Asked<'a> {
    pub(super) authority: &'a str,
    pub(super) uri: Uri,
    /// The header that held the token, or could have.
    pub(super) verified: Option<&'a HeaderName>,
}

pub(super) fn upstream_request(worker: &Worker, peer: &Peer, mut parts: Parts, body: Upload, asked: Asked<'_>) -> Request<Upload> {
    let Asked { authority, uri, verified } = asked;
    let settings = &worker.gateway.settings;
    // P46: an answer's trailers are what a gRPC call is about, and of nothing else.
    let wants_trailers = body.has_trailers();
    headers::clean_request(&mut parts.headers, settings.client_address.trusts(peer.address.ip()), verified);
    if wants_trailers {
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers::set_forwarding(&mut parts.headers, peer, authority, &via(parts.version, &settings.via));
    if let Ok(host) = HeaderValue::from_str(authority) {
        parts.headers.insert(header::HOST, host);
    }
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers;
    request
}

/// How the request came, and to whom (RFC 9110 §7.6.3).
fn via(version: Version, name: &str) -> String {
    let version = if version == Version::HTTP_2 { "2.0" } else { "1.1" };
    format!("{version} {name}")
}

/// The canonical host, and the port as the client gave it.
pub(super) fn authority(target: &Target<'_>) -> String {
    let port = target.authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.is_empty() && !port.contains(']'));
    match port {
        Some(port) => format!("{}:{port}", target.host.as_str()),
        None => target.host.as_str().to_owned(),
    }
}

/// The canonical path (rewritten when the rule says so) and the query as it came.
pub(super) fn upstream_uri(upstream: &Upstream, path: &CanonicalPath<'_>, query: Option<&str>) -> Result<Uri, Rejection> {
    let rewritten = upstream.rewrite.as_ref().map(|rewrite| rewritten(rewrite, path));
    let path = rewritten.as_deref().unwrap_or(path.as_sent());
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    PathAndQuery::try_from(target).map(Uri::from).map_err(|_| Rejection::BadRequest("query"))
}

/// A prefix was matched in the form that is routed on, and is replaced in the one that is sent.
fn rewritten(rewrite: &Rewrite, path: &CanonicalPath<'_>) -> String {
    match rewrite {
        Rewrite::Replace(with) => with.to_string(),
        Rewrite::ReplacePrefix { matched, with } => {
            let matched = path.sent_length(*matched);
            Rewrite::ReplacePrefix { matched, with: Arc::clone(with) }.apply(path.as_sent())
        }
    }
}
