//! A WebSocket under way: bytes both ways, until a side hangs up or something ends it. Both sides then hear why, where a frame
//! has just ended; in the middle of one, only that the connection does.

use super::{
    activity::Activity, body::ResponseBody, pool::Lease, record::Record, serve::Shutdown, spoken::Spoken, standing::Standing,
    worker::Worker,
};
use crate::telemetry::Counted;
use bytes::Bytes;
use http::Response;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    future, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes},
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

/// A backend that has switched, and what its client may go on with.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) upstream: Upgraded,
    pub(super) lease: Lease,
    pub(super) until: Option<Instant>,
    pub(super) standing: Option<Box<Standing>>,
    pub(super) record: Option<Record>,
}

/// Where a connection finds the tunnel that it becomes, once its last answer is sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Tunnel>>>);

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A side hung up.
    HungUp,
    /// The token has expired (J99).
    Expired,
    /// The same request would be refused now (J100).
    Revoked,
    /// Nobody said anything for too long, or one side took nothing.
    Idle,
    /// Open for longer than any may be.
    Old,
    /// This replica stops.
    Stopping,
}

/// Bytes read ahead of the other side, each way (P51).
const BUFFER: usize = 16 * 1024;
/// What the other side may still say when one has hung up.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// To say why, and to hear that the client has heard.
const FAREWELL: Duration = Duration::from_secs(2);

// === impl Slot ===

impl Slot {
    /// Keeps the tunnel of a response that has one.
    pub(super) fn keep(&self, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
        if let Some(tunnel) = response.body_mut().take_tunnel() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
        }
        response
    }

    pub(super) fn take(&self) -> Option<Tunnel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

// === impl Tunnel ===

impl Tunnel {
    /// Returns when it is over. `early` came from the client already.
    pub(super) async fn run(mut self, worker: &Worker, client: impl AsyncRead + AsyncWrite + Unpin, early: Bytes, activity: &Activity) {
        let _open = Counted::new(&worker.gateway.metrics.websockets);
        activity.switched();
        let hung_up = Arc::<Notify>::default();
        let mut client = Spoken::new(client, &hung_up);
        let mut upstream = Spoken::new(TokioIo::new(self.upstream), &hung_up);
        let timeouts = &worker.gateway.settings.timeouts;
        let mut shutdown = worker.shutdown.clone();
        let end = tokio::select! {
            biased;
            _ = talk(&mut client, &mut upstream, &early) => End::HungUp,
            () = async { hung_up.notified().await; sleep(LAST_WORDS).await } => End::HungUp,
            () = expiry(self.until) => End::Expired,
            () = revoked(self.standing.as_deref()) => End::Revoked,
            () = activity.expired(timeouts) => End::Idle,
            () = sleep(timeouts.websocket_life) => End::Old,
            _ = shutdown.wait_for(|at| *at >= Shutdown::Closing) => End::Stopping,
        };
        if let Some(record) = &mut self.record {
            record.tunnel_ended(end);
        }
        let mask = u32::try_from(worker.random() >> 32).unwrap_or_default();
        let farewell = async {
            tokio::join!(part(&mut client, end, None), part(&mut upstream, end, Some(mask)));
        };
        let _ = timeout(FAREWELL, farewell).await;
        drop(self.lease);
    }
}

async fn talk(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    upstream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    early: &[u8],
) -> io::Result<()> {
    upstream.write_all(early).await?;
    copy_bidirectional_with_sizes(client, upstream, BUFFER, BUFFER).await.map(drop)
}

async fn expiry(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => future::pending().await,
    }
}

async fn revoked(standing: Option<&Standing>) {
    let Some(standing) = standing else { return future::pending().await };
    while standing.holds().is_ok() {
        sleep(standing.pause()).await;
    }
}

/// Says why, where a frame has just ended, and hangs up.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(side: &mut Spoken<S>, end: End, mask: Option<u32>) {
    if let Some(reason) = end.reason().filter(|_| side.is_at_boundary()) {
        // Who cannot be told hears the connection end.
        let _ = side.write_all(&close_frame(reason, mask)).await;
        let _ = side.flush().await;
    }
    let _ = side.shutdown().await;
}

/// RFC 6455 §5.5.1. What goes to a server is masked.
fn close_frame((code, reason): (u16, &str), mask: Option<u32>) -> Vec<u8> {
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    let length = u8::try_from(payload.len()).unwrap_or(125);
    match mask.map(u32::to_be_bytes) {
        None => [&[0x88, length], &payload[..]].concat(),
        Some(mask) => {
            let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            [0x88, 0x80 | length].into_iter().chain(mask).chain(masked).collect()
        }
    }
}

// === impl End ===

impl End {
    /// A bounded label for metrics and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::HungUp => "forwarded",
            Self::Expired => "token_expired",
            Self::Revoked => "revoked",
            Self::Idle => "idle",
            Self::Old => "websocket_life",
            Self::Stopping => "stopping",
        }
    }

    /// Code and reason (RFC 6455 §7.4.1); `None`: both sides know.
    fn reason(self) -> Option<(u16, &'static str)> {
        match self {
            Self::HungUp => None,
            Self::Expired => Some((1008, "token expired")),
            Self::Revoked => Some((1008, "no longer allowed")),
            Self::Idle => Some((1001, "idle")),
            Self::Old => Some((1001, "open for too long")),
            Self::Stopping => Some((1001, "going away")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farewells_are_frames() {
        assert_eq!(close_frame((1008, "no"), None), [0x88, 4, 0x03, 0xf0, b'n', b'o']);
        assert_eq!(close_frame((1008, "no"), Some(0x0102_0304)), [0x88, 0x84, 1, 2, 3, 4, 0x03 ^ 1, 0xf0 ^ 2, b'n' ^ 3, b'o' ^ 4]);
    }
}
