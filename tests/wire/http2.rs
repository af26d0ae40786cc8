//! HTTP/2 from clients: one request for the backend whatever it came in, and nothing that HTTP/1.1 could read otherwise
//! (P19-P26).

use crate::{
    client::{Client, PATIENCE},
    gateway::{Gateway, Setup, bearer, manifest, start_echo, token},
    http2::{Polite, Raw, reply, request},
    origin::Origin,
};
use bytes::Bytes;
use portcullis::proxy::Shutdown;
use std::time::Duration;
use tokio::time::timeout;

const RULES: &str = "  token: {cookie: session}\n  rules:\n  - {path: /open, access: Public}\n  - {path: /api}";
const OK: &str = "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok";
const API: &str = "https://api.example.com/api";
const OPEN: &str = "https://api.example.com/open";

async fn world() -> (Gateway, Origin, Polite) {
    let origin = Origin::saying(OK).await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let client = Polite::connect(gateway.h2c).await;
    (gateway, origin, client)
}

#[tokio::test]
async fn one_handler_serves_both_protocols() {
    let (gateway, origin, mut client) = world().await;
    let answer = client.get(API, &[("authorization", &bearer()), ("te", "trailers")]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str(), answer.error.is_none()), (200, "ok", true));
    for hop_by_hop in ["connection", "x-hop", "keep-alive", "transfer-encoding"] {
        assert_eq!(answer.header(hop_by_hop), None, "{hop_by_hop}");
    }
    let sent = origin.text().to_ascii_lowercase();
    assert!(sent.starts_with("get /api http/1.1\r\n") && sent.contains("\r\nhost: api.example.com\r\n"), "{sent}");
    assert!(sent.contains("\r\nvia: 2.0 portcullis-test\r\n") && !sent.contains("\r\nte:"), "{sent}");
    let rows = [
        ("no token", API, 401, "www-authenticate", Some("Bearer realm=\"api.example.com\"")),
        ("no route", "https://api.example.com/", 404, "www-authenticate", None),
        ("no reading", "https://api.example.com/a%2fb", 400, "connection", None),
    ];
    for (name, uri, status, header, value) in rows {
        let answer = client.get(uri, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header(header)), (status, value), "{name}");
        assert!(answer.header("x-request-id").is_some(), "{name}");
    }
    let line = gateway.logged(" 404 ").await;
    assert!(line.contains(" h2 "), "{line}");
    assert!(gateway.metrics.encode().contains("portcullis_requests_by_protocol_total{protocol=\"h2\"} 4"), "{}", gateway.metrics.encode());
}

#[tokio::test]
async fn p19_p20_p21_the_routed_host_is_the_forwarded_host() {
    let (_gateway, origin, mut client) = world().await;
    let rows = [
        ("P19 another host", OPEN, vec![("host", "evil.example.com")], 400),
        ("P19 an equal host", OPEN, vec![("host", "api.example.com")], 200),
        ("P20 no authority", "/open", vec![("host", "api.example.com")], 200),
        ("P20 neither", "/open", vec![], 400),
        ("P21 userinfo", "https://u@api.example.com/open", vec![], 400),
        ("P38 a scheme of another kind", "ftp://api.example.com/open", vec![], 400),
    ];
    for (name, uri, headers, status) in rows {
        let before = origin.bytes().len();
        let mut request = request("GET", uri, &headers);
        *request.version_mut() = http::Version::HTTP_11;
        let answer = reply(client.send(request).await).await.unwrap();
        assert_eq!(answer.status, status, "{name}");
        let sent = origin.text().split_off(before).to_ascii_lowercase();
        assert_eq!(sent.matches("\r\nhost: api.example.com\r\n").count(), usize::from(status == 200), "{name}: {sent}");
        assert!(!sent.contains("evil"), "{name}: {sent}");
    }
}

