//! J67-J84: claims, at a time that the caller names.

use super::*;

fn with(members: &Value) -> String {
    issuer().rsa.mint(&claims_with(members))
}

fn with_text(name: &str, text: &str) -> String {
    issuer().rsa.compact(issuer().rsa.header().to_string(), claims_text(name, text))
}

fn verdict(checks: &Checks, token: &str, now: Duration) -> Verdict {
    checks.verify(token, &set(&jwks([&issuer().rsa])), now).map(drop)
}

#[test]
fn j67_j68_j69_j70_j83_audience() {
    let refused = Err(TokenError::Audience);
    let mut rows = vec![
        ("J67 missing", with(&json!({"aud": null})), refused),
        ("J69, with /userinfo", with(&json!({"aud": [AUDIENCE, "https://tenant.eu.auth0.com/userinfo"]})), Ok(())),
        ("J69, last", with(&json!({"aud": ["https://tenant.eu.auth0.com/userinfo", AUDIENCE]})), Ok(())),
        ("J69, alone in an array", with(&json!({"aud": [AUDIENCE]})), Ok(())),
        ("J69, twice", with(&json!({"aud": [AUDIENCE, AUDIENCE]})), Ok(())),
        ("J70, number before", with(&json!({"aud": [1, AUDIENCE]})), refused),
        ("J70, null after", with(&json!({"aud": [AUDIENCE, null]})), refused),
        ("J70, array within", with(&json!({"aud": [AUDIENCE, ["x"]]})), refused),
        ("J83, ID token", with(&json!({"aud": "AbCdEf0123456789"})), refused),
    ];
    for text in ["null", "1", "true", "{}", r#"[["https://api.example.com"]]"#, "[null]", r#"{"https://api.example.com":1}"#] {
        rows.push(("J67, type", with_text("aud", text), refused));
    }
    let near = [
        "",
        "evil",
        "https://api.example.co",
        "https://api.example.com/",
        "ttps://api.example.com",
        "HTTPS://API.EXAMPLE.COM",
        "https://api.example.com ",
        "https://api.example.com\0",
        "https://api.example.com,evil",
        " https://api.example.com",
    ];
    for aud in near {
        rows.push(("J68", with(&json!({ "aud": aud })), refused));
        rows.push(("J68, in an array", with(&json!({ "aud": [aud] })), refused));
    }
    rows.push(("J68, none", with(&json!({"aud": []})), refused));
    rows.push(("J68, many", with(&json!({"aud": vec!["e"; 2_500]})), refused));
    run(&checks(), rows);
}

#[test]
fn all_audiences_or_any_of_them() {
    let two = vec![AUDIENCE.to_owned(), "https://other.example.com".to_owned()];
    let any = Checks { audience: two.clone(), ..checks() };
    let all = Checks { audience_match: AudienceMatch::All, ..any.clone() };
    let (one, both) = (with(&json!({"aud": [AUDIENCE, "x"]})), with(&json!({"aud": ["x", two[1], two[0]]})));
    run(&any, vec![("any, one held", one.clone(), Ok(())), ("any, both held", both.clone(), Ok(()))]);
    run(&all, vec![("all, one held", one, Err(TokenError::Audience)), ("all, both held", both, Ok(()))]);
}

#[test]
fn no_configured_audience_refuses_rather_than_accepts() {
    for audience_match in [AudienceMatch::Any, AudienceMatch::All] {
        let checks = Checks { audience: Vec::new(), audience_match, ..checks() };
        run(
            &checks,
            vec![("no audience", good(), Err(TokenError::Audience)), ("empty aud", with(&json!({"aud": []})), Err(TokenError::Audience))],
        );
    }
}

#[test]
fn j71_j72_j73_j74_issuer() {
    let refused = Err(TokenError::Issuer);
    let mut rows = vec![("J71 missing", with(&json!({"iss": null})), refused), ("J73 as configured", good(), Ok(()))];
    for text in ["null", "1", "{}", "true", "\"\""] {
        rows.push(("J71, type", with_text("iss", text), refused));
    }
    rows.push(("J72, array", with(&json!({"iss": [ISSUER]})), refused));
    rows.push(("J72, array with an evil one", with(&json!({"iss": ["https://evil.com/", ISSUER]})), refused));
    let near = [
        "https://tenant.eu.auth0.com",
        "https://tenant.eu.auth0.com//",
        "http://tenant.eu.auth0.com/",
        "https://TENANT.eu.auth0.com/",
        "https://tenant.eu.auth0.com:443/",
        "https://tenant.eu.auth0.com/.evil.com/",
        "https://evil.tenant.eu.auth0.com/",
        "https://tenant.eu.auth0.com@evil.com/",
        "https://tenant.eu.\u{430}uth0.com/",
        "https://tenant.eu.auth0.com/\0",
        " https://tenant.eu.auth0.com/",
        "https://tenant.eu.auth0.com/ ",
        "https://other.eu.auth0.com/",
    ];
    for iss in near {
        rows.push(("J73, J74", with(&json!({ "iss": iss })), refused));
    }
    run(&checks(), rows);
    let bare = Checks { issuer: "https://tenant.eu.auth0.com".to_owned(), ..checks() };
    run(&bare, vec![("J73, slash in the token only", good(), refused)]);
}

