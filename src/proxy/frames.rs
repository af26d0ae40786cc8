//! Follows the frames of an HTTP/2 connection (RFC 9113 §4.1), each way, for what the server library does not tell: whether a
//! head has begun to come, and how many frames have come that ask for nothing (P25).
//!
//! It decides nothing about requests. A connection whose frames cost more than its answers were worth is closed.

use tokio::time::{Duration, Instant};

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the client's preface that have not come yet.
    preface: usize,
    head: [u8; HEAD],
    /// Bytes of `head` that came.
    got: usize,
    /// Bytes of the payload that have not come yet.
    left: usize,
    /// Between HEADERS and the end of its last CONTINUATION.
    in_block: bool,
    /// The last stream that the client has opened.
    last_stream: u32,
}

/// What a client may still spend on frames that ask for nothing.
#[derive(Debug)]
pub(super) struct Credit {
    left: u32,
    since: Instant,
}

const HEAD: usize = 9;
const PREFACE: usize = 24;
/// An idle client's credit: what a page of a hundred streams needs to be given up twice over, window updates included.
const MOST: u32 = 1000;
const EACH_SECOND: u32 = 100;
/// Each frame of an answer that was sent: it may be paused, acknowledged in pieces, or reset.
const EARNED: u32 = 5;
/// A reset, a ping, a setting: it makes work, and is worth nothing.
const COSTLY: u32 = 5;
const CHEAP: u32 = 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

// === impl Frames ===

impl Frames {
    pub(super) fn from_client() -> Self {
        Self { preface: PREFACE, ..Self::to_client() }
    }

    pub(super) fn to_client() -> Self {
        Self { preface: 0, head: [0; HEAD], got: 0, left: 0, in_block: false, last_stream: 0 }
    }

    /// These bytes come next from the client. Returns `false` when its credit is spent.
    pub(super) fn read(&mut self, bytes: &[u8], credit: &mut Credit) -> bool {
        let mut fine = true;
        self.follow(bytes, |kind, flags, length| fine &= credit.spend(cost(kind, flags, length)));
        fine
    }

    /// These bytes were sent to the client. Returns `false` when its credit is spent: it can make us reset streams, too.
    pub(super) fn wrote(&mut self, bytes: &[u8], credit: &mut Credit) -> bool {
        let mut fine = true;
        self.follow(bytes, |kind, _, _| match kind {
            DATA | HEADERS => credit.earn(),
            RST_STREAM => fine &= credit.spend(COSTLY),
            _ => {}
        });
        fine
    }

    /// Something other than data has begun and has not ended.
    pub(super) fn is_within_head(&self) -> bool {
        let in_frame = self.got > 0 && (self.got < HEAD || self.kind() != DATA);
        self.preface > 0 || self.in_block || in_frame
    }

    /// Between two frames.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.got == 0
    }

    /// GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 §6.8, §7).
    pub(super) fn calm_down(&self) -> [u8; HEAD + 8] {
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 11]
    }

    fn follow(&mut self, mut bytes: &[u8], mut seen: impl FnMut(u8, u8, usize)) {
        bytes = skip(bytes, &mut self.preface);
        while !bytes.is_empty() {
            bytes = self.fill_head(bytes, &mut seen);
            bytes = skip(bytes, &mut self.left);
            if self.got == HEAD && self.left == 0 {
                self.got = 0;
            }
        }
    }

    fn fill_head<'a>(&mut self, bytes: &'a [u8], seen: &mut impl FnMut(u8, u8, usize)) -> &'a [u8] {
        if self.got == HEAD {
            return bytes;
        }
        let (taken, rest) = bytes.split_at(bytes.len().min(HEAD - self.got));
        self.head.iter_mut().skip(self.got).zip(taken).for_each(|(to, from)| *to = *from);
        self.got += taken.len();
        if self.got == HEAD {
            self.begin(seen);
        }
        rest
    }

    fn begin(&mut self, seen: &mut impl FnMut(u8, u8, usize)) {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if kind == HEADERS {
            self.last_stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_block = flags & END_HEADERS == 0;
        }
        seen(kind, flags, self.left);
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.head;
        kind
    }
}

/// Without up to `left` bytes at the front.
fn skip<'a>(bytes: &'a [u8], left: &mut usize) -> &'a [u8] {
    let count = bytes.len().min(*left);
    *left -= count;
    bytes.get(count..).unwrap_or_default()
}

/// A request's head and a body's bytes have limits of their own.
fn cost(kind: u8, flags: u8, length: usize) -> u32 {
    match kind {
        HEADERS => 0,
        DATA if length > 0 || flags & END_STREAM != 0 => 0,
        WINDOW_UPDATE | CONTINUATION => CHEAP,
        _ => COSTLY,
    }
}

// === impl Credit ===

impl Credit {
    pub(super) fn new() -> Self {
        Self { left: MOST, since: Instant::now() }
    }

    fn earn(&mut self) {
        self.left = (self.left + EARNED).min(MOST);
    }

    /// `false`: there is not so much.
    fn spend(&mut self, cost: u32) -> bool {
        if self.left < cost {
            self.wait();
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    /// Adds what the time since the last look was worth.
    fn wait(&mut self) {
        let waited = self.since.elapsed().min(Duration::from_secs(u64::from(MOST / EACH_SECOND)));
        let worth = u32::try_from(waited.as_millis()).unwrap_or_default() * EACH_SECOND / 1000;
        self.since = Instant::now();
        self.left = (self.left + worth).min(MOST);
    }
}

#[cfg(test)]
mod tests;