#[tokio::test]
async fn p22_cookie_crumbs_are_one_line() {
    let (_gateway, origin, mut client) = world().await;
    let session = format!("session={}", token());
    let answer = client.get(API, &[("cookie", "a=b"), ("cookie", &session), ("cookie", "c=d")]).await;
    assert_eq!(answer.status, 200, "the token is found in any crumb");
    let sent = origin.text();
    assert!(sent.contains(&format!("a=b; {session}; c=d\r\n")), "{sent}");
    assert_eq!(sent.to_ascii_lowercase().matches("\r\ncookie:").count(), 1, "{sent}");
    let answer = client.get(API, &[("cookie", &session), ("cookie", &session)]).await;
    assert_eq!(answer.status, 400, "two credentials, as in HTTP/1.1");
}

#[tokio::test]
async fn p23_p24_what_has_no_reading_in_http_1_is_not_forwarded() {
    let (_gateway, origin, mut client) = world().await;
    for value in [" a", "a ", "\ta", " "] {
        assert_eq!(client.get(OPEN, &[("x-a", value)]).await.status, 400, "P23 {value:?}");
    }
    assert_eq!(client.request("TRACE", OPEN, &[]).await.status, 405, "P42");
    let connect = request("CONNECT", "api.example.com:443", &[]);
    let answer = reply(client.send(connect).await).await.unwrap();
    assert_eq!(answer.status, 405, "P24");
    let many: Vec<_> = (0..101).map(|n| (format!("x-{n}"), "v")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(client.get(OPEN, &many).await.status, 431, "P57: as many lines as in HTTP/1.1");
    assert_eq!(client.get(OPEN, &[("x-long", &"a".repeat(65 * 1024))]).await.status, 431, "P57: as long as in HTTP/1.1");
    assert_eq!(client.get(OPEN, &[("x-long", &"a".repeat(20 * 1024))]).await.status, 200);
    assert_eq!(origin.text().matches("GET ").count(), 1, "{}", origin.text());
}

#[tokio::test]
async fn p26_the_clear_port_speaks_http_1_alone() {
    let (gateway, origin, _client) = world().await;
    let mut raw = Raw::connect(gateway.address, &[]).await;
    raw.get(1, "/open").await;
    let mut client = Client::connect(gateway.address).await;
    std::mem::swap(&mut client.stream, &mut raw.stream);
    let answer = client.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer:?}");
    assert!(client.is_closed().await);
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn bodies_come_through_with_their_length_or_without_and_trailers_do_not() {
    let (_gateway, origin, client) = world().await;
    let rows = [("sized", Some("10"), "content-length: 10\r\n"), ("unsized", None, "transfer-encoding: chunked\r\n")];
    for (name, length, framing) in rows {
        for method in ["POST", "GET"] {
            let before = origin.bytes().len();
            let headers: Vec<_> = length.map(|length| ("content-length", length)).into_iter().collect();
            let mut sender = client.sender.clone().ready().await.unwrap();
            let (response, mut body) = sender.send_request(request(method, OPEN, &headers), false).unwrap();
            body.send_data(Bytes::from_static(b"hello"), false).unwrap();
            body.send_data(Bytes::from_static(b"world"), false).unwrap();
            let trailers = [("x-user", "admin"), ("authorization", "x")];
            body.send_trailers(trailers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()).unwrap();
            assert_eq!(reply(response).await.unwrap().status, 200, "{name} {method}");
            origin
                .until("the body", |all| all.iter().any(|one| one.bytes.ends_with(b"world") || one.bytes.ends_with(b"\r\n0\r\n\r\n")))
                .await;
            let sent = origin.text().split_off(before).to_ascii_lowercase();
            assert_eq!(sent.matches(framing).count(), 1, "{name} {method}: {sent}");
            assert!(!sent.contains("admin") && !sent.contains("authorization"), "P52 {name} {method}: {sent}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let mut client = Polite::connect(gateway.h2c).await;
    let rows = [("ours", "https://api.example.com/__health", "15"), ("the backend's", OPEN, "7")];
    for (name, uri, length) in rows {
        let answer = client.request("HEAD", uri, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str(), answer.header("content-length")), (200, "", Some(length)), "{name}");
        assert!(answer.error.is_none(), "{name}: {:?}", answer.error);
    }
    let problem = client.request("HEAD", API, &[("accept", "application/json")]).await;
    assert_eq!((problem.status.as_u16(), problem.body.as_str(), problem.error.is_none()), (401, "", true));
}

#[tokio::test]
async fn p25_a_reset_cancels_the_backend_s_work() {
    let origin = Origin::start(|mut conversation| async move { conversation.end().await }).await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let mut client = Polite::connect(gateway.h2c).await;
    let response = client.send(request("GET", OPEN, &[])).await;
    origin.until("the request", |all| all.len() == 1 && !all[0].bytes.is_empty()).await;
    drop(response);
    origin.until("the end", |all| all[0].ended).await;
    gateway.logged(" 499 ").await;
    // The same when the whole connection goes.
    let response = client.send(request("GET", OPEN, &[])).await;
    origin.until("the second request", |all| all.len() == 2 && !all[1].bytes.is_empty()).await;
    client.connection.abort();
    origin.until("the second end", |all| all[1].ended).await;
    drop(response);
}

#[tokio::test]
async fn a_drain_says_goaway_and_finishes_what_has_begun() {
    let origin = Origin::start(|mut conversation| async move {
        while conversation.head().await.is_some() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    for step in [Shutdown::Draining, Shutdown::Closing] {
        let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
        let (mut busy, mut idle) = (Polite::connect(gateway.h2c).await, Polite::connect(gateway.h2c).await);
        assert_eq!(idle.get("https://api.example.com/__health", &[]).await.status, 200);
        let seen = origin.bytes().len();
        let response = busy.send(request("GET", OPEN, &[])).await;
        origin.until("the request", |all| all.iter().map(|one| one.bytes.len()).sum::<usize>() > seen).await;
        gateway.handle.shut_down(step);
        timeout(PATIENCE, idle.connection).await.expect("an idle connection is closed").unwrap().unwrap();
        let answer = reply(response).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "ok"), "{step:?}");
        assert_eq!(answer.header("connection"), None, "{step:?}");
        timeout(PATIENCE, busy.connection).await.expect("then it is closed").unwrap().unwrap();
        if step == Shutdown::Draining {
            let mut late = Polite::connect(gateway.h2c).await;
            assert_eq!(late.get("https://api.example.com/__health", &[]).await.status, 200, "who has not heard yet is served");
            timeout(PATIENCE, late.connection).await.expect("and then told").unwrap().unwrap();
        }
        gateway.handle.shut_down(Shutdown::Closing);
        timeout(PATIENCE, gateway.join()).await.expect("nothing is left to wait for");
    }
}

#[tokio::test]
async fn p58_more_requests_than_there_is_room_for_are_told_so() {
    let (_echo, address) = start_echo().await;
    let origin = Origin::start(|mut conversation| async move { conversation.end().await }).await;
    let mut setup = Setup::new(&manifest(RULES)).behind("web", &[origin.address]);
    setup.max_streams = 1;
    let gateway = setup.start();
    let (mut one, mut other) = (Polite::connect(gateway.h2c).await, Polite::connect(gateway.h2c).await);
    let (first, second) = (one.send(request("GET", OPEN, &[])).await, one.send(request("GET", OPEN, &[])).await);
    origin.until("two requests", |all| all.len() == 2).await;
    let third = one.get(OPEN, &[]).await;
    assert_eq!((third.status.as_u16(), third.header("retry-after")), (503, Some("5")));
    gateway.logged("503 overloaded").await;
    gateway.set_endpoints("web", &[address]);
    assert_eq!(other.get(OPEN, &[]).await.status, 200, "each connection has room for one");
    drop((first, second));
    origin.until("both are given up", |all| all.iter().all(|one| one.ended)).await;
    assert_eq!(one.get(OPEN, &[]).await.status, 200);
}
