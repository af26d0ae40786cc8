//! One side of a WebSocket, watched: where a frame ends, a word of our own may stand (RFC 6455 §5.2), and whether it has hung up.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

#[derive(Debug)]
pub(super) struct Spoken<S> {
    io: S,
    /// What was written to this side.
    frames: Frames,
    /// Told when this side will say no more.
    hung_up: Arc<Notify>,
}

/// Follows frames by their heads.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; 10],
    have: usize,
    left: u64,
}

// === impl Spoken ===

impl<S> Spoken<S> {
    pub(super) fn new(io: S, hung_up: &Arc<Notify>) -> Self {
        Self { io, frames: Frames::default(), hung_up: Arc::clone(hung_up) }
    }

    /// Whether the last frame that was written is whole.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.frames.have == 0 && self.frames.left == 0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Spoken<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() && buf.filled().len() == before {
            self.hung_up.notify_one();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Spoken<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &polled {
            self.frames.follow(buf.get(..*count).unwrap_or(buf));
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

// === impl Frames ===

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
            } else {
                self.take(*first);
                bytes = rest;
            }
        }
    }

    /// One more byte of a head. The mask counts as payload.
    fn take(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.have) {
            *place = byte;
        }
        self.have += 1;
        let [_, second, length @ ..] = self.head;
        let payload = match (self.have, second & 0x7f) {
            (2, short @ 0..=125) => u64::from(short),
            (4, 126) => u64::from(u16::from_be_bytes([length[0], length[1]])),
            (10, 127) => u64::from_be_bytes(length),
            _ => return,
        };
        self.have = 0;
        self.left = payload.saturating_add(if second & 0x80 == 0 { 0 } else { 4 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_where_they_say() {
        let frame = |second: u8, rest: &[u8], payload: usize| [&[0x82, second][..], rest, &vec![0xff; payload]].concat();
        let rows = [
            ("empty", frame(0, &[], 0)),
            ("short", frame(5, &[], 5)),
            ("the longest short", frame(125, &[], 125)),
            ("masked", frame(0x85, &[1, 2, 3, 4], 5)),
            ("masked and empty", frame(0x80, &[1, 2, 3, 4], 0)),
            ("of two bytes' length", frame(126, &300_u16.to_be_bytes(), 300)),
            ("of eight bytes' length, masked", frame(0xff, &[0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9], 65536)),
        ];
        for (name, frame) in rows {
            for piece in [1, 3, frame.len()] {
                let mut spoken = Spoken::new((), &Arc::default());
                let whole: Vec<_> = [&frame[..], &frame[..]].concat();
                let mut at = 0;
                for bytes in whole.chunks(piece) {
                    spoken.frames.follow(bytes);
                    at += bytes.len();
                    assert_eq!(spoken.is_at_boundary(), at % frame.len() == 0, "{name}: {at} of {}, by {piece}", frame.len());
                }
            }
        }
    }
}
