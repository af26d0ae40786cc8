//! On which line of its file an object stands, and each of its rules: for people alone.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use serde_yaml::Spanned;

/// Counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    pub object: u64,
    /// One a rule, in the order of the spec.
    pub rules: Vec<u64>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    kind: Value,
    items: Option<Vec<Spanned<Option<Self>>>>,
    spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    rules: Vec<Spanned<IgnoredAny>>,
}

/// One entry for each document that [`super::documents::parse`] finds, in its order; none at all when a document is of another
/// shape than objects have.
pub fn lines(content: &[u8]) -> Vec<Lines> {
    let text = std::str::from_utf8(content).unwrap_or_default();
    let documents: Result<Vec<Spanned<Option<Document>>>, _> = serde_yaml::from_multiple(text);
    documents.unwrap_or_default().into_iter().flat_map(of_document).collect()
}

fn of_document(document: Spanned<Option<Document>>) -> Vec<Lines> {
    let line = document.referenced.line();
    let Some(Document { kind, items, spec }) = document.value else { return vec![] };
    match items {
        Some(items) if kind.as_str().is_some_and(|kind| kind.ends_with("List")) => items.into_iter().flat_map(of_document).collect(),
        _ => vec![Lines { object: line, rules: spec.as_ref().map(rules).unwrap_or_default() }],
    }
}

fn rules(spec: &Spec) -> Vec<u64> {
    spec.rules.iter().map(|rule| rule.referenced.line()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::documents;

    #[test]
    fn objects_and_rules_stand_on_lines() {
        let text = "# a comment\n---\nkind: A\nspec:\n  rules:\n  - path: /a\n    methods: [GET]\n\n  - {path: /b}\n---\n---\n{\"kind\": \"B\",\n \"spec\": {\"rules\": [\n  {}]}}\n---\nkind: List\nitems:\n- kind: C\n- kind: D\n  spec: {rules: [{}, {}]}\n---\nitems: []\n";
        let line = |object, rules: &[u64]| Lines { object, rules: rules.to_vec() };
        let want = [line(3, &[6, 9]), line(12, &[14]), line(18, &[]), line(19, &[20, 20]), line(22, &[])];
        assert_eq!(lines(text.as_bytes()), want);
        assert_eq!(documents::parse(text.as_bytes()).unwrap().len(), want.len());
    }

    #[test]
    fn what_has_another_shape_has_no_lines() {
        for text in ["spec: 5", "just text", "spec: {rules: {}}", "a: [", "a: 1\na: 2", "\u{0}"] {
            assert_eq!(lines(text.as_bytes()), [], "{text}");
        }
        assert_eq!(lines(&[0xff]), []);
    }
}
