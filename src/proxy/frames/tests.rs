use super::*;

fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
    let length = u32::try_from(payload).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    bytes.resize(HEAD + payload, 0);
    bytes
}

/// How many of these frames are read before the credit is spent.
fn accepted(frames: &Frame, most: usize) -> usize {
    let (mut read, mut wrote, mut credit) = (Frames::from_client(), Frames::to_client(), Credit::new());
    assert!(read.read(&[0; PREFACE], &mut credit));
    for n in 0..most {
        let (kind, flags, length) = frames.theirs;
        let fine = read.read(&frame(kind, flags, length), &mut credit);
        let ours = frames.ours.map(|(kind, flags, length)| wrote.wrote(&frame(kind, flags, length), &mut credit));
        if !fine || ours == Some(false) {
            return n;
        }
    }
    most
}

struct Frame {
    theirs: (u8, u8, usize),
    /// What each makes us send.
    ours: Option<(u8, u8, usize)>,
}

#[tokio::test(start_paused = true)]
async fn p25_frames_that_ask_for_nothing_are_counted() {
    const PING: u8 = 6;
    let most = 5000;
    #[rustfmt::skip]
    let rows = [
        ("resets", (RST_STREAM, 0, 4), None, 200),
        ("pings", (PING, 0, 8), Some((PING, 1, 8)), 200),
        ("settings", (4, 0, 0), Some((4, 1, 0)), 200),
        ("priorities", (2, 0, 5), None, 200),
        ("kinds that nobody knows", (0xbb, 0, 1), None, 200),
        ("empty data", (DATA, 0, 0), None, 200),
        ("resets that it makes us send", (HEADERS, 5, 10), Some((RST_STREAM, 0, 4)), 200),
        ("empty continuations", (CONTINUATION, 0, 0), None, 1000),
        ("window updates for nothing", (WINDOW_UPDATE, 0, 4), None, 1000),
        ("window updates for answers", (WINDOW_UPDATE, 0, 4), Some((DATA, 0, 100)), most),
        ("resets of what is answered", (RST_STREAM, 0, 4), Some((HEADERS, 4, 100)), most),
        ("requests", (HEADERS, 5, 10), None, most),
        ("bodies", (DATA, 0, 1), None, most),
        ("ends of bodies", (DATA, END_STREAM, 0), None, most),
    ];
    for (name, theirs, ours, want) in rows {
        assert_eq!(accepted(&Frame { theirs, ours }, most), want, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn p25_credit_comes_back_with_time() {
    let mut credit = Credit::new();
    assert!(credit.spend(MOST) && !credit.spend(1));
    tokio::time::advance(Duration::from_millis(50)).await;
    assert!(credit.spend(5) && !credit.spend(1));
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(credit.spend(MOST) && !credit.spend(1));
}

#[tokio::test]
async fn p56_a_head_has_begun_until_its_last_byte() {
    let all = [vec![0; PREFACE], frame(HEADERS, 0, 3), frame(CONTINUATION, END_HEADERS, 2), frame(DATA, 0, 4)].concat();
    let heads_end = PREFACE + 2 * HEAD + 5;
    for piece in [1, 2, 5, 1000] {
        let (mut frames, mut credit, mut read) = (Frames::from_client(), Credit::new(), 0);
        for bytes in all.chunks(piece) {
            frames.read(bytes, &mut credit);
            read += bytes.len();
            let head = read < heads_end && read != PREFACE;
            let start_of_data = read > heads_end && read < heads_end + HEAD;
            assert_eq!(frames.is_within_head(), head || start_of_data, "{piece}: {read}");
            assert_eq!(frames.is_at_boundary(), read <= PREFACE || [PREFACE + HEAD + 3, heads_end, all.len()].contains(&read), "{read}");
        }
        assert_eq!(frames.calm_down()[HEAD..], [0, 0, 0, 1, 0, 0, 0, 11]);
    }
}
