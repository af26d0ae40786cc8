//! J17-J35: header parameters and `kid`.

use super::{support::Signer, *};

fn header(members: &Value) -> String {
    issuer().rsa.mint_with(members, &claims())
}

/// A header with one member's JSON text written out, null included.
fn header_text(name: &str, text: &str) -> String {
    let rest = merge(issuer().rsa.header(), &json!({ name: null })).to_string();
    issuer().rsa.compact(format!("{{\"{name}\":{text},{}", &rest[1..]), claims().to_string())
}

/// The verifier has no way to fetch or to read a key from a token: J18's listener cannot be reached from here at all.
#[test]
fn j17_j18_j19_keys_in_the_header_are_never_used() {
    let foreign = Signer::generate("RS256", "rsa");
    let parameters = [
        ("J17 jwk", json!({"jwk": foreign.jwk()})),
        ("J18 jku", json!({"jku": "https://127.0.0.1:1/jwks.json"})),
        ("J18 x5u", json!({"x5u": "https://127.0.0.1:1/chain.pem"})),
        ("J19 x5c", json!({"x5c": ["MIIB"]})),
    ];
    let mut rows = Vec::new();
    for (name, parameter) in parameters {
        rows.push((name, foreign.mint_with(&parameter, &claims()), Err(TokenError::Signature)));
        let elsewhere = foreign.named("foreign").mint_with(&parameter, &claims());
        rows.push((name, elsewhere, Err(TokenError::UnknownKey)));
    }
    rows.push(("J20, signed by our key", header(&json!({"jwk": foreign.jwk()})), Ok(())));
    run(&checks(), rows);
}

#[test]
fn j21_j22_j23_j24_parameters_that_change_the_meaning() {
    let refused = Err(TokenError::Header);
    let mut rows = Vec::new();
    for crit in [r#"["x"]"#, "[]", r#""x""#, r#"["exp"]"#, r#"["alg"]"#, r#"["x","x"]"#, "null", "{}", "1"] {
        rows.push(("J21 crit", header_text("crit", crit), refused));
    }
    for b64 in ["false", "true", "null"] {
        rows.push(("J22 b64", header_text("b64", b64), refused));
    }
    rows.push(("J22 b64 and crit", header(&json!({"b64": false, "crit": ["b64"]})), refused));
    for zip in [r#""DEF""#, "null"] {
        rows.push(("J23 zip", header_text("zip", zip), refused));
    }
    for cty in [r#""JWT""#, r#""json""#, "null"] {
        rows.push(("J24 cty", header_text("cty", cty), refused));
    }
    rows.push(("J24, nested", issuer().rsa.compact(header_only(&json!({"cty": "JWT"})), good()), refused));
    rows.push(("J55 enc", header_text("enc", r#""A128GCM""#), refused));
    run(&checks(), rows);
}

fn header_only(members: &Value) -> String {
    merge(issuer().rsa.header(), members).to_string()
}

#[test]
fn j25_j26_j27_types_of_access_tokens_only() {
    let mut rows = vec![("J25 absent", header(&json!({"typ": null})), Ok(()))];
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
        rows.push((typ, header(&json!({ "typ": typ })), Ok(())));
    }
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "JWE", "", "JWT ", "at+jwt;v=1", "a\u{212a}t+jwt"] {
        rows.push((typ, header(&json!({ "typ": typ })), Err(TokenError::Type)));
    }
    for typ in ["null", "1", r#"["JWT"]"#, "{}", "true"] {
        rows.push((typ, header_text("typ", typ), Err(TokenError::Type)));
    }
    run(&checks(), rows);
}

#[test]
fn j27_where_at_jwt_is_required_nothing_else_will_do() {
    let checks = Checks { require_at_jwt: true, ..checks() };
    let mut rows = vec![("absent", header(&json!({"typ": null})), Err(TokenError::Type))];
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        rows.push((typ, header(&json!({ "typ": typ })), Ok(())));
    }
    for typ in ["JWT", "jwt", "application/jwt", "at+jwt ", "logout+jwt"] {
        rows.push((typ, header(&json!({ "typ": typ })), Err(TokenError::Type)));
    }
    run(&checks, rows);
}

