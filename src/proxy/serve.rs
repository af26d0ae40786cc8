//! Starts the workers, stops them step by step, and hears of one that ends by itself.

use super::{Gateway, worker::Worker};
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::{net::TcpListener, runtime::Builder, sync::watch};

/// The data plane in service: one thread a worker.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shutdown: Handle,
    workers: Vec<JoinHandle<()>>,
    ended: watch::Receiver<bool>,
}

/// The way to stop a [`Server`] that is being joined.
#[derive(Clone, Debug)]
pub struct Handle(watch::Sender<Shutdown>);

/// Tells that a worker has ended, however it came to.
#[derive(Clone, Debug)]
struct Farewell(watch::Sender<bool>);

/// How far the end has come. Only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    Running,
    /// Still accepting, for those who have not heard yet; every answer says `Connection: close`.
    Draining,
    /// No new connections; each closes when its request is done.
    Closing,
    /// Now.
    Stopped,
}

// === impl Server ===

impl Server {
    /// Starts one worker a listener. `seed` feeds request ids and load balancing.
    ///
    /// # Errors
    /// When a thread, runtime or listener cannot be set up.
    pub fn start(gateway: &Arc<Gateway>, listeners: Vec<std::net::TcpListener>, seed: u64) -> io::Result<Self> {
        let address = listeners.first().ok_or(io::ErrorKind::InvalidInput)?.local_addr()?;
        let (shutdown, receiver) = watch::channel(Shutdown::Running);
        let (farewell, ended) = watch::channel(false);
        let most = gateway.settings.max_connections.div_ceil(listeners.len()).max(1);
        let start = |(n, listener): (usize, _)| {
            let seed = seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let worker = Worker::new(gateway, receiver.clone(), most, seed);
            start_thread(n, Farewell(farewell.clone()), serving(worker, listener)?)
        };
        let workers = listeners.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { address, shutdown: Handle(shutdown), workers, ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn handle(&self) -> Handle {
        self.shutdown.clone()
    }

    pub fn shut_down(&self, to: Shutdown) {
        self.shutdown.shut_down(to);
    }

    /// Returns when one worker has ended: unless all were told to, its share of the connections is served by nobody.
    pub fn worker_ended(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.ended.clone();
        async move {
            // Without a sender left, all have ended.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Waits until every worker has ended. Blocks: call it off the runtime.
    pub fn join(self) {
        for worker in self.workers {
            // A worker that panicked has ended, too.
            let _ = worker.join();
        }
    }
}

impl Handle {
    /// Moves the end on; never back.
    pub fn shut_down(&self, to: Shutdown) {
        self.0.send_if_modified(|now| {
            let later = to > *now;
            *now = (*now).max(to);
            later
        });
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// A worker's whole life, on a runtime of its own.
fn serving(worker: Worker, listener: std::net::TcpListener) -> io::Result<impl FnOnce() + Send + 'static> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    Ok(move || runtime.block_on(Arc::new(worker).run(listener)))
}

fn start_thread(n: usize, farewell: Farewell, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("worker-{n}")).spawn(move || {
        let _farewell = farewell;
        work();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn k27_a_worker_that_panics_says_farewell() {
        let (farewell, ended) = watch::channel(false);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let fine = start_thread(0, Farewell(farewell.clone()), move || {
            let _ = stopped.recv();
        })
        .unwrap();
        let broken = start_thread(1, Farewell(farewell), || panic!("on purpose")).unwrap();
        let shutdown = Handle(watch::channel(Shutdown::Running).0);
        let server = Server { address: ([127, 0, 0, 1], 0).into(), shutdown, workers: vec![fine, broken], ended };
        tokio::time::timeout(std::time::Duration::from_secs(5), server.worker_ended()).await.unwrap();
        drop(stop);
        server.join();
    }
}
