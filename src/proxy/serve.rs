//! Starts the workers, stops them step by step, and hears of one that ends by itself.

use super::{
    Gateway,
    doors::Doors,
    listen::{Port, Protocol},
    worker::{Share, Worker},
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::{
    runtime::Builder,
    sync::{mpsc, watch},
};

/// The data plane in service: one thread a worker.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<(Protocol, SocketAddr)>,
    shutdown: Handle,
    workers: Vec<JoinHandle<()>>,
    opener: Opener,
    ended: watch::Receiver<bool>,
}

/// The way to stop a [`Server`] that is being joined.
#[derive(Clone, Debug)]
pub struct Handle(watch::Sender<Shutdown>);

/// The way to open one more port while a [`Server`] runs.
#[derive(Clone, Debug)]
pub struct Opener(Vec<mpsc::UnboundedSender<(Protocol, TcpListener)>>);

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
    /// Starts one worker for each listener that the ports have; all have as many. `seed` feeds request ids and load balancing.
    ///
    /// # Errors
    /// When a thread, runtime or listener cannot be set up.
    pub fn start(gateway: &Arc<Gateway>, ports: Vec<Port>, seed: u64) -> io::Result<Self> {
        let addresses = ports.iter().map(|port| Ok((port.protocol, port.address()?))).collect::<io::Result<_>>()?;
        let doors = share_out(ports);
        let (shutdown, receiver) = watch::channel(Shutdown::Running);
        let (farewell, ended) = watch::channel(false);
        let share = Share::of(&gateway.settings, doors.len());
        let (openers, more): (Vec<_>, Vec<_>) = doors.iter().map(|_| mpsc::unbounded_channel()).unzip();
        let start = |(n, (doors, more)): (usize, (_, _))| {
            let seed = seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let worker = Worker::new(gateway, receiver.clone(), share, seed);
            start_thread(n, Farewell(farewell.clone()), serving(worker, doors, more)?)
        };
        let workers = doors.into_iter().zip(more).enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { addresses, shutdown: Handle(shutdown), workers, opener: Opener(openers), ended })
    }

    /// Where it listens, and what is spoken there, in the order of its ports.
    pub fn addresses(&self) -> &[(Protocol, SocketAddr)] {
        &self.addresses
    }

    pub fn address_of(&self, protocol: Protocol) -> Option<SocketAddr> {
        self.addresses.iter().find(|(of, _)| *of == protocol).map(|(_, address)| *address)
    }

    pub fn opener(&self) -> Opener {
        self.opener.clone()
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

impl Opener {
    /// How many listeners a port needs.
    pub fn workers(&self) -> usize {
        self.0.len()
    }

    pub fn open(&self, port: Port) {
        for (worker, listener) in self.0.iter().zip(port.listeners) {
            // A worker that has ended is missed elsewhere.
            let _ = worker.send((port.protocol, listener));
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

type More = mpsc::UnboundedReceiver<(Protocol, TcpListener)>;

/// A worker's whole life, on a runtime of its own.
fn serving(worker: Worker, listeners: Vec<(Protocol, TcpListener)>, more: More) -> io::Result<impl FnOnce() + Send + 'static> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let doors = {
        let _entered = runtime.enter();
        Doors::open(listeners)?
    };
    Ok(move || runtime.block_on(Arc::new(worker).run(doors, more)))
}

/// For each worker one listener of every port.
fn share_out(ports: Vec<Port>) -> Vec<Vec<(Protocol, TcpListener)>> {
    let workers = ports.iter().map(|port| port.listeners.len()).max().unwrap_or_default();
    let mut shares: Vec<_> = std::iter::repeat_with(Vec::new).take(workers).collect();
    for Port { protocol, listeners } in ports {
        shares.iter_mut().zip(listeners).for_each(|(share, listener)| share.push((protocol, listener)));
    }
    shares
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
        let server = Server { addresses: Vec::new(), shutdown, workers: vec![fine, broken], opener: Opener(vec![]), ended };
        tokio::time::timeout(std::time::Duration::from_secs(5), server.worker_ended()).await.unwrap();
        drop(stop);
        server.join();
    }
}
