//! Bodies: streamed both ways, and broken off on one side when the other breaks.

use crate::{
    client::{Answer, Client, PATIENCE},
    gateway::{Gateway, Setup, manifest},
    origin::{Origin, Received},
};
use portcullis::proxy::Timeouts;
use std::{sync::Arc, time::Duration};
use tokio::io::AsyncReadExt;

const RULES: &str = "  rules:\n  - {path: /, access: Public}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const MIB: usize = 1 << 20;

fn gateway(origin: &Origin) -> Gateway {
    Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start()
}

async fn posting(gateway: &Gateway, lines: &str) -> Client {
    let mut client = gateway.client().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n")).await;
    client
}

fn ends_with(end: &'static [u8]) -> impl Fn(&[Received]) -> bool {
    move |all| all.iter().any(|one| one.bytes.ends_with(end))
}

#[tokio::test]
async fn a_chunk_arrives_before_the_next_is_sent_each_way() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.until(b"one\r\n").await;
        conversation.say(format!("{CHUNKED}1\r\na\r\n")).await;
        conversation.until(b"two\r\n").await;
        conversation.say("1\r\nb\r\n").await;
        conversation.until(b"0\r\n\r\n").await;
        conversation.say("0\r\n\r\n").await;
    })
    .await;
    let gateway = gateway(&origin);
    let mut client = posting(&gateway, "Transfer-Encoding: chunked\r\n").await;
    client.send("3\r\none\r\n").await;
    assert_eq!(client.answer_head().await.status, 200);
    assert_eq!(client.some().await, "1\r\na\r\n");
    client.send("3\r\ntwo\r\n").await;
    assert_eq!(client.some().await, "1\r\nb\r\n");
    client.send("0\r\n\r\n").await;
    assert_eq!(client.some().await, "0\r\n\r\n");
}

#[tokio::test]
async fn sixteen_mib_pass_each_way_unchanged() {
    let body: Arc<Vec<u8>> = Arc::new((0..16 * MIB).map(|n| u8::try_from((n / 7) % 251).unwrap()).collect());
    let answer = Arc::clone(&body);
    let origin = Origin::start(move |mut conversation| {
        let answer = Arc::clone(&answer);
        async move {
            conversation.head().await;
            conversation.bytes(16 * MIB).await;
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len())).await;
            conversation.say(&**answer).await;
            conversation.end().await;
        }
    })
    .await;
    let gateway = gateway(&origin);
    let mut client = posting(&gateway, &format!("Content-Length: {}\r\n", body.len())).await;
    client.send(&**body).await;
    let head = client.answer_head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("16777216")));
    let got = client.bytes(16 * MIB).await;
    assert!(got == *body, "the answer changed on its way");
    assert!(origin.bytes().ends_with(&body), "the request changed on its way");
}

/// What the client does not take is not taken from the backend either (P59).
#[tokio::test]
async fn p59_a_slow_client_slows_the_backend() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 * MIB)).await;
        let sent = conversation.say_until_blocked(256 * MIB, Duration::from_millis(500)).await;
        assert!(sent < 32 * MIB, "the gateway took {sent} bytes for a client that took none");
        conversation.until(b"done").await;
    })
    .await;
    let gateway = gateway(&origin);
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n").await;
    assert_eq!(client.answer_head().await.status, 200);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(client);
    origin.until("cancelled", |all| all[0].ended).await;
}

#[tokio::test]
async fn bodies_on_get_keep_their_framing() {
    let origin = Origin::saying(OK).await;
    let gateway = gateway(&origin);
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status, 200);
    origin.until("a chunked body", ends_with(b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n")).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nyou").await;
    assert_eq!(client.answer(false).await.status, 200);
    origin.until("a sized body", ends_with(b"\r\n\r\nyou")).await;
}

