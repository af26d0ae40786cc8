//! Follows a connection's requests as they are read, to notice what the server library hides: it takes a `Content-Length` away
//! that stands beside a `Transfer-Encoding`, and forwards the request as though it had been clear (P01).
//!
//! Only heads are looked at, so the follower skips bodies by the same framing. It decides nothing else: a request that the
//! library refuses ends the connection, whatever this says.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Which request of the connection was framed in two ways; the connection serves none after it.
#[derive(Debug, Default)]
pub(super) struct Ambiguous {
    /// Counted from 1; 0: none.
    request: AtomicU64,
    begun: AtomicU64,
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
}

/// The beginning of the line being read: long enough to know it by.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

#[derive(Debug, Default)]
struct Head {
    lines: u64,
    length: Option<u64>,
    sized: bool,
    coded: bool,
}

/// `Transfer-Encoding:` is 18 bytes, a length has 20 digits at most.
const KEPT: usize = 64;

// === impl Ambiguous ===

impl Ambiguous {
    /// Called once for each request, in order: whether it is the one.
    pub(super) fn next_is(&self) -> bool {
        let number = self.begun.fetch_add(1, Relaxed) + 1;
        self.request.load(Relaxed) == number
    }
}

// === impl Follower ===

impl Follower {
    /// These bytes come next on the connection.
    pub(super) fn read(&mut self, mut bytes: &[u8], ambiguous: &Ambiguous) {
        while !bytes.is_empty() {
            bytes = match self.part {
                Part::Body(left) => self.skip(bytes, left, Part::Body, Part::Head),
                Part::Data(left) => self.skip(bytes, left, Part::Data, Part::DataEnd),
                Part::Head | Part::DataEnd | Part::Size | Part::Trailers => self.read_line(bytes, ambiguous),
            };
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, same: fn(u64) -> Part, then: Part) -> &'a [u8] {
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left - count as u64;
        self.part = if left == 0 { then } else { same(left) };
        bytes.get(count..).unwrap_or_default()
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8], ambiguous: &Ambiguous) -> &'a [u8] {
        let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
            self.line.push(bytes);
            return &[];
        };
        let (line, rest) = bytes.split_at(end + 1);
        self.line.push(line);
        let line = std::mem::take(&mut self.line);
        self.part = self.end_line(&line, ambiguous);
        rest
    }

    fn end_line(&mut self, line: &Line, ambiguous: &Ambiguous) -> Part {
        match self.part {
            Part::Head if !line.is_empty() => {
                self.head.read(line);
                Part::Head
            }
            // The library takes empty lines before a request for nothing, too.
            Part::Head if self.head.lines == 0 => Part::Head,
            Part::Head => self.end_head(ambiguous),
            Part::Size => match line.chunk_size() {
                0 => Part::Trailers,
                size => Part::Data(size),
            },
            Part::Trailers if line.is_empty() => Part::Head,
            Part::Trailers => Part::Trailers,
            Part::DataEnd | Part::Body(_) | Part::Data(_) => Part::Size,
        }
    }

    fn end_head(&mut self, ambiguous: &Ambiguous) -> Part {
        let head = std::mem::take(&mut self.head);
        self.heads += 1;
        if head.sized && head.coded {
            // The first counts: the library reads nothing behind it.
            let _ = ambiguous.request.compare_exchange(0, self.heads, Relaxed, Relaxed);
        }
        match (head.coded, head.length) {
            (true, _) => Part::Size,
            (false, Some(length)) if length > 0 => Part::Body(length),
            (false, _) => Part::Head,
        }
    }
}

// === impl Head ===

impl Head {
    /// The library refuses folded lines, and spaces before a colon.
    fn read(&mut self, line: &Line) {
        self.lines += 1;
        self.coded |= line.value_of("transfer-encoding").is_some();
        if let Some(value) = line.value_of("content-length") {
            self.sized = true;
            self.length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
        }
    }
}

// === impl Line ===

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
    }

    /// Nothing but its end.
    fn is_empty(&self) -> bool {
        matches!(&*self.0, b"\n" | b"\r\n")
    }

    fn value_of(&self, name: &str) -> Option<&[u8]> {
        let (own, value) = self.0.split_at_checked(name.len())?;
        value.strip_prefix(b":").filter(|_| own.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// What the library would read; it refuses what is no size.
    fn chunk_size(&self) -> u64 {
        let digits = self.0.iter().map_while(|b| char::from(*b).to_digit(16));
        digits.fold(0_u64, |size, digit| size.saturating_mul(16).saturating_add(u64::from(digit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The number of heads, and which of them was ambiguous.
    fn follow(pieces: &[&[u8]]) -> (u64, u64) {
        let (mut follower, ambiguous) = (Follower::default(), Ambiguous::default());
        pieces.iter().for_each(|piece| follower.read(piece, &ambiguous));
        (follower.heads, ambiguous.request.load(Relaxed))
    }

    const EVIL: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    const GOOD: [&str; 5] = [
        "GET / HTTP/1.1\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\nHost: a\n\n",
        "POST / HTTP/1.1\r\ncontent-LENGTH:  9 \r\n\r\n\r\n\r\n\r\n\r\n\n",
        "POST / HTTP/1.1\r\nTransfer-encoding: chunked\r\n\r\n5;x\r\n\r\n\r\n\n\r\n2\r\n\n\n\r\n0\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
        "POST / HTTP/1.1\r\nX-Content-Length: 1\r\nTransfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    ];

    #[test]
    fn requests_are_counted_over_any_body() {
        for good in GOOD {
            assert_eq!(follow(&[good.as_bytes()]), (1, 0), "{good:?}");
            assert_eq!(follow(&[good.as_bytes(), EVIL.as_bytes(), EVIL.as_bytes()]), (3, 2), "{good:?}");
        }
    }

    #[test]
    fn the_marked_request_is_found_by_its_number() {
        let ambiguous = Ambiguous::default();
        Follower::default().read([GOOD[0], EVIL].concat().as_bytes(), &ambiguous);
        assert_eq!([ambiguous.next_is(), ambiguous.next_is(), ambiguous.next_is()], [false, true, false]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(order in proptest::collection::vec(0..GOOD.len(), 0..5), cut in 1_usize..40) {
            let mut bytes: Vec<u8> = order.iter().flat_map(|n| GOOD[*n].bytes()).collect();
            bytes.extend(EVIL.bytes());
            let count = order.len() as u64 + 1;
            prop_assert_eq!(follow(&bytes.chunks(cut).collect::<Vec<_>>()), (count, count));
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            follow(&[b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes]);
            follow(&[&bytes]);
        }
    }
}
