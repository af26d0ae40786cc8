//! Fetches from real TLS servers on loopback that behave badly.

use super::script::capture_logs;
use crate::{
    demo::Authority,
    jwks::{ConnectTo, Connector, Fetch, FetchError, FetchFailure, Fetcher, PrivateIssuers},
    jwt::ProviderId,
};
use rcgen::CertificateParams;
use rustls::ServerConfig;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub(super) const NAME: &str = "issuer.example.com";
pub(super) const KEYS: &str = r#"{"keys":[]}"#;

/// Answers every connection alike, and counts them.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    pub(super) ca: String,
}

impl Server {
    /// A server with a good certificate, which sends `answer` to whatever is asked.
    pub(super) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                // A client that has read enough hangs up.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    async fn start<F>(behave: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let authority = Authority::new().unwrap();
        Self::start_with(authority.server(NAME).unwrap(), authority.pem(), behave).await
    }

    async fn start_with<F>(tls: Arc<ServerConfig>, ca: String, behave: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (counter, behave, acceptor) = (Arc::clone(&connections), Arc::new(behave), TlsAcceptor::from(tls));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (acceptor, behave) = (acceptor.clone(), Arc::clone(&behave));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    read_head(&mut stream).await;
                    behave(stream).await;
                });
            }
        });
        Self { address, connections, ca }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Fetches `https://issuer.example.com/keys`, which leads here.
    async fn fetch(&self) -> Result<String, FetchFailure> {
        fetch(&format!("https://{NAME}/keys"), Some(&self.ca), Some(&format!("{NAME}:443:{}", self.address)), "").await
    }
}

async fn read_head(stream: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap_or(b'\n'));
    }
    String::from_utf8(head).unwrap()
}

async fn fetch(url: &str, ca: Option<&str>, connect_to: Option<&str>, private: &str) -> Result<String, FetchFailure> {
    let rules: Vec<ConnectTo> = connect_to.into_iter().map(|rule| rule.parse().unwrap()).collect();
    let fetcher = Fetcher::new(Connector::new(rules, private.parse::<PrivateIssuers>().unwrap()).unwrap());
    let id = ProviderId { jwks_url: url.into(), ca_bundle: ca.map(Into::into) };
    fetcher.fetch(&id).await.map(|document| String::from_utf8(document.to_vec()).unwrap())
}

pub(super) fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(super) fn failed(error: FetchError) -> Result<String, FetchFailure> {
    Err(FetchFailure { error, retry_after: None })
}

#[tokio::test]
async fn a_document_comes_whole_whatever_its_content_type() {
    for (name, answer) in [
        ("length", response("200 OK\r\nContent-Type: text/plain", KEYS)),
        ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"key\r\n6\r\ns\":[]}\r\n0\r\n\r\n".to_vec()),
        ("until close", format!("HTTP/1.1 200 OK\r\n\r\n{KEYS}").into_bytes()),
        ("identity", response("200 OK\r\nContent-Encoding: identity", KEYS)),
        ("nearly too large", response("200 OK", &" ".repeat(512 << 10))),
    ] {
        let server = Server::answering(answer.clone()).await;
        let document = server.fetch().await.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert!(answer.ends_with(document.as_bytes()) || document == KEYS, "{name}");
    }
}

#[tokio::test]
async fn the_request_asks_for_an_uncompressed_answer_of_its_own_host() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let authority = Authority::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, acceptor) = (listener.local_addr().unwrap(), TlsAcceptor::from(authority.server(NAME).unwrap()));
    tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        sender.send(read_head(&mut stream).await).unwrap();
        stream.write_all(&response("200 OK", KEYS)).await.unwrap();
    });
    let rule = format!("{NAME}:8443:{address}");
    let document = fetch(&format!("https://{NAME}:8443/keys?v=1"), Some(&authority.pem()), Some(&rule), "").await;
    assert_eq!(document.unwrap(), KEYS);
    let head = heads.recv().await.unwrap().to_lowercase();
    let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "get /keys?v=1 http/1.1");
    lines.sort_unstable();
    let agent = format!("user-agent: portcullis/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        ["accept-encoding: identity", "accept: application/json", "connection: close", "host: issuer.example.com:8443", &agent]
    );
}

