//! Clients that speak HTTP/2 to do harm: floods end the connection, slow ones lose their patience, and others do not notice
//! (P25, P56, P61).

use crate::{
    gateway::{Gateway, Setup, manifest},
    http2::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, Polite, RST_STREAM,
        Raw, SETTINGS, WINDOW_UPDATE, frame, head, literal,
    },
    origin::Origin,
    stop::SHORT,
};
use portcullis::proxy::Timeouts;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const RULES: &str = "  rules:\n  - {path: /open, access: Public}";
const OPEN: &str = "https://api.example.com/open";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// SETTINGS_INITIAL_WINDOW_SIZE.
const WINDOW: u16 = 4;
/// A limit that is not what a test is about.
const LONG: Duration = Duration::from_secs(600);

fn behind(origin: &Origin, timeouts: Timeouts) -> Gateway {
    Setup::new(&manifest(RULES)).behind("web", &[origin.address]).timeouts(timeouts).start()
}

async fn silent_origin() -> Origin {
    Origin::start(|mut conversation| async move { conversation.end().await }).await
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", "/open", &[]))
}

fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head("POST", "/open", &[]))
}

/// The `n`th of what a flood sends.
type Flood = fn(u32) -> Vec<u8>;

/// Each in one write, and in many: what the library sees at once, it can count; what trickles, only we do.
#[tokio::test]
async fn p25_floods_end_the_connection_and_reach_no_backend_for_long() {
    #[rustfmt::skip]
    let rows: [(&str, Flood); 10] = [
        ("rapid reset", |n| [get(2 * n + 1), frame(RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8])].concat()),
        ("made you reset, by a window update of 0", |n| [get(2 * n + 1), frame(WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4])].concat()),
        ("made you reset, by data behind the end", |n| [get(2 * n + 1), frame(DATA, 0, 2 * n + 1, b"x")].concat()),
        ("PING", |n| frame(PING, 0, 0, &[n.to_be_bytes(), n.to_be_bytes()].concat())),
        ("SETTINGS", |_| frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", |n| frame(PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1])),
        ("empty DATA", |n| if n == 0 { post(1) } else { frame(DATA, 0, 1, &[]) }),
        ("CONTINUATION", |n| if n == 0 { frame(HEADERS, 0, 1, &head("GET", "/open", &[])) } else { frame(CONTINUATION, 0, 1, &literal("x-a", "b")) }),
        ("window updates", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("frames of a kind that nobody knows", |_| frame(0xbb, 0, 0, &[])),
    ];
    let origin = silent_origin().await;
    let gateway = behind(&origin, Timeouts::default());
    for (name, flood) in rows {
        for at_once in [1, 100] {
            let before = origin.connections();
            let mut raw = Raw::connect(gateway.h2c, &[]).await;
            let mut sent = 0;
            while sent < 20_000 {
                let frames: Vec<_> = (sent..sent + at_once).flat_map(flood).collect();
                if !raw.send(frames).await {
                    break;
                }
                sent += at_once;
                if at_once == 1 {
                    tokio::task::yield_now().await;
                }
            }
            let code = raw.goodbye(Duration::from_secs(5)).await;
            assert!(code.is_none_or(|code| code == ENHANCE_YOUR_CALM || code == 1), "{name}: {code:?}");
            assert!(origin.connections() - before <= 300, "{name}: {} requests", origin.connections() - before);
        }
    }
    gateway.logged("400 flood").await;
    let mut other = Polite::connect(gateway.h2c).await;
    assert_eq!(other.get("https://api.example.com/__health", &[]).await.status, 200, "others are served");
}

/// The whole word is heard by a client that listens.
#[tokio::test]
async fn p25_a_flood_is_told_to_calm_down() {
    let origin = silent_origin().await;
    let gateway = behind(&origin, Timeouts::default());
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[]), frame(0xbb, 0, 0, &[])] {
        let mut raw = Raw::connect(gateway.h2c, &[]).await;
        assert_eq!(raw.next().await.unwrap().kind, SETTINGS);
        for _ in 0..250 {
            raw.send(&flood).await;
        }
        assert_eq!(raw.goodbye(Duration::from_secs(5)).await, Some(ENHANCE_YOUR_CALM));
    }
}

