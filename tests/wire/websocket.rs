//! WebSockets: opened after authorisation alone, real only when both sides say so, and ended when what allowed them ends
//! (P48-P51, J99, J100).

use crate::{
    client::{Client, PATIENCE, head},
    gateway::{Gateway, Setup, bearer, manifest, token, token_with},
    origin::Origin,
};
use futures::{SinkExt, StreamExt};
use portcullis::{
    clock,
    proxy::{Shutdown, Timeouts},
};
use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

const RULES: &str = "  token: {cookie: t}\n  rules:\n  - {path: /api}\n  - {path: /open, access: Public}";
/// The key and its proof of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ASKS: [(&str, &str); 4] =
    [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")];

/// A server that sends back what it gets.
async fn start_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let Ok(mut server) = accept_async(socket).await else { return };
                while let Some(Ok(message)) = server.next().await {
                    if !message.is_close() && server.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn gateway(manifest: &str, backend: SocketAddr, timeouts: Timeouts) -> Gateway {
    Setup::new(manifest).behind("web", &[backend]).timeouts(timeouts).start()
}

async fn open(gateway: &Gateway, path: &str, lines: &[(&'static str, &str)]) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://api.example.com{path}").into_client_request().unwrap();
    for (name, value) in lines {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    timeout(PATIENCE, client_async(request, socket)).await.unwrap().map(|(client, _)| client)
}

fn status(error: &Error) -> u16 {
    match error {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("no answer: {other}"),
    }
}

/// The code and reason that end it.
async fn farewell(client: &mut WebSocketStream<TcpStream>) -> (u16, String) {
    loop {
        match timeout(PATIENCE, client.next()).await.expect("it ends in time") {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
            Some(Ok(_)) => {}
            end => panic!("no farewell: {end:?}"),
        }
    }
}

#[tokio::test]
async fn a_real_client_talks_to_a_real_server_once_it_is_authorised() {
    let gateway = gateway(&manifest(RULES), start_server().await, Timeouts::default());
    assert_eq!(status(&open(&gateway, "/api", &[]).await.unwrap_err()), 401);
    assert_eq!(status(&open(&gateway, "/none", &[]).await.unwrap_err()), 404);
    let (token, cookie) = (bearer(), format!("t={}", token()));
    let rows = [
        ("a header", "/api/x?y=z", vec![("authorization", token.as_str())]),
        ("a cookie of this host's page", "/api", vec![("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")]),
        ("nobody, on a Public rule", "/open", vec![]),
    ];
    for (name, path, lines) in rows {
        let mut client = open(&gateway, path, &lines).await.unwrap();
        for message in [Message::text("hello"), Message::binary(vec![7; 1 << 20]), Message::text("")] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), message, "{name}");
        }
        assert_eq!(gateway.metrics.websockets.get(), 1, "{name}");
        client.close(None).await.unwrap();
        while let Some(Ok(_)) = timeout(PATIENCE, client.next()).await.expect("it ends") {}
    }
    gateway.logged(" 101 forwarded ").await;
    let foreign = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(status(&open(&gateway, "/api", &foreign).await.unwrap_err()), 403, "another site's page has the cookie, too");
    let unnamed = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
    assert_eq!(status(&open(&gateway, "/api", &unnamed).await.unwrap_err()), 403);
}

#[tokio::test]
async fn p48_nothing_else_is_switched_to() {
    let origin = Origin::saying(OK).await;
    let gateway = gateway(&manifest(RULES), origin.address, Timeouts::default());
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("h2c", &[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]),
        ("TLS", &[("Connection", "Upgrade"), ("Upgrade", "TLS/1.2")]),
        ("a WebSocket that Connection does not name", &ASKS[1..]),
        ("a look-alike", &[("Connection", "Upgrade"), ("Upgrade", "websockets")]),
    ];
    for (name, lines) in rows {
        let mut client = gateway.client().await;
        for _ in 0..2 {
            assert_eq!(client.request("GET", "/open", lines).await.status, 200, "{name}: and the connection serves on");
        }
        let sent = origin.text().to_lowercase();
        assert!(!sent.contains("\r\nupgrade:") && !sent.contains("\r\nconnection:") && !sent.contains("settings"), "{name}: {sent}");
    }
}

#[tokio::test]
async fn p49_a_handshake_is_read_in_one_way_or_refused() {
    let origin = Origin::saying(OK).await;
    let gateway = gateway(&manifest(RULES), origin.address, Timeouts::default());
    let with = |name: &'static str, value: &'static str| ASKS.map(|line| if line.0 == name { (name, value) } else { line }).to_vec();
    let and = |line: (&'static str, &'static str)| ASKS.into_iter().chain([line]).collect::<Vec<_>>();
    let rows = [
        ("another method", "POST", ASKS.to_vec(), 400),
        ("a body", "GET", and(("Content-Length", "3")), 400),
        ("a body of no length", "GET", and(("Content-Length", "0")), 400),
        ("chunks", "GET", and(("Transfer-Encoding", "chunked")), 400),
        ("another version", "GET", with("Sec-WebSocket-Version", "8"), 426),
        ("two versions", "GET", and(("Sec-WebSocket-Version", "13")), 426),
        ("no key", "GET", with("Sec-WebSocket-Key", ""), 400),
        ("a short key", "GET", with("Sec-WebSocket-Key", "AAAA"), 400),
        ("two keys", "GET", and(("Sec-WebSocket-Key", KEY)), 400),
    ];
    for (name, method, lines, status) in rows {
        let answer = gateway.request(method, "/open", &lines).await;
        assert_eq!((answer.status, answer.header("sec-websocket-version")), (status, (status == 426).then_some("13")), "{name}");
    }
    assert_eq!(origin.text(), "");
    // The backend does not switch: what follows is a request like any other.
    let mut client = gateway.client().await;
    client.send([head("GET", "/open", &ASKS), head("GET", "/api", &[])].concat()).await;
    assert_eq!((client.answer(false).await.status, client.answer(false).await.status), (200, 401));
    assert_eq!(origin.text().matches("GET ").count(), 1);
    // A Connection line removes no part of the question.
    gateway.request("GET", "/open", &[&[("Connection", "Sec-WebSocket-Key, sec-websocket-version")], &ASKS[..]].concat()).await;
    assert_eq!(origin.text().matches(&format!("{KEY}\r\n")).count(), 2);
}

#[tokio::test]
async fn p50_a_101_that_is_no_answer_to_the_question_is_502() {
    let rows = [
        ("not asked for", SWITCHED.to_owned(), &[][..]),
        ("no proof", SWITCHED.replace("Sec-WebSocket-Accept", "X-Accept"), &ASKS[..]),
        ("another proof", SWITCHED.replace("s3pPLMB", "AAAAAAA"), &ASKS[..]),
        ("two proofs", SWITCHED.replace("\r\n\r\n", "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), &ASKS[..]),
        ("another protocol", SWITCHED.replace("Upgrade: WebSocket", "Upgrade: h2c"), &ASKS[..]),
        ("two protocols", SWITCHED.replace("\r\n\r\n", "\r\nUpgrade: h2c\r\n\r\n"), &ASKS[..]),
        ("no protocol", SWITCHED.replace("Upgrade: WebSocket", "X-Upgrade: WebSocket"), &ASKS[..]),
        ("no switch", SWITCHED.replace("Connection: upgrade", "Connection: keep-alive"), &ASKS[..]),
    ];
    for (name, answer, lines) in rows {
        let origin = Origin::saying(answer).await;
        let gateway = gateway(&manifest(RULES), origin.address, Timeouts::default());
        let mut client = gateway.client().await;
        assert_eq!(client.request("GET", "/open", lines).await.status, 502, "{name}");
        origin.until("closed", |all| all[0].ended).await;
        assert_eq!(client.request("GET", "/api", &[]).await.status, 401, "{name}: the client's connection is HTTP as before");
    }
}

/// An open WebSocket whose backend follows this script once it has switched.
async fn switched(gateway: &Gateway, path: &str, lines: &[(&str, &str)]) -> Client {
    let mut client = gateway.client().await;
    client.send(head("GET", path, &[&ASKS[..], lines].concat())).await;
    let answer = client.answer_head().await;
    assert_eq!(answer.status, 101, "{}", answer.head);
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("Upgrade")));
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None));
    client
}

