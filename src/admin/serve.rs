//! A small HTTP server: GET a path, get a text.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use crate::telemetry::Metrics;

/// What a path answers: a status, a media type and a text. `None`: 404.
pub trait Answer: Send + Sync + 'static {
    fn answer(&self, path: &str) -> Option<(StatusCode, &'static str, String)>;
}

/// `/livez`, `/readyz` and `/metrics`.
#[derive(Debug)]
pub struct Admin {
    pub metrics: Arc<Metrics>,
    /// True once the first table is in service and its key sources were tried.
    pub ready: watch::Receiver<bool>,
    /// True once the process was told to stop.
    pub draining: watch::Receiver<bool>,
}

/// Probes and scrapes need a few.
pub(super) const MOST_CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const TEXT: &str = "text/plain; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Answer for Admin {
    /// Liveness looks at this process alone: an API server or an issuer that is away is no reason to restart.
    fn answer(&self, path: &str) -> Option<(StatusCode, &'static str, String)> {
        let not_ready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n"));
        match path {
            "/livez" => Some((StatusCode::OK, TEXT, "ok\n".to_owned())),
            "/readyz" if *self.draining.borrow() => Some(not_ready("draining")),
            "/readyz" if !*self.ready.borrow() => {
                Some(not_ready("waiting for the first full view of the resources, or for the keys that it needs"))
            }
            "/readyz" => Some((StatusCode::OK, TEXT, "ok\n".to_owned())),
            "/metrics" => Some((StatusCode::OK, OPENMETRICS, self.metrics.encode())),
            _ => None,
        }
    }
}

/// Serves until the listener's task is dropped. What comes beyond [`MOST_CONNECTIONS`] waits in the kernel's queue: open files and
/// memory belong to the data port (K27).
pub async fn serve(listener: TcpListener, answers: Arc<dyn Answer>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(connection(socket, Arc::clone(&answers), place))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, answers: Arc<dyn Answer>, _place: OwnedSemaphorePermit) {
    let service = service_fn(|request| {
        let response = respond(&*answers, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let server =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).serve_connection(TokioIo::new(socket), service);
    // A probe that went away needs no answer.
    let _ = server.await;
}

fn respond(answers: &dyn Answer, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = readable.then(|| answers.answer(request.uri().path())).flatten();
    let (status, media, text) = answer.unwrap_or_else(|| (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()));
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
