//! One listener a worker on one address, shared out by the kernel (SO_REUSEPORT).

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Connections that wait to be accepted; the kernel's own limit (net.core.somaxconn) applies too.
pub(super) const BACKLOG: i32 = 4096;

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
pub fn listen(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, ListenError> {
    let failed = |source| ListenError { address, source };
    drop(bind(address, false).map_err(failed)?);
    let first = bind(address, true).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let rest = (1..workers).map(|_| bind(address, true).map_err(failed));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn bind(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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
        io::ErrorKind::AddrInUse => "the port is taken by another program; choose another with --http".to_owned(),
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
        let ours = listen(any, 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|l| l.local_addr().unwrap() == address));
        let taken = listen(address, 1).unwrap_err().to_string();
        assert!(taken.contains("the port is taken"), "{taken}");
    }
}
