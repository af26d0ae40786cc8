//! The right to send one request on one connection.

use super::{
    Patience,
    connect::Connection,
    endpoint::{Endpoint, Idle},
};
use crate::proxy::{dialect, upload::Upload};
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    endpoint: Arc<Endpoint>,
    connection: Option<Connection>,
    /// Another request went over this connection before: it may have died meanwhile.
    pub(in crate::proxy) reused: bool,
    born: Instant,
    patience: Patience,
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// A connection is given up this much earlier than the backend does: a request may be on its way meanwhile.
const MARGIN: Duration = Duration::from_secs(1);

// === impl Lease ===

impl Lease {
    pub(super) fn new(endpoint: Arc<Endpoint>, patience: Patience) -> Self {
        endpoint.began();
        Self { endpoint, connection: None, reused: false, born: Instant::now(), patience }
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Takes a connection that is there. `false`: there is none.
    pub(super) fn take(&mut self) -> bool {
        if let Some(idle) = self.endpoint.take_idle() {
            self.born = idle.born;
            self.connection = Some(Connection::Http1(idle.sender));
        } else if let Some(shared) = self.endpoint.share() {
            shared.began();
            self.connection = Some(Connection::Http2(shared));
        }
        self.reused = self.connection.is_some();
        self.reused
    }

    /// Takes one that was just opened.
    pub(super) fn hold(&mut self, connection: Connection) {
        self.endpoint.opened(&connection);
        if let Connection::Http2(shared) = &connection {
            shared.began();
        }
        (self.born, self.connection) = (Instant::now(), Some(connection));
    }

    /// Takes one that says nothing about how the endpoint is spoken to otherwise.
    pub(super) fn hold_alone(&mut self, connection: Connection) {
        (self.born, self.connection) = (Instant::now(), Some(connection));
    }

    /// # Errors
    /// With the request, when it was not sent at all.
    pub(in crate::proxy) async fn send(
        &mut self,
        mut request: Request<Upload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        let answer = match self.connection.as_mut().expect("a lease holds its connection until it is given back") {
            Connection::Http1(sender) => {
                dialect::to_http1(&mut request);
                sender.try_send_request(request).await
            }
            Connection::Http2(shared) => {
                dialect::to_http2(&mut request, shared.scheme);
                let answer = shared.sender().try_send_request(request).await;
                if answer.is_ok() {
                    shared.answered();
                }
                answer
            }
        };
        if answer.is_ok() {
            self.endpoint.health.succeeded();
        }
        answer
    }

    /// Whether other requests go over its connection, too.
    pub(in crate::proxy) fn is_shared(&self) -> bool {
        matches!(self.connection, Some(Connection::Http2(_)))
    }

    /// No other request is to go over its connection.
    pub(in crate::proxy) fn retire(&self) {
        if let Some(Connection::Http2(shared)) = &self.connection {
            self.endpoint.retire(shared);
        }
    }

    /// Believes a backend that says how long it keeps an idle connection, when that is shorter than we do.
    pub(in crate::proxy) fn heed(&mut self, answer: &HeaderMap) {
        if let Some(timeout) = answer.get(KEEP_ALIVE).and_then(|value| keep_alive_timeout(value.to_str().ok()?)) {
            self.patience.idle = self.patience.idle.min(timeout.saturating_sub(MARGIN));
        }
    }

    pub(in crate::proxy) fn give_back(mut self) {
        let Some(Connection::Http1(sender)) = self.connection.take_if(|connection| matches!(connection, Connection::Http1(_))) else {
            return;
        };
        let until = (Instant::now() + self.patience.idle).min(self.born + self.patience.life);
        if !sender.is_closed() {
            self.endpoint.put_idle(Idle { sender, born: self.born, until });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.ended();
        if let Some(Connection::Http2(shared)) = &self.connection {
            shared.ended();
        }
    }
}

/// `timeout=5, max=100`: in seconds.
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    let mut parameters = value.split(',').filter_map(|parameter| parameter.split_once('='));
    let (_, seconds) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_says_how_long_it_keeps_a_connection() {
        let rows = [
            ("timeout=5", Some(5)),
            ("timeout=5, max=100", Some(5)),
            ("max=100,Timeout = 7", Some(7)),
            ("max=100", None),
            ("timeout=", None),
            ("timeout=-1", None),
            ("timeout=99999999999999999999", None),
            ("5", None),
            ("", None),
        ];
        for (value, want) in rows {
            assert_eq!(keep_alive_timeout(value), want.map(Duration::from_secs), "{value:?}");
        }
    }
}
