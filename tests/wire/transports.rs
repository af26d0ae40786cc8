//! How backends are spoken to: h2c and https, what a certificate must prove, and who shares a connection with whom.

use crate::{
    gateway::{Gateway, Setup, manifest},
    modern::{AUTHORITY, Modern, listen, server},
    origin::Origin,
};
use futures::future::join_all;
use http::{Response, StatusCode, Version};
use portcullis::{demo::Authority, proxy::Timeouts};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// A Public rule for `/` over the Service `web`, which is spoken to like this.
fn rules(how: &str) -> String {
    manifest(&format!("  timeout: 2s\n  rules:\n  - {{path: /, access: Public, backend: {{service: web, port: 80, {how}}}}}"))
}

fn gateway(how: &str, addresses: &[SocketAddr]) -> Gateway {
    Setup::new(&rules(how)).behind("web", addresses).start()
}

/// `tls` with this authority, and the rest of the block.
fn trusting(authority: &Authority, rest: &str) -> String {
    format!("scheme: https, tls: {{caBundle: {:?}{rest}}}", authority.pem())
}

#[tokio::test]
async fn h2c_says_the_same_request_in_http2() {
    let origin = Modern::h2c().await;
    let gateway = gateway("scheme: h2c", &[origin.address]);
    let headers =
        [("Host", "api.example.com:8080"), ("Content-Length", "2"), ("TE", "gzip"), ("Connection", "x-a"), ("X-A", "1"), ("X-B", "2")];
    let mut client = gateway.client().await;
    client.send(crate::client::head("POST", "/a%20b?c=d", &headers) + "hi").await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.complete), (200, "ok", true));
    let seen = origin.seen().remove(0);
    assert_eq!((seen.version, seen.method.as_str(), seen.uri.as_str()), (Version::HTTP_2, "POST", "http://api.example.com:8080/a%20b?c=d"));
    assert_eq!(seen.body, "hi");
    let names: Vec<_> = seen.headers.keys().map(|name| name.as_str()).collect();
    for absent in ["host", "connection", "te", "transfer-encoding", "x-a"] {
        assert!(!names.contains(&absent), "{absent} in {names:?}");
    }
    assert_eq!((&seen.headers["x-b"], &seen.headers["via"]), (&"2".parse().unwrap(), &"1.1 portcullis-test".parse().unwrap()));
}

#[tokio::test]
async fn a_body_of_unknown_length_crosses_to_either_protocol() {
    let (h2c, https) = (Modern::h2c().await, Modern::https(server("web.default.svc", &["http/1.1"])).await);
    let rows = [("h2c", "scheme: h2c".to_owned(), &h2c), ("https", trusting(&AUTHORITY, ""), &https)];
    for (name, how, origin) in rows {
        for method in ["GET", "POST"] {
            let gateway = gateway(&how, &[origin.address]);
            let mut client = gateway.client().await;
            client.send(crate::client::head(method, "/", &[("Transfer-Encoding", "chunked")]) + "2\r\nhi\r\n0\r\n\r\n").await;
            assert_eq!(client.answer(false).await.status, 200, "{name} {method}");
            let seen = origin.seen().pop().unwrap();
            assert_eq!((seen.method.as_str(), seen.body.as_str()), (method, "hi"), "{name}");
        }
    }
}

#[tokio::test]
async fn requests_share_http2_connections_up_to_a_bound() {
    let origin = Modern::h2c().await;
    let gateway = gateway("scheme: h2c", &[origin.address]);
    let statuses: Vec<_> = join_all((0..50).map(|_| gateway.get("/", &[]))).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, vec![200; 50]);
    assert_eq!(origin.connections(), 1, "one opens, the others wait for it");
    assert_eq!(gateway.metrics.upstream_connections.get(), 1);
}

/// What is more than it takes waits for no other request: it opens another connection.
#[tokio::test]
async fn a_backend_gets_no_more_requests_at_once_than_it_takes() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let (address, task) = listen(move |stream| {
        count.fetch_add(1, Relaxed);
        async move {
            let mut connection = h2::server::Builder::new().max_concurrent_streams(4).handshake::<_, bytes::Bytes>(stream).await.unwrap();
            let mut held = Vec::new();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let last = request.uri().path() == "/first";
                let mut body = respond.send_response(Response::new(()), last).unwrap();
                if !last {
                    body.send_data("a".into(), false).unwrap();
                    held.push(body);
                }
            }
        }
    })
    .await;
    let gateway = gateway("scheme: h2c", &[address]);
    assert_eq!(gateway.get("/first", &[]).await.status, 200, "it has said what it takes");
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = gateway.client().await;
        client.send(crate::client::head("GET", "/endless", &[])).await;
        assert_eq!(client.answer_head().await.status, 200);
        clients.push(client);
    }
    assert_eq!(connections.load(Relaxed), 3);
    task.abort();
}

