//! HTTP/2 clients: one that behaves (the library's), and one that sends exactly the frames it is told to.

use super::client::PATIENCE;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, StatusCode};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A well-behaved client.
pub struct Polite {
    pub sender: SendRequest<Bytes>,
    pub connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// How it broke off.
    pub error: Option<h2::Error>,
}

/// A client of raw frames.
pub struct Raw {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

// === impl Polite ===

impl Polite {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = timeout(PATIENCE, h2::client::handshake(io)).await.unwrap().unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    pub async fn get(&mut self, uri: &str, headers: &[(&str, &str)]) -> Reply {
        self.request("GET", uri, headers).await
    }

    pub async fn request(&mut self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Reply {
        reply(self.send(request(method, uri, headers)).await).await.unwrap()
    }

    pub async fn send(&mut self, request: Request<()>) -> ResponseFuture {
        let mut ready = timeout(PATIENCE, self.sender.clone().ready()).await.unwrap().unwrap();
        ready.send_request(request, true).unwrap().0
    }
}

pub fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let builder = Request::builder().method(method).uri(uri).version(http::Version::HTTP_11);
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
}

/// The whole answer; the error when the stream or connection ends before one has begun.
pub async fn reply(response: ResponseFuture) -> Result<Reply, h2::Error> {
    let (head, mut body) = timeout(PATIENCE, response).await.expect("an answer in time")?.into_parts();
    let (mut bytes, mut error) = (Vec::new(), None);
    while let Some(data) = timeout(PATIENCE, body.data()).await.expect("a body in time") {
        match data {
            Ok(data) => {
                let _ = body.flow_control().release_capacity(data.len());
                bytes.extend_from_slice(&data);
            }
            Err(broken) => {
                error = Some(broken);
                break;
            }
        }
    }
    Ok(Reply { status: head.status, headers: head.headers, body: String::from_utf8_lossy(&bytes).into_owned(), error })
}

// === impl Reply ===

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

// === impl Raw ===

impl Raw {
    /// Connected, with the preface and these settings sent.
    pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::bare(address).await;
        let payload: Vec<_> = settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        raw.send([PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await;
        raw
    }

    /// Connected, and nothing more.
    pub async fn bare(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Whether the gateway has closed; what came until then is lost.
    pub fn is_closed(&self) -> bool {
        let mut scratch = [0; 4096];
        loop {
            match self.stream.try_read(&mut scratch) {
                Ok(count) if count > 0 => {}
                Ok(_) => return true,
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// `false`: the gateway takes nothing more.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        matches!(timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await, Ok(Ok(())))
    }

    /// A GET without a body.
    pub async fn get(&mut self, stream: u32, path: &str) -> bool {
        self.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", path, &[]))).await
    }

    /// The next frame; `None` when the gateway has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read()).await.expect("a frame in time")
    }

    /// The next frame of that kind.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads to the end; the code of the last GOAWAY, when there was one.
    pub async fn goodbye(&mut self, patience: Duration) -> Option<u32> {
        let mut code = None;
        let all = async {
            while let Some(frame) = self.read().await {
                if frame.kind == GOAWAY {
                    code = Some(frame.code());
                }
            }
        };
        timeout(patience, all).await.expect("the connection is closed");
        code
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let length = u32::from_be_bytes([0, *self.buffer.first()?, *self.buffer.get(1)?, *self.buffer.get(2)?]) as usize;
        if self.buffer.len() < 9 + length {
            return None;
        }
        let bytes: Vec<_> = self.buffer.drain(..9 + length).collect();
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
        Some(Frame { kind: bytes[3], flags: bytes[4], stream, payload: bytes[9..].to_vec() })
    }
}

// === impl Frame ===

impl Frame {
    /// Of GOAWAY or RST_STREAM: the last four bytes of their fixed part.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block without compression (RFC 7541 §6.2.2), for `api.example.com`.
pub fn head(method: &str, path: &str, lines: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "https"), (":authority", "api.example.com"), (":path", path)];
    pseudo.iter().chain(lines).flat_map(|(name, value)| literal(name, value)).collect()
}

pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &integer(name.len()), name.as_bytes(), &integer(value.len()), value.as_bytes()].concat()
}

/// RFC 7541 §5.1, with a prefix of seven bits.
pub fn integer(mut number: usize) -> Vec<u8> {
    if number < 127 {
        return vec![u8::try_from(number).unwrap()];
    }
    let mut bytes = vec![127];
    number -= 127;
    while number >= 128 {
        bytes.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}
