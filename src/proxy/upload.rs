//! A request's body on its way to the backend. It counts how long it waited for the client: that time is the client's, not the
//! backend's.

use super::activity::Activity;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Upload {
    /// `None`: the request has no body.
    incoming: Option<(Incoming, Arc<Activity>)>,
    wait: Wait,
}

/// Time spent waiting for the client, and since when it is waited for now.
#[derive(Clone, Debug, Default)]
pub(super) struct Wait(Arc<Mutex<(Duration, Option<Instant>)>>);

// === impl Upload ===

impl Upload {
    pub(super) fn new(incoming: Incoming, activity: &Arc<Activity>) -> Self {
        let incoming = Some(incoming).filter(|body| !body.is_end_stream());
        if incoming.is_some() {
            activity.upload_began();
        }
        Self { incoming: incoming.map(|body| (body, Arc::clone(activity))), wait: Wait::default() }
    }

    pub(super) fn wait(&self) -> Wait {
        self.wait.clone()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    /// Trailers are dropped: they come after authorisation and could say anything (P52, J96).
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some((incoming, activity)) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        activity.awaits_body(polled.is_pending());
        self.wait.set(polled.is_pending());
        match ready!(polled) {
            Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(None),
            polled => Poll::Ready(polled),
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
        let (total, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        total + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn set(&self, waiting: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (waiting, state.1) {
            (true, None) => state.1 = Some(Instant::now()),
            (false, Some(since)) => *state = (state.0 + since.elapsed(), None),
            _ => {}
        }
    }
}
