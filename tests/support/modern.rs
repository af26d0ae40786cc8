//! Backends that speak HTTP/2, or TLS, by the real server libraries: they answer as a test tells them, and remember what came.

use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::demo::Authority;
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Whom the tests' backends are certified by.
pub static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new().unwrap());

pub struct Modern {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    connections: usize,
    names: Vec<String>,
    seen: Vec<Seen>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The how-manieth connection it came on, from 1.
    pub connection: usize,
    pub version: Version,
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: String,
    pub trailers: Option<HeaderMap>,
}

// === impl Modern ===

impl Modern {
    /// HTTP/2 in the clear; answers 200 `ok`.
    pub async fn h2c() -> Self {
        Self::start(None).await
    }

    /// TLS; answers 200 `ok` over what is agreed on.
    pub async fn https(config: ServerConfig) -> Self {
        Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let (address, task) = listen(move |stream| converse(stream, tls.clone(), Arc::clone(&shared))).await;
        Self { address, state, task }
    }

    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// The names that TLS connections asked for.
    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().names.clone()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl Drop for Modern {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The certificate and protocols of a backend of this name.
pub fn server(name: &str, protocols: &[&str]) -> ServerConfig {
    let mut config = (*AUTHORITY.server(name).unwrap()).clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// Runs `converse` on every connection to a port of its own.
pub async fn listen<F: Future<Output = ()> + Send + 'static>(
    converse: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(converse(stream));
        }
    });
    (address, task)
}

async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let connection = {
        let mut state = state.lock().unwrap();
        state.connections += 1;
        state.connections
    };
    let Some(tls) = tls else { return serve(stream, true, connection, state).await };
    let Ok(stream) = tls.accept(stream).await else { return };
    let (name, h2) = {
        let session = stream.get_ref().1;
        (session.server_name().unwrap_or_default().to_owned(), session.alpn_protocol() == Some(b"h2"))
    };
    state.lock().unwrap().names.push(name);
    serve(stream, h2, connection, state).await;
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, h2: bool, connection: usize, state: Arc<Mutex<State>>) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move {
            let seen = read(connection, request).await;
            state.lock().unwrap().seen.push(seen);
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
        }
    });
    let io = TokioIo::new(io);
    let _ = match h2 {
        true => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
        false => http1::Builder::new().serve_connection(io, service).await,
    };
}

async fn read(connection: usize, request: Request<Incoming>) -> Seen {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.ok();
    let trailers = body.as_ref().and_then(|body| body.trailers().cloned());
    let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    let (version, method, uri, headers) = (parts.version, parts.method.to_string(), parts.uri.to_string(), parts.headers);
    Seen { connection, version, method, uri, headers, body, trailers }
}
