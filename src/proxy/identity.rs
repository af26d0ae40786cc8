//! Claims passed on as headers: `Identity headers` of the contract.

use super::Rejection;
use crate::{jwt::Claims, routing::ClaimHeader};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

/// A longer value would not survive most backends' header limits.
const MAX_VALUE: usize = 8 * 1024;

/// Sets the headers that `claims` fill. The client's own copies are gone already (J105).
///
/// # Errors
/// 403 when a value is over 8 KiB.
pub(super) fn set(wanted: &[ClaimHeader], claims: &Claims, headers: &mut HeaderMap) -> Result<(), Rejection> {
    for ClaimHeader { header, claim, repeat } in wanted {
        let Some(value) = claims.find(claim) else { continue };
        for text in texts(value, *repeat) {
            headers.append(header, header_value(&text)?);
        }
    }
    Ok(())
}

/// Strings as they are, numbers and booleans as JSON, arrays joined or repeated, objects as JSON.
fn texts(value: &Value, repeat: bool) -> Vec<String> {
    match value {
        Value::Array(elements) if repeat => elements.iter().map(text).collect(),
        Value::Array(elements) => vec![elements.iter().map(text).collect::<Vec<_>>().join(",")],
        value => vec![text(value)],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Controls, bytes beyond ASCII and `%` itself are percent-encoded, so a value can neither split a header nor be read in two
/// ways (J108).
fn header_value(text: &str) -> Result<HeaderValue, Rejection> {
    let mut encoded = String::with_capacity(text.len());
    text.bytes().for_each(|b| encode(b, &mut encoded));
    match encoded.len() <= MAX_VALUE {
        true => HeaderValue::from_str(&encoded).map_err(|_| Rejection::ClaimTooLong),
        false => Err(Rejection::ClaimTooLong),
    }
}

fn encode(b: u8, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or('0');
    match b {
        b' '..=b'~' if b != b'%' => out.push(char::from(b)),
        b => out.extend(['%', digit(b >> 4), digit(b & 0xf)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::ClaimName;
    use http::HeaderName;
    use serde_json::json;

    fn header(claims: Value, repeat: bool) -> Result<Vec<String>, Rejection> {
        let wanted = [ClaimHeader { header: HeaderName::from_static("x-claim"), claim: ClaimName::Key("c".into()), repeat }];
        let mut headers = HeaderMap::new();
        set(&wanted, &Claims::unverified(claims), &mut headers)?;
        Ok(headers.get_all("x-claim").iter().map(|value| value.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn claims_become_header_values() {
        #[rustfmt::skip]
        let cases = [
            ("string", json!({"c": "auth0|1"}), false, vec!["auth0|1"]),
            ("number", json!({"c": 42}), false, vec!["42"]),
            ("boolean", json!({"c": true}), false, vec!["true"]),
            ("joined", json!({"c": ["a", "b", 3]}), false, vec!["a,b,3"]),
            ("repeated", json!({"c": ["a", "b"]}), true, vec!["a", "b"]),
            ("empty array, repeated", json!({"c": []}), true, vec![]),
            ("object", json!({"c": {"k": ["v"]}}), false, vec![r#"{"k":["v"]}"#]),
            ("absent", json!({"d": 1}), false, vec![]),
            ("null", json!({"c": null}), false, vec![]),
            ("J108 line breaks", json!({"c": "a\r\nX-Admin: 1"}), false, vec!["a%0D%0AX-Admin: 1"]),
            ("J108 NUL and DEL", json!({"c": "a\u{0}b\u{7f}"}), false, vec!["a%00b%7F"]),
            ("J108 beyond ASCII", json!({"c": "ü"}), false, vec!["%C3%BC"]),
            ("percent", json!({"c": "100%0A"}), false, vec!["100%250A"]),
        ];
        for (name, claims, repeat, want) in cases {
            assert_eq!(header(claims, repeat).unwrap(), want, "{name}");
        }
    }

    #[test]
    fn j108_values_over_8_kib_are_refused() {
        assert!(header(json!({"c": "a".repeat(MAX_VALUE)}), false).is_ok());
        assert_eq!(header(json!({"c": "a".repeat(MAX_VALUE + 1)}), false), Err(Rejection::ClaimTooLong));
        assert_eq!(header(json!({"c": "ü".repeat(MAX_VALUE / 4)}), false), Err(Rejection::ClaimTooLong));
    }
}