/// A client that behaves may do all that a flood does, as long as it takes its answers.
#[tokio::test]
async fn p25_answers_pay_for_what_clients_ask_beside_them() {
    let origin = Origin::saying(OK).await;
    let gateway = behind(&origin, Timeouts::default());
    let mut raw = Raw::connect(gateway.h2c, &[]).await;
    for n in 0..600 {
        let stream = 2 * n + 1;
        let update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 2]);
        raw.send([get(stream), update.clone(), update, frame(PING, 0, 0, &[0; 8])].concat()).await;
        while raw.next_of(DATA).await.expect("it goes on").flags & END_STREAM == 0 {}
    }
}

/// One byte names a line of 4 KiB (RFC 7541 §2.3.2).
#[tokio::test]
async fn p25_a_header_bomb_is_refused() {
    let origin = Origin::saying(OK).await;
    let gateway = behind(&origin, Timeouts::default());
    let mut raw = Raw::connect(gateway.h2c, &[]).await;
    let name = [&[0x40][..], &literal("x-bomb", &"a".repeat(3900))[1..]].concat();
    raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &[head("GET", "/open", &[]), name].concat())).await;
    raw.next_of(HEADERS).await.expect("an answer to a long head");
    let bomb = [head("GET", "/open", &[]), vec![0xbe; 15_000]].concat();
    raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 3, &bomb)).await;
    let refused = loop {
        match raw.next().await {
            Some(frame) if frame.stream == 3 => break frame.kind == HEADERS || frame.kind == RST_STREAM,
            Some(frame) if frame.kind == GOAWAY => break true,
            Some(_) => {}
            None => break true,
        }
    };
    assert!(refused);
    assert_eq!(origin.text().matches("GET ").count(), 1, "60 MB of headers went nowhere");
}

#[tokio::test]
async fn p56_a_connection_that_is_idle_or_dribbles_its_head_is_closed() {
    let origin = Origin::saying(OK).await;
    // Each limit alone: the other must not be what ends the connection.
    let (idle, slow) = (behind(&origin, Timeouts { header: LONG, ..SHORT }), behind(&origin, Timeouts { idle: LONG, ..SHORT }));
    let settings = frame(SETTINGS, 0, 0, &[]);
    let half_head = frame(HEADERS, 0, 1, &head("GET", "/open", &[]));
    let cut_head = get(1)[..20].to_vec();
    let ping = frame(PING, ACK, 0, &[0; 8]);
    #[rustfmt::skip]
    let rows = [
        ("says nothing", vec![], vec![], &idle),
        ("half a preface", PREFACE[..12].to_vec(), vec![], &slow),
        ("no request", [PREFACE, &settings].concat(), vec![], &idle),
        ("pings instead", [PREFACE, &settings].concat(), ping, &idle),
        ("a head without an end", [PREFACE, &settings, &half_head].concat(), frame(CONTINUATION, 0, 1, &literal("x-a", "b")), &slow),
        ("a frame without an end", [PREFACE, &settings, &cut_head].concat(), vec![], &slow),
    ];
    for (name, first, then, gateway) in rows {
        let limit = if std::ptr::eq(gateway, &idle) { SHORT.idle } else { SHORT.header };
        let mut raw = Raw::bare(gateway.h2c).await;
        let start = Instant::now();
        raw.send(first).await;
        let dribble = async {
            loop {
                sleep(Duration::from_millis(100)).await;
                if !then.is_empty() {
                    let _ = raw.stream.try_write(&then);
                }
                if raw.is_closed() {
                    break;
                }
            }
        };
        timeout(limit + Duration::from_millis(2500), dribble).await.unwrap_or_else(|_| panic!("{name}: still open"));
        assert!(start.elapsed() >= limit, "{name}: {:?}", start.elapsed());
    }
    assert_eq!(origin.connections(), 0);
}

