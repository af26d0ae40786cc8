use super::*;
use crate::routing::Origins;
use http::Request;

fn places(header: &'static str, cookie: Option<&str>, strip: bool) -> Credentials {
    let header = HeaderName::from_static(header);
    Credentials {
        header,
        cookie: cookie.map(Into::into),
        query: None,
        strip,
        forward_as: None,
        keep_authorization: false,
        end_with_token: true,
        cross_origin: CrossOrigin::Refuse,
    }
}

fn parts(method: &str, lines: &[(&str, &str)]) -> Parts {
    let request = lines
        .iter()
        .fold(Request::builder().method(method), |b, (name, value)| b.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap()));
    request.body(()).unwrap().into_parts().0
}

fn found(places: &Credentials, lines: &[(&str, &str)]) -> Result<(String, Place), u16> {
    let found = find(places, &parts("GET", lines).headers, None);
    found.map(|p| (p.token, p.place)).map_err(|rejection| rejection.status().as_u16())
}

#[test]
fn the_token_is_found_in_one_place_or_refused() {
    let bearer = places("authorization", None, false);
    let cookie = places("authorization", Some("t"), false);
    let own = places("x-token", None, false);
    let header = |token: &str| Ok((token.to_owned(), Place::Header));
    let from_cookie = |token: &str| Ok((token.to_owned(), Place::Cookie));
    #[rustfmt::skip]
    let cases: &[(&str, &Credentials, &[(&str, &str)], _)] = &[
        ("bearer", &bearer, &[("authorization", "Bearer abc")], header("abc")),
        ("J85 none", &bearer, &[], Err(401)),
        ("J86 two lines", &bearer, &[("authorization", "Bearer a"), ("authorization", "Bearer b")], Err(400)),
        ("J86 two equal lines", &bearer, &[("authorization", "Bearer a"), ("authorization", "Bearer a")], Err(400)),
        ("J87 a list of tokens", &bearer, &[("authorization", "Bearer a, Bearer b")], Err(400)),
        ("J87 a list of schemes", &bearer, &[("authorization", "Basic x, Bearer y")], Err(400)),
        ("J88 any case", &bearer, &[("authorization", "bEaReR abc")], header("abc")),
        ("J89 two spaces", &bearer, &[("authorization", "Bearer  abc")], header("abc")),
        ("J90 alone", &bearer, &[("authorization", "Bearer")], Err(400)),
        ("J90 empty", &bearer, &[("authorization", "Bearer ")], Err(400)),
        ("J90 a colon", &bearer, &[("authorization", "Bearer: abc")], Err(401)),
        ("J90 no space", &bearer, &[("authorization", "Bearerabc")], Err(401)),
        ("J90 a tab", &bearer, &[("authorization", "Bearer\tabc")], Err(401)),
        ("J90 two words", &bearer, &[("authorization", "Bearer a b")], Err(400)),
        ("J91 Basic", &bearer, &[("authorization", "Basic dTpw")], Err(401)),
        ("J91 DPoP", &bearer, &[("authorization", "DPoP abc")], Err(401)),
        ("J64 beyond ASCII", &bearer, &[("authorization", "Bearer ü")], Err(401)),
        ("a cookie that nobody named", &bearer, &[("cookie", "t=abc")], Err(401)),
        ("cookie", &cookie, &[("cookie", "a=b; t=abc; c=d")], from_cookie("abc")),
        ("J94 the header wins", &cookie, &[("cookie", "t=abc"), ("authorization", "Bearer h")], header("h")),
        ("another scheme leaves the cookie", &cookie, &[("cookie", "t=abc"), ("authorization", "Basic x")], from_cookie("abc")),
        ("J95 twice in a line", &cookie, &[("cookie", "t=bad; t=good")], Err(400)),
        ("J95 on two lines", &cookie, &[("cookie", "t=bad"), ("cookie", "t=good")], Err(400)),
        ("J94 doubled beside a header", &cookie, &[("cookie", "t=a; t=b"), ("authorization", "Bearer h")], Err(400)),
        ("an empty cookie is none", &cookie, &[("cookie", "t=")], Err(401)),
        ("another name", &cookie, &[("cookie", "tt=abc; T=abc")], Err(401)),
        ("own header, bare", &own, &[("x-token", "abc")], header("abc")),
        ("own header, Bearer", &own, &[("x-token", "Bearer abc")], header("abc")),
        ("own header, not Authorization", &own, &[("authorization", "Bearer abc")], Err(401)),
        ("own header, two words", &own, &[("x-token", "Basic abc")], Err(400)),
    ];
    for (name, places, lines, want) in cases {
        assert_eq!(found(places, lines), *want, "{name}");
    }
}