#[tokio::test]
async fn a_certificate_must_prove_what_the_rule_says() {
    let other = Authority::new().unwrap();
    let mut expired = rcgen::CertificateParams::new(vec!["web.default.svc".to_owned()]).unwrap();
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = || (*AUTHORITY.server_with(expired.clone()).unwrap()).clone();
    let named = |name: &str| server(name, &["h2", "http/1.1"]);
    #[rustfmt::skip]
    let rows = [
        ("the Service's name", named("web.default.svc"), trusting(&AUTHORITY, ""), 200, "forwarded", "web.default.svc"),
        ("a name of its own", named("a.example"), trusting(&AUTHORITY, ", serverName: a.example"), 200, "forwarded", "a.example"),
        ("another name", named("a.example"), trusting(&AUTHORITY, ""), 502, "tls_wrong_name", ""),
        ("the Service's short name", named("web"), trusting(&AUTHORITY, ""), 502, "tls_wrong_name", ""),
        ("another namespace's", named("web.other.svc"), trusting(&AUTHORITY, ""), 502, "tls_wrong_name", ""),
        ("another authority", named("web.default.svc"), trusting(&other, ""), 502, "tls_untrusted", ""),
        ("no authority, so the system's", named("web.default.svc"), "scheme: https".to_owned(), 502, "tls_untrusted", ""),
        ("expired", expired(), trusting(&AUTHORITY, ""), 502, "tls_expired", ""),
        ("no protocol in common", server("web.default.svc", &["h3"]), trusting(&AUTHORITY, ""), 502, "tls_refused", ""),
    ];
    for (name, config, how, status, reason, sni) in rows {
        let origin = Modern::https(config).await;
        let gateway = gateway(&how, &[origin.address]);
        assert_eq!(gateway.get("/", &[]).await.status, status, "{name}");
        gateway.logged(&format!(" {status} {reason} ")).await;
        assert_eq!(origin.names().first().map_or("", String::as_str), sni, "{name}");
        assert_eq!(origin.seen().len(), usize::from(status == 200), "{name}: nothing is sent to whom nobody knows");
    }
}

#[tokio::test]
async fn who_speaks_no_tls_or_no_http2_is_502() {
    let plain = Origin::start(|mut conversation| async move {
        conversation.bytes(1).await;
        conversation.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    // The backend's end may be noticed before what it said.
    let rows = [("scheme: https", &["tls_handshake"][..]), ("scheme: h2c", &["invalid_response", "reset", "closed"])];
    for (how, reasons) in rows {
        let gateway = gateway(how, &[plain.address]);
        assert_eq!(gateway.get("/", &[]).await.status, 502, "{how}");
        let line = gateway.logged(" 502 ").await;
        assert!(reasons.iter().any(|reason| line.contains(&format!(" 502 {reason} "))), "{how}: {line}");
    }
    let silent = Origin::start(|mut conversation| async move { conversation.end().await }).await;
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    let gateway = Setup::new(&rules("scheme: https")).behind("web", &[silent.address]).timeouts(timeouts).start();
    assert_eq!(gateway.get("/", &[]).await.status, 502);
    gateway.logged(" 502 connect_timeout ").await;
}

#[tokio::test]
async fn over_tls_the_backend_chooses_the_protocol() {
    for (offers, version) in [
        (&["h2"][..], Version::HTTP_2),
        (&["http/1.1", "h2"], Version::HTTP_11),
        (&["h2", "http/1.1"], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let origin = Modern::https(server("web.default.svc", offers)).await;
        let gateway = gateway(&trusting(&AUTHORITY, ""), &[origin.address]);
        let mut client = gateway.client().await;
        for _ in 0..3 {
            assert_eq!(client.request("GET", "/", &[]).await.status, 200, "{offers:?}");
        }
        let versions: Vec<_> = origin.seen().iter().map(|seen| seen.version).collect();
        assert_eq!(versions, [version; 3], "{offers:?}");
        assert_eq!(origin.connections(), 1, "{offers:?}");
    }
}

/// One address behind rules with different settings: what one rule believes is not good enough for the other.
#[tokio::test]
async fn connections_are_never_shared_between_identities() {
    let other = Authority::new().unwrap();
    let origin = Modern::https(server("web.default.svc", &["h2", "http/1.1"])).await;
    let rule = |path: &str, how: &str| format!("  - {{path: {path}, access: Public, backend: {{service: web, port: 80, {how}}}}}\n");
    let rules = [
        rule("/sound", &trusting(&AUTHORITY, "")),
        rule("/authority", &trusting(&other, "")),
        rule("/name", &trusting(&AUTHORITY, ", serverName: b.example")),
        rule("/h2c", "scheme: h2c"),
        rule("/http", "scheme: http"),
    ];
    let gateway = Setup::new(&manifest(&format!("  rules:\n{}", rules.concat()))).behind("web", &[origin.address]).start();
    for path in ["/sound", "/authority", "/name", "/h2c", "/http", "/sound"] {
        let status = gateway.get(path, &[]).await.status;
        assert_eq!(status, if path == "/sound" { 200 } else { 502 }, "{path}");
    }
    assert!(origin.seen().iter().all(|seen| seen.connection == 1 && seen.uri.ends_with("/sound")));
    assert_eq!(origin.seen().len(), 2);
}

/// What a backend does with the nth stream of its first connection; others are answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Refuse,
    Goodbye,
    Reset,
    Die,
}

async fn answering_then(then: Then) -> (SocketAddr, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let (address, task) = listen(move |stream| {
        let requests = Arc::clone(&count);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                match (requests.fetch_add(1, Relaxed), then) {
                    (1, Then::Refuse) => respond.send_reset(h2::Reason::REFUSED_STREAM),
                    (1, Then::Reset) => respond.send_reset(h2::Reason::INTERNAL_ERROR),
                    (1, Then::Die) => return,
                    (1, Then::Goodbye) => {
                        respond.send_response(Response::new(()), true).unwrap();
                        connection.graceful_shutdown();
                    }
                    _ => drop(respond.send_response(Response::new(()), true).unwrap()),
                }
            }
        }
    })
    .await;
    (address, requests, task)
}

