//! The access log: one line per request on standard output, written by a thread of its own so that no request waits for it.

use crate::routing::RuleId;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, UNIX_EPOCH},
};

/// One request. Borrowed: it lives as long as it takes to write it.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// Since the Unix epoch.
    pub time: Duration,
    pub client: IpAddr,
    pub method: &'a str,
    pub protocol: &'static str,
    pub host: &'a str,
    /// Canonical, without the query: queries hold secrets.
    pub path: &'a str,
    pub status: u16,
    pub reason: &'static str,
    pub blame: Option<&'static str>,
    pub message: Option<&'a str>,
    pub rule: Option<&'a RuleId>,
    pub upstream: Option<SocketAddr>,
    pub request_id: &'a str,
    /// To the response head.
    pub latency: Duration,
    /// To the end of the response body.
    pub duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
}

/// Hands lines to the writing thread. When that cannot keep up, lines are dropped and counted, and requests go on.
#[derive(Clone, Debug)]
pub struct AccessLog {
    format: Format,
    /// `None` is the last.
    lines: Option<SyncSender<Option<String>>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Lines that may wait to be written.
const QUEUE: usize = 16 * 1024;
/// Bytes that may: what a client writes into its requests must not decide about our memory (K27).
const QUEUE_BYTES: usize = 4 << 20;

/// Bytes of a method in a line; no longer one is served.
pub const MAX_METHOD: usize = 64;
/// Bytes of a path in a line.
pub const MAX_PATH: usize = 2048;

/// The beginning of `text`: at most `most` bytes, in whole characters.
pub fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    time: String,
    client: IpAddr,
    method: &'a str,
    protocol: &'static str,
    host: &'a str,
    path: &'a str,
    status: u16,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blame: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<SocketAddr>,
    request_id: &'a str,
    latency_ms: f64,
    duration_ms: f64,
}

// === impl AccessLog ===

impl AccessLog {
    /// # Errors
    /// When the writing thread cannot be started.
    pub fn start(format: Format, output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let waiting = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&waiting);
        let writer = thread::Builder::new().name("access-log".into()).spawn(move || write_all(&receiver, &written, output))?;
        let writer = Arc::new(Mutex::new(Some(writer)));
        Ok(Self { format, lines: Some(sender), waiting, dropped: Counter::default(), writer })
    }

    /// A log that nobody reads, for tests.
    pub fn off() -> Self {
        Self { format: Format::Json, lines: None, waiting: Arc::default(), dropped: Counter::default(), writer: Arc::default() }
    }

    pub fn write(&self, line: &AccessLine<'_>) {
        let Some(lines) = &self.lines else { return };
        let text = match self.format {
            Format::Json => line.json(),
            Format::Text => line.text(),
        };
        let size = text.capacity();
        let fits = self.waiting.fetch_add(size, Relaxed) + size <= QUEUE_BYTES;
        if !fits || lines.try_send(Some(text)).is_err() {
            self.waiting.fetch_sub(size, Relaxed);
            self.dropped.inc();
        }
    }

    /// Counts the lines lost because the output was too slow.
    pub fn dropped(&self) -> &Counter {
        &self.dropped
    }

    /// Waits until everything is written; what other clones write later is lost.
    pub fn finish(self) {
        // A writer that has ended takes no last line.
        let _ = self.lines.map(|lines| lines.send(None));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has nothing left to write.
            let _ = writer.join();
        }
    }
}

// === impl AccessLine ===

impl AccessLine<'_> {
    fn json(&self) -> String {
        let json = Json {
            time: self.timestamp(),
            client: self.client,
            method: self.method,
            protocol: self.protocol,
            host: self.host,
            path: self.path,
            status: self.status,
            reason: self.reason,
            blame: self.blame,
            message: self.message,
            object: self.rule.map(|rule| format!("{}/{}", rule.namespace, rule.name)),
            rule: self.rule.map(|rule| &*rule.rule),
            upstream: self.upstream,
            request_id: self.request_id,
            latency_ms: millis(self.latency),
            duration_ms: millis(self.duration),
        };
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Paths and hosts are canonical and hold no control character; methods are tokens: no line can be forged.
    fn text(&self) -> String {
        let rule = self.rule.map_or_else(|| "-".to_owned(), RuleId::to_string);
        let upstream = self.upstream.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let message = self.message.map(|message| format!(" {message:?}")).unwrap_or_default();
        let (time, latency) = (self.timestamp(), millis(self.latency));
        let (client, method, host, path) = (self.client, self.method, or_dash(self.host), or_dash(self.path));
        let (status, reason, id, protocol) = (self.status, self.reason, self.request_id, self.protocol);
        format!("{time} {client} {method} {host} {path} {status} {reason} {rule} {upstream} {latency}ms {protocol} {id}{message}")
    }

    fn timestamp(&self) -> String {
        humantime::format_rfc3339_millis(UNIX_EPOCH + self.time).to_string()
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Milliseconds to three decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Flushes whenever nothing waits.
fn write_all(lines: &Receiver<Option<String>>, waiting: &AtomicUsize, output: impl Write) {
    let mut output = io::BufWriter::new(output);
    let mut last = false;
    while !last && let Ok(line) = lines.recv() {
        let all = std::iter::once(line).chain(lines.try_iter());
        let mut lines = all.map_while(|line| {
            line.or_else(|| {
                last = true;
                None
            })
        });
        // A closed standard output ends the log, never the gateway.
        let written: io::Result<()> = lines.try_for_each(|line| {
            waiting.fetch_sub(line.capacity(), Relaxed);
            writeln!(output, "{line}")
        });
        if written.and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
