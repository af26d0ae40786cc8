//! What goes back to the client: nothing, a short text, or the upstream's body as it comes.

use super::{
    Rejection,
    chunk::{Account, Chunk},
    headers,
    pool::Lease,
    record::Record,
    standing::Standing,
    tunnel::Tunnel,
};
use bytes::Bytes;
use http::{Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, upgrade::Upgraded};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// An answer's body. The record it carries is closed when the body is: sent whole, or given up.
#[derive(Debug)]
pub(super) struct ResponseBody {
    body: AnswerBody,
    /// `None`: a [`Tunnel`] has it.
    record: Option<Record>,
    /// Of an HTTP/2 stream.
    account: Option<Arc<Account>>,
}

#[derive(Debug)]
pub(super) enum AnswerBody {
    Empty,
    Text(Option<Bytes>),
    Upstream(Box<UpstreamBody>),
    /// No body: what follows the head is no HTTP.
    Tunnel(Box<Tunnel>),
}

/// A body on its way from a backend. Its connection goes back to the pool when the body has ended, and is closed when it is
/// given up: the backend then stops, too.
#[derive(Debug)]
pub(super) struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
    /// Those of a gRPC call cross: they tell how it ended.
    keeps_trailers: bool,
    term: Option<Box<Term>>,
    /// Set once the body is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// How long an answer may go on.
#[derive(Debug)]
struct Term {
    /// When the token that it was allowed by expires.
    until: Option<Instant>,
    standing: Box<Standing>,
    /// When to look at it again.
    look: Instant,
}

/// Why an answer is not whole. The client's connection then breaks off, too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    #[error("the token has expired")]
    TokenExpired,
    #[error("the same request would be refused now: {0:?}")]
    Withdrawn(Rejection),
}

/// Takes the body of an answer to HEAD away, and leaves its length. The library does so itself in HTTP/1.1.
pub(super) fn silence(response: &mut Response<ResponseBody>) {
    let length = response.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    response.body_mut().body = AnswerBody::Empty;
}

// === impl ResponseBody ===

impl ResponseBody {
    pub(super) fn new(body: AnswerBody, record: Record) -> Self {
        Self { body, record: Some(record), account: None }
    }

    pub(super) fn accounted(self, account: Option<Arc<Account>>) -> Self {
        Self { account, ..self }
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    pub(super) fn text(text: String) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(super) fn upstream(incoming: Incoming, lease: Lease, keeps_trailers: bool) -> Self {
        let mut body = UpstreamBody { incoming, lease: Some(lease), keeps_trailers, term: None, alarm: None };
        body.give_back_if_ended();
        Self::Upstream(Box::new(body))
    }

    pub(super) fn tunnel(upstream: Upgraded, lease: Lease) -> Self {
        Self::Tunnel(Box::new(Tunnel { upstream, lease, until: None, standing: None, record: None }))
    }

    /// Cuts what is still under way at `until` (J99), or soon after `standing` is lost (J100).
    pub(super) fn ending(mut self, until: Option<Instant>, standing: Box<Standing>) -> Self {
        match &mut self {
            Self::Upstream(body) if !body.incoming.is_end_stream() => {
                body.term = Some(Box::new(Term { until, look: Instant::now() + standing.pause(), standing }));
            }
            Self::Tunnel(tunnel) => (tunnel.until, tunnel.standing) = (until, Some(standing)),
            Self::Upstream(_) | Self::Empty | Self::Text(_) => {}
        }
        self
    }
}

// === impl ResponseBody ===

impl ResponseBody {
    /// What goes on when the head is sent; the request is recorded there.
    pub(super) fn take_tunnel(&mut self) -> Option<Tunnel> {
        if !matches!(self.body, AnswerBody::Tunnel(_)) {
            return None;
        }
        let AnswerBody::Tunnel(mut tunnel) = std::mem::replace(&mut self.body, AnswerBody::Empty) else { return None };
        tunnel.record = self.record.take();
        Some(*tunnel)
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

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(broken) = self.term.as_mut().and_then(|term| term.over(Instant::now())) {
            drop(self.lease.take());
            return Poll::Ready(Some(Err(broken)));
        }
        match self.poll_incoming(cx) {
            Poll::Ready(polled) => Poll::Ready(polled.map(|frame| frame.map_err(Broken::from))),
            Poll::Pending => self.poll_alarm(cx).map(|broken| Some(Err(broken))),
        }
    }

    /// Most bodies are never waited for, and so need no timer.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let Some(term) = &mut self.term else { return Poll::Pending };
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(term.next())));
            ready!(alarm.as_mut().poll(cx));
            if let Some(broken) = term.over(Instant::now()) {
                drop(self.lease.take());
                return Poll::Ready(broken);
            }
            alarm.as_mut().reset(term.next());
        }
    }

    /// Trailers are dropped, but a gRPC call's: a gateway cannot know which of them are safe to merge (RFC 9110 §6.5.1).
    fn cleaned(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let mut trailers = frame.into_trailers().ok().filter(|_| self.keeps_trailers)?;
        headers::clean_trailers(&mut trailers);
        Some(Frame::trailers(trailers))
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_trailers() => self.cleaned(frame).map(Ok),
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

// === impl Term ===

impl Term {
    /// Why the answer ends now, if it does.
    fn over(&mut self, now: Instant) -> Option<Broken> {
        if self.until.is_some_and(|until| until <= now) {
            return Some(Broken::TokenExpired);
        }
        if now < self.look {
            return None;
        }
        self.look = now + self.standing.pause();
        self.standing.holds().err().map(Broken::Withdrawn)
    }

    fn next(&self) -> Instant {
        self.until.map_or(self.look, |until| until.min(self.look))
    }
}

impl Body for ResponseBody {
    type Data = Chunk;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Chunk>, Broken>>> {
        if let Some(account) = &self.account {
            ready!(account.poll_room(cx));
        }
        let polled = match &mut self.body {
            AnswerBody::Empty | AnswerBody::Tunnel(_) => Poll::Ready(None),
            AnswerBody::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            AnswerBody::Upstream(upstream) => upstream.poll_data(cx),
        };
        if let Poll::Ready(Some(Err(broken))) = &polled {
            self.record.iter_mut().for_each(|record| record.broke_off(broken));
        }
        if let (Poll::Pending, Some(account)) = (&polled, &self.account) {
            account.awaits_backend();
        }
        polled.map(|polled| polled.map(|frame| frame.map(|frame| frame.map_data(|bytes| Chunk::new(bytes, self.account.as_ref())))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            AnswerBody::Empty | AnswerBody::Tunnel(_) => true,
            AnswerBody::Text(text) => text.is_none(),
            AnswerBody::Upstream(upstream) => upstream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            AnswerBody::Empty | AnswerBody::Tunnel(_) => SizeHint::with_exact(0),
            AnswerBody::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            AnswerBody::Upstream(upstream) => upstream.incoming.size_hint(),
        }
    }
}
