use super::*;

fn line<'a>(rule: &'a RuleId, message: Option<&'a str>) -> AccessLine<'a> {
    AccessLine {
        time: Duration::from_millis(1_795_490_000_123),
        client: [127, 0, 0, 1].into(),
        method: "GET",
        protocol: "h2",
        host: "api.example.com",
        path: "/api",
        status: 401,
        reason: "missing_token",
        blame: Some("client"),
        message,
        rule: Some(rule),
        upstream: None,
        request_id: "id-1",
        latency: Duration::from_micros(1234),
        duration: Duration::from_micros(2345),
    }
}

#[test]
fn a_line_says_what_happened_and_to_whom() {
    let rule = RuleId { namespace: "shop".into(), name: "messages".into(), rule: "rules[0]".into() };
    let line = line(&rule, Some("Token not found"));
    let json = r#"{"time":"2026-11-24T03:13:20.123Z","client":"127.0.0.1","method":"GET","protocol":"h2","host":"api.example.com","path":"/api","status":401,"reason":"missing_token","blame":"client","message":"Token not found","object":"shop/messages","rule":"rules[0]","requestId":"id-1","latencyMs":1.234,"durationMs":2.345}"#;
    assert_eq!(line.json(), json);
    let text = r#"2026-11-24T03:13:20.123Z 127.0.0.1 GET api.example.com /api 401 missing_token shop/messages/rules[0] - 1.234ms h2 id-1 "Token not found""#;
    assert_eq!(line.text(), text);
}

#[test]
fn k27_texts_are_cut_between_characters() {
    let rows = [("short", "abc", "abc"), ("long", "abcdefgh", "abcdef"), ("within a character", "abcdeé", "abcde"), ("empty", "", "")];
    for (name, text, want) in rows {
        assert_eq!(cut(text, 6), want, "{name}");
    }
}

#[test]
fn a_slow_output_costs_lines_and_no_request() {
    struct Stuck(Receiver<()>);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (release, stuck) = sync_channel(0);
    let log = AccessLog::start(Format::Json, Stuck(stuck)).unwrap();
    let rule = RuleId { namespace: "a".into(), name: "b".into(), rule: "c".into() };
    let path = format!("/{}", "a".repeat(MAX_PATH - 1));
    let line = AccessLine { path: &path, ..line(&rule, None) };
    (0..4 * QUEUE_BYTES / MAX_PATH).for_each(|_| log.write(&line));
    assert!(log.dropped().get() > 0);
    assert!(log.waiting.load(Relaxed) <= QUEUE_BYTES, "K27: bytes are bounded, not lines alone");
    drop(release);
    log.finish();
}
