//! Balancers that say by the PROXY protocol who the client is.

use crate::{
    client::Client,
    gateway::{Gateway, Setup, manifest},
    http2::{Polite, Raw},
    origin::Origin,
};
use portcullis::proxy::ClientAddress;
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream};

const RULES: &str = "  rules:\n  - {path: /, access: Public}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HEADER: &str = "PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";

async fn world(networks: &str) -> (Gateway, Origin) {
    let origin = Origin::saying(OK).await;
    let mut setup = Setup::new(&manifest(RULES)).behind("web", &[origin.address]);
    setup.client_address = ClientAddress::ProxyProtocol(vec![networks.parse().unwrap()]);
    (setup.start(), origin)
}

#[tokio::test]
async fn the_balancers_word_is_the_clients_address_on_every_port() {
    let (gateway, origin) = world("127.0.0.0/8").await;
    let mut client = gateway.client().await;
    client.send([HEADER, GET].concat()).await;
    assert_eq!(client.answer(false).await.status, 200);
    let sent = origin.text().to_ascii_lowercase();
    assert!(sent.contains("\r\nx-forwarded-for: 203.0.113.7\r\n"), "P55, the client's own word is dropped: {sent}");
    gateway.logged(" 203.0.113.7 GET a / 200 ").await;
    let mut socket = TcpStream::connect(gateway.h2c).await.unwrap();
    socket.write_all(HEADER.as_bytes()).await.unwrap();
    let mut h2 = Polite::over(socket).await;
    assert_eq!(h2.get("http://b/", &[]).await.status, 200);
    gateway.logged(" 203.0.113.7 GET b / 200 ").await;
}

#[tokio::test]
async fn a_balancer_that_forgets_the_header_is_not_served() {
    let (gateway, origin) = world("127.0.0.0/8").await;
    for bytes in [GET, "PROXY TCP4 nonsense\r\n", "PROXY TCP4 203.0.113.7 10.0.0.1 4660 99999\r\n"] {
        let mut client = gateway.client().await;
        client.send([bytes, GET].concat()).await;
        assert_eq!(client.rest().await, "", "{bytes:?}");
        assert!(client.is_closed().await, "{bytes:?}");
    }
    let mut raw = Raw::bare(gateway.https).await;
    raw.send("\u{16}\u{3}\u{1}").await;
    raw.goodbye(Duration::from_secs(8)).await;
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn p55_a_stranger_cannot_say_who_it_is() {
    let (gateway, origin) = world("10.0.0.0/8").await;
    let answers = gateway.raw([HEADER, GET].concat()).await;
    assert!(answers.starts_with("HTTP/1.1 400 "), "{answers:?}");
    let mut client = Client::connect(gateway.address).await;
    client.send(GET).await;
    assert_eq!(client.answer(false).await.status, 200, "served as the client that it is");
    assert!(origin.text().to_ascii_lowercase().contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{}", origin.text());
}
