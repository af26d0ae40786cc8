//! Backends over HTTP/2 and TLS that misbehave (requirements, proxy F): 502, 504 or an abort that the client can tell, and nothing of it reaches
//! another request. What there is for HTTP/1.1 stands in upstream.rs and bodies.rs.

use crate::{
    client::PATIENCE,
    gateway::{Gateway, Setup, manifest},
    modern::{AUTHORITY, listen, server},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

fn gateway(how: &str, address: SocketAddr) -> Gateway {
    let rules = format!("  timeout: 1s\n  rules:\n  - {{path: /, access: Public, backend: {{service: web, port: 80, {how}}}}}");
    Setup::new(&manifest(&rules)).behind("web", &[address]).start()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const BOTH: u8 = END_STREAM | END_HEADERS;

/// `:status: 200`, indexed (RFC 7541 A).
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header line, neither indexed nor compressed.
fn line(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn head(flags: u8, lines: &[Vec<u8>]) -> Vec<u8> {
    frame(HEADERS, flags, 1, &lines.concat())
}

/// Says these frames to the first request of every connection, and then nothing more; or closes.
async fn saying(frames: Vec<u8>, closes: bool) -> (SocketAddr, JoinHandle<()>) {
    let frames = Arc::new(frames);
    listen(move |mut stream| {
        let frames = Arc::clone(&frames);
        async move {
            until_request(&mut stream).await;
            let _ = stream.write_all(&frames).await;
            let mut rest = Vec::new();
            if !closes {
                let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            }
        }
    })
    .await
}

/// Reads the preface and frames up to the head of a request.
async fn until_request(stream: &mut TcpStream) {
    stream.read_exact(&mut [0; 24]).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS {
            return;
        }
    }
}

#[tokio::test]
async fn answers_over_http2_that_are_none_are_502() {
    let status = |status: &str| line(":status", status);
    let huge =
        [frame(HEADERS, 0, 1, OK), (0..80).flat_map(|_| frame(CONTINUATION, 0, 1, &line("x", &"a".repeat(120)).repeat(100))).collect()]
            .concat();
    #[rustfmt::skip]
    let rows = [
        ("a reset", frame(RST_STREAM, 0, 1, &2_u32.to_be_bytes()), false),
        ("a goodbye that serves nothing", frame(GOAWAY, 0, 0, &[0; 8]), false),
        ("a goodbye in anger", frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]), true),
        ("nothing", vec![], true),
        ("half a frame", vec![0, 0, 9, 1], true),
        ("no frame", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), true),
        ("a body without a head", frame(DATA, END_STREAM, 1, b"ok"), false),
        ("a head without a status", head(BOTH, &[line("x-a", "1")]), false),
        ("two statuses", head(BOTH, &[OK.to_vec(), OK.to_vec()]), false),
        ("a status of letters", head(BOTH, &[status("abc")]), false),
        ("a status of four digits", head(BOTH, &[status("2000")]), false),
        ("status 99", head(BOTH, &[status("099")]), false),
        ("status 600", head(BOTH, &[status("600")]), false),
        ("P50 an unsolicited 101", head(BOTH, &[status("101")]), false),
        ("a coding", head(BOTH, &[OK.to_vec(), line("transfer-encoding", "chunked")]), false),
        ("a connection header", head(BOTH, &[OK.to_vec(), line("connection", "close")]), false),
        ("a name in capitals", head(BOTH, &[OK.to_vec(), line("X-A", "1")]), false),
        ("a line break in a value", head(BOTH, &[OK.to_vec(), line("x-a", "1\r\nSet-Cookie: a=b")]), false),
        ("two lengths", head(END_HEADERS, &[OK.to_vec(), line("content-length", "1"), line("content-length", "2")]), false),
        ("a length that is none", head(END_HEADERS, &[OK.to_vec(), line("content-length", "+2")]), false),
        ("nonsense for a head", frame(HEADERS, BOTH, 1, &[0xff; 40]), false),
        ("a head without end", huge, false),
        ("a pushed request", frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], OK].concat()), false),
        ("a frame of 1 MiB", frame(DATA, 0, 1, &vec![0; 1 << 20]), false),
        ("a stream that nobody opened", frame(HEADERS, BOTH, 7, OK), false),
    ];
    for (name, frames, closes) in rows {
        let (address, origin) = saying(frames, closes).await;
        let gateway = gateway("scheme: h2c", address);
        let answer = gateway.get("/", &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (502, ""), "{name}: {:?}", gateway.log_lines());
        let line = gateway.logged(" 502 ").await;
        assert!(["invalid_response", "closed", "reset"].iter().any(|reason| line.contains(&format!(" 502 {reason} "))), "{name}: {line}");
        origin.abort();
    }
}