/// A stream that stalls is reset; its neighbours on the connection live on.
#[tokio::test]
async fn p56_a_body_that_stalls_costs_its_stream_alone() {
    let origin = Origin::start(|mut conversation| async move {
        while let Some(head) = conversation.head().await {
            if head.starts_with("GET") {
                conversation.say(OK).await;
            }
        }
    })
    .await;
    let gateway = behind(&origin, SHORT);
    let mut raw = Raw::connect(gateway.h2c, &[]).await;
    raw.send([post(1), frame(DATA, 0, 1, b"half")].concat()).await;
    let start = Instant::now();
    let mut stream = 3;
    let reset = loop {
        raw.send(get(stream)).await;
        stream += 2;
        let frame = raw.next().await.expect("the connection lives on");
        if frame.kind == RST_STREAM || start.elapsed() > Duration::from_secs(5) {
            break frame;
        }
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((reset.kind, reset.stream), (RST_STREAM, 1));
    assert!(start.elapsed() >= SHORT.body_stall, "{:?}", start.elapsed());
    origin.until("given up", |all| all.iter().any(|one| one.bytes.starts_with(b"POST") && one.ended)).await;
    raw.get(stream, "/open").await;
    while raw.next_of(DATA).await.expect("it lives on").stream != stream {}
}

async fn flowing_origin() -> Origin {
    Origin::start(|mut conversation| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n").await;
        conversation.say_until_blocked(1 << 28, Duration::from_secs(20)).await;
        conversation.end().await;
    })
    .await
}

/// The window never opens, or opens a crack: nothing is read ahead of it, and it ends.
#[tokio::test]
async fn p25_p61_a_zero_window_stall_holds_little_and_not_for_long() {
    let origin = flowing_origin().await;
    let gateway = behind(&origin, SHORT);
    for window in [0, 1, 1000] {
        let before = origin.connections();
        let mut raw = Raw::connect(gateway.h2c, &[(WINDOW, window)]).await;
        let start = Instant::now();
        raw.send((0..20).flat_map(|n| get(2 * n + 1)).collect::<Vec<_>>()).await;
        let mut resets = 0;
        while resets < 20 && raw.next_of(RST_STREAM).await.is_some() {
            resets += 1;
        }
        assert_eq!(resets, 20, "window {window}");
        assert!((SHORT.write_stall..Duration::from_secs(8)).contains(&start.elapsed()), "window {window}: {:?}", start.elapsed());
        origin.until("all are given up", |all| all.iter().skip(before).filter(|one| one.ended).count() == 20).await;
    }
}

/// What is left when the answer has ended is the library's: only the connection's end rids us of it.
#[tokio::test]
async fn p25_p61_a_stall_behind_the_last_byte_ends_the_connection() {
    let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}", "a".repeat(3000))).await;
    let gateway = behind(&origin, Timeouts { idle: LONG, ..SHORT });
    let mut raw = Raw::connect(gateway.h2c, &[(WINDOW, 10)]).await;
    raw.get(1, "/open").await;
    raw.goodbye(Duration::from_secs(5)).await;
}

/// Streams that are not read do not keep the others of their connection waiting.
#[tokio::test]
async fn p61_a_stalled_stream_does_not_hold_up_its_neighbours() {
    let origin = Origin::start(|mut conversation| async move {
        while conversation.head().await.is_some() {
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "a".repeat(1_000_000))).await;
        }
    })
    .await;
    let gateway = behind(&origin, Timeouts::default());
    let mut raw = Raw::connect(gateway.h2c, &[(WINDOW, 20_000)]).await;
    raw.send([frame(WINDOW_UPDATE, 0, 0, &0x0fff_ffff_u32.to_be_bytes())].concat()).await;
    raw.send((0..30).flat_map(|n| get(2 * n + 1)).collect::<Vec<_>>()).await;
    raw.send([get(101), frame(WINDOW_UPDATE, 0, 101, &2_000_000_u32.to_be_bytes())].concat()).await;
    let mut read = 0;
    while read < 1_000_000 {
        let frame = raw.next_of(DATA).await.expect("it goes on");
        read += if frame.stream == 101 { frame.payload.len() } else { 0 };
    }
}
