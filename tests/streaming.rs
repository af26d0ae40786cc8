//! Bodies pass in flat memory (P59). A process of its own: what it measures is all that there is.

#![cfg(all(feature = "controller", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "support/client.rs"]
mod client;
#[path = "support/gateway.rs"]
mod gateway;

use client::Client;
use gateway::{Setup, manifest};
use std::{fs, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const MIB: usize = 1 << 20;
/// Each way. A process that kept a quarter of it would be found out.
const BODY: usize = 128 * MIB;
const GROWTH: usize = 32 * MIB;

/// The most memory that this process had since the last [`forget_peak`], in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Takes `BODY` bytes and answers with as many.
async fn http1(mut stream: TcpStream) {
    let (mut block, mut head) = (vec![b'a'; 64 * 1024], Vec::new());
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let mut left = BODY;
    while left > 0 {
        left -= stream.read(&mut block).await.unwrap();
    }
    stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").as_bytes()).await.unwrap();
    for _ in 0..BODY / block.len() {
        stream.write_all(&block).await.unwrap();
    }
    let _ = stream.read(&mut block).await;
}

/// The same over HTTP/2.
async fn http2(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                body.flow_control().release_capacity(data.unwrap().len()).unwrap();
            }
            let response = http::Response::builder().header("content-length", BODY).body(()).unwrap();
            let (mut answer, mut left) = (respond.send_response(response, false).unwrap(), BODY);
            while left > 0 {
                answer.reserve_capacity(left.min(64 * 1024));
                let room = std::future::poll_fn(|cx| answer.poll_capacity(cx)).await.unwrap().unwrap();
                let count = room.min(left);
                left -= count;
                answer.send_data(vec![b'a'; count].into(), left == 0).unwrap();
            }
        });
    }
}

async fn listen<F: Future<Output = ()> + Send + 'static>(converse: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(converse(stream));
        }
    });
    address
}

/// Sends `BODY` bytes, and takes as many.
async fn exchange(client: &mut Client) {
    client.send(client::head("POST", "/", &[("Content-Length", &BODY.to_string())])).await;
    let mut block = vec![b'a'; 64 * 1024];
    for _ in 0..BODY / block.len() {
        client.send(&block).await;
    }
    assert_eq!(client.answer_head().await.status, 200);
    let mut left = BODY - client.some().await.len();
    while left > 0 {
        let count = client.stream.read(&mut block).await.unwrap();
        assert!(count > 0, "{left} bytes are missing");
        left -= count;
    }
}

#[tokio::test]
async fn p59_large_bodies_pass_each_way_in_flat_memory() {
    for (scheme, origin) in [("http", listen(http1).await), ("h2c", listen(http2).await)] {
        let rules =
            format!("  timeout: 1h\n  rules:\n  - {{path: /, access: Public, backend: {{service: web, port: 80, scheme: {scheme}}}}}");
        let gateway = Setup::new(&manifest(&rules)).behind("web", &[origin]).start();
        let mut client = gateway.client().await;
        forget_peak();
        let before = peak();
        exchange(&mut client).await;
        let grown = peak() - before;
        assert!(grown < GROWTH, "{scheme}: {} MiB more for bodies of {} MiB", grown / MIB, BODY / MIB);
        eprintln!("{scheme}: {} KiB more for bodies of {} MiB each way", grown / 1024, BODY / MIB);
    }
}
