//! What goes back to the client: nothing, a short text, or the upstream's body as it comes.

use super::{pool::Lease, record::Record};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// An answer's body. The record it carries is closed when the body is: sent whole, or given up.
#[derive(Debug)]
pub(super) struct ResponseBody {
    pub(super) body: AnswerBody,
    pub(super) record: Record,
}

#[derive(Debug)]
pub(super) enum AnswerBody {
    Empty,
    Text(Option<Bytes>),
    Upstream(Box<UpstreamBody>),
}

/// A body on its way from a backend. Its connection goes back to the pool when the body has ended, and is closed when it is
/// given up: the backend then stops, too.
#[derive(Debug)]
pub(super) struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

// === impl AnswerBody ===

impl AnswerBody {
    pub(super) fn text(text: String) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(super) fn upstream(incoming: Incoming, lease: Lease) -> Self {
        let mut body = UpstreamBody { incoming, lease: Some(lease) };
        body.give_back_if_ended();
        Self::Upstream(Box::new(body))
    }
}

// === impl UpstreamBody ===

impl UpstreamBody {
    fn give_back_if_ended(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// Trailers are dropped: a gateway cannot know which of them are safe to merge (RFC 9110 §6.5.1).
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_trailers() => None,
            polled => polled,
        };
        match &polled {
            None => self.give_back(),
            Some(Ok(_)) => self.give_back_if_ended(),
            Some(Err(_)) => drop(self.lease.take()),
        }
        Poll::Ready(polled)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match &mut self.body {
            AnswerBody::Empty => Poll::Ready(None),
            AnswerBody::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            AnswerBody::Upstream(upstream) => upstream.poll_data(cx),
        };
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.record.broke_off();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            AnswerBody::Empty => true,
            AnswerBody::Text(text) => text.is_none(),
            AnswerBody::Upstream(upstream) => upstream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            AnswerBody::Empty => SizeHint::with_exact(0),
            AnswerBody::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            AnswerBody::Upstream(upstream) => upstream.incoming.size_hint(),
        }
    }
}
