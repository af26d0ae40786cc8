//! Stopping without losing a request, and the limits of a connection's patience (P56).

use crate::{
    client::{Answer, Client, head},
    gateway::{Gateway, Setup, manifest, start_echo},
    origin::Origin,
};
use portcullis::proxy::{Shutdown, Timeouts};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

const RULES: &str = "  rules:\n  - {path: /, access: Public}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn slow_origin(millis: u64) -> Origin {
    Origin::start(move |mut conversation| async move {
        while conversation.head().await.is_some() {
            sleep(Duration::from_millis(millis)).await;
            conversation.say(OK).await;
        }
    })
    .await
}

fn gateway(origin: SocketAddr, timeouts: Timeouts) -> Gateway {
    Setup::new(&manifest(RULES)).behind("web", &[origin]).timeouts(timeouts).start()
}

#[tokio::test]
async fn draining_serves_on_and_says_close() {
    let (_echo, address) = start_echo().await;
    let gateway = gateway(address, Timeouts::default());
    let mut kept = gateway.client().await;
    assert!(!kept.request("GET", "/", &[]).await.closes());
    gateway.handle.shut_down(Shutdown::Draining);
    for path in ["/", "/__health"] {
        let answer = gateway.get(path, &[]).await;
        assert_eq!((answer.status, answer.closes()), (200, true), "a new connection, {path}");
    }
    let last = kept.request("GET", "/", &[]).await;
    assert_eq!((last.status, last.closes()), (200, true), "a kept connection");
    assert!(kept.is_closed().await);
}

#[tokio::test]
async fn a_request_under_way_is_finished_while_closing() {
    let origin = slow_origin(400).await;
    let gateway = gateway(origin.address, Timeouts::default());
    let (mut busy, mut idle) = (gateway.client().await, gateway.client().await);
    assert_eq!(idle.request("GET", "/", &[]).await.status, 200);
    busy.send(head("GET", "/", &[])).await;
    origin
        .until("the second request", |all| all.iter().map(|one| one.bytes.windows(4).filter(|w| w == b"GET ").count()).sum::<usize>() == 2)
        .await;
    gateway.handle.shut_down(Shutdown::Closing);
    assert!(idle.is_closed_within(Duration::from_millis(300)).await, "an idle connection is closed at once");
    let answer = busy.answer(false).await;
    assert_eq!((answer.status, answer.closes()), (200, true));
    drop((busy, idle));
    timeout(Duration::from_secs(5), gateway.join()).await.expect("nothing is left to wait for");
}

#[tokio::test]
async fn what_waits_to_be_accepted_is_served_before_the_end() {
    let origin = slow_origin(1).await;
    for round in 0..10 {
        let gateway = gateway(origin.address, Timeouts::default());
        let mut clients = Vec::new();
        for _ in 0..30 {
            clients.push(gateway.client().await);
        }
        for client in &mut clients {
            client.send(head("GET", "/", &[])).await;
        }
        gateway.handle.shut_down(Shutdown::Closing);
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.answer(false).await.status, 200, "round {round}, client {n}");
        }
    }
}

