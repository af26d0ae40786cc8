//! An issuer over TLS that publishes whatever a test wants, and counts who asks.

use portcullis::demo::Authority;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Gone when dropped.
pub struct Issuer {
    pub ca: String,
    domain: String,
    address: SocketAddr,
    /// Said to every request, head and all; `None`: the connection is closed without a word.
    answer: Arc<Mutex<Option<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

// === impl Issuer ===

impl Issuer {
    pub async fn serving(domain: &str, jwks: String) -> Self {
        let authority = Authority::new().unwrap();
        let acceptor = TlsAcceptor::from(authority.server(domain).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (answer, counter) = (Arc::new(Mutex::new(Some(ok(&jwks)))), Arc::clone(&connections));
        let said = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, SeqCst);
                let answer = said.lock().unwrap().clone();
                if let Some(answer) = answer {
                    tokio::spawn(serve(acceptor.clone(), stream, answer));
                }
            }
        });
        Self { ca: authority.pem(), domain: domain.to_owned(), address, answer, connections, task }
    }

    pub fn publish(&self, jwks: &str) {
        *self.answer.lock().unwrap() = Some(ok(jwks));
    }

    /// Hangs up on everybody.
    pub fn go_away(&self) {
        *self.answer.lock().unwrap() = None;
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// The flag that leads the program here.
    pub fn connect_to(&self) -> String {
        format!("--connect-to={}:443:{}", self.domain, self.address)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, answer: String) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    // Whoever has heard enough hangs up.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn ok(jwks: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{jwks}", jwks.len())
}
