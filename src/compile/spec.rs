//! A stored spec, read strictly: nothing is skipped that the author may have meant to restrict something.

use super::{field::quote, report::Problem, verdict::Reason};
use crate::{api::ProtectedEndpointSpec, routing::Refusal};
use serde::Deserialize;
use serde_json::Value;

/// Why a spec cannot be read: every rule of it then refuses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unreadable {
    pub(super) refusal: Refusal,
    pub(super) problems: Vec<Problem>,
}

/// Lists that may be empty; and the audience, which has a check of its own.
const MAY_BE_EMPTY: [&str; 2] = ["claimHeaders", "audience"];

/// Reads `value`, knows every field of it, and finds nothing empty that would widen what it was to narrow.
pub(super) fn read(value: &Value) -> Result<ProtectedEndpointSpec, Unreadable> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(unknown_field(&path));
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let spec = ProtectedEndpointSpec::deserialize(serde_ignored::Deserializer::new(tracked, &mut note));
    let spec = spec.map_err(|error| unreadable_value(&track.path(), &error))?;
    if !unknown.is_empty() {
        return Err(Unreadable { refusal: Refusal::UnsupportedField, problems: unknown });
    }
    // Names are made only where something is empty.
    let empty = if has_empty(value) { empty_fields("spec", value) } else { vec![] };
    match empty.is_empty() {
        true => Ok(spec),
        false => Err(Unreadable { refusal: Refusal::InvalidSpec, problems: empty }),
    }
}

fn unknown_field(path: &serde_ignored::Path<'_>) -> Problem {
    Problem::new(
        Reason::UnsupportedField,
        &field_path(path),
        "this version does not know this field; correct or remove it, or upgrade Portcullis",
    )
}

fn unreadable_value(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Unreadable {
    let (field, text) = (format!("spec.{path}").replace(".[", "[").trim_end_matches('.').to_owned(), error.to_string());
    let (refusal, reason) = match text.starts_with("unknown variant") || text.starts_with("unknown field") {
        true => (Refusal::UnsupportedField, Reason::UnsupportedField),
        false => (Refusal::InvalidSpec, Reason::Invalid),
    };
    Unreadable { refusal, problems: vec![Problem::new(reason, &field, text)] }
}

fn field_path(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => "spec".to_owned(),
        Path::Seq { parent, index } => format!("{}[{index}]", field_path(parent)),
        Path::Map { parent, key } => format!("{}.{}", field_path(parent), quote_key(key)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => field_path(parent),
    }
}

fn quote_key(key: &str) -> String {
    match key.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => key.to_owned(),
        false => quote(key),
    }
}

/// A list or value that a template left empty: `methods: []` would read as every method.
fn empty_fields(field: &str, value: &Value) -> Vec<Problem> {
    let empty = |what: &str| vec![Problem::invalid(&field, format_args!("must not be {what}; leave it out or fill it in"))];
    match value {
        Value::Null => empty("null"),
        Value::Array(items) if items.is_empty() && !MAY_BE_EMPTY.iter().any(|name| field.ends_with(name)) => empty("an empty list"),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, item)| empty_fields(&format!("{field}[{index}]"), item)).collect()
        }
        Value::Object(fields) => fields.iter().flat_map(|(key, value)| empty_fields(&format!("{field}.{key}"), value)).collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    }
}

fn has_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty),
        Value::Object(fields) => fields.values().any(has_empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sound() -> Value {
        json!({
            "hosts": ["a.example"],
            "auth0": {"domain": "t.auth0.com", "audience": ["a"]},
            "backend": {"service": "s", "port": 80},
            "rules": [{"path": "/"}, {"path": "/b", "claimHeaders": [{"header": "X-A", "claim": "a"}]}],
        })
    }

    #[test]
    fn a_sound_spec_is_read() {
        assert!(read(&sound()).is_ok());
    }

    #[test]
    fn k28_what_this_version_does_not_know_is_named() {
        use Refusal::{InvalidSpec, UnsupportedField};
        let cases = [
            ("top", "/extra", json!(1), UnsupportedField, "spec.extra: "),
            ("nested", "/auth0/secretRefs", json!({"name": "x"}), UnsupportedField, "spec.auth0.secretRefs: "),
            ("optional", "/backend/weight", json!(1), UnsupportedField, "spec.backend.weight: "),
            ("in a rule", "/rules/1/weights", json!("Keep"), UnsupportedField, "spec.rules[1].weights: "),
            ("deep", "/rules/1/claimHeaders/0/x.y", json!(1), UnsupportedField, "spec.rules[1].claimHeaders[0].\"x.y\": "),
            ("enum", "/auth0/alg", json!("HS512"), UnsupportedField, "spec.auth0.alg: unknown variant `HS512`"),
            ("enum in a rule", "/rules/0/access", json!("Optional"), UnsupportedField, "spec.rules[0].access: unknown variant"),
            ("scheme", "/backend/scheme", json!("h3"), UnsupportedField, "spec.backend.scheme: unknown variant"),
            ("quantity", "/maxRequestBody", json!(-5), InvalidSpec, "spec.maxRequestBody: must be a number of bytes"),
            ("type", "/rules/0/methods", json!("GET"), InvalidSpec, "spec.rules[0].methods: invalid type"),
            ("type of a list's item", "/hosts/0", json!(5), InvalidSpec, "spec.hosts[0]: invalid type"),
            ("port", "/backend/port", json!(70000), InvalidSpec, "spec.backend.port: must be a port number"),
            ("null", "/require", json!(null), InvalidSpec, "spec.require: must not be null"),
            ("null in an option", "/backend", json!(null), InvalidSpec, "spec.backend: must not be null"),
            ("empty hosts", "/hosts", json!([]), InvalidSpec, "spec.hosts: must not be an empty list"),
            ("empty methods", "/rules/0/methods", json!([]), InvalidSpec, "spec.rules[0].methods: must not be an empty list"),
            ("empty scopes", "/require", json!({"scopes": []}), InvalidSpec, "spec.require.scopes: must not be an empty list"),
            ("no rules", "/rules", json!([]), InvalidSpec, "spec.rules: must not be an empty list"),
        ];
        for (name, pointer, value, refusal, message) in cases {
            let mut spec = sound();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            match spec.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
                parent => parent[key] = value,
            }
            let unreadable = read(&spec).unwrap_err();
            assert_eq!(unreadable.refusal, refusal, "{name}");
            let got = &unreadable.problems.first().unwrap().message;
            assert!(got.starts_with(message), "{name}: {got}");
        }
    }

    #[test]
    fn a_spec_of_nothing_is_unreadable() {
        for spec in [json!(null), json!([]), json!("x"), json!({})] {
            let unreadable = read(&spec).unwrap_err();
            assert_eq!(unreadable.refusal, Refusal::InvalidSpec, "{spec}");
            assert!(unreadable.problems.first().unwrap().message.starts_with("spec: "), "{spec}: {unreadable:?}");
        }
    }
}
