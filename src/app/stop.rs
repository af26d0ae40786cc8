//! The end, in order: readiness off, still accepting; then no new connections; then what is left has a while; then now.
//! A second signal goes to the end of the list at once.

use crate::proxy::{Server, Shutdown};
use std::{io, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::{self, JoinHandle},
};

/// How long the first two steps may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends every worker; returns when the last one has.
pub(super) async fn drain(server: Server, drain: Drain, mut signals: Signals) {
    tracing::info!(delay = ?drain.delay, timeout = ?drain.timeout, "draining");
    server.shut_down(Shutdown::Draining);
    let patient = async {
        tokio::time::sleep(drain.delay).await;
        server.shut_down(Shutdown::Closing);
    };
    let hurried = tokio::select! {
        () = patient => false,
        () = signals.next() => true,
    };
    let handle = server.handle();
    let mut ended = join(server);
    if !hurried {
        tokio::select! {
            _ = &mut ended => return,
            () = tokio::time::sleep(drain.timeout) => tracing::warn!("requests were cut off: --drain-timeout is over"),
            () = signals.next() => tracing::warn!("requests were cut off: a second signal came"),
        }
    }
    handle.shut_down(Shutdown::Stopped);
    // A thread that panicked has ended as well.
    let _ = ended.await;
}

pub(super) async fn stop(server: Server) {
    server.shut_down(Shutdown::Stopped);
    let _ = join(server).await;
}

fn join(server: Server) -> JoinHandle<()> {
    task::spawn_blocking(move || server.join())
}