#[tokio::test]
async fn an_answer_over_http2_that_breaks_off_reaches_the_client_as_broken() {
    let ok = |lines: &[Vec<u8>]| head(END_HEADERS, &[&[OK.to_vec()], lines].concat());
    let data = |flags: u8, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    #[rustfmt::skip]
    let rows = [
        ("closed after the head", ok(&[]), true),
        ("closed in the body", [ok(&[]), data(0, b"half")].concat(), true),
        ("reset in the body", [ok(&[]), data(0, b"half"), frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())].concat(), false),
        ("less than its length", [ok(&[line("content-length", "5")]), data(END_STREAM, b"half")].concat(), false),
        ("more than its length", [ok(&[line("content-length", "2")]), data(END_STREAM, b"half")].concat(), false),
        ("a second head that is no trailer", [ok(&[]), data(0, b"half"), ok(&[])].concat(), false),
        ("a goodbye and the end", [ok(&[]), data(0, b"half"), frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])].concat(), true),
        ("half a frame and the end", [ok(&[]), data(0, b"half"), vec![0, 0, 9, 0, 1]].concat(), true),
    ];
    for (name, frames, closes) in rows {
        let (address, origin) = saying(frames, closes).await;
        let gateway = gateway("scheme: h2c", address);
        let mut client = gateway.client().await;
        client.send(crate::client::head("GET", "/", &[])).await;
        // Noticed before the head was on its way, it is a 502, or no answer at all.
        let all = client.rest().await;
        let told = all.is_empty()
            || all.starts_with("HTTP/1.1 502 ")
            || all.starts_with("HTTP/1.1 200 ") && !all.ends_with("0\r\n\r\n") && !all.contains("half\r\n0");
        assert!(told, "{name}: {all:?}");
        assert!(client.is_closed().await || all.starts_with("HTTP/1.1 502 "), "{name}: {all:?}");
        origin.abort();
    }
}

#[tokio::test]
async fn trailers_of_other_answers_are_dropped_and_with_them_their_cookies() {
    let trailers = frame(HEADERS, BOTH, 1, &[line("set-cookie", "a=b"), line("x-checksum", "1")].concat());
    let (address, origin) = saying([head(END_HEADERS, &[OK.to_vec()]), frame(DATA, 0, 1, b"ok"), trailers].concat(), false).await;
    let gateway = gateway("scheme: h2c", address);
    let mut client = gateway.client().await;
    client.send(crate::client::head("GET", "/", &[("TE", "trailers"), ("Connection", "te")])).await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.complete), (200, "ok", true));
    assert!(!format!("{}{}", answer.head, client.rest().await).to_lowercase().contains("cookie"));
    origin.abort();
}

#[tokio::test]
async fn a_silent_backend_is_504_whatever_it_speaks() {
    let hint = head(END_HEADERS, &[line(":status", "103")]);
    for (name, frames) in [("silence", vec![]), ("interim answers", hint.repeat(1000))] {
        let (address, origin) = saying(frames, false).await;
        assert_eq!(gateway("scheme: h2c", address).get("/", &[]).await.status, 504, "{name}");
        origin.abort();
    }
}

/// A connection on which no answer comes may be dead: the next request does not wait on it, too.
#[tokio::test]
async fn a_shared_connection_that_says_nothing_is_left() {
    let numbers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (address, origin) = listen(move |mut stream| {
        let silent = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        async move {
            until_request(&mut stream).await;
            if !silent {
                stream.write_all(&head(BOTH, &[OK.to_vec()])).await.unwrap();
            }
            sleep(PATIENCE).await;
        }
    })
    .await;
    let gateway = gateway("scheme: h2c", address);
    assert_eq!(gateway.get("/", &[]).await.status, 504);
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    origin.abort();
}

/// Over TLS the end of a body that ends with the connection is said, and not by whoever cuts the wire.
#[tokio::test]
async fn a_cut_wire_is_no_end_of_a_body() {
    for says_goodbye in [true, false] {
        let tls = TlsAcceptor::from(Arc::new(server("web.default.svc", &["http/1.1"])));
        let (address, origin) = listen(move |stream| {
            let tls = tls.clone();
            async move {
                let mut stream = tls.accept(stream).await.unwrap();
                stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf").await.unwrap();
                stream.flush().await.unwrap();
                if says_goodbye {
                    stream.shutdown().await.unwrap();
                }
            }
        })
        .await;
        let gateway = gateway(&format!("scheme: https, tls: {{caBundle: {:?}}}", AUTHORITY.pem()), address);
        let mut client = gateway.client().await;
        client.send(crate::client::head("GET", "/", &[])).await;
        let answer = client.answer(false).await;
        assert_eq!((answer.status, answer.complete), (200, says_goodbye), "{answer:?}");
        origin.abort();
    }
}
