//! Request smuggling: what can be read in two ways is refused, and nothing of it reaches a backend (P01-P18, P53, P54).

use crate::{
    client::PATIENCE,
    gateway::{Gateway, Setup, bearer, manifest},
    origin::Origin,
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const RULES: &str = "  rules:\n  - {path: /open, access: Public}\n  - {path: /api}";
/// Would be answered with 200 if it were read as a request.
const SMUGGLED: &str = "GET /__health HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn world() -> (Gateway, Origin) {
    let origin = Origin::saying(OK).await;
    (Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start(), origin)
}

/// `POST /open` with these header lines and this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST /open HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n{body}")
}

/// Refused with one of `statuses`, once, and the connection is closed without looking at what follows; the backend got nothing.
async fn assert_refused(name: &str, gateway: &Gateway, origin: &Origin, request: &[u8], statuses: &[u16]) {
    let mut client = gateway.client().await;
    client.send([request, SMUGGLED.as_bytes()].concat()).await;
    let answers = client.rest().await;
    let count = answers.matches("HTTP/1.1 ").count();
    assert_eq!(count, 1, "{name}: {answers:?}");
    assert!(statuses.iter().any(|status| answers.starts_with(&format!("HTTP/1.1 {status} "))), "{name}: {answers:?}");
    assert!(!answers.contains("status"), "{name}: the second request was answered: {answers:?}");
    assert!(client.is_closed_within(Duration::from_secs(2)).await, "{name}: still open");
    assert_eq!(origin.text(), "", "{name}");
}