#[test]
fn j28_j29_j30_the_header_is_one_strict_json_object() {
    let refused = Err(TokenError::Header);
    let usual = issuer().rsa.header().to_string();
    let open = usual.strip_suffix('}').unwrap();
    let deep = |levels: usize| format!("{open},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
    let headers: Vec<(_, Vec<u8>, Verdict)> = vec![
        ("J28 alg twice", format!(r#"{open},"alg":"RS256"}}"#).into(), refused),
        ("J28 kid twice", format!(r#"{open},"kid":"rsa"}}"#).into(), refused),
        ("J28 kid twice, one escaped", format!(r#"{open},"\u006bid":"rsa"}}"#).into(), refused),
        ("J28 unknown member twice", format!(r#"{open},"x":1,"x":1}}"#).into(), refused),
        ("J28 twice further in", format!(r#"{open},"x":{{"y":1,"y":2}}}}"#).into(), refused),
        ("J29 not JSON", b"alg=RS256".to_vec(), refused),
        ("J29 array", format!("[{usual}]").into(), refused),
        ("J29 string", b"\"RS256\"".to_vec(), refused),
        ("J29 byte order mark", format!("\u{feff}{usual}").into(), refused),
        ("J29 more after it", format!("{usual}{{}}").into(), refused),
        ("J29 comment", format!("{open}/**/}}").into(), refused),
        ("J29 NaN", format!("{open},\"x\":NaN}}").into(), refused),
        ("J29 not UTF-8", [open.as_bytes(), b",\"x\":\"\xff\"}"].concat(), refused),
        ("J29 300 bytes above 0x7f", vec![0x80; 300], refused),
        ("J29 eight levels", deep(7), Ok(())),
        ("J29 nine levels", deep(8), refused),
        ("J29 thousands of levels", deep(2_000), refused),
        ("J30 escaped name", r#"{"\u0061lg":"RS256","kid":"rsa"}"#.into(), Ok(())),
        ("J30 unknown members", format!(r#"{open},"x":1,"y":{{"z":[null]}}}}"#).into(), Ok(())),
        ("4 KiB", format!("{usual}{}", " ".repeat(4096 - usual.len())).into(), Ok(())),
        ("4 KiB and a byte", format!("{usual}{}", " ".repeat(4097 - usual.len())).into(), refused),
    ];
    run(
        &checks(),
        headers.into_iter().map(|(name, header, verdict)| (name, issuer().rsa.compact(header, claims().to_string()), verdict)).collect(),
    );
}

#[test]
fn j31_j33_j34_j35_kid_is_only_ever_compared() {
    let mut rows = Vec::new();
    let hostile = [
        "../../../../dev/null",
        "x' UNION SELECT 'k'--",
        "*)(uid=*",
        "rsa;curl 127.0.0.1",
        "http://169.254.169.254/",
        "rsa\r\nX-User: admin",
        "rsa\0",
        "__proto__",
        "",
        "RSA",
        "rsa ",
        " rsa",
        "rs",
        "rsaa",
        "\u{feff}rsa",
    ];
    for kid in hostile {
        rows.push((kid, header(&json!({ "kid": kid })), Err(TokenError::UnknownKey)));
    }
    rows.push(("J34 another key", header(&json!({"kid": "next"})), Err(TokenError::Signature)));
    for kid in ["null", "1", r#"["rsa"]"#, r#"{"rsa":1}"#, "true"] {
        rows.push((kid, header_text("kid", kid), Err(TokenError::Header)));
    }
    rows.push(("J35, 256 bytes", header(&json!({"kid": "k".repeat(256)})), Err(TokenError::UnknownKey)));
    rows.push(("J35, 257 bytes", header(&json!({"kid": "k".repeat(257)})), Err(TokenError::Header)));
    rows.push(("J35, 64 KiB", header(&json!({"kid": "k".repeat(65_536)})), Err(TokenError::TooLong)));
    run(&checks(), rows);
}

#[test]
fn j32_without_a_kid_only_one_key_can_be_meant() {
    let (rsa, next, ec) = (&issuer().rsa, &issuer().next, &issuer().ec);
    let row = |verdict| vec![("J32", header(&json!({"kid": null})), verdict)];
    run_with(&jwks([rsa]), &checks(), row(Ok(())));
    run_with(&jwks([rsa, ec]), &checks(), row(Ok(())));
    run_with(&jwks([next]), &checks(), row(Err(TokenError::Signature)));
    run_with(&jwks([rsa, next]), &checks(), row(Err(TokenError::UnknownKey)));
    run_with(&jwks([ec]), &checks(), row(Err(TokenError::UnknownKey)));
    let nameless = json!({"keys": [merge(rsa.jwk(), &json!({"kid": null}))]}).to_string();
    run_with(&nameless, &checks(), row(Ok(())));
    run_with(&nameless, &checks(), vec![("J32, a kid that no key has", good(), Err(TokenError::UnknownKey))]);
}
