//! The documents of a file of YAML or JSON: the one reader of `serve` and `check`.

use serde_json::Value;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    str::Utf8Error,
};

/// The largest file that is read: an API server takes no larger object either (P71).
pub const MOST_BYTES: u64 = 1024 * 1024;

/// Why a file gives no objects.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is larger than {MOST_BYTES} bytes; split it")]
    TooLarge,
    #[error("is not UTF-8 text: {0}")]
    NotText(#[from] Utf8Error),
    #[error("is not YAML: {0}")]
    Yaml(String),
}

/// The content of `file`.
///
/// # Errors
/// The file cannot be read, or is too large.
pub fn read(file: &Path) -> Result<Vec<u8>, DocumentError> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(DocumentError::TooLarge),
        false => Ok(bytes),
    }
}

/// The documents of a file, in order and without the empty ones; of a list, as `kubectl` does, its items.
///
/// # Errors
/// The file is not YAML: then none of its documents counts.
pub fn parse(content: &[u8]) -> Result<Vec<Value>, DocumentError> {
    let options = serde_yaml::options! {
        // YAML 1.2 booleans: `no` and `on` are strings, as users of JSON and of Kubernetes' schema expect.
        strict_booleans: true,
        with_snippet: false,
        // Aliases are rare in manifests; a small file must not unfold into an enormous one.
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 50_000 },
    };
    let documents = serde_yaml::from_multiple_with_options::<Value>(std::str::from_utf8(content)?, options);
    let documents = documents.map_err(|error| DocumentError::Yaml(error.to_string()))?;
    Ok(documents.into_iter().flat_map(items).filter(|document| !document.is_null()).collect())
}

/// `kubectl get -o yaml` wraps what it prints in a List, and an API server in a list of the kind.
fn items(mut document: Value) -> Vec<Value> {
    let text = |field| document.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let items = document.get_mut("items").filter(|items| items.is_array()).map(Value::take);
    match (items, kind.strip_suffix("List")) {
        (Some(Value::Array(items)), Some(kind)) => {
            items.into_iter().map(|item| of_kind(item, &version, kind)).flat_map(self::items).collect()
        }
        (Some(items), _) => {
            document.as_object_mut().and_then(|fields| fields.insert("items".to_owned(), items));
            vec![document]
        }
        (None, _) => vec![document],
    }
}

/// The items of a ProtectedEndpointList need not say what they are.
fn of_kind(mut item: Value, version: &str, kind: &str) -> Value {
    if let Some(fields) = item.as_object_mut().filter(|fields| !kind.is_empty() && !fields.contains_key("kind")) {
        fields.insert("kind".to_owned(), kind.into());
        fields.entry("apiVersion").or_insert_with(|| version.into());
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn documents_and_the_items_of_a_list_are_objects() {
        let text = "---\n# only a comment\n---\nkind: A\n---\nkind: List\nitems:\n- kind: B\n- kind: C\n---\nkind: D\nitems: [1]\n";
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            [json!({"kind": "A"}), json!({"kind": "B"}), json!({"kind": "C"}), json!({"kind": "D", "items": [1]})]
        );
    }

    #[test]
    fn lists_of_every_kind_and_lists_in_lists_are_expanded() {
        let text = "{kind: List, items: [{apiVersion: g/v1, kind: AList, items: [{x: 1}, {kind: B}]}, {kind: CList}]}";
        let want = [json!({"x": 1, "kind": "A", "apiVersion": "g/v1"}), json!({"kind": "B"}), json!({"kind": "CList"})];
        assert_eq!(parse(text.as_bytes()).unwrap(), want);
    }

    #[test]
    fn yaml_booleans_are_those_of_json() {
        assert_eq!(parse(b"[no, on, y, true]").unwrap(), [json!(["no", "on", "y", true])]);
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(parse(br#"{"kind": "A"}"#).unwrap(), [json!({"kind": "A"})]);
    }

    #[test]
    fn what_yaml_leaves_open_is_refused() {
        for text in ["a: 1\na: 2", "a: [1", "a: *nowhere", "? [a]\n: 1"] {
            assert!(matches!(parse(text.as_bytes()), Err(DocumentError::Yaml(_))), "{text}");
        }
        assert!(matches!(parse(&[0xff, 0xfe]), Err(DocumentError::NotText(_))));
    }

    #[test]
    fn a_billion_laughs_are_refused() {
        let lines = (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")));
        let text = "a0: &a0 [lol, lol]\n".to_owned() + &lines.collect::<String>();
        assert!(matches!(parse(text.as_bytes()), Err(DocumentError::Yaml(_))));
    }

    #[test]
    fn p71_a_file_too_large_is_not_even_parsed() {
        let path = std::env::temp_dir().join(format!("portcullis-documents-{}", std::process::id()));
        let limit = usize::try_from(MOST_BYTES).unwrap();
        for (length, small_enough) in [(limit, true), (limit + 1, false)] {
            std::fs::write(&path, format!("a: {}", "b".repeat(length - 3))).unwrap();
            assert_eq!(read(&path).is_ok(), small_enough, "{length}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path), Err(DocumentError::Read(_))));
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "[-?:&*!|>'\"%@`{}\\[\\],# \na-c0-9~.<]{0,80}") {
            let _ = parse(text.as_bytes());
        }
    }
}
