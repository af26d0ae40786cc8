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

/// Each would hide the request behind it, or mark an innocent one, if it were read less exactly than by the library.
#[test]
fn p01_p18_lengths_and_sizes_are_read_whatever_stands_before_them() {
    let (spaces, zeros) = (" ".repeat(70), "0".repeat(70));
    let body = "A\r\nContent-Length:1\r\nTransfer-Encoding:x\r\n\r\n";
    let rows = [
        format!("POST / HTTP/1.1\r\nContent-Length:{spaces}5{spaces}\t\r\n\r\nx\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nContent-Length: {zeros}5\r\n\r\nx\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nContent-Length: {zeros}{}\r\n\r\n{body}", body.len()),
        format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}9 \t;x\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nX: {zeros}\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX: {zeros}\r\n\r\n"),
    ];
    for row in rows {
        assert_eq!(follow(&[row.as_bytes()]), (1, 0), "{row:?}");
        assert_eq!(follow(&[row.as_bytes(), EVIL.as_bytes()]), (2, 2), "{row:?}");
    }
}

#[test]
fn p11_after_what_cannot_be_followed_no_request_is_clear() {
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = [
        format!("{chunked}0\r\nX: y\n\nz\r\n\r\n"),
        format!("{chunked}0\r\nX: y\n\r\n\r\n"),
        format!("{chunked}1\na\r\n0\r\n\r\n"),
        format!("{chunked}fffffffffffffffff\r\n"),
        format!("{chunked} 1\r\na\r\n0\r\n\r\n"),
        format!("{chunked}1\r\nab\r\n0\r\n\r\n"),
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n12345".to_owned(),
        format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", "9".repeat(20)),
        "POST / HTTP/1.1\r\nContent-Length: 5 5\r\n\r\n".to_owned(),
    ];
    for row in rows {
        let ambiguous = Ambiguous::default();
        Follower::default().read([&row, GOOD[0], GOOD[0]].concat().as_bytes(), &ambiguous);
        assert_eq!((ambiguous.is_lost(), ambiguous.next_is(), ambiguous.next_is()), (true, false, true), "{row:?}");
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
