//! An HTTP/1.1 client that sends exactly the bytes it is told to.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything that should happen takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing more comes after this.
pub const SILENCE: Duration = Duration::from_millis(700);

pub struct Client {
    pub stream: TcpStream,
    /// Read, but not asked for yet.
    buffer: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Whether the body came to the end that its framing promised.
    pub complete: bool,
    pub head: String,
}

// === impl Client ===

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A gateway that has closed already has said why.
        let _ = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Host is `api.example.com` unless `headers` name one.
    pub async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(head(method, path, headers)).await;
        self.answer(method == "HEAD").await
    }

    /// The next answer.
    pub async fn answer(&mut self, to_head: bool) -> Answer {
        let mut answer = self.answer_head().await;
        let bodiless = to_head || matches!(answer.status, 204 | 304);
        (answer.body, answer.complete) = match (bodiless, answer.header("transfer-encoding"), answer.header("content-length")) {
            (true, _, _) => (String::new(), true),
            (false, Some(_), _) => self.chunked().await,
            (false, None, Some(length)) => self.sized(length.parse().unwrap()).await,
            (false, None, None) => (self.rest().await, true),
        };
        answer
    }

    pub async fn answer_head(&mut self) -> Answer {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break self.take(end + 4);
            }
            assert!(self.more().await, "the connection ended before an answer; so far: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        Answer::parse(&String::from_utf8_lossy(&head))
    }

    /// At least one more byte of whatever comes.
    pub async fn some(&mut self) -> String {
        if self.buffer.is_empty() {
            assert!(self.more().await, "the connection ended");
        }
        let all = self.buffer.len();
        String::from_utf8_lossy(&self.take(all)).into_owned()
    }

    /// So many bytes.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.more().await, "the connection ended after {} of {count} bytes", self.buffer.len());
        }
        self.take(count)
    }

    /// Everything until the connection ends or is silent.
    pub async fn rest(&mut self) -> String {
        while let Ok(Ok(true)) = timeout(SILENCE, self.read()).await {}
        let all = self.buffer.len();
        String::from_utf8_lossy(&self.take(all)).into_owned()
    }

    /// Whether the gateway closes within `patience`.
    pub async fn is_closed_within(&mut self, patience: Duration) -> bool {
        let ended = async { while let Ok(true) = self.read().await {} };
        timeout(patience, ended).await.is_ok()
    }

    pub async fn is_closed(&mut self) -> bool {
        self.is_closed_within(PATIENCE).await
    }

    async fn sized(&mut self, length: usize) -> (String, bool) {
        while self.buffer.len() < length && self.more().await {}
        let complete = self.buffer.len() >= length;
        let body = self.take(length.min(self.buffer.len()));
        (String::from_utf8_lossy(&body).into_owned(), complete)
    }

    async fn chunked(&mut self) -> (String, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line().await else { return (String::from_utf8_lossy(&body).into_owned(), false) };
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            while self.buffer.len() < size + 2 {
                if !self.more().await {
                    return (String::from_utf8_lossy(&body).into_owned(), false);
                }
            }
            body.extend_from_slice(&self.take(size));
            self.take(2);
            if size == 0 {
                return (String::from_utf8_lossy(&body).into_owned(), true);
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                return Some(String::from_utf8_lossy(&self.take(end + 2)).into_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    async fn more(&mut self) -> bool {
        timeout(PATIENCE, self.read()).await.expect("nothing came in time").unwrap_or(false)
    }

    async fn read(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

// === impl Answer ===

impl Answer {
    fn parse(head: &str) -> Self {
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Self { status, headers, body: String::new(), complete: true, head: head.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A request head. Host is `api.example.com` unless `headers` name one.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = if host { "" } else { "Host: api.example.com\r\n" };
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\n{host}{lines}\r\n")
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
