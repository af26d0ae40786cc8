use super::*;
use crate::{live::Live, routing::Snapshot, telemetry::Metrics};
use std::sync::Arc;
use tokio::sync::watch;

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