#[tokio::test]
async fn j99_a_websocket_ends_with_its_token_and_says_so_between_frames() {
    let backend = start_server().await;
    for (setting, ends) in [("Close", true), ("Keep", false)] {
        let manifest = manifest(&RULES.replace("{cookie: t}", &format!("{{streamsAtExpiry: {setting}}}")));
        let gateway = gateway(&manifest.replace("alg: RS256}", "alg: RS256, leeway: 0s}"), backend, Timeouts::default());
        let token = format!("Bearer {}", token_with(&json!({"exp": clock::unix_now().as_secs() + 2})));
        let mut client = open(&gateway, "/api", &[("authorization", &token)]).await.unwrap();
        client.send(Message::text("hello")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("hello"));
        if ends {
            assert_eq!(farewell(&mut client).await, (1008, "token expired".to_owned()));
            gateway.logged(" 101 token_expired ").await;
        } else {
            assert!(timeout(Duration::from_secs(5), client.next()).await.is_err(), "it goes on");
        }
    }
}

/// In the middle of a frame nothing of ours may stand.
#[tokio::test]
async fn j99_within_a_frame_the_connection_alone_ends() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say([SWITCHED.as_bytes(), &[0x82, 5, b'h', b'a']].concat()).await;
        conversation.end().await;
    })
    .await;
    let manifest = manifest(RULES).replace("alg: RS256}", "alg: RS256, leeway: 0s}");
    let gateway = gateway(&manifest, origin.address, Timeouts::default());
    let token = format!("Bearer {}", token_with(&json!({"exp": clock::unix_now().as_secs() + 2})));
    let mut client = switched(&gateway, "/api", &[("Authorization", &token)]).await;
    assert_eq!(client.bytes(4).await, [0x82, 5, b'h', b'a']);
    assert!(client.is_closed().await);
    assert_eq!(client.rest().await, "");
    origin.until("cut off, with a masked farewell", |all| all[0].ended && all[0].bytes.contains(&0x88)).await;
}