#[test]
fn the_backend_sees_the_verified_place_alone() {
    let all = [("authorization", "Bearer h"), ("cookie", "a=b;  t=abc; c=d"), ("cookie", "t=x"), ("x-token", "own")];
    let render = |headers: &HeaderMap| headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect::<Vec<_>>().join(" | ");
    #[rustfmt::skip]
    let cases = [
        ("keep the header", places("authorization", Some("t"), false), Some(Place::Header), "authorization: Bearer h | cookie: a=b; c=d | x-token: own"),
        ("keep the cookie", places("authorization", Some("t"), false), Some(Place::Cookie), "cookie: a=b;  t=abc; c=d | cookie: t=x | x-token: own"),
        ("strip", places("authorization", Some("t"), true), Some(Place::Header), "cookie: a=b; c=d | x-token: own"),
        ("own header", places("x-token", None, false), Some(Place::Header), "cookie: a=b;  t=abc; c=d | cookie: t=x | x-token: own"),
        ("own header, stripped", places("x-token", None, true), Some(Place::Header), "cookie: a=b;  t=abc; c=d | cookie: t=x"),
    ];
    for (name, places, verified, want) in cases {
        let mut headers = parts("GET", &all).headers;
        remove(&places, verified, &mut headers);
        let mut got: Vec<_> = render(&headers).split(" | ").map(str::to_owned).collect();
        got.sort();
        assert_eq!(got.join(" | "), want, "{name}");
    }
}

#[test]
fn a_public_rule_strips_only_when_told() {
    for (strip, left) in [(false, 2), (true, 0)] {
        let mut headers = parts("GET", &[("authorization", "Bearer h"), ("cookie", "t=abc")]).headers;
        remove_on_public(&places("authorization", Some("t"), strip), &mut headers);
        assert_eq!(headers.len(), left);
    }
}

