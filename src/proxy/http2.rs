//! HTTP/2 from clients (RFC 9113): what the library leaves to its user, and limits that an attacker cannot turn into memory
//! or work (P19-P26). docs/adr/0013 says how they were chosen.

use super::{
    Rejection,
    activity::Activity,
    body::{ResponseBody, silence},
    connection::{Peer, Socket},
    handle::handle,
    record::Record,
    serve::Shutdown,
    streams::{Session, Stream, Streams},
    watched::Watched,
    worker::Worker,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header, request::Parts};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Requests at once on one connection.
const MAX_STREAMS: u32 = 100;
/// As RFC 9113 §6.5.2 counts: names, values, and 32 bytes for each line.
const MAX_HEAD: u32 = 64 * 1024;
/// As many as the library takes in HTTP/1.1.
const MAX_LINES: usize = 100;
/// Bytes of bodies that may come before the backend has taken any: one stream's, and all streams' together.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// Streams that the client has reset before they were looked at, and those that it made us reset.
const MAX_EARLY_RESETS: usize = 20;
const MAX_FORCED_RESETS: usize = 100;
/// A client is asked for a sign of life so often, and has so long to give one.
const ASK_EVERY: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// For a farewell to a client whose patience with us is used up.
const FAREWELL: Duration = Duration::from_millis(500);
/// What is read of a client, and how long, before its connection is closed.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER: usize = 256 * 1024;

impl Worker {
    pub(super) async fn http2<S: Socket>(self: Arc<Self>, mut socket: S, peer: Peer) {
        self.serve_http2(&mut socket, &peer).await;
        let _ = timeout(LINGER, linger(&mut socket)).await;
    }

    async fn serve_http2<S: Socket>(self: &Arc<Self>, socket: S, peer: &Peer) {
        let activity = Activity::new();
        let session = Session::new(self, &activity);
        let io = TokioIo::new(Watched::http2(socket, &activity));
        let service = service_fn(|request| {
            let (worker, peer) = (Arc::clone(self), peer.clone());
            async move { Ok::<_, Infallible>(answer(worker, peer, request).await) }
        });
        let connection = builder(&session).serve_connection(io, service);
        tokio::pin!(connection);
        let mut closing = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut connection => break self.http2_ended(ended, peer, &activity),
                () = session.hopeless() => break,
                () = activity.expired(&self.gateway.settings.timeouts) => {
                    connection.as_mut().graceful_shutdown();
                    // Whether it heard or not.
                    let _ = timeout(FAREWELL, connection).await;
                    break;
                }
                () = self.time_to_leave(&activity), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Returns when the client should be told to go elsewhere (GOAWAY): once it was served, or when no request can come any more.
    async fn time_to_leave(&self, activity: &Activity) {
        let (mut draining, mut closing) = (self.shutdown.clone(), self.shutdown.clone());
        tokio::select! {
            () = async {
                let _ = draining.wait_for(|at| *at >= Shutdown::Draining).await;
                activity.used().await;
            } => {}
            () = async {
                let _ = closing.wait_for(|at| *at >= Shutdown::Closing).await;
                activity.settled().await;
            } => {}
        }
    }

    /// Records a connection that the client made unbearable; any other end is its business.
    fn http2_ended(&self, ended: hyper::Result<()>, peer: &Peer, activity: &Arc<Activity>) {
        let Some(error) = ended.err() else { return };
        let library = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        let reason = library.filter(|error| error.is_library()).and_then(h2::Error::reason);
        let flood = activity.is_flooded() || reason == Some(h2::Reason::ENHANCE_YOUR_CALM);
        if flood || reason.is_some() {
            let rejection = Rejection::BadRequest(if flood { "flood" } else { "frame" });
            Record::refused(&self.gateway, activity, peer.address.ip(), Version::HTTP_2, &rejection);
        }
    }
}

/// Closing before the client has stopped sending would reset the connection, and take a GOAWAY away that it has not read yet.
async fn linger(socket: &mut impl Socket) {
    let _ = socket.shutdown().await;
    let (mut scratch, mut read) = ([0; 4096], 0);
    while read < MAX_LINGER
        && let Ok(count @ 1..) = socket.read(&mut scratch).await
    {
        read += count;
    }
}

fn builder(session: &Arc<Session>) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams(Arc::clone(session)));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_EARLY_RESETS)
        .max_local_error_reset_streams(MAX_FORCED_RESETS)
        .keep_alive_interval(ASK_EVERY)
        .keep_alive_timeout(ANSWER_WITHIN);
    builder
}

async fn answer(worker: Arc<Worker>, peer: Peer, request: Request<Incoming>) -> Response<ResponseBody> {
    let to_head = *request.method() == Method::HEAD;
    // Each is run by `Streams`.
    let stream = Stream::current();
    let (mut parts, body) = request.into_parts();
    let admitted = match stream.as_ref().is_none_or(|stream| stream.has_room()) {
        true => normalize(&mut parts),
        false => Err(Rejection::Overloaded),
    };
    let activity = stream.as_ref().map_or_else(Activity::new, |stream| Arc::clone(&stream.activity));
    let mut response = handle(worker, peer, activity, admitted, Request::from_parts(parts, body)).await;
    // What belongs to an HTTP/1.1 connection alone (RFC 9113 §8.2.2).
    response.headers_mut().remove(header::CONNECTION);
    if to_head {
        silence(&mut response);
    }
    response.map(|body| body.accounted(stream.map(|stream| Arc::clone(&stream.account))))
}

/// Makes of a request what the same one would be in HTTP/1.1.
fn normalize(parts: &mut Parts) -> Result<(), Rejection> {
    join_cookies(&mut parts.headers);
    if parts.headers.len() > MAX_LINES {
        return Err(Rejection::HeadTooLarge);
    }
    match parts.headers.values().any(has_blank_end) {
        true => Err(Rejection::BadRequest("field_value")),
        false => Ok(()),
    }
}

/// P22: one line again (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() < 2 {
        return;
    }
    // Parts of header values make a header value.
    if let Ok(line) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, line);
    }
}

/// P23: malformed, and HTTP/1.1 would lose it on the way (RFC 9113 §8.2.1).
fn has_blank_end(value: &HeaderValue) -> bool {
    let is_blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last())
}