#[tokio::test]
async fn j100_a_websocket_ends_with_what_allowed_it() {
    let backend = start_server().await;
    let token = bearer();
    let changes = [
        ("the rule is gone", RULES.replace("/api", "/other")),
        ("it asks for more", RULES.replace("{path: /api}", "{path: /api, require: {scopes: [none]}}")),
        ("it refuses", RULES.replace("{path: /api}", "{path: /api, backend: {service: nowhere, port: 80}}")),
    ];
    for (name, rules) in changes {
        let soon = Timeouts { standing: Duration::from_millis(200), ..Timeouts::default() };
        let gateway = gateway(&manifest(RULES), backend, soon);
        let mut client = open(&gateway, "/api/x", &[("authorization", &token)]).await.unwrap();
        let mut other = open(&gateway, "/open", &[]).await.unwrap();
        gateway.publish(&manifest(&rules), &[("web".to_owned(), vec![backend])]);
        assert_eq!(farewell(&mut client).await, (1008, "no longer allowed".to_owned()), "{name}");
        other.send(Message::text("still here")).await.unwrap();
        assert_eq!(other.next().await.unwrap().unwrap(), Message::text("still here"), "{name}: others are undisturbed");
        gateway.logged(" 101 revoked ").await;
    }
}

#[tokio::test]
async fn p51_a_websocket_has_limits() {
    let backend = start_server().await;
    let short = Duration::from_millis(600);
    let rows = [
        ("idle", Timeouts { body_idle: short, ..Timeouts::default() }, (1001, "idle")),
        ("life", Timeouts { websocket_life: short, ..Timeouts::default() }, (1001, "open for too long")),
    ];
    for (name, timeouts, want) in rows {
        let gateway = gateway(&manifest(RULES), backend, timeouts);
        let mut client = open(&gateway, "/open", &[]).await.unwrap();
        let (code, reason) = farewell(&mut client).await;
        assert_eq!((code, reason.as_str()), want, "{name}");
    }
}

#[tokio::test]
async fn p51_a_websocket_is_a_connection_and_leaves_with_the_replica() {
    let mut setup = Setup::new(&manifest(RULES)).behind("web", &[start_server().await]);
    setup.max_connections = 1;
    let gateway = setup.start();
    let mut client = open(&gateway, "/open", &[]).await.unwrap();
    let mut next = gateway.client().await;
    next.send(head("GET", "/api", &[])).await;
    assert_eq!(next.rest().await, "", "no room beside it");
    assert_eq!((gateway.metrics.connections.get(), gateway.metrics.upstream_connections.get()), (1, 1));
    drop(next);
    gateway.handle.shut_down(Shutdown::Closing);
    assert_eq!(farewell(&mut client).await, (1001, "going away".to_owned()));
    timeout(PATIENCE, gateway.join()).await.expect("nothing is left to wait for");
}

#[tokio::test]
async fn p51_half_a_websocket_is_none_and_slow_clients_hold_nothing() {
    let flood = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say(SWITCHED).await;
        let sent = conversation.say_until_blocked(256 << 20, Duration::from_millis(500)).await;
        assert!(sent < 32 << 20, "the gateway took {sent} bytes for a client that took none");
        conversation.end().await;
    })
    .await;
    let timeouts = Timeouts { write_stall: Duration::from_millis(800), ..Timeouts::default() };
    let gateway = gateway(&manifest(RULES), flood.address, timeouts);
    let client = switched(&gateway, "/open", &[]).await;
    flood.until("cut off", |all| all[0].ended).await;
    drop(client);

    let echo = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say(SWITCHED).await;
        conversation.until(b"bye").await;
        conversation.say("last words").await;
        conversation.end().await;
    })
    .await;
    gateway.set_endpoints("web", &[echo.address]);
    let mut client = switched(&gateway, "/open", &[]).await;
    client.send("early and bye").await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
    assert_eq!(client.rest().await, "last words");
    echo.until("both have hung up", |all| all[0].ended).await;
}