#[tokio::test]
async fn p01_a_length_beside_a_coding_is_refused_in_any_order_and_spelling() {
    let (gateway, origin) = world().await;
    let chunked = "0\r\n\r\n";
    let rows = [
        ("CL.TE", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("apart", "Transfer-Encoding: chunked\r\nX-A: b\r\nContent-Length: 5\r\n"),
        ("other case", "tRANSFER-eNCODING: Chunked\r\ncONTENT-lENGTH: 5\r\n"),
        ("a length of 0", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        ("a length that is none", "Transfer-Encoding: chunked\r\nContent-Length: x\r\n"),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("bare line feeds", "Content-Length: 5\nTransfer-Encoding: chunked\n"),
        ("no space", "Content-Length:5\r\nTransfer-Encoding:chunked\r\n"),
    ];
    for (name, lines) in rows {
        assert_refused(name, &gateway, &origin, post(lines, chunked).as_bytes(), &[400]).await;
    }
    let first_lines_empty = format!("\r\n\r\n{}", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked));
    assert_refused("empty lines first", &gateway, &origin, first_lines_empty.as_bytes(), &[400]).await;
    gateway.logged("400 transfer_encoding").await;
}

#[tokio::test]
async fn p01_also_behind_other_requests_and_in_pieces() {
    let (gateway, origin) = world().await;
    let evil = post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let before = [
        ("a GET", "GET /__health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("a sized body", post("Content-Length: 9\r\n", "\r\n\r\n\r\n\r\n\n")),
        ("a chunked body", post("Transfer-Encoding: chunked\r\n", "4;x=\"a\"\r\n\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n")),
    ];
    for (name, first) in before {
        for piece in [1, 7, 100_000] {
            let upstream = origin.bytes().len();
            let mut client = gateway.client().await;
            for bytes in [first.as_bytes(), evil.as_bytes(), SMUGGLED.as_bytes()].concat().chunks(piece) {
                client.send(bytes).await;
                tokio::task::yield_now().await;
            }
            let answers = client.rest().await;
            let statuses: Vec<_> = answers.matches("HTTP/1.1 ").collect();
            assert_eq!(statuses.len(), 2, "{name}, {piece}: {answers:?}");
            assert!(answers.starts_with("HTTP/1.1 200 ") && answers.contains("HTTP/1.1 400 "), "{name}, {piece}: {answers:?}");
            let sent = origin.text().split_off(upstream);
            assert!(sent.matches("POST /open").count() <= 1 && !sent.contains("health"), "{name}: {sent:?}");
        }
    }
}

/// What comes before must not hide a request that is framed in two ways, nor mark an innocent one (P01, P18).
#[tokio::test]
async fn p01_p18_nothing_before_a_request_misleads_about_it() {
    let (gateway, _origin) = world().await;
    let (spaces, zeros) = (" ".repeat(60), "0".repeat(70));
    let evil = post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let look_alike = "A\r\nContent-Length:1\r\nTransfer-Encoding:x\r\n\r\n";
    let before = [
        ("spaces before a length", post(&format!("Content-Length:{spaces}5\r\n"), "x\r\n\r\n")),
        ("tabs before a length", post(&format!("Content-Length:{}5 \t\r\n", "\t".repeat(60)), "x\r\n\r\n")),
        ("zeros before a length", post(&format!("Content-Length: {zeros}5\r\n"), "x\r\n\r\n")),
        ("zeros before a chunk's size", post("Transfer-Encoding: chunked\r\n", &format!("{zeros}9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"))),
        ("a body like a head", post(&format!("Content-Length: {zeros}{}\r\n", look_alike.len()), look_alike)),
    ];
    for (name, first) in before {
        for (next, status) in [(evil.as_str(), 400), (SMUGGLED, 200)] {
            let mut client = gateway.client().await;
            client.send([first.as_str(), next].concat()).await;
            let statuses = (client.answer(false).await.status, client.answer(false).await.status);
            assert_eq!(statuses, (200, status), "{name}");
        }
    }
    let trailers = post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\nz\r\n\r\n");
    let answers = gateway.raw([trailers, evil].concat()).await;
    assert!(answers.matches("HTTP/1.1 200").count() <= 1, "a line feed in trailers: {answers:?}");
}

/// The other side of P01: bodies that only look like heads change nothing.
#[tokio::test]
async fn bodies_may_hold_anything_and_connections_live_on() {
    let (gateway, _origin) = world().await;
    let text = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sized = post(&format!("Content-Length: {}\r\n", text.len()), text);
    let chunked = post("Transfer-Encoding: chunked\r\n", &format!("{:x}\r\n{text}\r\n2;e\r\nab\r\n0\r\n\r\n", text.len()));
    let trailers = post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut client = gateway.client().await;
    for _ in 0..3 {
        client.send([sized.as_str(), &chunked, &trailers, SMUGGLED].concat()).await;
        for _ in 0..4 {
            assert_eq!(client.answer(false).await.status, 200);
        }
    }
}

#[tokio::test]
async fn p02_to_p09_framing_that_can_be_read_in_two_ways() {
    let (gateway, origin) = world().await;
    let big = "1".repeat(23);
    let rows: &[(&str, &str)] = &[
        ("P02 two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("P02 two codings on two lines", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        ("P03 gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("P04 xchunked", "Transfer-Encoding: xchunked\r\n"),
        ("P04 identity", "Transfer-Encoding: identity\r\n"),
        ("P04 chunked, identity", "Transfer-Encoding: chunked, identity\r\n"),
        ("P04 quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("P04 vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        ("P04 trailing comma", "Transfer-Encoding: chunked,\r\n"),
        ("P04 empty", "Transfer-Encoding:\r\n"),
        ("P04 chunked x", "Transfer-Encoding: chunked x\r\n"),
        ("P05 space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("P05 folded", "Transfer-Encoding:\r\n chunked\r\n"),
        ("P05 folded behind another", "X-A: b\r\n Transfer-Encoding: chunked\r\n"),
        ("P05 tab before the colon", "Content-Length\t: 5\r\n"),
        ("P08 plus", "Content-Length: +5\r\n"),
        ("P08 minus", "Content-Length: -1\r\n"),
        ("P08 hexadecimal", "Content-Length: 0x5\r\n"),
        ("P08 list", "Content-Length: 5,5\r\n"),
        ("P08 two words", "Content-Length: 5 5\r\n"),
        ("P08 empty", "Content-Length:\r\n"),
        ("P08 too big", &format!("Content-Length: {big}\r\n")),
        ("P08 two different", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("P14 NUL", "X-A: a\0b\r\n"),
        ("P14 DEL", "X-A: a\x7fb\r\n"),
        ("P14 bare CR", "X-A: a\rb\r\n"),
        ("P14 empty name", ": b\r\n"),
        ("P14 a name with a space", "X A: b\r\n"),
        ("P14 no colon", "X-A\r\n"),
        ("P54 a word before the expectation", "Content-Length: 5\r\nExpect: y 100-continue\r\n"),
        ("P54 another expectation", "Content-Length: 5\r\nExpect: 200-ok\r\n"),
    ];
    for (name, lines) in rows {
        assert_refused(name, &gateway, &origin, post(lines, "5\r\nhello\r\n0\r\n\r\n").as_bytes(), &[400, 417]).await;
    }
    gateway.logged(" - - - 400 head ").await;
    let old = "POST /open HTTP/1.0\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answers = gateway.raw(old).await;
    assert!(answers.contains(" 400 ") && origin.text().is_empty(), "P06 a coding in HTTP/1.0: {answers:?}");
}

#[tokio::test]
async fn p57_heads_and_targets_have_limits() {
    let (gateway, origin) = world().await;
    let get = |target: &str, lines: &str| format!("GET /{target} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n");
    let many: String = (0..101).map(|n| format!("X-{n}: a\r\n")).collect();
    let rows = [
        ("101 headers", get("open", &many), 431),
        ("a head of 100 KiB", get("open", &format!("X-A: {}\r\n", "a".repeat(100 * 1024))), 431),
        ("a target of 17 KiB", get(&format!("open/{}", "a".repeat(17 * 1024)), ""), 414),
        ("a query of 17 KiB", get(&format!("open?{}", "a".repeat(17 * 1024)), ""), 414),
    ];
    for (name, request, status) in rows {
        assert_refused(name, &gateway, &origin, request.as_bytes(), &[status]).await;
    }
}

#[tokio::test]
async fn p09_two_equal_lengths_are_one() {
    let (gateway, origin) = world().await;
    let answers = gateway.raw(post("Content-Length: 5\r\nContent-Length: 5\r\nConnection: close\r\n", "hello")).await;
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers:?}");
    assert_eq!(origin.text().to_lowercase().matches("content-length: 5").count(), 1);
}

#[tokio::test]
async fn p07_a_look_alike_of_the_coding_is_dropped() {
    let (gateway, origin) = world().await;
    gateway.raw(post("Transfer_Encoding: chunked\r\nContent_Length: 3\r\nContent-Length: 5\r\nConnection: close\r\n", "hello")).await;
    let sent = origin.text().to_lowercase();
    assert!(!sent.contains("transfer_encoding") && !sent.contains("content_length"), "{sent}");
    assert!(sent.ends_with("\r\n\r\nhello"), "{sent}");
}

#[tokio::test]
async fn p10_a_body_on_get_belongs_to_that_request() {
    let (gateway, origin) = world().await;
    let body = "GET /api HTTP/1.1\r\n\r\n";
    let request = format!("GET /open HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answers = gateway.raw(request).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers:?}");
    assert!(origin.text().ends_with(&format!("\r\n\r\n{body}")));
    let health = format!("GET /__health HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(gateway.raw(health).await.matches("HTTP/1.1 ").count(), 1);
}

#[tokio::test]
async fn p11_broken_chunks_end_both_sides_and_never_complete() {
    let (gateway, origin) = world().await;
    let rows = [
        ("hexadecimal prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("underscore", "0_3\r\nabc\r\n0\r\n\r\n"),
        ("leading space", " 3\r\nabc\r\n0\r\n\r\n"),
        ("overflow", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("a bare line feed", "3\nabc\r\n0\r\n\r\n"),
        ("no line end behind the data", "3\r\nabcd\r\n0\r\n\r\n"),
        ("two bytes in place of the line end", "3\r\nabcXX0\r\n\r\n"),
        ("a line feed in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        ("an extension of 20 KB", &format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(20_000))),
        ("trailers of 100 KB", &format!("3\r\nabc\r\n0\r\nX: {}\r\n\r\n", "a".repeat(100_000))),
        ("minus", "-3\r\nabc\r\n0\r\n\r\n"),
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
    ];
    for (name, body) in rows {
        let before = origin.connections();
        let mut client = gateway.client().await;
        client.send(post("Transfer-Encoding: chunked\r\n", &format!("1\r\na\r\n{body}{SMUGGLED}"))).await;
        let answers = client.rest().await;
        assert!(!answers.contains("\"status\""), "{name}: the second request was answered: {answers:?}");
        assert!(client.is_closed_within(Duration::from_secs(2)).await, "{name}: {answers:?}");
        origin.until(name, |all| all[before..].iter().all(|one| one.ended)).await;
        for received in &origin.received()[before..] {
            let sent = String::from_utf8_lossy(&received.bytes).into_owned();
            assert!(!sent.ends_with("0\r\n\r\n"), "{name}: the backend was told that the body is complete: {sent:?}");
        }
    }
}

#[tokio::test]
async fn p12_chunks_are_encoded_anew() {
    let (gateway, origin) = world().await;
    let body = "00003;ext=\"a\"\r\nabc\r\n0;last\r\nX-Trailer: 1\r\n\r\n";
    let answers = gateway.raw(post("Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\nConnection: close\r\n", body)).await;
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers:?}");
    let sent = origin.text();
    assert!(sent.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{sent:?}");
    assert!(!sent.to_lowercase().contains("trailer"), "{sent:?}");
}

#[tokio::test]
async fn p13_bare_line_feeds_in_a_head_leave_as_crlf() {
    let (gateway, origin) = world().await;
    let answers = gateway.raw("GET /open HTTP/1.1\nHost: api.example.com\nConnection: close\n\n").await;
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers:?}");
    let sent = origin.text();
    assert_eq!(sent.matches('\n').count(), sent.matches("\r\n").count());
}

#[tokio::test]
async fn p15_p16_a_refusal_with_an_unread_body_closes_the_connection() {
    let (gateway, origin) = world().await;
    let token = bearer();
    let rows = [
        ("401", "POST /api HTTP/1.1\r\nHost: api.example.com\r\n", 401),
        ("401 on GET", "GET /api HTTP/1.1\r\nHost: api.example.com\r\n", 401),
        ("404", "POST /none HTTP/1.1\r\nHost: x.example.com\r\n", 404),
        ("405", "TRACE /open HTTP/1.1\r\nHost: api.example.com\r\n", 405),
    ];
    for (name, head, status) in rows {
        let sized = format!("{head}Content-Length: 1000\r\n\r\n");
        assert_refused(&format!("{name}, sized"), &gateway, &origin, sized.as_bytes(), &[status]).await;
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n400\r\n");
        assert_refused(&format!("{name}, chunked"), &gateway, &origin, chunked.as_bytes(), &[status]).await;
    }
    // Without a body the connection serves on.
    let mut client = gateway.client().await;
    assert_eq!(client.request("GET", "/api", &[]).await.status, 401);
    assert_eq!(client.request("GET", "/api", &[("Authorization", &token)]).await.status, 200);
}

#[tokio::test]
async fn p15_a_refusal_survives_a_client_that_is_still_sending() {
    let (gateway, origin) = world().await;
    for round in 0..10 {
        let mut client = gateway.client().await;
        let body = vec![b'a'; 4 << 20];
        client.send(format!("POST /api HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        // A reset would take the answer away that the client has not read yet.
        for _ in 0..4 {
            client.stream.write_all(&body[..1 << 18]).await.expect("the connection takes what we send, and forgets it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = client.answer(false).await;
        assert_eq!((answer.status, answer.closes()), (401, true), "{round}");
        assert!(client.is_closed().await);
    }
    assert_eq!(origin.text(), "");
}

/// The library leaves a connection that asks for an upgrade to its caller, who must end it as gently.
#[tokio::test]
async fn p15_a_refusal_survives_a_client_that_asks_for_an_upgrade() {
    let (gateway, _origin) = world().await;
    let body = vec![b'a'; 4 << 20];
    for round in 0..10 {
        let mut client = gateway.client().await;
        let head = "POST /api HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n";
        client.send(format!("{head}Content-Length: {}\r\n\r\n", body.len())).await;
        for _ in 0..4 {
            client.stream.write_all(&body[..1 << 18]).await.expect("the connection takes what we send, and forgets it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = client.answer(false).await;
        assert_eq!((answer.status, answer.closes()), (401, true), "{round}");
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn k27_a_long_method_or_path_makes_no_long_log_line() {
    let (gateway, origin) = world().await;
    let request = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert_refused("P44 a method of 60 KB", &gateway, &origin, request(&"M".repeat(60_000), "/open").as_bytes(), &[400]).await;
    assert!(gateway.logged("400 method").await.len() < 512);
    assert!(gateway.raw(request("GET", &format!("/api/{}", "%C3%A9".repeat(2000)))).await.contains(" 401 "));
    let line = gateway.logged(" 401 ").await;
    assert!(line.len() < 2500 && line.contains("%C3%A9"), "{line}");
}

#[tokio::test]
async fn p53_continue_is_said_after_authorisation_alone() {
    let (gateway, origin) = world().await;
    let expecting = |headers: &str| {
        format!("POST /api HTTP/1.1\r\nHost: api.example.com\r\n{headers}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    };
    let mut refused = gateway.client().await;
    refused.send(expecting("Authorization: Bearer x\r\n")).await;
    let answer = refused.answer(false).await;
    assert_eq!((answer.status, answer.closes()), (401, true), "no 100 before it");
    assert!(refused.is_closed_within(PATIENCE).await);
    assert_eq!(origin.connections(), 0);

    let mut allowed = gateway.client().await;
    allowed.send(expecting(&format!("Authorization: {}\r\n", bearer()))).await;
    assert_eq!(allowed.answer_head().await.status, 100);
    allowed.send("hello").await;
    assert_eq!(allowed.answer(false).await.status, 200);
    origin.until("the body", |all| all.iter().any(|one| one.bytes.ends_with(b"hello"))).await;
}
