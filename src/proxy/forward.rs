//! Sends an authorised request to one of the backend's pods. Only a [`Permit`] opens this door.

use super::{
    body::AnswerBody,
    headers,
    pool::{ConnectError, Lease, Peers, Pool},
    reject::Rejection,
    upload::{Upload, Wait},
    websocket::{self, Handshake},
    worker::Worker,
};
use crate::{
    authz::Permit,
    routing::{EndpointSet, Upstream},
};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body as _;
use hyper::body::Incoming;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// One request's way to a backend.
struct Attempt {
    /// Not again: it did not take the connection.
    avoid: Option<SocketAddr>,
    /// Not on an idle connection again: one was dead.
    fresh: bool,
    left: u8,
}

/// Another endpoint once, and a fresh connection once.
const ATTEMPTS: u8 = 3;

enum Failure {
    /// Nothing was sent: any request may try another endpoint.
    NotConnected(Request<Upload>, ConnectError),
    /// The connection had died before anything was sent on it, or the backend says that it did nothing with the request. With
    /// whether the connection is one that carries one request at a time.
    NotTaken(Request<Upload>, bool),
    /// Broken on the way. With a copy when the request may be sent again.
    Broken(Option<Request<Upload>>, Rejection),
}

/// Forwards, and reports each chosen endpoint through `chosen`.
///
/// # Errors
/// 503 without a ready endpoint, 502 when none takes the request or answers, 504 after `upstream.timeout`, which counts from
/// now to the response head, retries included, but not while the client is still sending its body.
pub(super) async fn forward(
    worker: &Worker,
    _permit: Permit,
    request: Request<Upload>,
    upstream: &Upstream,
    handshake: Option<&Handshake>,
    chosen: &mut Option<SocketAddr>,
) -> Result<Response<AnswerBody>, Rejection> {
    let (wait, keeps_trailers) = (request.body().wait(), request.body().has_trailers());
    let start = Instant::now();
    let exchanged = within(upstream.timeout, &wait, exchange(worker, request, upstream, chosen)).await;
    if let (Err(Rejection::UpstreamTimeout), Some(address)) = (&exchanged, *chosen) {
        worker.pool.timed_out(&worker.pool.peers(&upstream.transport), address, start);
    }
    let (mut response, lease) = exchanged?;
    if let Some(handshake) = handshake.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        handshake.check(response.headers())?;
        return switched(response, lease).await;
    }
    check_response(&response)?;
    // Our own, or a client would take a body that breaks off for one that ends with the connection.
    *response.version_mut() = Version::HTTP_11;
    headers::clean_response(response.headers_mut());
    Ok(response.map(|body| AnswerBody::upstream(body, lease, keeps_trailers)))
}

/// What stands behind the backend now.
///
/// # Errors
/// 503 when nothing does.
pub(super) fn endpoints(worker: &Worker, upstream: &Upstream) -> Result<Arc<EndpointSet>, Rejection> {
    let endpoints = worker.gateway.live.endpoints_of(&upstream.backend);
    endpoints.filter(|endpoints| !endpoints.addresses().is_empty()).ok_or(Rejection::NoEndpoint)
}

/// The backend has switched: from here on the connection is no HTTP.
async fn switched(mut response: Response<Incoming>, lease: Lease) -> Result<Response<AnswerBody>, Rejection> {
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(|_| Rejection::Upstream("closed"))?;
    headers::clean_response(response.headers_mut());
    websocket::switch(response.headers_mut());
    Ok(response.map(|_| AnswerBody::tunnel(upgraded, lease)))
}

/// One line of digits, or none: the library looks at it only where a body follows.
fn length_is_clear(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    lengths.next().is_none_or(is_number) && lengths.next().is_none()
}

/// What the library lets pass but nobody can read in one way only (requirements F).
fn check_response(response: &Response<Incoming>) -> Result<(), Rejection> {
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    let coding_is_clear = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked") && response.version() == Version::HTTP_11,
        (Some(_), Some(_)) => false,
    };
    match response.status() {
        // P50: nobody asked for it.
        StatusCode::SWITCHING_PROTOCOLS => Err(Rejection::Upstream("unsolicited_101")),
        status if status.as_u16() < 600 && coding_is_clear && length_is_clear(response.headers()) => Ok(()),
        _ => Err(Rejection::Upstream("invalid_response")),
    }
}

async fn exchange(
    worker: &Worker,
    mut request: Request<Upload>,
    upstream: &Upstream,
    chosen: &mut Option<SocketAddr>,
) -> Result<(Response<Incoming>, Lease), Rejection> {
    let endpoints = endpoints(worker, upstream)?;
    let peers = worker.pool.peers(&upstream.transport);
    let mut attempt = Attempt { avoid: None, fresh: false, left: ATTEMPTS };
    let mut last = Rejection::NoEndpoint;
    while let Some(address) = worker.pool.choose(&peers, endpoints.addresses(), attempt.avoid, worker.random()) {
        *chosen = Some(address);
        let failure = match send(&worker.pool, &peers, address, attempt.fresh, request).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        (request, last) = attempt.next(address, failure)?;
    }
    let _ = request;
    Err(last)
}

