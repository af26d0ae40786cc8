//! A backend that answers with what it was sent.

use super::http::{Answer, accept, json, read_body, serve_connection};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// Older requests than these are forgotten, so that an echo under load does not grow.
const REMEMBERED: usize = 1000;

/// Answers 200 with a JSON account of each request, and remembers the latest.
#[derive(Debug, Default)]
pub struct Echo {
    state: Mutex<State>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body_length: usize,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    latest: std::collections::VecDeque<Seen>,
}

// === impl Echo ===

impl Echo {
    /// Accepts connections for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let stream = accept(&listener).await;
            let echo = Arc::clone(&self);
            tokio::spawn(async move { serve_connection(stream, |request| echo.answer(request)).await });
        }
    }

    /// How many requests came so far.
    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// The newest request.
    pub fn last(&self) -> Option<Seen> {
        self.state().latest.back().cloned()
    }

    /// The latest requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().latest.iter().cloned().collect()
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let Some(body) = read_body(body).await else { return json(StatusCode::PAYLOAD_TOO_LARGE, &json!({"error": "body"})) };
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body_length: body.len(),
        };
        let answer = json(StatusCode::OK, &seen.to_json());
        self.remember(seen);
        answer
    }

    fn remember(&self, seen: Seen) {
        let mut state = self.state();
        state.count += 1;
        if state.latest.len() == REMEMBERED {
            state.latest.pop_front();
        }
        state.latest.push_back(seen);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seen ===

impl Seen {
    /// A header that came on several lines is a list, otherwise a string.
    pub fn to_json(&self) -> Value {
        let headers: Map<_, _> = self.headers.keys().map(|name| (name.to_string(), self.header(name.as_str()))).collect();
        json!({"method": self.method, "path": self.path, "query": self.query, "headers": headers, "bodyLength": self.body_length})
    }

    fn header(&self, name: &str) -> Value {
        let mut lines: Vec<_> =
            self.headers.get_all(name).iter().map(|value| Value::from(String::from_utf8_lossy(value.as_bytes()))).collect();
        if lines.len() > 1 { Value::from(lines) } else { lines.pop().unwrap_or_default() }
    }
}
