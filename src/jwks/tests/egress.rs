//! Issuers behind an HTTP proxy.

use super::https::{KEYS, NAME, Server, failed, response};
use crate::{
    jwks::{Connector, Fetch, FetchError, FetchFailure, Fetcher},
    jwt::ProviderId,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// Says `answer` to every head, then joins its client with `issuer`.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(answer: &'static str, issuer: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let log = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(Self::serve(stream, answer, issuer, Arc::clone(&log)));
            }
        });
        Self { address, heads }
    }

    async fn serve(mut stream: TcpStream, answer: &'static str, issuer: SocketAddr, log: Arc<Mutex<Vec<String>>>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        log.lock().unwrap().push(String::from_utf8(head).unwrap().to_lowercase());
        if stream.write_all(answer.as_bytes()).await.is_ok() && answer.starts_with("HTTP/1.1 200") {
            let mut issuer = TcpStream::connect(issuer).await.unwrap();
            // Either side may have had enough.
            let _ = copy_bidirectional(&mut stream, &mut issuer).await;
        }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn connector(&self, private: &str, connect_to: Option<String>, except: &str) -> Connector {
        let url = format!("http://user:secret@{}", self.address);
        let rules = connect_to.into_iter().map(|rule| rule.parse().unwrap()).collect();
        let connector = Connector::new(rules, private.parse().unwrap()).unwrap();
        connector.through(url.parse().unwrap(), except.parse().unwrap())
    }
}

async fn fetch(connector: Connector, url: &str, ca: &str) -> Result<String, FetchFailure> {
    let id = ProviderId { jwks_url: url.into(), ca_bundle: Some(ca.into()) };
    Fetcher::new(connector).fetch(&id).await.map(|document| String::from_utf8(document.to_vec()).unwrap())
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn keys_come_through_a_tunnel_whose_end_must_still_prove_its_name() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    let proxy = Proxy::start(OPEN, server.address).await;
    let url = format!("https://{NAME}/keys");
    assert_eq!(fetch(proxy.connector("", None, ""), &url, &server.ca).await, Ok(KEYS.to_owned()));
    let head = proxy.heads().remove(0);
    assert!(head.starts_with(&format!("connect {NAME}:443 http/1.1\r\n")), "{head}");
    assert!(head.contains(&format!("host: {NAME}:443")) && head.contains("proxy-authorization: basic "), "{head}");
    let stranger = Server::answering(response("200 OK", KEYS)).await;
    assert_eq!(fetch(proxy.connector("", None, ""), &url, &stranger.ca).await, failed(FetchError::Tls), "another authority's");
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_named_as_the_cause() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    let url = format!("https://{NAME}/keys");
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno.",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nI speak first",
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "",
    ] {
        let proxy = Proxy::start(answer, server.address).await;
        assert_eq!(fetch(proxy.connector("", None, ""), &url, &server.ca).await, failed(FetchError::Proxy), "{answer}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy { address: nobody, heads: Arc::default() };
    assert_eq!(fetch(proxy.connector("", None, ""), &url, &server.ca).await, failed(FetchError::Proxy), "nobody listens");
    assert_eq!(server.connections(), 1, "by the one that speaks first");
}

/// P64, as far as it can be judged on this side of the proxy.
#[tokio::test]
async fn what_leads_inside_is_not_asked_for() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    let proxy = Proxy::start(OPEN, server.address).await;
    for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "localhost"] {
        let result = fetch(proxy.connector("", None, ""), &format!("https://{host}/"), &server.ca).await;
        assert_eq!(result, failed(FetchError::Forbidden), "{host}");
    }
    let rebound = proxy.connector("", None, "").resolving(|_| vec!["10.0.0.1".parse().unwrap()]);
    assert_eq!(fetch(rebound, &format!("https://{NAME}/keys"), &server.ca).await, failed(FetchError::Forbidden));
    assert_eq!(proxy.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn some_hosts_are_reached_without_the_proxy() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    let proxy = Proxy::start(OPEN, server.address).await;
    let (url, port) = (format!("https://{NAME}:{}/keys", server.address.port()), server.address.port());
    let here = |connector: Connector| connector.resolving(|_| vec!["127.0.0.1".parse().unwrap()]);
    for (row, connector) in [
        ("NO_PROXY", here(proxy.connector(NAME, None, "other.example,.example.com"))),
        ("--connect-to", here(proxy.connector("", Some(format!("{NAME}:{port}:127.0.0.1:{port}")), ""))),
    ] {
        assert_eq!(fetch(connector, &url, &server.ca).await, Ok(KEYS.to_owned()), "{row}");
        assert_eq!(proxy.heads(), Vec::<String>::new(), "{row}");
    }
    let forbidden = here(proxy.connector("", None, ".example.com"));
    assert_eq!(fetch(forbidden, &url, &server.ca).await, failed(FetchError::Forbidden), "without the proxy the whole guard holds");
}
