use super::*;
use crate::{
    jwks::KeyRing,
    jwt::{KeySet, ProviderId},
    live::Live,
    routing::Snapshot,
    telemetry::Metrics,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::Instant,
};

#[test]
fn ready_means_a_table_in_service_and_no_order_to_stop() {
    let ((ready, ready_rx), (draining, draining_rx)) = (watch::channel(false), watch::channel(false));
    let admin = Admin { metrics: Arc::new(Metrics::default()), ready: ready_rx, draining: draining_rx };
    let status = |path: &str| admin.answer(path).map(|(status, ..)| status.as_u16());
    assert_eq!((status("/livez"), status("/readyz")), (Some(200), Some(503)), "no table yet");
    ready.send_replace(true);
    assert_eq!((status("/livez"), status("/readyz")), (Some(200), Some(200)), "serving");
    draining.send_replace(true);
    assert_eq!((status("/livez"), status("/readyz")), (Some(200), Some(503)), "draining");
    assert_eq!(status("/table"), None, "P74: the table is on a port of its own");
}

#[test]
fn the_table_view_tells_no_table_from_an_empty_one() {
    let live = Arc::new(Live::default());
    let inspect = Inspect { live: Arc::clone(&live) };
    assert_eq!(inspect.table()["loaded"], false);
    live.publish(Snapshot::default());
    assert_eq!(inspect.table()["loaded"], true);
    assert_eq!(inspect.table()["routes"], serde_json::json!([]));
}

const JWKS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"good","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// P74: one line a series, or Prometheus takes none at all.
#[test]
fn two_sources_of_one_url_are_two_series() {
    let id = |ca: Option<&str>| ProviderId { jwks_url: "https://a.example/keys".into(), ca_bundle: ca.map(Into::into) };
    let keys = || KeySet::from_jwks(JWKS).unwrap().0;
    let ring = KeyRing::fixed([None, Some("one"), Some("two")].map(|ca| (id(ca), keys())), Instant::now());
    let mut metrics = Metrics::default();
    metrics.collect_from(Box::new(KeyMetrics { live: Arc::new(Live { keys: ring, ..Live::default() }) }));
    let text = metrics.encode();
    let mut series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect();
    let all = series.len();
    series.sort_unstable();
    series.dedup_by_key(|(name, _)| *name);
    assert_eq!(series.len(), all, "{text}");
    for name in ["jwks_keys", "jwks_skipped_keys", "jwks_failing", "jwks_age_seconds"] {
        assert_eq!(series.iter().filter(|(series, _)| series.starts_with(&format!("portcullis_{name}{{"))).count(), 3, "{name}: {text}");
    }
    assert!(text.contains(r#"portcullis_jwks_keys{jwks_url="https://a.example/keys",ca=""} 1"#), "{text}");
}

/// K27: the admin port takes no more of the process than it needs.
#[tokio::test]
async fn k27_connections_beyond_the_most_wait_their_turn() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(Inspect { live: Arc::default() })));
    let mut idle = Vec::new();
    for _ in 0..serve::MOST_CONNECTIONS {
        idle.push(ask(address, "HEAD /table HTTP/1.1\r\nHost: a\r\n\r\n").await);
    }
    let waiting = tokio::spawn(ask(address, "HEAD /table HTTP/1.1\r\nHost: a\r\n\r\n"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "one more than the most is served");
    drop(idle.pop());
    waiting.await.unwrap();
}

/// The connection, once its request was answered.
async fn ask(address: SocketAddr, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    client
}