#[test]
fn j75_j78_j79_exp_is_a_time_that_can_be() {
    let (expired, payload) = (Err(TokenError::Expired), Err(TokenError::Payload));
    let mut rows = vec![("missing", with(&json!({"exp": null})), expired)];
    for text in ["0", "-0", "-0.0", "1", "1.5", "0.0"] {
        rows.push((text, with_text("exp", text), expired));
    }
    for text in ["null", "\"never\"", "\"9999999999\"", "true", "[9999999999]", "{}", "\"\"", "-1", "-1.5", "-1e300", "1e30", "1e308"] {
        rows.push((text, with_text("exp", text), payload));
    }
    for text in ["1e400", "-1e400", "0x7fffffff", "0189", "+9999999999", "9999999999.", ".5", "NaN", "Infinity", "1_000"] {
        rows.push((text, with_text("exp", text), payload));
    }
    for text in ["18446744073709551615", "9223372036854775808", "9223372036854775807", "1e19", "9999999999999", "253402300799"] {
        rows.push((text, with_text("exp", text), expired));
    }
    rows.push(("2^64", with_text("exp", "18446744073709551616"), payload));
    rows.push(("a float", with_text("exp", &format!("{}.5", now() + 60)), Ok(())));
    rows.push(("an exponent", with_text("exp", &format!("{}e1", now() / 10 + 60)), Ok(())));
    run(&checks(), rows);
}

#[test]
fn j76_j77_valid_while_now_is_before_exp_plus_leeway() {
    let token = with(&json!({"exp": now()}));
    let fraction = with_text("exp", &format!("{}.5", now()));
    let just_before = |time: Duration| time - Duration::from_nanos(1);
    let half = at(now()) + Duration::from_millis(500);
    for leeway in [0, 1, 5, 60] {
        let checks = Checks { leeway: at(leeway), ..checks() };
        for (token, end) in [(&token, at(now() + leeway)), (&fraction, half + at(leeway))] {
            assert_eq!(verdict(&checks, token, end), Err(TokenError::Expired), "leeway {leeway}");
            let before = verdict(&checks, token, just_before(end));
            // Without leeway the last instant comes before `iat`.
            let expected = if end == at(now()) { Err(TokenError::NotYetValid) } else { Ok(()) };
            assert_eq!(before, expected, "leeway {leeway}");
        }
    }
    let old = with(&json!({"iat": now() - 120, "exp": now() - 61}));
    assert_eq!(verdict(&Checks { leeway: at(60), ..checks() }, &old, at(now())), Err(TokenError::Expired));
    assert_eq!(verdict(&Checks { leeway: at(62), ..checks() }, &old, at(now())), Ok(()));
}

#[test]
fn j79_at_most_ten_years_ahead() {
    let limit = 3_653 * 86_400;
    let rows = vec![
        ("ten years", with(&json!({"exp": now() + limit})), Ok(())),
        ("ten years and a second", with(&json!({"exp": now() + limit + 1})), Err(TokenError::Expired)),
    ];
    run(&checks(), rows);
}

#[test]
fn j80_j81_nbf_and_iat_are_times_that_have_come() {
    let (early, payload) = (Err(TokenError::NotYetValid), Err(TokenError::Payload));
    let mut rows = Vec::new();
    for claim in ["nbf", "iat"] {
        rows.push((claim, with(&json!({ claim: null })), Ok(())));
        rows.push((claim, with(&json!({ claim: now() - 60 })), Ok(())));
        rows.push((claim, with(&json!({ claim: now() + LEEWAY })), Ok(())));
        rows.push((claim, with(&json!({ claim: now() + LEEWAY + 1 })), early));
        rows.push((claim, with_text(claim, &format!("{}.25", now() + LEEWAY)), early));
        rows.push((claim, with_text(claim, "18446744073709551615"), early));
        rows.push((claim, with_text(claim, "1e18"), early));
        rows.push((claim, with_text(claim, "0"), Ok(())));
        let texts = ["null", "\"0\"", "\"\"", "true", "[0]", "{}", "-1", "-0.5", "1e30", "1e400", "18446744073709551616"];
        rows.extend(texts.map(|text| (claim, with_text(claim, text), payload)));
    }
    run(&checks(), rows);
}

#[test]
fn nbf_and_iat_become_valid_exactly_leeway_early() {
    for claim in ["nbf", "iat"] {
        let token = with(&json!({"iat": null, claim: now()}));
        let start = at(now() - LEEWAY);
        assert_eq!(verdict(&checks(), &token, start), Ok(()), "{claim}");
        assert_eq!(verdict(&checks(), &token, start - Duration::from_nanos(1)), Err(TokenError::NotYetValid), "{claim}");
    }
}

