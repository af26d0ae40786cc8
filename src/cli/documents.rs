//! Kubernetes objects from a file of YAML or JSON.

use serde_json::Value;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
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
    #[error("is not UTF-8 text")]
    NotText,
    #[error("is not YAML: {0}")]
    Yaml(String),
}

/// The objects of `file`, in order: its documents without the empty ones, and of a `List` its items.
///
/// # Errors
/// The file cannot be read, is too large, or is not YAML; then none of its documents counts.
pub fn read(file: &Path) -> Result<Vec<Value>, DocumentError> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(DocumentError::TooLarge);
    }
    parse(&String::from_utf8(bytes).map_err(|_| DocumentError::NotText)?)
}

fn parse(text: &str) -> Result<Vec<Value>, DocumentError> {
    // Aliases are rare in manifests; a small file must not unfold into an enormous one.
    let options = serde_yaml::options! { alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 50_000 } };
    let documents = serde_yaml::from_multiple_with_options::<Value>(text, options);
    let documents = documents.map_err(|error| DocumentError::Yaml(error.without_snippet().to_string()))?;
    Ok(documents.into_iter().flat_map(items).filter(|document| !document.is_null()).collect())
}

/// `kubectl get -o yaml` wraps what it prints in a List.
fn items(mut document: Value) -> Vec<Value> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "List" || kind == "ProtectedEndpointList");
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        Some(items) => {
            document.as_object_mut().and_then(|fields| fields.insert("items".to_owned(), items));
            vec![document]
        }
        None => vec![document],
    }
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
            parse(text).unwrap(),
            [json!({"kind": "A"}), json!({"kind": "B"}), json!({"kind": "C"}), json!({"kind": "D", "items": [1]})]
        );
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(parse(r#"{"kind": "A"}"#).unwrap(), [json!({"kind": "A"})]);
    }

    #[test]
    fn what_yaml_leaves_open_is_refused() {
        for text in ["a: 1\na: 2", "a: [1", "a: *nowhere", "? [a]\n: 1"] {
            assert!(matches!(parse(text), Err(DocumentError::Yaml(_))), "{text}");
        }
    }

    #[test]
    fn a_billion_laughs_are_refused() {
        let lines = (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")));
        let text = "a0: &a0 [lol, lol]\n".to_owned() + &lines.collect::<String>();
        assert!(matches!(parse(&text), Err(DocumentError::Yaml(_))));
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
            let _ = parse(&text);
        }
    }
}
