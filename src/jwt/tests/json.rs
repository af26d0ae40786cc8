//! Strict JSON is serde_json's, minus repeated names and depth.

use crate::jwt::json::{NotStrict, members, object, value};
use proptest::prelude::*;
use serde_json::Value;

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
        assert_eq!(members(document, 3, &["a", "b"]).is_ok(), *accepted, "{name}, as members");
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
    fn members_are_those_of_the_object(json in json(), text in r#"[\[\]{}:," a-c\\u0-9]{0,24}"#, depth in 0_u8..8) {
        for text in [json.to_string(), text.clone(), format!("{{{text}}}")] {
            let ours = members(text.as_bytes(), depth, &["a", "ab", "c"]).map(|members| members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect());
            prop_assert_eq!(ours, object(text.as_bytes(), depth), "{}", text);
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