/// J41, J42.
#[tokio::test]
async fn a_bad_answer_is_a_bounded_code() {
    let large = "x".repeat((512 << 10) + 1);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(800));
    let fifty = format!("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n{large}");
    for (name, answer, error) in [
        ("500", response("500 Oops", "secret"), FetchError::Status),
        ("404", response("404 Not Found", "<html>"), FetchError::Status),
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), FetchError::Status),
        ("206", response("206 Partial Content", KEYS), FetchError::Status),
        ("50 MB of error", format!("HTTP/1.1 500 Oops\r\nContent-Length: 50000000\r\n\r\n{large}").into_bytes(), FetchError::Status),
        ("one byte too large", response("200 OK", &large), FetchError::TooLarge),
        ("50 MB announced", fifty.into_bytes(), FetchError::TooLarge),
        ("50 MB in chunks", endless.into_bytes(), FetchError::TooLarge),
        ("gzip", response("200 OK\r\nContent-Encoding: gzip", "\u{1f}"), FetchError::Encoding),
        ("breaks off", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\":".to_vec(), FetchError::Connect),
        ("closes at once", Vec::new(), FetchError::Connect),
        ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(), FetchError::Connect),
        ("large head", response(&format!("200 OK\r\nX-A: {}", "b".repeat(100_000)), KEYS), FetchError::Connect),
        ("endless head", format!("HTTP/1.1 200 OK\r\n{}", "X-A: b\r\n".repeat(100_000)).into_bytes(), FetchError::Connect),
    ] {
        let server = Server::answering(answer).await;
        assert_eq!(server.fetch().await, failed(error), "{name}");
    }
}

/// J42.
#[tokio::test]
async fn retry_after_is_read_as_seconds_or_as_a_date() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
    for (name, headers, seconds) in [
        ("seconds", "429 Slow\r\nRetry-After: 120".to_owned(), Some(120)),
        ("date", format!("503 Busy\r\n{date}\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT"), Some(60)),
        ("past date", format!("503 Busy\r\n{date}\r\nRetry-After: Sun, 06 Nov 1994 08:40:37 GMT"), None),
        ("date without a clock", "503 Busy\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT".to_owned(), None),
        ("nonsense", "503 Busy\r\nRetry-After: soon".to_owned(), None),
        ("negative", "503 Busy\r\nRetry-After: -1".to_owned(), None),
    ] {
        let server = Server::answering(response(&headers, "")).await;
        let expected = FetchFailure { error: FetchError::Status, retry_after: seconds.map(Duration::from_secs) };
        assert_eq!(server.fetch().await, Err(expected), "{name}");
    }
}

/// J43.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering(response("200 OK", KEYS)).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let target = format!("{status}\r\nLocation: https://{}/", elsewhere.address);
        assert_eq!(Server::answering(response(&target, KEYS)).await.fetch().await, failed(FetchError::Status), "{status}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// J44: the deadline is on the whole, so that neither silence nor a trickle can stretch it.
#[tokio::test]
async fn slow_issuers_are_given_five_seconds_in_all() {
    let silent_tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_address = silent_tcp.local_addr().unwrap();
    let silent = Server::start(|stream| async move {
        sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let trickle = Server::start(|mut stream| async move {
        for byte in response("200 OK", KEYS) {
            if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    let timed = async |fetched: &mut (dyn Future<Output = Result<String, FetchFailure>> + Unpin)| {
        let start = Instant::now();
        (fetched.await, start.elapsed())
    };
    let rule = format!("::{silent_address}");
    let (mut one, mut two) = (Box::pin(silent.fetch()), Box::pin(trickle.fetch()));
    let mut three = Box::pin(fetch("https://issuer.example.com/", None, Some(&rule), ""));
    let (one, two, three) = tokio::join!(timed(&mut one), timed(&mut two), timed(&mut three));
    for (name, (result, took)) in [("never answers", one), ("one byte at a time", two), ("no handshake", three)] {
        assert_eq!(result, failed(FetchError::Timeout), "{name}");
        assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(15), "{name}: {took:?}");
    }
}

/// J45.
#[tokio::test]
async fn a_certificate_must_be_for_the_name_and_the_time_and_by_a_trusted_root() {
    let authority = Authority::new().unwrap();
    let other = Authority::new().unwrap();
    let params = |first: i32, last: i32| {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(first, 1, 1), rcgen::date_time_ymd(last, 1, 1));
        authority.server_with(params).unwrap()
    };
    let (pem, not_ours) = (authority.pem(), other.pem());
    let both = format!("{not_ours}\n{pem}");
    let good = authority.server(NAME).unwrap();
    let refused = failed(FetchError::Tls);
    let served = Ok(KEYS.to_owned());
    for (name, tls, ca, expected) in [
        ("good", Arc::clone(&good), Some(&*pem), served.clone()),
        ("one root of two", Arc::clone(&good), Some(&*both), served),
        ("another name", authority.server("other.example.com").unwrap(), Some(&*pem), refused.clone()),
        ("an address for a name", authority.server("127.0.0.1").unwrap(), Some(&*pem), refused.clone()),
        ("a wildcard above", authority.server("*.com").unwrap(), Some(&*pem), refused.clone()),
        ("expired", params(2000, 2020), Some(&*pem), refused.clone()),
        ("not yet valid", params(3000, 3001), Some(&*pem), refused.clone()),
        ("another authority", Arc::clone(&good), Some(&*not_ours), refused.clone()),
        ("unknown to the system", Arc::clone(&good), None, refused.clone()),
        ("an empty bundle", Arc::clone(&good), Some(""), refused.clone()),
        ("a broken bundle", good, Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), refused),
    ] {
        let server = Server::start_with(tls, String::new(), |mut stream| async move {
            let _ = stream.write_all(&response("200 OK", KEYS)).await;
        });
        let server = server.await;
        let result = fetch(&format!("https://{NAME}/keys"), ca, Some(&format!("{NAME}:443:{}", server.address)), "").await;
        assert_eq!(result, expected, "{name}");
    }
}

#[tokio::test]
async fn no_listener_and_no_tls_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("https://{NAME}/keys");
    assert_eq!(fetch(&url, None, Some(&format!("::{free}")), "").await, failed(FetchError::Connect));
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(&response("200 OK", KEYS)).await.unwrap();
    });
    assert_eq!(fetch(&url, None, Some(&format!("::{address}")), "").await, failed(FetchError::Tls));
    assert_eq!(fetch("https://no-such-name.invalid/", None, None, "").await, failed(FetchError::Dns));
}

