//! Follows a connection's requests as they are read, to notice what the server library hides: it takes a `Content-Length` away
//! that stands beside a `Transfer-Encoding`, and forwards the request as though it had been clear (P01).
//!
//! Only heads are looked at, so the follower skips bodies by the same framing. It decides nothing else: a request that the
//! library refuses ends the connection, whatever this says.

use super::line::Line;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Which request of the connection was framed in two ways; the connection serves none after it.
#[derive(Debug, Default)]
pub(super) struct Ambiguous {
    /// Counted from 1; 0: none.
    request: AtomicU64,
    begun: AtomicU64,
    /// Requests that can be told apart, while `lost`.
    clear: AtomicU64,
    lost: AtomicBool,
    /// No requests any more.
    over: AtomicBool,
}

/// Where the next byte belongs.
#[derive(Debug, Default)]
pub(super) struct Follower {
    part: Part,
    line: Line,
    head: Head,
    heads: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Head,
    /// So many bytes of a body or a chunk are left.
    Body(u64),
    Data(u64),
    /// The line end behind a chunk's data.
    DataEnd,
    Size,
    Trailers,
    /// Something that the library refuses: it reads no request after it, and neither does the follower.
    Lost,
}

#[derive(Debug, Default)]
struct Head {
    lines: u64,
    length: Option<u64>,
    sized: bool,
    coded: bool,
}

// === impl Ambiguous ===

impl Ambiguous {
    /// Called once for each request, in order: whether it is the one, or one that cannot be told.
    pub(super) fn next_is(&self) -> bool {
        let number = self.begun.fetch_add(1, Relaxed) + 1;
        self.request.load(Relaxed) == number || self.is_lost() && number > self.clear.load(Relaxed)
    }

    /// What comes from here on are no requests.
    pub(super) fn stop(&self) {
        self.over.store(true, Relaxed);
    }

    /// Whether requests are no longer told apart: the connection may serve what it has begun, and nothing after it.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }
}

// === impl Follower ===

impl Follower {
    /// These bytes come next on the connection.
    pub(super) fn read(&mut self, mut bytes: &[u8], ambiguous: &Ambiguous) {
        if ambiguous.over.load(Relaxed) {
            return;
        }
        while !bytes.is_empty() {
            bytes = match self.part {
                Part::Body(left) => self.skip(bytes, left, Part::Body, Part::Head),
                Part::Data(left) => self.skip(bytes, left, Part::Data, Part::DataEnd),
                Part::Head | Part::DataEnd | Part::Size | Part::Trailers => self.read_line(bytes, ambiguous),
                Part::Lost => return self.lose(ambiguous),
            };
        }
    }

    fn lose(&self, ambiguous: &Ambiguous) {
        ambiguous.clear.store(self.heads, Relaxed);
        ambiguous.lost.store(true, Relaxed);
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, same: fn(u64) -> Part, then: Part) -> &'a [u8] {
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left - count as u64;
        self.part = if left == 0 { then } else { same(left) };
        bytes.get(count..).unwrap_or_default()
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8], ambiguous: &Ambiguous) -> &'a [u8] {
        let end = bytes.iter().position(|b| *b == b'\n');
        let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        match self.part {
            Part::Size => self.line.push_size(line),
            _ => self.line.push_field(line),
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.part = self.end_line(&line, ambiguous);
        }
        if matches!(self.part, Part::Lost) {
            self.lose(ambiguous);
        }
        rest.get(1..).unwrap_or_default()
    }

    /// In a body, unlike in a head, the library wants the whole of a line's end.
    fn end_line(&mut self, line: &Line, ambiguous: &Ambiguous) -> Part {
        match self.part {
            Part::Head if !line.is_empty() => {
                self.head.read(line);
                Part::Head
            }
            // The library takes empty lines before a request for nothing, too.
            Part::Head if self.head.lines == 0 => Part::Head,
            Part::Head => self.end_head(ambiguous),
            _ if !line.has_return() => Part::Lost,
            Part::Size => line.number().map_or(Part::Lost, |size| if size == 0 { Part::Trailers } else { Part::Data(size) }),
            Part::Trailers if line.is_empty() => Part::Head,
            Part::Trailers => Part::Trailers,
            Part::DataEnd if line.is_empty() => Part::Size,
            Part::DataEnd | Part::Body(_) | Part::Data(_) | Part::Lost => Part::Lost,
        }
    }

    fn end_head(&mut self, ambiguous: &Ambiguous) -> Part {
        let head = std::mem::take(&mut self.head);
        self.heads += 1;
        if head.sized && head.coded {
            // The first counts: the library reads nothing behind it.
            let _ = ambiguous.request.compare_exchange(0, self.heads, Relaxed, Relaxed);
        }
        match head {
            Head { coded: true, .. } => Part::Size,
            Head { sized: false, .. } | Head { length: Some(0), .. } => Part::Head,
            Head { length: Some(length), .. } => Part::Body(length),
            Head { length: None, .. } => Part::Lost,
        }
    }
}

// === impl Head ===

impl Head {
    /// The library refuses folded lines, spaces before a colon, and lengths that differ.
    fn read(&mut self, line: &Line) {
        self.lines += 1;
        self.coded |= line.is_named("transfer-encoding");
        if line.is_named("content-length") {
            self.sized = true;
            self.length = line.number();
        }
    }
}

#[cfg(test)]
mod tests;
