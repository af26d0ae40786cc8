//! `bench-upstream PORT [WORKERS]`: the cheapest backend that can stand behind a proxy under test.
//!
//! HTTP/1.1 with kept-alive connections on 127.0.0.1:PORT, one thread a worker (SO_REUSEPORT). It trusts its peer: requests
//! are not pipelined, a GET has no body, any other method has a `content-length`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /bytes/N` | 200 with N bytes |
//! | `GET /__last` | 200 with the head of the request before, when BENCH_UPSTREAM_KEEPS_HEADS is set |
//! | any other | 200 with 128 bytes of JSON, once the request's body has been read |
//! | a body without `content-length` | 411, and the connection is closed |

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, thread};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BODY: &[u8] =
    br#"{"id":42,"status":"ok","items":[1,2,3,4,5,6,7,8],"note":"a small JSON body of one hundred and twenty-eight bytes for bench"}    "#;
const BUFFER: usize = 64 * 1024;
static ZEROS: [u8; BUFFER] = [0; BUFFER];

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u16>());
    let (Some(Ok(port)), Some(Ok(workers))) = (arguments.next(), arguments.next().or(Some(Ok(1)))) else {
        return Err(io::Error::other("usage: bench-upstream PORT [WORKERS]"));
    };
    let threads: Vec<_> = (0..workers).map(|_| thread::spawn(move || work(port))).collect();
    threads.into_iter().try_for_each(|worker| worker.join().map_err(|_| io::Error::other("a worker panicked"))?)
}

fn work(port: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, accept(port))
}

async fn accept(port: u16) -> io::Result<()> {
    let listener = TcpListener::from_std(listen(port)?)?;
    let worker = Rc::new(Worker::new());
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream, Rc::clone(&worker)));
        }
    }
}

fn listen(port: u16) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// What the connections of one thread share.
struct Worker {
    answer: Vec<u8>,
    keeps_heads: bool,
    last_head: RefCell<Vec<u8>>,
}

// === impl Worker ===

impl Worker {
    fn new() -> Self {
        let keeps_heads = std::env::var_os("BENCH_UPSTREAM_KEEPS_HEADS").is_some();
        let answer = [head("application/json", BODY.len()).as_bytes(), BODY].concat();
        Self { answer, keeps_heads, last_head: RefCell::default() }
    }
}

/// Answers request after request until the peer closes.
async fn serve(mut stream: TcpStream, worker: Rc<Worker>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            count => filled += count,
        }
        if let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
            let body_bytes_here = filled - end - 4;
            answer(&mut stream, &buffer[..end + 4], body_bytes_here, &worker).await?;
            filled = 0;
        }
    }
    Ok(())
}

async fn answer(stream: &mut TcpStream, request: &[u8], body_bytes_here: usize, worker: &Worker) -> io::Result<()> {
    if request.starts_with(b"GET /bytes/") {
        return send_bytes(stream, number(&request[11..])).await;
    }
    if request.starts_with(b"GET /__last") {
        let last = worker.last_head.borrow().clone();
        return stream.write_all(&[head("text/plain", last.len()).as_bytes(), &last].concat()).await;
    }
    if worker.keeps_heads {
        *worker.last_head.borrow_mut() = request.to_vec();
    }
    if !request.starts_with(b"GET ") {
        discard_body(stream, request, body_bytes_here).await?;
    }
    stream.write_all(&worker.answer).await
}

async fn send_bytes(stream: &mut TcpStream, count: usize) -> io::Result<()> {
    stream.write_all(head("application/octet-stream", count).as_bytes()).await?;
    let mut left = count;
    while left > 0 {
        let part = left.min(BUFFER);
        stream.write_all(&ZEROS[..part]).await?;
        left -= part;
    }
    Ok(())
}

async fn discard_body(stream: &mut TcpStream, request: &[u8], body_bytes_here: usize) -> io::Result<()> {
    const LENGTH: &[u8] = b"\r\ncontent-length:";
    let lower = request.to_ascii_lowercase();
    let Some(at) = memchr::memmem::find(&lower, LENGTH) else {
        stream.write_all(b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        return Err(io::Error::other("a body without content-length"));
    };
    let mut left = number(lower[at + LENGTH.len()..].trim_ascii_start()).saturating_sub(body_bytes_here);
    let mut sink = vec![0; BUFFER];
    while left > 0 {
        match stream.read(&mut sink).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// The decimal number that the text begins with; 0 without one.
fn number(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

fn head(content_type: &str, length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\ndate: Mon, 23 Nov 2026 19:00:00 GMT\r\n\r\n")
}