/// P63, P64: whoever listens there must not even see a connection.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let elsewhere = format!("other.example.com:{port}:127.0.0.1:{port}");
    let same_address = format!("localhost:{port}::{port}");
    for (name, host, connect_to, private) in [
        ("a name", "localhost", None, ""),
        ("an address", "127.0.0.1", None, ""),
        ("another of this host", "127.8.8.8", None, ""),
        ("unspecified", "0.0.0.0", None, ""),
        ("IPv6", "[::1]", None, ""),
        ("IPv4 in IPv6", "[::ffff:127.0.0.1]", None, ""),
        ("a rule for another host", "localhost", Some(&*elsewhere), ""),
        ("a rule that names only a port", "localhost", Some(&*same_address), ""),
        ("another private host", "localhost", None, "idp.corp.example"),
        ("another private network", "localhost", None, "10.0.0.0/8,fd00::/8"),
    ] {
        let result = fetch(&format!("https://{host}:{port}/"), None, connect_to, private).await;
        assert_eq!(result, failed(FetchError::Forbidden), "{name}");
    }
    assert!(timeout(Duration::from_millis(50), listener.accept()).await.is_err(), "somebody connected");
}

/// P64: what the operator names is meant.
#[tokio::test]
async fn the_operator_may_let_an_issuer_be_inside() {
    let authority = Authority::new().unwrap();
    let server = Server::start_with(authority.server("localhost").unwrap(), authority.pem(), |mut stream| async move {
        let _ = stream.write_all(&response("200 OK", KEYS)).await;
    });
    let server = server.await;
    let port = server.address.port();
    let named = format!("localhost:{port}:127.0.0.1:{port}");
    let any_by_name = format!("::localhost:{port}");
    for (name, connect_to, private) in [
        ("by host", None, "LOCALHOST"),
        ("by network", None, "10.0.0.0/8, 127.0.0.0/8, ::1"),
        ("by address", Some(&*named), ""),
        ("by a name for the address", Some(&*any_by_name), ""),
    ] {
        let result = fetch(&format!("https://localhost:{port}/"), Some(&server.ca), connect_to, private).await;
        assert_eq!(result, Ok(KEYS.to_owned()), "{name}");
    }
}

/// P63: compile lets only https through; the connector does not rely on it.
#[tokio::test]
async fn only_https_urls_without_credentials_are_fetched() {
    for url in [
        "http://issuer.example.com/",
        "file:///etc/passwd",
        "https://user:password@issuer.example.com/",
        "issuer.example.com",
        "/keys",
        "",
        "https://",
        "https://exa mple.com/",
    ] {
        assert_eq!(fetch(url, None, None, "0.0.0.0/0,::/0").await, failed(FetchError::Forbidden), "{url}");
    }
}

/// P65: a code is one word of ours, and not even the most talkative log holds what the other side said or a URL's password.
#[tokio::test]
async fn nothing_the_other_side_says_is_passed_on() {
    let (logs, _guard) = capture_logs();
    for answer in [
        response("500 CANARY\r\nX-Canary: CANARY", "CANARY"),
        response("200 CANARY\r\nContent-Encoding: CANARY", "CANARY"),
        response("302 CANARY\r\nLocation: https://CANARY/", "CANARY"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nCANARY".to_vec(),
        b"CANARY".to_vec(),
    ] {
        let error = Server::answering(answer).await.fetch().await.unwrap_err().error.to_string();
        assert!(error.bytes().all(|byte| byte.is_ascii_alphabetic()) && error != "CANARY", "{error}");
    }
    fetch("https://user:CANARY@issuer.example.com/", None, None, "").await.unwrap_err();
    let logs = logs.text();
    assert!(logs.contains("exchange failed"), "{logs}");
    assert!(!logs.contains("CANARY"), "{logs}");
}