#[tokio::test]
async fn a_head_that_has_begun_is_waited_for() {
    let origin = slow_origin(1).await;
    let gateway = gateway(origin.address, Timeouts::default());
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHo").await;
    sleep(Duration::from_millis(50)).await;
    gateway.handle.shut_down(Shutdown::Closing);
    sleep(Duration::from_millis(100)).await;
    client.send("st: a\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status, 200);
}

#[tokio::test]
async fn the_last_step_stops_at_once() {
    let origin = slow_origin(60_000).await;
    let gateway = gateway(origin.address, Timeouts::default());
    let mut client = gateway.client().await;
    client.send(head("GET", "/", &[])).await;
    origin.until("the request", |all| all.len() == 1).await;
    gateway.handle.shut_down(Shutdown::Closing);
    sleep(Duration::from_millis(100)).await;
    gateway.handle.shut_down(Shutdown::Stopped);
    assert!(client.is_closed_within(Duration::from_secs(1)).await);
    timeout(Duration::from_secs(2), gateway.join()).await.expect("stopped");
}

/// However a connection ends, it is no longer counted.
#[tokio::test]
async fn connections_that_are_cut_off_are_not_open() {
    let origin = slow_origin(60_000).await;
    let gateway = gateway(origin.address, Timeouts::default());
    let mut client = gateway.client().await;
    client.send(head("GET", "/", &[])).await;
    origin.until("the request", |all| all.len() == 1).await;
    let metrics = Arc::clone(&gateway.metrics);
    let open = || (metrics.connections.get(), metrics.upstream_connections.get());
    assert_eq!(open(), (1, 1));
    gateway.handle.shut_down(Shutdown::Stopped);
    gateway.join().await;
    assert_eq!(open(), (0, 0));
}

#[tokio::test]
async fn p58_connections_beyond_the_limit_wait_for_their_turn() {
    let origin = slow_origin(1).await;
    let mut setup = Setup::new(&manifest(RULES)).behind("web", &[origin.address]);
    setup.max_connections = 2;
    let gateway = setup.start();
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.request("GET", "/", &[]).await.status, 200);
    }
    let mut third = gateway.client().await;
    third.send(head("GET", "/", &[])).await;
    assert_eq!(third.rest().await, "", "no room");
    assert_eq!((second.request("GET", "/", &[]).await.status, gateway.metrics.connections.get()), (200, 2));
    drop(first);
    assert_eq!(third.answer(false).await.status, 200);
}

#[tokio::test]
async fn p56_an_answer_that_stands_still_is_given_up_on_both_sides() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
        for _ in 0..5 {
            sleep(Duration::from_millis(300)).await;
            conversation.say("data: 1\n\n").await;
        }
        conversation.end().await;
    })
    .await;
    let gateway = gateway(origin.address, Timeouts { body_idle: Duration::from_millis(600), ..SHORT });
    let mut client = gateway.client().await;
    client.send(head("GET", "/", &[])).await;
    let start = Instant::now();
    let answer = client.answer(false).await;
    assert_eq!((answer.body.matches("data").count(), answer.complete), (5, false), "events are signs of life");
    assert!((2000..3500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    origin.until("cut off", |all| all[0].ended).await;
}

/// Two replicas behind one balancer, restarted in turn under load.
#[tokio::test]
async fn no_request_fails_in_twenty_restarts() {
    let (_echo, address) = start_echo().await;
    let start = || gateway(address, Timeouts::default());
    let mut pair = [start(), start()];
    let ready = Arc::new(Mutex::new(vec![pair[0].address, pair[1].address]));
    let stop = Arc::new(AtomicBool::new(false));
    let served: Vec<_> = (0..8).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let start_user = |(n, served)| tokio::spawn(user(n, Arc::clone(&ready), Arc::clone(&stop), Arc::clone(served)));
    let users: Vec<_> = served.iter().enumerate().map(start_user).collect();
    for restart in 0..20 {
        let old = std::mem::replace(&mut pair[restart % 2], start());
        // As an endpoint controller does: the new one in, the old one out, and then time to hear of it.
        *ready.lock().unwrap() = vec![pair[0].address, pair[1].address];
        old.handle.shut_down(Shutdown::Draining);
        hear_of_it(&served).await;
        old.handle.shut_down(Shutdown::Closing);
        timeout(Duration::from_secs(5), old.join()).await.expect("it ended by itself");
    }
    stop.store(true, SeqCst);
    for user in users {
        user.await.unwrap();
    }
}

/// Until every user has asked twice from now on: the second of two answers was surely asked for after now, and says where not to come
/// back to.
async fn hear_of_it(served: &[Arc<AtomicUsize>]) {
    for served in served {
        let enough = served.load(SeqCst) + 2;
        let asked = async {
            while served.load(SeqCst) < enough {
                sleep(Duration::from_millis(1)).await
            }
        };
        timeout(Duration::from_secs(20), asked).await.expect("every user is served");
    }
}

/// Keeps a connection until it is told not to.
async fn user(n: usize, ready: Arc<Mutex<Vec<SocketAddr>>>, stop: Arc<AtomicBool>, served: Arc<AtomicUsize>) {
    let mut kept: Option<Client> = None;
    for turn in 0.. {
        if stop.load(SeqCst) {
            return;
        }
        let address = ready.lock().unwrap()[(n + turn) % 2];
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::connect(address).await,
        };
        let answer: Answer = client.request("GET", "/", &[]).await;
        assert_eq!(answer.status, 200);
        served.fetch_add(1, SeqCst);
        kept = Some(client).filter(|_| !answer.closes());
        sleep(Duration::from_millis(2)).await;
    }
}