#[tokio::test]
async fn requests_without_a_body_say_nothing_of_one() {
    let origin = Origin::saying(OK).await;
    let gateway = gateway(&origin);
    gateway.get("/", &[]).await;
    let sent = origin.text().to_lowercase();
    assert!(!sent.contains("content-length") && !sent.contains("transfer-encoding"), "{sent}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::saying(OK).await;
    let gateway = gateway(&origin);
    let mut client = gateway.client().await;
    let one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let two = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    client.send([one, two, "GET /__health HTTP/1.1\r\nHost: a:99999\r\n\r\n", one].concat()).await;
    let statuses = [client.answer(false).await.status, client.answer(false).await.status, client.answer(false).await.status];
    assert_eq!(statuses, [200, 200, 400]);
    assert!(client.is_closed().await, "P16: what follows a refused head is not read");
    assert_eq!(origin.text().matches(" HTTP/1.1\r\n").count(), 2);
}

#[tokio::test]
async fn an_early_answer_passes_while_the_client_is_still_sending() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
        conversation.end().await;
    })
    .await;
    let timeouts = Timeouts { body_stall: Duration::from_millis(300), ..Timeouts::default() };
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).timeouts(timeouts).start();
    let mut client = posting(&gateway, "Content-Length: 1000000\r\n").await;
    client.send("some").await;
    let answer: Answer = client.answer(false).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "big"));
    assert!(client.is_closed().await, "P15: the rest of the body must not be read as a request");
    origin.until("the upload ended", |all| all[0].ended).await;
}

/// A backend may answer first and read on: only a body that stalls is cut off (P56).
#[tokio::test]
async fn an_upload_lives_on_after_an_early_answer() {
    let origin = Origin::saying(OK).await;
    let limit = Duration::from_millis(400);
    let timeouts = Timeouts { header: limit, idle: limit, body_stall: limit, ..Timeouts::default() };
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).timeouts(timeouts).start();
    let mut client = posting(&gateway, "Content-Length: 12\r\n").await;
    assert_eq!(client.answer(false).await.status, 200);
    for _ in 0..12 {
        client.send("a").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    origin.until("all of it", ends_with(b"aaaaaaaaaaaa")).await;
    let mut stalled = posting(&gateway, "Content-Length: 12\r\n").await;
    assert_eq!(stalled.answer(false).await.status, 200);
    stalled.send("a").await;
    assert!(stalled.is_closed_within(4 * limit).await, "P56: no byte for too long");
}

/// P59: what one direction may hold has an end, and it is not the sender's to choose.
#[tokio::test]
async fn p59_a_backends_head_over_256_kib_is_refused() {
    for (length, status) in [(48 * 1024, 200), (257 * 1024, 502)] {
        let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 2\r\n\r\nok", "a".repeat(length))).await;
        assert_eq!(gateway(&origin).get("/", &[]).await.status, status, "{length}");
    }
}

#[tokio::test]
async fn a_length_that_can_be_read_in_two_ways_is_no_answer() {
    let lengths =
        ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: x", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length:"];
    for (method, body) in [("HEAD", ""), ("GET", "hello")] {
        for length in lengths {
            let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n{body}")).await;
            let answer = gateway(&origin).request(method, "/", &[]).await;
            assert_eq!(answer.status, 502, "{method} {length:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream_request() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.end().await;
    })
    .await;
    let gateway = gateway(&origin);
    let waiting = posting(&gateway, "Content-Length: 4\r\n\r\nhi").await;
    origin.until("the request", |all| all.len() == 1 && all[0].bytes.ends_with(b"hi\r\n")).await;
    drop(waiting);
    origin.until("cancelled while waiting", |all| all[0].ended).await;
    gateway.logged(" 499 aborted ").await;

    let sending = posting(&gateway, "Content-Length: 1000\r\n\r\nhalf").await;
    origin.until("half a body", |all| all.len() == 2 && all[1].bytes.ends_with(b"half\r\n")).await;
    drop(sending);
    origin.until("cancelled while sending", |all| all[1].ended).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_answered_cancels_too() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say(format!("{CHUNKED}1\r\na\r\n")).await;
        conversation.end().await;
    })
    .await;
    let gateway = gateway(&origin);
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer_head().await.status, 200);
    drop(client);
    origin.until("cancelled", |all| all[0].ended).await;
}

