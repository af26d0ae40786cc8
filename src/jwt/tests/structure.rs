//! J54-J66: the compact form.

use super::{
    support::{base64, unbase64},
    *,
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn payload(text: impl AsRef<[u8]>) -> String {
    issuer().rsa.compact(issuer().rsa.header().to_string(), text)
}

#[test]
fn j54_j55_j56_j57_exactly_three_parts_none_empty() {
    let token = good();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let json = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
    let jwe = base64(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
    let rows = [
        ("nothing", String::new()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("leading dot", format!(".{token}")),
        ("trailing dot", format!("{token}.")),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("dots alone", "..".to_owned()),
        ("J55 five parts", format!("{token}.{payload}.{signature}")),
        ("J55 JWE", format!("{jwe}.a2V5.aXY.dGV4dA.dGFn")),
        ("J56 JSON serialisation", json),
        ("J57 many dots", ".".repeat(16_384)),
    ];
    run(&checks(), rows.map(|(name, token)| (name, token, Err(TokenError::Malformed))).to_vec());
    run(&checks(), vec![("J57 65,536 dots", ".".repeat(65_536), Err(TokenError::TooLong))]);
}

#[test]
fn j58_nothing_but_the_base64url_alphabet() {
    let token = good();
    let mut rows = Vec::new();
    for foreign in ["=", "==", "+", "/", " ", "\n", "\r\n", "\t", "\0", "%2E", "\u{ff21}", "\u{200b}", "é"] {
        let places = [0, 7, token.find('.').unwrap(), token.find('.').unwrap() + 1, token.rfind('.').unwrap(), token.len()];
        for place in places {
            let mut changed = token.clone();
            changed.insert_str(place, foreign);
            rows.push((foreign, changed, Err(TokenError::Malformed)));
        }
    }
    rows.push(("padded as RFC 4648 has it", format!("{token}=="), Err(TokenError::Malformed)));
    rows.push(("Bearer before it", format!("Bearer {token}"), Err(TokenError::Malformed)));
    run(&checks(), rows);
}

/// 256 bytes take 342 characters, the last of which carries four unused bits.
#[test]
fn j59_unused_bits_must_be_zero() {
    let token = good();
    let last = *token.as_bytes().last().unwrap();
    let place = ALPHABET.iter().position(|letter| *letter == last).unwrap();
    assert_eq!(place % 16, 0, "the last character of an RS256 signature of 2048 bits");
    let spellings = ALPHABET[place + 1..place + 16].iter().map(|letter| format!("{}{}", &token[..token.len() - 1], *letter as char));
    run(&checks(), spellings.map(|token| ("same bytes, other text", token, Err(TokenError::Malformed))).collect());
}

#[test]
fn j60_every_changed_bit_of_the_signature_and_the_payload() {
    let token = good();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let bytes = unbase64(signature);
    let mut rows = Vec::new();
    for bit in (0..bytes.len() * 8).step_by(7) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        rows.push(("bit of the signature", format!("{header}.{payload}.{}", base64(changed)), Err(TokenError::Signature)));
    }
    let refused = Err(TokenError::Signature);
    let other = claims_with(&json!({"sub": "auth0|admin"})).to_string();
    rows.push(("payload swapped", format!("{header}.{}.{signature}", base64(other)), refused));
    rows.push(("signature cut", format!("{header}.{payload}.{}", base64(&bytes[..255])), refused));
    rows.push(("signature longer", format!("{header}.{payload}.{}", base64([&bytes[..], &[0]].concat())), refused));
    rows.push(("zero before it", format!("{header}.{payload}.{}", base64([&[0], &bytes[..]].concat())), refused));
    rows.push(("all zero", format!("{header}.{payload}.{}", base64([0; 256])), refused));
    rows.push(("all ones", format!("{header}.{payload}.{}", base64([0xff; 256])), refused));
    rows.push(("another key's", issuer().next.named("rsa").mint(&claims()), refused));
    run(&checks(), rows);
}

#[test]
fn j61_j62_j63_the_payload_is_one_strict_json_object() {
    let refused = Err(TokenError::Payload);
    let usual = claims().to_string();
    let open = usual.strip_suffix('}').unwrap();
    let deep = |levels: usize| format!("{open},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
    let payloads: Vec<(_, Vec<u8>, Verdict)> = vec![
        ("J61 not JSON", b"hello".to_vec(), refused),
        ("J61 array", format!("[{usual}]").into(), refused),
        ("J61 string", b"\"claims\"".to_vec(), refused),
        ("J61 null", b"null".to_vec(), refused),
        ("J61 no claims", b"{}".to_vec(), Err(TokenError::Expired)),
        ("J61 not UTF-8", [open.as_bytes(), b",\"x\":\"\xc3\"}"].concat(), refused),
        ("J61 more after it", format!("{usual}{usual}").into(), refused),
        ("J61 32 levels", deep(31), Ok(())),
        ("J61 33 levels", deep(32), refused),
        ("J61 thousands of levels", deep(5_000), refused),
        ("J62 exp twice", format!("{open},\"exp\":{}}}", now() + 60).into(), refused),
        ("J62 aud twice, evil last", format!("{open},\"aud\":\"evil\"}}").into(), refused),
        ("J62 aud twice, good last", format!("{{\"aud\":\"evil\",{}", &usual[1..]).into(), refused),
        ("J62 sub twice", format!("{open},\"sub\":\"admin\"}}").into(), refused),
        ("J62 sub twice, one escaped", format!("{open},\"s\\u0075b\":\"admin\"}}").into(), refused),
        ("J62 a custom claim twice", format!("{open},\"https://my.app/roles\":[],\"https://my.app/roles\":[\"admin\"]}}").into(), refused),
        ("J62 twice further in", format!("{open},\"x\":[{{\"y\":1,\"y\":1}}]}}").into(), refused),
        ("J63 EXP", usual.replace("\"exp\"", "\"EXP\"").into(), Err(TokenError::Expired)),
        ("J63 AUD", usual.replace("\"aud\"", "\"AUD\"").into(), Err(TokenError::Audience)),
        ("J63 ISS", usual.replace("\"iss\"", "\"ISS\"").into(), Err(TokenError::Issuer)),
    ];
    run(&checks(), payloads.into_iter().map(|(name, text, verdict)| (name, payload(text), verdict)).collect());
}

#[test]
fn j64_bytes_above_ascii() {
    let noise: String = (0..300).map(|n| char::from(0x80 + (n % 0x80) as u8)).collect();
    run(&checks(), vec![("J64", noise, Err(TokenError::Malformed))]);
}

#[test]
fn j65_j66_up_to_16_kib() {
    let base = good().len();
    let padded = |bytes: usize| issuer().rsa.mint(&claims_with(&json!({"pad": "p".repeat(bytes)})));
    let longest =
        (0..16).map(|extra| padded((16_384 - base) * 3 / 4 - 16 + extra)).filter(|token| token.len() <= 16_384).max_by_key(String::len);
    let longest = longest.unwrap();
    assert!(longest.len() > 16_380, "{}", longest.len());
    let rows = vec![
        ("J65, 8 KiB", padded(8_000 * 3 / 4), Ok(())),
        ("J65, as long as allowed", longest.clone(), Ok(())),
        ("J66, one step longer", padded((16_384 - base) * 3 / 4 + 4), Err(TokenError::TooLong)),
        ("J66, 16 KiB and a byte", longest.clone() + &"A".repeat(16_385 - longest.len()), Err(TokenError::TooLong)),
        ("J66, 1 MiB", padded(1 << 20), Err(TokenError::TooLong)),
    ];
    run(&checks(), rows);
}
