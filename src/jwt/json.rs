//! Strict JSON: what serde_json accepts, minus repeated member names (RFC 7519 §4, RFC 7515 §4) and deep nesting.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A document that is not strict JSON. It does not say where: the text came from a stranger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotStrict;

/// Parses one object that fills the whole of `document` and nests at most `depth` containers, itself included.
pub(super) fn object(document: &[u8], depth: u8) -> Result<Map<String, Value>, NotStrict> {
    match value(document, depth)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(NotStrict),
    }
}

fn value(document: &[u8], depth: u8) -> Result<Value, NotStrict> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let value = Strict { depth }.deserialize(&mut deserializer).map_err(|_| NotStrict)?;
    deserializer.end().map_err(|_| NotStrict)?;
    Ok(value)
}

/// Builds a `Value`, with room for `depth` more containers.
#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

// === impl Strict ===

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// J28, J29, J30, J61, J62, J78.
    #[test]
    fn one_object_without_repetition_and_not_too_deep() {
        let rows: &[(&str, &[u8], bool)] = &[
            ("empty object", b"{}", true),
            ("white space around", b" {\"a\" : 1}\n", true),
            ("same name at different levels", br#"{"a":{"a":1},"b":{"a":1}}"#, true),
            ("as deep as allowed", br#"{"a":[[1]]}"#, true),
            ("one deeper", br#"{"a":[[[]]]}"#, false),
            ("one deeper, objects", br#"{"a":{"a":{"a":{}}}}"#, false),
            ("repeated name", br#"{"a":1,"a":1}"#, false),
            ("repeated name, one escaped", br#"{"a":1,"\u0061":1}"#, false),
            ("repeated name further in", br#"{"a":[{"b":1,"b":2}]}"#, false),
            ("null repeated", br#"{"a":null,"a":null}"#, false),
            ("nothing", b"", false),
            ("array", b"[]", false),
            ("string", b"\"a\"", false),
            ("byte order mark", b"\xef\xbb\xbf{}", false),
            ("two documents", b"{}{}", false),
            ("comment", b"{/**/}", false),
            ("trailing comma", br#"{"a":1,}"#, false),
            ("not a number", br#"{"a":NaN}"#, false),
            ("number out of range", br#"{"a":1e400}"#, false),
            ("leading zero", br#"{"a":0189}"#, false),
            ("hexadecimal", br#"{"a":0x10}"#, false),
            ("not UTF-8", b"{\"a\":\"\xff\"}", false),
            ("not UTF-8 as a name", b"{\"\xff\":1}", false),
            ("lone surrogate", br#"{"a":"\ud800"}"#, false),
        ];
        for (name, document, accepted) in rows {
            assert_eq!(object(document, 3).is_ok(), *accepted, "{name}");
        }
    }

    #[test]
    fn a_hundred_thousand_levels_cost_no_stack() {
        for open in ["[", "{\"a\":"] {
            assert_eq!(value(open.repeat(100_000).as_bytes(), u8::MAX), Err(NotStrict));
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-c]{0,2}", inner, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn levels(value: &Value) -> u8 {
        match value {
            Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes_up_to_the_depth(json in json(), depth in 0_u8..8) {
            let text = serde_json::to_vec(&json).unwrap();
            let expected = if levels(&json) <= depth { Ok(serde_json::from_slice(&text).unwrap()) } else { Err(NotStrict) };
            prop_assert_eq!(value(&text, depth), expected);
        }

        #[test]
        fn agrees_with_serde_json_on_any_text_except_repeated_names(text in r#"[\[\]{}:," \\0-9a-cu.eE+-]{0,24}"#) {
            match (value(text.as_bytes(), 100), serde_json::from_str::<Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Err(_), Ok(_)) => prop_assert!(text.matches(':').count() > 1, "refused without cause: {}", text),
                (Ok(_), Err(error)) => prop_assert!(false, "accepted what serde_json refuses: {} ({})", text, error),
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn a_repeated_name_is_refused_wherever_it_stands(json in json(), name in "[a-c]{1,2}", other in json()) {
            let member = format!("{}:{json}", Value::from(name.as_str()));
            let text = format!("[{other},{{\"z\":{other},{member},\"y\":0,{member}}}]");
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
            prop_assert_eq!(value(text.as_bytes(), 100), Err(NotStrict));
        }
    }
}