/// However it was framed, half an answer must never look like a whole one.
#[tokio::test]
async fn an_answer_that_breaks_off_reaches_the_client_as_broken() {
    let rows = [
        ("chunked, closed", format!("{CHUNKED}4\r\nhalf\r\n"), false),
        ("chunked, reset", format!("{CHUNKED}4\r\nhalf\r\n"), true),
        ("a broken chunk", format!("{CHUNKED}4\r\nhalf\r\nzz\r\n"), false),
        ("sized, closed", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(), false),
        ("sized, reset", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(), true),
        ("without a length, reset", "HTTP/1.1 200 OK\r\n\r\nhalf".to_owned(), true),
        ("HTTP/1.0 without a length, reset", "HTTP/1.0 200 OK\r\n\r\nhalf".to_owned(), true),
    ];
    for (name, answer, reset) in rows {
        let origin = Origin::start(move |mut conversation| {
            let answer = answer.clone();
            async move {
                conversation.head().await;
                conversation.say(&answer).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                if reset {
                    conversation.reset();
                }
            }
        })
        .await;
        let gateway = gateway(&origin);
        let answer = gateway.get("/", &[]).await;
        assert_eq!((answer.status, answer.complete), (200, false), "{name}: {answer:?}");
        assert!(answer.head.starts_with("HTTP/1.1 "), "{name}: we speak our own version: {}", answer.head);

        // HTTP/1.0 has no chunks: only a reset tells the client.
        let mut old = gateway.client().await;
        old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        let mut bytes = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, old.stream.read_to_end(&mut bytes)).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(ended.is_err() || text.to_lowercase().contains("content-length: 100"), "{name}, to HTTP/1.0: a clean end of {text:?}");
    }
}

#[tokio::test]
async fn answers_without_a_length_end_with_the_connection_of_the_backend() {
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let origin = Origin::start(move |mut conversation| async move {
            conversation.head().await;
            conversation.say(format!("{version} 200 OK\r\n\r\nwhole")).await;
        })
        .await;
        let gateway = gateway(&origin);
        let answer = gateway.get("/", &[]).await;
        assert_eq!((answer.body.as_str(), answer.complete, answer.closes()), ("whole", true, false), "{version}");
    }
}

#[tokio::test]
async fn heads_without_bodies_leave_the_connections_as_they_are() {
    let answers = [("HEAD", "200 OK", Some("100")), ("GET", "304 Not Modified", None), ("GET", "204 No Content", None)];
    for (method, status, length) in answers {
        let origin = Origin::saying(format!("HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n")).await;
        let gateway = gateway(&origin);
        let mut client = gateway.client().await;
        for _ in 0..2 {
            assert_eq!(client.request(method, "/", &[]).await.header("content-length"), length, "{method} {status}");
        }
        assert_eq!(origin.connections(), 1, "{method} {status}");
    }
}

/// P59: 413 before the backend hears of it when the length is known, and an upload that never completes when it is not.
#[tokio::test]
async fn p59_a_body_over_the_limit_never_completes() {
    let origin = Origin::start(|mut conversation| async move {
        while conversation.head().await.is_some() {
            conversation.until(b"12345").await;
            conversation.say(OK).await;
        }
    })
    .await;
    let limit = format!("  maxRequestBody: 10\n{RULES}");
    let gateway = Setup::new(&manifest(&limit)).behind("web", &[origin.address]).start();
    for (name, lines) in [("said", "Content-Length: 11\r\n\r\n"), ("awaited", "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n")] {
        let mut client = posting(&gateway, lines).await;
        let answer = client.answer(false).await;
        assert_eq!((answer.status, answer.closes()), (413, true), "{name}");
        assert!(client.is_closed().await, "{name}");
    }
    assert_eq!(origin.connections(), 0);

    let mut client = posting(&gateway, "Transfer-Encoding: chunked\r\n").await;
    client.send("a\r\nabcdefghij\r\n").await;
    origin.until("ten bytes", ends_with(b"abcdefghij\r\n")).await;
    client.send("1\r\nk\r\n0\r\n\r\n").await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.closes()), (413, true));
    assert!(client.is_closed().await);
    origin.until("broken off", |all| all[0].ended).await;
    assert!(!origin.text().contains("k\r\n") && !origin.text().ends_with("0\r\n\r\n"), "{:?}", origin.text());
    gateway.logged(" 413 body_too_large ").await;

    for lines in ["Content-Length: 10\r\n\r\n1234512345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n"] {
        assert_eq!(posting(&gateway, lines).await.answer(false).await.status, 200, "exactly the limit");
    }
}