#[test]
fn a_cookie_acts_only_for_its_own_site() {
    let refuse = places("authorization", Some("t"), false);
    let allow = Credentials { cross_origin: CrossOrigin::Allow, ..refuse.clone() };
    #[rustfmt::skip]
    let cases: &[(&str, &Credentials, Place, &str, &[(&str, &str)], bool)] = &[
        ("a header cannot be sent by another site", &refuse, Place::Header, "POST", &[], true),
        ("reading is safe", &refuse, Place::Cookie, "GET", &[("sec-fetch-site", "cross-site")], true),
        ("the page itself", &refuse, Place::Cookie, "POST", &[("sec-fetch-site", "same-origin")], true),
        ("the address bar", &refuse, Place::Cookie, "POST", &[("sec-fetch-site", "none")], true),
        ("another site", &refuse, Place::Cookie, "POST", &[("sec-fetch-site", "cross-site")], false),
        ("a sibling", &refuse, Place::Cookie, "POST", &[("sec-fetch-site", "same-site")], false),
        ("Sec-Fetch-Site outweighs Origin", &refuse, Place::Cookie, "POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://a.example")], false),
        ("own origin", &refuse, Place::Cookie, "POST", &[("origin", "https://A.example")], true),
        ("foreign origin", &refuse, Place::Cookie, "POST", &[("origin", "https://evil.example")], false),
        ("null origin", &refuse, Place::Cookie, "POST", &[("origin", "null")], false),
        ("no word of it", &refuse, Place::Cookie, "DELETE", &[], false),
        ("an upgrade is not a read", &refuse, Place::Cookie, "GET", &[("upgrade", "websocket")], false),
        ("unknown methods write", &refuse, Place::Cookie, "FOO", &[], false),
        ("an origin of cors", &refuse, Place::Cookie, "POST", &[("origin", "https://app.example")], true),
        ("its sibling", &refuse, Place::Cookie, "POST", &[("origin", "https://x.app.example")], false),
        ("an origin of cors beside another", &refuse, Place::Cookie, "POST", &[("origin", "https://app.example"), ("origin", "https://evil.example")], false),
        ("Sec-Fetch-Site outweighs cors", &refuse, Place::Cookie, "POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")], false),
        ("allowed", &allow, Place::Cookie, "POST", &[("sec-fetch-site", "cross-site")], true),
    ];
    let cors =
        |origins| Cors { origins, methods: None, headers: HeaderValue::from_static("a"), exposed: None, credentials: true, max_age: None };
    let named = cors(Origins::Named(["https://app.example".into()].into()));
    for (name, places, place, method, lines, want) in cases {
        let got = check_origin(places, *place, &parts(method, lines), "a.example", Some(&named));
        assert_eq!(got.is_ok(), *want, "{name}");
    }
    let foreign = parts("POST", &[("origin", "https://evil.example")]);
    let any = check_origin(&refuse, Place::Cookie, &foreign, "a.example", Some(&cors(Origins::Any)));
    assert_eq!(any, Err(Rejection::CrossOrigin), "* trusts nobody in particular");
}

#[test]
fn j92_j94_a_query_is_read_where_the_rule_says_so_and_beside_no_header() {
    let off = places("authorization", Some("c"), false);
    let on = Credentials { query: Some("t".into()), ..off.clone() };
    let (query, bearer, cookie) = (Some("t=abc"), ("authorization", "Bearer h"), ("cookie", "c=k"));
    let rows = [
        ("J92 not enabled", &off, vec![], Err(401)),
        ("J93 enabled", &on, vec![], Ok(Place::Query)),
        ("J94 beside a header", &on, vec![bearer], Err(400)),
        ("beside another scheme", &on, vec![("authorization", "Basic x")], Ok(Place::Query)),
        ("before the cookie", &on, vec![cookie], Ok(Place::Query)),
    ];
    for (row, places, lines, want) in rows {
        let found = find(places, &parts("GET", &lines).headers, query);
        assert_eq!(found.map(|found| found.place).map_err(|rejection| rejection.status().as_u16()), want, "{row}");
    }
    assert_eq!(remove_from_query(&on, Some("a=b&t=abc")).as_deref(), Some("a=b"));
    assert_eq!(remove_from_query(&off, Some("a=b&t=abc")).as_deref(), Some("a=b&t=abc"));
}

#[test]
fn the_token_is_passed_on_where_the_rule_says_so() {
    let places = Credentials { forward_as: Some(HeaderName::from_static("x-token")), ..places("authorization", None, true) };
    let mut headers = HeaderMap::new();
    pass_on(&places, "a.b.c", &mut headers).unwrap();
    assert_eq!(headers["x-token"], "a.b.c");
    assert!(headers["x-token"].is_sensitive());
}

#[test]
fn the_clients_authorization_stays_where_it_is_to_be_kept() {
    for keep_authorization in [false, true] {
        let places = Credentials { keep_authorization, ..places("x-token", None, false) };
        let mut headers = parts("GET", &[("authorization", "Basic x"), ("x-token", "a.b.c")]).headers;
        remove(&places, Some(Place::Header), &mut headers);
        assert_eq!((headers.contains_key("authorization"), headers.contains_key("x-token")), (keep_authorization, true));
    }
}
