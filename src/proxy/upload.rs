//! A request's body on its way to the backend. It counts how long it waited for the client: that time is the client's, not the
//! backend's.

use super::{Rejection, activity::Activity, grpc::Trailers};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Upload {
    /// `None`: the request has no body.
    incoming: Option<(Incoming, Arc<Activity>)>,
    /// Bytes that may still come; `None`: any number.
    left: Option<u64>,
    /// Of a gRPC call: what of its trailers may cross, and that the answer's are wanted.
    trailers: Option<Trailers>,
    wait: Wait,
}

/// Why a request's body is not whole. The request to the backend then breaks off, too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfinished {
    #[error(transparent)]
    Client(#[from] hyper::Error),
    #[error("the body is longer than the rule allows")]
    TooLarge,
}

/// How the client keeps the backend waiting.
#[derive(Clone, Debug, Default)]
pub(super) struct Wait(Arc<Mutex<Waited>>);

#[derive(Debug, Default)]
struct Waited {
    total: Duration,
    /// Since when the client is waited for now.
    since: Option<Instant>,
    /// The body broke off, or is none.
    broken: bool,
    /// It is longer than the rule allows.
    too_large: bool,
}

// === impl Upload ===

impl Upload {
    pub(super) fn new(incoming: Incoming, activity: &Arc<Activity>) -> Self {
        let incoming = Some(incoming).filter(|body| !body.is_end_stream());
        if incoming.is_some() {
            activity.upload_began();
        }
        Self { incoming: incoming.map(|body| (body, Arc::clone(activity))), left: None, trailers: None, wait: Wait::default() }
    }

    /// Lets no more than `most` bytes through.
    ///
    /// # Errors
    /// 413 when the client has said already that there will be more.
    pub(super) fn limited(mut self, most: Option<u64>) -> Result<Self, Rejection> {
        if most.is_some_and(|most| self.size_hint().lower() > most) {
            return Err(Rejection::BodyTooLarge);
        }
        self.left = most;
        Ok(self)
    }

    pub(super) fn with_trailers(mut self, trailers: Option<Trailers>) -> Self {
        self.trailers = trailers;
        self
    }

    pub(super) fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    pub(super) fn wait(&self) -> Wait {
        self.wait.clone()
    }
}

impl Upload {
    fn cleaned(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let (mut trailers, policy) = (frame.into_trailers().ok()?, self.trailers.as_ref()?);
        policy.clean(&mut trailers);
        Some(Frame::trailers(trailers))
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Unfinished> {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.map(|left| left.checked_sub(length)) {
            Some(None) => {
                self.wait.lock().too_large = true;
                Err(Unfinished::TooLarge)
            }
            left => {
                self.left = left.flatten();
                Ok(frame)
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Unfinished;

    /// Trailers are dropped, but a gRPC call's: they come after authorisation and could say anything (P52, J96).
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        let Some((incoming, activity)) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        activity.awaits_body(polled.is_pending());
        self.wait.set(polled.is_pending());
        match ready!(polled) {
            Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(self.cleaned(frame).map(Ok)),
            Some(Ok(frame)) => Poll::Ready(Some(self.take(frame))),
            Some(Err(error)) => {
                self.wait.breaks();
                Poll::Ready(Some(Err(error.into())))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(|(incoming, _)| incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), |(incoming, _)| incoming.size_hint())
    }
}

/// A body that was given up no longer waits for anybody.
impl Drop for Upload {
    fn drop(&mut self) {
        self.wait.set(false);
        if let Some((_, activity)) = &self.incoming {
            activity.awaits_body(false);
            activity.upload_ended();
        }
    }
}

// === impl Wait ===

impl Wait {
    pub(super) fn total(&self) -> Duration {
        let waited = self.lock();
        waited.total + waited.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Why the backend was not asked to the end, when that is the body's fault.
    pub(super) fn explain(&self, rejection: Rejection) -> Rejection {
        if self.lock().too_large { Rejection::BodyTooLarge } else { rejection }
    }

    /// Whether it is the client's fault when a request did not arrive.
    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    fn set(&self, waiting: bool) {
        let mut waited = self.lock();
        match (waiting, waited.since) {
            (true, None) => waited.since = Some(Instant::now()),
            (false, Some(since)) => {
                waited.total += since.elapsed();
                waited.since = None;
            }
            _ => {}
        }
    }

    fn breaks(&self) {
        self.lock().broken = true;
    }

    fn lock(&self) -> MutexGuard<'_, Waited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