#[test]
fn no_clock_and_no_leeway_overflows() {
    let times = [Duration::ZERO, at(1), at(now()), at(u64::MAX), Duration::MAX];
    for exp in ["0", "1", "18446744073709551615", "1.8446744073709550e19"] {
        for nbf in ["0", "18446744073709551615"] {
            let token =
                issuer().rsa.compact(issuer().rsa.header().to_string(), claims_text("exp", exp).replace("{", &format!("{{\"nbf\":{nbf},")));
            for (now, leeway) in times.iter().flat_map(|now| times.iter().map(move |leeway| (*now, *leeway))) {
                let _ = verdict(&Checks { leeway, ..checks() }, &token, now);
            }
        }
    }
    assert_eq!(verdict(&Checks { leeway: Duration::MAX, ..checks() }, &good(), Duration::MAX), Err(TokenError::Expired));
}

#[test]
fn a_token_bound_to_a_key_is_refused() {
    let mut rows =
        vec![("jkt", with(&json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})), Err(TokenError::Confirmation))];
    rows.extend(["null", "{}", "\"\"", "[]"].map(|text| (text, with_text("cnf", text), Err(TokenError::Confirmation))));
    run(&checks(), rows);
}

#[test]
fn organizations_are_those_configured() {
    let refused = Err(TokenError::Organization);
    let checks = Checks { organizations: vec!["org_a".to_owned(), "org_b".to_owned()], ..checks() };
    let mut rows = vec![
        ("one", with(&json!({"org_id": "org_a"})), Ok(())),
        ("the other", with(&json!({"org_id": "org_b"})), Ok(())),
        ("absent", good(), refused),
        ("by name only", with(&json!({"org_name": "org_a"})), refused),
    ];
    for text in ["null", "1", "true", "{}", r#"["org_a"]"#, "\"\"", r#""org_""#, r#""ORG_A""#, r#""org_a ""#, r#""org_a,org_b""#] {
        rows.push(("another", with_text("org_id", text), refused));
    }
    run(&checks, rows);
    run(&super::checks(), vec![("none configured", with(&json!({"org_id": "org_c"})), Ok(()))]);
}

#[test]
fn a_lifetime_is_counted_from_iat_to_exp() {
    let refused = Err(TokenError::Lifetime);
    let checks = Checks { max_token_lifetime: Some(at(600)), ..checks() };
    let lives = |seconds: u64| with(&json!({"iat": now() - 60, "exp": now() - 60 + seconds}));
    let fraction =
        claims_text("exp", &format!("{}.5", now() + 600)).replace(&format!("\"iat\":{}", now()), &format!("\"iat\":{}.0", now()));
    let rows = vec![
        ("as long as allowed", lives(600), Ok(())),
        ("a second longer", lives(601), refused),
        ("a fraction longer", issuer().rsa.compact(issuer().rsa.header().to_string(), fraction), refused),
        ("a day", good(), refused),
        ("since when, it does not say", with(&json!({"iat": null, "exp": now() + 60})), refused),
        ("nbf does not stand for iat", with(&json!({"iat": null, "nbf": now(), "exp": now() + 60})), refused),
        ("iat 1970", with(&json!({"iat": 0, "exp": now() + 60})), refused),
        ("iat after exp, within the leeway", with(&json!({"iat": now() + 4, "exp": now() + 2})), Ok(())),
        ("iat ahead", with(&json!({"iat": now() + 500, "exp": now() + 600})), Err(TokenError::NotYetValid)),
    ];
    run(&checks, rows);
}

/// J84: nothing is optional here. Each cheap check decides before the key and the signature are looked at.
#[test]
fn cheap_checks_come_before_the_key_and_the_signature_last() {
    let stranger = issuer().next.named("stranger");
    let forged = issuer().next.named("rsa");
    let bad = [
        (json!({"iss": "https://evil.com/"}), TokenError::Issuer),
        (json!({"aud": "evil"}), TokenError::Audience),
        (json!({"exp": now() - 60}), TokenError::Expired),
        (json!({"nbf": now() + 60}), TokenError::NotYetValid),
        (json!({"cnf": {}}), TokenError::Confirmation),
    ];
    let mut rows = Vec::new();
    for (members, error) in bad {
        for signer in [&stranger, &forged] {
            rows.push((error.as_str(), signer.mint(&claims_with(&members)), Err(error)));
        }
    }
    rows.push(("unknown key", stranger.mint(&claims()), Err(TokenError::UnknownKey)));
    rows.push(("bad signature", forged.mint(&claims()), Err(TokenError::Signature)));
    rows.push(("a signature that cannot be read", stranger.mint(&claims()) + "A=", Err(TokenError::Malformed)));
    run(&checks(), rows);
}

#[test]
fn an_empty_key_set_refuses_everything() {
    assert_eq!(checks().verify(&good(), &KeySet::default(), at(now())), Err(TokenError::UnknownKey));
}
