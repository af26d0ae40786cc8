//! The PROXY protocol, versions 1 and 2: a balancer in front that passes bytes on says first who is at the other end.
//!
//! Only peers that are believed are asked for it, and from them it must come: a balancer that forgets it would lend every client
//! its own address. Nothing behind the header is read here.

use super::{ClientAddress, worker::Worker};
use proxy_header::{ParseConfig, ProxyHeader};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
    time::timeout,
};

/// What every version 2 header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a version 1 header, with its line end; and of a version 2 header behind its first 16.
const MAX_V1: usize = 107;
const MAX_V2: usize = 4096;
/// A balancer says it at once.
const PATIENCE: Duration = Duration::from_secs(5);

impl Worker {
    /// Who the client is: as the peer says, where it is believed, or the peer itself.
    ///
    /// # Errors
    /// When a peer that is believed says nothing in time, or nothing that can be read.
    pub(super) async fn client_of(&self, socket: &mut TcpStream, peer: SocketAddr) -> io::Result<SocketAddr> {
        match self.gateway.settings.client_address.announces(peer.ip()) {
            true => Ok(timeout(PATIENCE, announced(socket)).await??.unwrap_or(peer)),
            false => Ok(peer),
        }
    }
}

impl ClientAddress {
    /// Whether connections of this peer begin with a header of the PROXY protocol.
    fn announces(&self, peer: IpAddr) -> bool {
        match self {
            Self::ProxyProtocol(networks) => networks.iter().any(|network| network.contains(&peer.to_canonical())),
            Self::Direct | Self::TrustedProxies(_) => false,
        }
    }
}

/// `None`: the peer speaks for itself, as in a health check.
async fn announced(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let header = read_header(socket).await?;
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let (parsed, length) = ProxyHeader::parse(&header, config).map_err(|_| io::ErrorKind::InvalidData)?;
    match length == header.len() {
        true => Ok(parsed.proxied_address().map(|proxied| proxied.source)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Exactly the header: what comes behind it is for somebody else.
async fn read_header(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut header = vec![0; SIGNATURE.len()];
    socket.read_exact(&mut header).await?;
    match header == SIGNATURE {
        true => read_v2(socket, &mut header).await?,
        false => read_v1(socket, &mut header).await?,
    }
    Ok(header)
}

async fn read_v1(socket: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    while header.starts_with(b"PROXY ") && header.len() < MAX_V1 {
        header.push(socket.read_u8().await?);
        if header.ends_with(b"\r\n") {
            return Ok(());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

async fn read_v2(socket: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    let (command, length) = (socket.read_u16().await?, socket.read_u16().await?);
    header.extend(command.to_be_bytes().into_iter().chain(length.to_be_bytes()));
    let rest = usize::from(length);
    if rest > MAX_V2 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let start = header.len();
    header.resize(start + rest, 0);
    socket.read_exact(header.get_mut(start..).unwrap_or_default()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, addresses].concat()
    }

    /// Who is announced, and what is left to be read behind it.
    async fn read(bytes: &[u8]) -> Result<(Option<String>, String), io::ErrorKind> {
        let mut left = bytes;
        let client = announced(&mut left).await.map_err(|error| error.kind())?;
        Ok((client.map(|client| client.to_string()), String::from_utf8_lossy(left).into_owned()))
    }

    #[tokio::test]
    async fn a_header_is_read_whole_and_nothing_behind_it() {
        let v4 = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let with_tlv = [&v4[..], &[0x04, 0, 2, 0, 0]].concat();
        let client = |text: &str| Ok((Some(text.to_owned()), "GET /".to_owned()));
        let nobody = Ok((None, "GET /".to_owned()));
        let wrong = Err(io::ErrorKind::InvalidData);
        let long = format!("PROXY TCP4 {}", "1".repeat(200));
        #[rustfmt::skip]
        let rows = [
            ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 4660 80\r\nGET /".to_vec(), client("203.0.113.7:4660")),
            ("v1, IPv6", b"PROXY TCP6 2001:db8::7 ::1 4660 80\r\nGET /".to_vec(), client("[2001:db8::7]:4660")),
            ("v1, unknown", b"PROXY UNKNOWN\r\nGET /".to_vec(), nobody.clone()),
            ("v2", [v2(1, 0x11, &v4), b"GET /".to_vec()].concat(), client("203.0.113.7:4660")),
            ("v2, with more", [v2(1, 0x11, &with_tlv), b"GET /".to_vec()].concat(), client("203.0.113.7:4660")),
            ("v2, local", [v2(0, 0, &[]), b"GET /".to_vec()].concat(), nobody),
            ("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), wrong.clone()),
            ("another case", b"proxy TCP4 203.0.113.7 10.0.0.1 4660 80\r\n".to_vec(), wrong.clone()),
            ("no address", b"PROXY TCP4 a b 1 2\r\nGET /".to_vec(), wrong.clone()),
            ("too long", long.into_bytes(), wrong.clone()),
            ("v2 of another version", [&SIGNATURE[..], &[0x31, 0x11, 0, 12], &v4].concat(), wrong.clone()),
            ("v2 that is too long", [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(), wrong),
            ("cut short", b"PROXY TCP4 203.0".to_vec(), Err(io::ErrorKind::UnexpectedEof)),
            ("v2 cut short", v2(1, 0x11, &v4)[..20].to_vec(), Err(io::ErrorKind::UnexpectedEof)),
        ];
        for (name, bytes, want) in rows {
            assert_eq!(read(&bytes).await, want, "{name}");
        }
    }
}