async fn send(
    pool: &Pool,
    peers: &Peers,
    address: SocketAddr,
    fresh: bool,
    request: Request<Upload>,
) -> Result<(Response<Incoming>, Lease), Failure> {
    // Only a WebSocket's request still has the header.
    let leased = match request.headers().contains_key(UPGRADE) {
        true => pool.lease_alone(peers, address).await,
        false => pool.lease(peers, address, fresh).await,
    };
    let mut lease = match leased {
        Ok(lease) => lease,
        Err(error) => return Err(Failure::NotConnected(request, error)),
    };
    let copy = (lease.reused || lease.is_shared()).then(|| copy(&request)).flatten();
    let wait = request.body().wait();
    match lease.send(request).await {
        Ok(response) => {
            lease.heed(response.headers());
            Ok((response, lease))
        }
        Err(mut error) => {
            if h2_error(error.error()).is_none_or(|error| !error.is_reset()) {
                lease.retire();
            }
            let alone = !lease.is_shared();
            Err(match (error.take_message(), copy) {
                (Some(request), _) => Failure::NotTaken(request, alone),
                (None, Some(copy)) if was_refused(error.error()) => Failure::NotTaken(copy, alone),
                (None, copy) => {
                    let rejection = broken(error.error(), &wait);
                    // An old connection may have died of age.
                    if !lease.reused && matches!(rejection, Rejection::Upstream(_)) {
                        pool.failed(peers, address);
                    }
                    Failure::Broken(copy.filter(|copy| lease.reused && is_idempotent(copy)), rejection)
                }
            })
        }
    }
}

/// A deadline that moves while the client keeps the backend waiting.
async fn within<T>(timeout: Duration, wait: &Wait, exchange: impl Future<Output = Result<T, Rejection>>) -> Result<T, Rejection> {
    let start = Instant::now();
    let late = async {
        loop {
            let deadline = start + timeout + wait.total();
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    };
    tokio::select! {
        done = exchange => done,
        () = late => Err(Rejection::UpstreamTimeout),
    }
}

// === impl Attempt ===

impl Attempt {
    /// What to try next, and the answer when there is nothing left to try.
    fn next(&mut self, address: SocketAddr, failure: Failure) -> Result<(Request<Upload>, Rejection), Rejection> {
        self.left -= 1;
        let (request, rejection) = match failure {
            Failure::NotConnected(_, ConnectError::Busy) => (None, Rejection::UpstreamLimit),
            Failure::NotConnected(request, error) if self.avoid.is_none() => {
                self.avoid = Some(address);
                (Some(request), Rejection::Upstream(error.reason()))
            }
            Failure::NotConnected(_, error) => (None, Rejection::Upstream(error.reason())),
            Failure::NotTaken(request, alone) => {
                // A shared connection is retired: the next one is another anyhow, and all that it carried may share it.
                self.fresh = alone;
                (Some(request), Rejection::Upstream("closed"))
            }
            Failure::Broken(copy, rejection) => {
                self.fresh = true;
                (copy, rejection)
            }
        };
        match request {
            Some(request) if self.left > 0 => Ok((request, rejection)),
            _ => Err(rejection),
        }
    }
}

/// A copy to send again when a connection turns out to be dead, or the backend did not begin with the request: only without a
/// body.
fn copy(request: &Request<Upload>) -> Option<Request<Upload>> {
    if !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Upload::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// RFC 9110 §9.2.2.
fn is_idempotent(request: &Request<Upload>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

/// Whether the backend says that it has not begun with the request (RFC 9113 §8.7): it refused the stream, or said goodbye and
/// that it will not serve it.
fn was_refused(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

fn broken(error: &hyper::Error, wait: &Wait) -> Rejection {
    match (error, h2_error(error)) {
        // The client's body broke off or was no body: its fault, and its connection is done.
        (error, _) if wait.is_broken() || error.is_user() || error.is_body_write_aborted() => Rejection::BadRequest("body"),
        // What it sent is no HTTP/2.
        (_, Some(error)) if error.is_library() => Rejection::Upstream("invalid_response"),
        (_, Some(error)) if error.is_go_away() || error.is_io() => Rejection::Upstream("closed"),
        (error, _) if error.is_parse() => Rejection::Upstream("invalid_response"),
        (error, _) if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => Rejection::Upstream("closed"),
        _ => Rejection::Upstream("reset"),
    }
}