pub const SHORT: Timeouts = Timeouts {
    header: Duration::from_millis(400),
    idle: Duration::from_millis(800),
    body_stall: Duration::from_millis(400),
    write_stall: Duration::from_millis(400),
    standing: Duration::from_secs(10),
    connect: Duration::from_secs(5),
    upstream_idle: Duration::from_secs(20),
    upstream_life: Duration::from_secs(600),
    ejection: Duration::from_secs(5),
    body_idle: Duration::from_secs(20),
    websocket_life: Duration::from_secs(3600),
};

async fn closes_after(client: &mut Client, limit: Duration) {
    let start = Instant::now();
    assert!(client.is_closed().await);
    let (least, most) = (limit - Duration::from_millis(100), limit + Duration::from_millis(1300));
    assert!((least..most).contains(&start.elapsed()), "closed after {:?}, limit {limit:?}", start.elapsed());
}

#[tokio::test]
async fn p56_a_connection_that_is_idle_is_closed() {
    let gateway = gateway(slow_origin(1).await.address, SHORT);
    let mut client = gateway.client().await;
    closes_after(&mut client, SHORT.idle).await;
    let mut client = gateway.client().await;
    assert_eq!(client.request("GET", "/__health", &[("Host", "a:99")]).await.status, 502, "its backend is gone");
    closes_after(&mut client, SHORT.idle).await;
}

#[tokio::test]
async fn p56_a_head_that_trickles_is_cut_off() {
    let gateway = gateway(([127, 0, 0, 1], 1).into(), SHORT);
    let mut client = gateway.client().await;
    sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    for _ in 0..30 {
        client.send("G").await;
        sleep(Duration::from_millis(50)).await;
        if client.is_closed_within(Duration::from_millis(1)).await {
            break;
        }
    }
    let took = start.elapsed();
    assert!(took > Duration::from_millis(300) && took < Duration::from_millis(1200), "{took:?}");
}

#[tokio::test]
async fn p56_a_body_that_stalls_is_cut_off_on_both_sides() {
    let origin = Origin::start(|mut conversation| async move { conversation.end().await }).await;
    let gateway = gateway(origin.address, SHORT);
    let mut client = gateway.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
    closes_after(&mut client, SHORT.body_stall).await;
    origin.until("cut off", |all| all[0].ended).await;
    // One that trickles is slow, not stalled.
    let mut client = gateway.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n").await;
    for _ in 0..8 {
        client.send("a").await;
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!client.is_closed_within(Duration::from_millis(100)).await);
}

#[tokio::test]
async fn p56_a_client_that_takes_nothing_is_cut_off() {
    let origin = Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n").await;
        conversation.say_until_blocked(1 << 28, Duration::from_secs(5)).await;
        conversation.end().await;
    })
    .await;
    let gateway = gateway(origin.address, SHORT);
    let mut client = gateway.client().await;
    client.send(head("GET", "/", &[])).await;
    gateway.logged(" 200 ").await;
}