#[tokio::test]
async fn what_a_backend_did_not_begin_is_sent_again_and_nothing_else_is() {
    use Then::{Die, Goodbye, Refuse, Reset};
    #[rustfmt::skip]
    let rows = [
        (Refuse, "GET", "", [200, 200, 200], 4), (Refuse, "POST", "", [200, 200, 200], 4), (Refuse, "POST", "hi", [200, 502, 200], 3),
        (Goodbye, "GET", "", [200, 200, 200], 3), (Goodbye, "POST", "hi", [200, 200, 200], 3),
        (Reset, "POST", "", [200, 502, 200], 3),
        (Die, "GET", "", [200, 200, 200], 4), (Die, "POST", "", [200, 502, 200], 3), (Die, "PUT", "hi", [200, 502, 200], 3),
    ];
    for (then, method, body, want, times) in rows {
        let (address, requests, task) = answering_then(then).await;
        let gateway = gateway("scheme: h2c", &[address]);
        let mut statuses = [0; 3];
        for status in &mut statuses {
            let mut client = gateway.client().await;
            let length = body.len().to_string();
            client.send(crate::client::head(method, "/", &[("Content-Length", &length)]) + body).await;
            *status = client.answer(false).await.status;
        }
        assert_eq!((statuses, requests.load(Relaxed)), (want, times), "{then:?} {method} {body:?}");
        task.abort();
    }
}

#[tokio::test]
async fn a_connection_that_is_old_takes_no_more_requests() {
    for how in ["scheme: h2c", "scheme: http"] {
        let h2c = how == "scheme: h2c";
        let (modern, plain) = (Modern::h2c().await, Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await);
        let address = if h2c { modern.address } else { plain.address };
        let timeouts = Timeouts { upstream_life: Duration::from_millis(300), ..Timeouts::default() };
        let gateway = Setup::new(&rules(how)).behind("web", &[address]).timeouts(timeouts).start();
        let connections = || if h2c { modern.connections() } else { plain.connections() };
        let get = async |want: usize| {
            assert_eq!(gateway.get("/", &[]).await.status, 200);
            assert_eq!(connections(), want, "{how}");
        };
        get(1).await;
        get(1).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        get(2).await;
    }
}

#[tokio::test]
async fn a_status_that_http2_does_not_have_is_502() {
    let (address, task) = listen(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = Response::builder().status(StatusCode::from_u16(999).unwrap()).body(()).unwrap();
            respond.send_response(response, true).unwrap();
        }
    })
    .await;
    let gateway = gateway("scheme: h2c", &[address]);
    assert_eq!(gateway.get("/", &[]).await.status, 502);
    task.abort();
}
