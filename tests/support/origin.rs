//! A backend that says exactly what a test tells it to, and remembers every byte it got.

use super::client::{PATIENCE, find};
use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, timeout},
};

pub struct Origin {
    pub address: SocketAddr,
    state: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

/// What came on one connection.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub ended: bool,
}

/// One connection, in the hands of a script.
pub struct Conversation {
    /// The how-manieth connection this is, from 0.
    pub number: usize,
    stream: TcpStream,
    state: Arc<Mutex<Vec<Received>>>,
    read: usize,
}

// === impl Origin ===

impl Origin {
    /// Runs `script` on every connection; a connection is closed when its script ends.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(script: impl Fn(Conversation) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<Vec<Received>>>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = {
                    let mut all = shared.lock().unwrap();
                    all.push(Received::default());
                    all.len() - 1
                };
                tokio::spawn(script(Conversation { number, stream, state: Arc::clone(&shared), read: 0 }));
            }
        });
        Self { address, state, task }
    }

    /// Answers every request head with these bytes and keeps the connection.
    pub async fn saying(answer: impl AsRef<[u8]>) -> Self {
        let answer = Arc::<[u8]>::from(answer.as_ref());
        Self::start(move |mut conversation| {
            let answer = Arc::clone(&answer);
            async move {
                while conversation.head().await.is_some() {
                    conversation.say(&answer).await;
                }
            }
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().len()
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().clone()
    }

    /// Every byte of every connection.
    pub fn bytes(&self) -> Vec<u8> {
        self.received().concat_bytes()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until what came satisfies `done`.
    pub async fn until(&self, what: &str, done: impl Fn(&[Received]) -> bool) {
        let start = Instant::now();
        while !done(&self.received()) {
            assert!(start.elapsed() < PATIENCE, "not in time: {what}; the origin got {:?}", self.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Concat {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Concat for Vec<Received> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|received| received.bytes.clone()).collect()
    }
}

// === impl Conversation ===

impl Conversation {
    /// The next request head; `None` when the gateway closes first.
    pub async fn head(&mut self) -> Option<String> {
        self.until(b"\r\n\r\n").await
    }

    /// Everything up to and with the next `end`.
    pub async fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            let unread = self.so_far()[self.read..].to_vec();
            if let Some(at) = find(&unread, end) {
                self.read += at + end.len();
                return Some(String::from_utf8_lossy(&unread[..at + end.len()]).into_owned());
            }
            if !self.listen().await {
                return None;
            }
        }
    }

    /// Waits until so many bytes came behind what was asked for before.
    pub async fn bytes(&mut self, count: usize) {
        self.read += count;
        while self.state.lock().unwrap()[self.number].bytes.len() < self.read && self.listen().await {}
    }

    /// Says up to `most` bytes; returns how many, when `patience` has passed without one being taken.
    pub async fn say_until_blocked(&mut self, most: usize, patience: Duration) -> usize {
        let (block, mut sent) = (vec![b'a'; 64 * 1024], 0);
        while sent < most {
            match timeout(patience, self.stream.write(&block)).await {
                Ok(Ok(count)) => sent += count,
                _ => return sent,
            }
        }
        sent
    }

    /// Whether the gateway is gone: it takes nothing any more.
    pub fn is_over(&self) -> bool {
        self.stream.try_write(b"").is_err() || self.stream.take_error().unwrap().is_some() || self.peer_closed()
    }

    fn peer_closed(&self) -> bool {
        matches!(self.stream.try_read(&mut [0; 1]), Ok(0))
    }

    /// Waits until the gateway closes.
    pub async fn end(&mut self) {
        while self.listen().await {}
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
    }

    /// Ends the connection with a reset instead of a farewell.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    fn so_far(&self) -> Vec<u8> {
        self.state.lock().unwrap()[self.number].bytes.clone()
    }

    /// `false`: the gateway has closed.
    async fn listen(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.stream.read(&mut bytes).await.unwrap_or(0);
        let mut all = self.state.lock().unwrap();
        let own = &mut all[self.number];
        own.bytes.extend_from_slice(&bytes[..count]);
        own.ended = count == 0;
        count > 0
    }
}
