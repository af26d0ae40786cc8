//! Backends that refuse, stall, die and misbehave: 502, 503, 504 or a clean abort, and never a wait without end.

use crate::{
    client::PATIENCE,
    gateway::{Gateway, Setup, manifest, start_echo},
    origin::{Conversation, Origin},
};
use portcullis::proxy::Timeouts;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

const RULES: &str = "  timeout: 400ms\n  rules:\n  - {path: /, access: Public}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn gateway(addresses: &[SocketAddr]) -> Gateway {
    Setup::new(&manifest(RULES)).behind("web", addresses).start()
}

/// An address where nobody listens; the port stays ours, so that nobody will.
fn refusing() -> (SocketAddr, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

#[tokio::test]
async fn a_refused_connection_goes_to_another_endpoint_once() {
    let (echo, good) = start_echo().await;
    let (bad, _kept) = refusing();
    let gateway = gateway(&[bad, good]);
    for n in 0..20 {
        let answer = gateway.request("POST", "/", &[("Content-Length", "0")]).await;
        assert_eq!(answer.status, 200, "{n}");
    }
    assert_eq!(echo.count(), 20);
    let (also_bad, _kept_too) = refusing();
    gateway.set_endpoints("web", &[bad, also_bad]);
    assert_eq!(gateway.get("/", &[]).await.status, 502);
    gateway.set_endpoints("web", &[]);
    assert_eq!(gateway.get("/", &[]).await.status, 503);
    gateway.logged(" 502 connect_refused ").await;
    gateway.logged(" 503 no_endpoint ").await;
}

#[tokio::test]
async fn a_slow_answer_is_504_and_the_request_is_cancelled() {
    let origin = Origin::start(|mut conversation| async move { conversation.end().await }).await;
    let gateway = gateway(&[origin.address]);
    let start = Instant::now();
    let answer = gateway.get("/", &[]).await;
    assert_eq!(answer.status, 504);
    assert!((400..2000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    origin.until("cancelled", |all| all[0].ended).await;
}

#[tokio::test]
async fn the_timeout_pauses_while_the_client_is_still_sending() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.until(b"ab").await;
        conversation.say(OK).await;
        conversation.end().await;
    })
    .await;
    let gateway = gateway(&[origin.address]);
    let mut client = gateway.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na").await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    client.send("b").await;
    assert_eq!(client.answer(false).await.status, 200);
}

#[tokio::test]
async fn an_answer_may_take_longer_than_the_timeout_once_it_began() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        conversation.say("ok").await;
    })
    .await;
    let answer = gateway(&[origin.address]).get("/", &[]).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.complete), (200, "ok", true));
}

