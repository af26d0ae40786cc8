use super::*;
use crate::routing::ManagedHeaders;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())).collect()
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_belongs_to_the_clients_connection_stays_there() {
    #[rustfmt::skip]
    let cases: &[(&str, &[(&str, &str)], &[&str])] = &[
        ("P46 hop by hop", &[("connection", "x-hop"), ("x-hop", "1"), ("keep-alive", "1"), ("te", "trailers"), ("trailer", "x"), ("proxy-authorization", "b"), ("proxy-connection", "c"), ("upgrade", "h2c"), ("a", "1")], &["a"]),
        ("P48 h2c", &[("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAA")], &[]),
        ("P47 J96 not removable", &[("connection", "host, authorization, x-forwarded-for, cookie, content-length"), ("host", "h"), ("authorization", "a"), ("cookie", "c"), ("content-length", "1")], &["authorization", "content-length", "cookie", "host"]),
        ("P55 a client's word", &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "h"), ("forwarded", "for=1"), ("x-real-ip", "1.2.3.4")], &[]),
        ("J106 P07 look-alikes", &[("x_forwarded_for", "1"), ("transfer_encoding", "chunked"), ("X_Real_Ip", "1"), ("content_length", "3"), ("x.forwarded.for", "1"), ("x~real!ip", "1"), ("my_header", "1")], &["my_header"]),
        ("J110 overrides", &[("x-original-url", "/admin"), ("x-rewrite-url", "/admin"), ("x-forwarded-uri", "/"), ("x-envoy-original-path", "/")], &[]),
    ];
    for (name, lines, want) in cases {
        let mut headers = headers(lines);
        clean_request(&mut headers, false, None);
        assert_eq!(names(&headers), *want, "{name}");
    }
}

#[test]
fn j105_j106_managed_headers_go_in_every_spelling() {
    let managed: ManagedHeaders = [HeaderName::from_static("x-user")].into_iter().collect();
    let mut all = headers(&[("x-user", "admin"), ("X_User", "admin"), ("X.User", "admin"), ("x-user-name", "kept"), ("X-USER", "again")]);
    remove_managed(&mut all, &managed);
    assert_eq!(names(&all), ["x-user-name"]);
}

#[test]
fn a_trusted_proxys_word_is_continued() {
    let mut trusted = headers(&[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.example")]);
    clean_request(&mut trusted, true, None);
    set_forwarding(&mut trusted, &Peer { address: "10.0.0.9:1".parse().unwrap(), secured: None }, "api.example", "1.1 portcullis-1");
    let got: Vec<_> = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"]
        .iter()
        .map(|n| trusted[*n].to_str().unwrap())
        .collect();
    assert_eq!(got, ["203.0.113.7, 10.0.0.9", "https", "shop.example", "for=10.0.0.9;host=\"api.example\";proto=http", "1.1 portcullis-1"]);
}

#[test]
fn the_client_is_the_nearest_address_that_no_trusted_proxy_has() {
    let trusted = ClientAddress::TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
    #[rustfmt::skip]
    let cases = [
        ("direct", &ClientAddress::Direct, "10.0.0.1", "1.1.1.1", "10.0.0.1"),
        ("one proxy", &trusted, "10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("two proxies", &trusted, "10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("a forged start", &trusted, "10.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("a stranger", &trusted, "198.51.100.1", "203.0.113.7", "198.51.100.1"),
        ("nonsense", &trusted, "10.0.0.1", "unknown", "10.0.0.1"),
        ("mapped", &ClientAddress::Direct, "::ffff:10.0.0.1", "", "10.0.0.1"),
    ];
    for (name, setting, peer, hops, want) in cases {
        let got = setting.client(peer.parse().unwrap(), &headers(&[("x-forwarded-for", hops)]));
        assert_eq!(got.to_string(), want, "{name}");
    }
}

#[test]
fn twice_through_one_installation_is_a_loop() {
    let seen = |via: &[(&str, &str)]| check_loop(&headers(via), "portcullis-1").is_ok();
    assert!(seen(&[]));
    assert!(seen(&[("via", "1.1 portcullis-1, 1.1 portcullis-2")]), "once: a gateway that protects itself");
    assert!(seen(&[("via", "1.1 portcullis-10, 1.1 portcullis-1")]), "a longer name is another");
    assert!(!seen(&[("via", "1.1 portcullis-1, 1.0 x, 1.1 portcullis-1")]));
}

#[test]
fn responses_lose_what_belongs_to_the_upstreams_connection() {
    let mut both = headers(&[
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("www-authenticate", "kept"),
    ]);
    clean_response(&mut both);
    assert_eq!(names(&both), ["www-authenticate"]);
}
