//! One listener a worker on one address, shared out by the kernel (SO_REUSEPORT).

use socket2::{Domain, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Connections that wait to be accepted; the kernel's own limit (net.core.somaxconn) applies too.
pub(super) const BACKLOG: i32 = 4096;

/// What is spoken on a listener from its first byte: nothing is guessed (P26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// In clear text, with prior knowledge (RFC 9113 §3.3).
    Http2,
    /// HTTP/1.1 or HTTP/2 within TLS, by ALPN.
    Tls,
}

/// One address, with a listener for each worker.
#[derive(Debug)]
pub struct Port {
    pub(super) protocol: Protocol,
    pub(super) listeners: Vec<TcpListener>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", explain(.source))]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// Opens `workers` listeners on one address; port 0 picks a free one for all.
///
/// # Errors
/// When the address is taken or may not be bound. SO_REUSEPORT would share a port with a second process without a word, so
/// the address is first bound alone.
pub fn listen(protocol: Protocol, address: SocketAddr, workers: usize) -> Result<Port, ListenError> {
    let failed = |source| ListenError { address, source };
    drop(bind(address, false).map_err(failed)?);
    let first = bind(address, true).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let rest = (1..workers).map(|_| bind(address, true).map_err(failed));
    let listeners = std::iter::once(Ok(first)).chain(rest).collect::<Result<_, _>>()?;
    Ok(Port { protocol, listeners })
}

impl Port {
    /// # Errors
    /// When the system has closed it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listeners.first().ok_or(io::ErrorKind::InvalidInput)?.local_addr()
    }
}

fn bind(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if share {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken by another program; choose another with --http, --https or --h2c".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges; listen on a higher one".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_and_strangers_do_not() {
        let any = "127.0.0.1:0".parse().unwrap();
        let ours = listen(Protocol::Http1, any, 3).unwrap();
        let address = ours.address().unwrap();
        assert!(ours.listeners.len() == 3 && ours.listeners.iter().all(|l| l.local_addr().unwrap() == address));
        let taken = listen(Protocol::Http1, address, 1).unwrap_err().to_string();
        assert!(taken.contains("the port is taken"), "{taken}");
    }
}