/// The first connection answers once and dies under the second request; others answer.
async fn dying(last_words: &'static str, reset: bool) -> Origin {
    Origin::start(move |mut conversation: Conversation| async move {
        conversation.head().await;
        conversation.say(OK).await;
        if conversation.number == 0 {
            conversation.head().await;
            conversation.say(last_words).await;
            if reset {
                conversation.reset();
            }
            return;
        }
        while conversation.head().await.is_some() {
            conversation.say(OK).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_dies_is_replaced_for_what_may_be_sent_twice() {
    for reset in [false, true] {
        for (method, body, want) in [
            ("GET", "", 200),
            ("HEAD", "", 200),
            ("PUT", "", 200),
            ("DELETE", "", 200),
            ("POST", "", 502),
            ("PATCH", "", 502),
            ("PUT", "hi", 502),
        ] {
            let origin = dying("", reset).await;
            let gateway = gateway(&[origin.address]);
            assert_eq!(gateway.get("/", &[]).await.status, 200);
            tokio::time::sleep(Duration::from_millis(30)).await;
            let mut client = gateway.client().await;
            let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            client.send(format!("{method} /second HTTP/1.1\r\nHost: a\r\n{length}\r\n{body}")).await;
            assert_eq!(client.answer(method == "HEAD").await.status, want, "{method} {body:?}, reset: {reset}");
            let times = origin.text().matches("/second").count();
            assert_eq!(times, if want == 200 { 2 } else { 1 }, "{method}");
        }
    }
}

#[tokio::test]
async fn half_an_answer_is_not_a_dead_connection() {
    let origin = dying("HTTP/1.1 2", false).await;
    let gateway = gateway(&[origin.address]);
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    let second = gateway.get("/second", &[]).await.status;
    let times = origin.text().matches("/second").count();
    assert!((second, times) == (502, 1) || (second, times) == (200, 2), "{second} after {times} tries");
}

#[tokio::test]
async fn a_post_on_a_connection_that_was_closed_while_idle_is_sent_on_another() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say(OK).await;
    })
    .await;
    let gateway = gateway(&[origin.address]);
    for n in 0..20 {
        let answer = gateway.request("POST", "/", &[("Content-Length", "0")]).await;
        assert_eq!(answer.status, 200, "{n}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(origin.connections(), 20);
}

#[tokio::test]
async fn idle_connections_are_not_kept_longer_than_agreed() {
    let origin = Origin::saying(OK).await;
    let timeouts = Timeouts { upstream_idle: Duration::from_millis(300), ..Timeouts::default() };
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).timeouts(timeouts).start();
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    assert_eq!(origin.connections(), 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    assert_eq!(origin.connections(), 2);
}

/// requirements, proxy F.
#[tokio::test]
async fn answers_that_are_none_are_502() {
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    #[rustfmt::skip]
    let rows = [
        ("nothing", String::new()),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le".to_owned()),
        ("no HTTP", "SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
        ("HTTP/0.9", "<html>hello</html>\n".to_owned()),
        ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned()),
        ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned()),
        ("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_owned()),
        ("a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok".to_owned()),
        ("a folded line", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("a bare CR", "HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("status 99", "HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("status 999", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("status 600", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("P50 an unsolicited 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw".to_owned()),
        ("a coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("the coding identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok".to_owned()),
        ("two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("200 headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ("a head of 1 MiB", format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1 << 20))),
    ];
    for (name, answer) in rows {
        let origin = Origin::start(move |mut conversation| {
            let answer = answer.clone();
            async move {
                conversation.head().await;
                conversation.say(&answer).await;
            }
        })
        .await;
        let gateway = gateway(&[origin.address]);
        let answer = gateway.get("/", &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (502, ""), "{name}");
        assert_eq!(gateway.get("/__none", &[]).await.status, 502, "{name}: the gateway lives");
    }
}

#[tokio::test]
async fn a_length_beside_a_coding_in_an_answer_goes() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
    let gateway = gateway(&[origin.address]);
    let mut client = gateway.client().await;
    for _ in 0..2 {
        let answer = client.request("GET", "/", &[]).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "ok", None));
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    for extra in ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "junk"] {
        for first in [OK, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"] {
            let origin = Origin::saying([first, extra].concat()).await;
            let gateway = gateway(&[origin.address]);
            for path in ["/1", "/2", "/3"] {
                let answer = gateway.get(path, &[]).await;
                assert!(answer.body != "poison", "{first:?} {path}: {answer:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test]
async fn interim_answers_are_swallowed_and_never_last_for_ever() {
    let many = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000);
    let origin = Origin::saying(["HTTP/1.1 100 Continue\r\n\r\n", &many, OK].concat()).await;
    let gateway = gateway(&[origin.address]);
    assert_eq!(gateway.get("/", &[]).await.body, "ok");
    let endless = Origin::start(|mut conversation| async move {
        conversation.head().await;
        let hint = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
        let start = Instant::now();
        while start.elapsed() < PATIENCE && !conversation.is_over() {
            conversation.say(&hint).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    gateway.set_endpoints("web", &[endless.address]);
    assert_eq!(gateway.get("/", &[]).await.status, 504);
}

#[tokio::test]
async fn an_error_says_nothing_about_where_the_backend_is() {
    let (bad, _kept) = refusing();
    let gateway = gateway(&[bad]);
    let answer = gateway.get("/", &[("Accept", "application/json")]).await;
    let all = format!("{}{}", answer.head, answer.body);
    assert!(!all.contains("127.0.0.1") && !all.to_lowercase().contains("server:"), "{all}");
}

/// Two endpoints: one that answers, and one that does as it is told. How many requests came to the second.
async fn beside_one_that(fails: Arc<AtomicBool>) -> (Gateway, Origin, Origin) {
    let good = Origin::saying(OK).await;
    let bad = Origin::start(move |mut conversation| {
        let fails = Arc::clone(&fails);
        async move {
            while conversation.head().await.is_some() {
                match fails.load(Relaxed) {
                    true => conversation.end().await,
                    false => conversation.say(OK).await,
                }
            }
        }
    })
    .await;
    let timeouts = Timeouts { ejection: Duration::from_millis(300), ..Timeouts::default() };
    let rules = manifest("  timeout: 50ms\n  rules:\n  - {path: /, access: Public}");
    let gateway = Setup::new(&rules).behind("web", &[good.address, bad.address]).timeouts(timeouts).start();
    (gateway, good, bad)
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_out_until_it_is_back() {
    let fails = Arc::new(AtomicBool::new(true));
    let (gateway, _good, bad) = beside_one_that(Arc::clone(&fails)).await;
    let mut late = 0;
    for _ in 0..200 {
        late += u32::from(gateway.get("/", &[]).await.status == 504);
        if gateway.metrics.upstream_ejected.get() == 1 {
            break;
        }
    }
    assert_eq!((late, gateway.metrics.upstream_ejections.get()), (3, 1), "three in a row");
    for _ in 0..20 {
        assert_eq!(gateway.get("/", &[]).await.status, 200);
    }
    let requests = || bad.text().matches("GET /").count();
    assert_eq!(requests(), 3);
    fails.store(false, Relaxed);
    tokio::time::sleep(Duration::from_millis(350)).await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/", &[]).await.status, 200);
    }
    assert_eq!(gateway.metrics.upstream_ejected.get(), 0);
    assert!(requests() > 5, "{} of 20 requests to one that is back", requests());
}

#[tokio::test]
async fn the_last_endpoints_are_never_left_out() {
    let (echo, good) = start_echo().await;
    let refusing: Vec<_> = (0..3).map(|_| refusing()).collect();
    let bad: Vec<_> = refusing.iter().map(|(address, _)| *address).collect();
    let gateway = gateway(&bad[..1]);
    for n in 0..10 {
        assert_eq!(gateway.get("/", &[]).await.status, 502, "{n}");
    }
    assert_eq!(gateway.metrics.upstream_ejected.get(), 1);
    gateway.set_endpoints("web", &[bad[0], bad[1], bad[2], good]);
    while gateway.metrics.upstream_ejected.get() < 3 {
        gateway.get("/", &[]).await;
    }
    let before = echo.count();
    for _ in 0..40 {
        gateway.get("/", &[]).await;
    }
    assert!(echo.count() - before < 35, "one that works does not get all the load of three that do not");
}

#[tokio::test]
async fn connections_to_an_endpoint_that_left_are_closed_and_its_requests_finished() {
    let origin = Origin::start(|mut conversation| async move {
        while let Some(head) = conversation.head().await {
            if head.contains("/slow") {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
                tokio::time::sleep(Duration::from_millis(6500)).await;
                conversation.say("k").await;
            } else {
                conversation.say(OK).await;
            }
        }
    })
    .await;
    let gateway = gateway(&[origin.address]);
    let mut slow = gateway.client().await;
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the slow request", |all| all.len() == 1).await;
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    gateway.set_endpoints("web", &[]);
    origin.until("the idle connection is closed", |all| all.len() == 2 && all[1].ended && !all[0].ended).await;
    assert_eq!(slow.answer(false).await.body, "ok");
    origin.until("the other, too", |all| all[0].ended).await;
}

#[tokio::test]
async fn a_backend_is_believed_that_keeps_connections_for_less_long() {
    for (keeps, want) in [("timeout=5", 1), ("timeout=1", 2)] {
        let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\nKeep-Alive: {keeps}\r\nContent-Length: 2\r\n\r\nok")).await;
        let gateway = gateway(&[origin.address]);
        for _ in 0..2 {
            assert_eq!(gateway.get("/", &[]).await.status, 200);
        }
        assert_eq!(origin.connections(), want, "{keeps}");
    }
}

/// A worker that may have two connections: an idle one gives way, one in use is waited for, and who waits too long is told so.
#[tokio::test]
async fn connections_to_backends_are_limited() {
    let origins = [Origin::saying(OK).await, Origin::saying(OK).await, Origin::saying(OK).await];
    let rule = |n: usize| format!("  - {{path: /{n}, access: Public, backend: {{service: web-{n}, port: 80}}}}\n");
    let service = |n: usize| format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: web-{n}}}\nspec: {{ports: [{{port: 80}}]}}\n");
    let rules = format!(
        "{}\n{}",
        manifest(&format!("  rules:\n{}", (0..3).map(rule).collect::<String>())),
        (0..3).map(service).collect::<String>()
    );
    let mut setup = Setup::new(&rules);
    for (n, origin) in origins.iter().enumerate() {
        setup = setup.behind(&format!("web-{n}"), &[origin.address]);
    }
    // One for each connection, and one for each stream.
    (setup.max_connections, setup.max_streams) = (1, 1);
    let gateway = setup.start();
    let mut client = gateway.client().await;
    for n in [0, 1, 2, 0, 1, 2] {
        assert_eq!(client.request("GET", &format!("/{n}"), &[]).await.status, 200, "{n}");
        assert!(gateway.metrics.upstream_connections.get() <= 2);
    }
}
