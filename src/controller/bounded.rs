//! A kube client whose answers begin, and go on, within a deadline, and whose lists are paced.
//!
//! kube 5 puts no deadline on reading: a list, or the start of a watch, on a connection whose other end has gone would wait
//! until TCP gives up, a quarter of an hour later (K06, K07). The client's own `read_timeout` would break idle watches.

use super::health::{Health, Heard};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kube::{Client, Error, client::Body};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tower_service::Service;

/// To the head of an answer. A page of 500 objects from a busy server takes seconds.
const HEAD: Duration = Duration::from_secs(15);
/// Between two pieces of an answer: longer than a watch may be silent before its own timeout ends it.
const SILENCE: Duration = Duration::from_secs(45);

/// From one list to the next, whatever goes wrong in between (K19). Further pages of one list do not wait.
const LISTS: Duration = Duration::from_millis(500);

/// Which watch of [`Health`] a client feeds.
pub(super) type Pick = fn(&Health) -> &Heard;

/// [`bounded_at`], with half a second between lists.
pub(super) fn bounded(client: Client, health: Arc<Health>, pick: Pick) -> Client {
    bounded_at(client, health, pick, LISTS)
}

/// `client` with both deadlines, and `pace` between the beginnings of its lists. Every piece of a successful answer, bookmarks included, is noted as heard, and so is its end; a
/// refusal is not: what it says is no news of the cluster.
pub(super) fn bounded_at(client: Client, health: Arc<Health>, pick: Pick, pace: Duration) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Bounded { client, pace, next_list: Instant::now(), health, pick }, namespace)
}

struct Bounded {
    client: Client,
    pace: Duration,
    /// No list before.
    next_list: Instant,
    health: Arc<Health>,
    pick: Pick,
}

/// The body of an answer that must not fall silent.
struct Lively {
    body: Body,
    /// Nothing of this answer was a refusal.
    good: bool,
    silence: Pin<Box<Sleep>>,
    health: Arc<Health>,
    pick: Pick,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

// === impl Bounded ===

impl Service<Request<Body>> for Bounded {
    type Response = Response<Lively>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Lively>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (client, health, pick, turn) = (self.client.clone(), Arc::clone(&self.health), self.pick, self.turn(&request));
        Box::pin(async move {
            sleep_until(turn).await;
            let late = |_| Error::Service(format!("no answer within {HEAD:?}").into());
            let response = timeout(HEAD, client.send(request)).await.map_err(late)??;
            let good = response.status().is_success();
            Ok(response.map(|body| Lively { body, good, silence: Box::pin(sleep(SILENCE)), health, pick }))
        })
    }
}

impl Bounded {
    /// When this request may go.
    fn turn(&mut self, request: &Request<Body>) -> Instant {
        let now = Instant::now();
        if !is_list(request) {
            return now;
        }
        let turn = now.max(self.next_list);
        self.next_list = turn + self.pace;
        turn
    }
}

/// Whether this asks for the first page of a list.
fn is_list(request: &Request<Body>) -> bool {
    let parameters = request.uri().query().unwrap_or_default().split('&');
    !parameters.into_iter().any(|parameter| parameter.starts_with("watch=") || parameter.starts_with("continue="))
}

// === impl Lively ===

impl Lively {
    fn note<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>) {
        self.good &= frame.is_none_or(|frame| frame.as_ref().is_ok_and(|frame| !is_error_event(frame)));
        if self.good {
            (self.pick)(&self.health).now();
        }
        self.silence.as_mut().reset(Instant::now() + SILENCE);
    }
}

/// A watch is answered with 200 before it is known whether it can be served; an event says when it cannot.
fn is_error_event(frame: &Frame<Bytes>) -> bool {
    frame.data_ref().is_some_and(|data| data.starts_with(br#"{"type":"ERROR""#))
}

impl HttpBody for Lively {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.note(frame.as_ref());
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Some(Err(format!("silent for {SILENCE:?}").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Lively {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lively").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
