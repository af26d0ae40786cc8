//! What the API server would say of a ProtectedEndpoint, without one: the generated schema, closed against unknown fields as with
//! `fieldValidation=Strict`, then its CEL rules. tests/admission.rs holds this against a real server.

use crate::api;
use jsonschema::{
    Draft, Validator,
    error::{TypeKind, ValidationError, ValidationErrorKind as Kind},
    paths::{Location, LocationSegment},
};
use kube::core::cel::{CompiledSchema, compile_schema, validate_compiled};
use serde_json::{Value, json};

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The field, such as `spec.rules[0].path`.
    pub path: String,
    /// What would be right.
    pub message: String,
}

/// The schema of ProtectedEndpoint, ready to check many objects.
#[derive(Debug)]
pub struct Schema {
    /// As the CRD has it.
    open: Value,
    /// As JSON Schema: no field but the known ones, integers or strings where the CRD says so.
    closed: Value,
    validator: Validator,
    rules: CompiledSchema,
}

// === impl Schema ===

impl Schema {
    pub fn new() -> Self {
        let open = generated();
        let mut spec = open.pointer("/properties/spec").cloned().unwrap_or_default();
        close(&mut spec);
        let closed = json!({
            "type": "object", "required": ["apiVersion", "kind", "metadata", "spec"], "additionalProperties": false, "properties": {
                "apiVersion": {"type": "string", "enum": ["portcullis.dev/v1alpha1"]},
                "kind": {"type": "string", "enum": ["ProtectedEndpoint"]},
                "metadata": metadata(),
                "spec": spec,
            },
        });
        let validator = jsonschema::options().with_draft(Draft::Draft4).build(&closed);
        let validator = validator.expect("the generated schema is a valid one: every test of this module builds it");
        let rules = compile_schema(&open);
        Self { open, closed, validator, rules }
    }

    /// Everything the API server would refuse `object` for; its status is not looked at, nor does the server.
    pub fn problems(&self, object: &Value) -> Vec<Problem> {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        drop_nulls(&self.open, &mut object);
        let errors: Vec<_> = self.validator.iter_errors(&object).collect();
        let mut problems: Vec<_> = errors.iter().flat_map(|error| self.describe(error)).collect();
        problems.extend(too_long_annotations(&object));
        if !errors.iter().any(hides_rules) {
            problems.extend(self.broken_rules(&object));
        }
        problems.sort();
        problems.dedup();
        problems
    }

    fn broken_rules(&self, object: &Value) -> Vec<Problem> {
        let broken = validate_compiled(&self.rules, object, None).err();
        let broken = broken.into_iter().flat_map(|errors| errors.into_vec());
        broken.map(|error| Problem { path: error.field_path.trim_start_matches('.').to_owned(), message: error.message }).collect()
    }

    fn describe(&self, error: &ValidationError<'_>) -> Vec<Problem> {
        let path = dotted(error.instance_path());
        let below = |field: &str| format!("{path}{}{field}", if path.is_empty() { "" } else { "." });
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                let message = format!("unknown field; known here: {}", self.known_fields(error.schema_path()));
                unexpected.iter().map(|field| Problem { path: below(field), message: message.clone() }).collect()
            }
            Kind::Required { property } => {
                vec![Problem { path: below(property.as_str().unwrap_or_default()), message: "is required".to_owned() }]
            }
            _ => vec![Problem { path, message: expectation(error) }],
        }
    }

    fn known_fields(&self, refused_by: &Location) -> String {
        let schema = refused_by.as_str().strip_suffix("/additionalProperties").and_then(|path| self.closed.pointer(path));
        let fields = schema.and_then(|schema| schema.get("properties")?.as_object());
        fields.into_iter().flatten().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self::new()
    }
}

fn generated() -> Value {
    let crd = api::custom_resource_definition();
    let version = crd.spec.versions.into_iter().next();
    let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
    serde_json::to_value(schema).unwrap_or_default()
}

/// The server itself, not the CRD, checks metadata: here, what people write of it.
fn metadata() -> Value {
    let name = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
        "name": {"type": "string", "maxLength": 253, "pattern": name},
        "namespace": {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "labels": texts, "annotations": texts, "finalizers": {}, "ownerReferences": {},
        // Set by the server; there when an object was read from one.
        "uid": {}, "resourceVersion": {}, "generation": {}, "creationTimestamp": {}, "managedFields": {}, "selfLink": {},
    }})
}

/// P71: the server's limit for keys and values together.
fn too_long_annotations(object: &Value) -> Option<Problem> {
    const MOST: usize = 256 * 1024;
    let annotations = object.pointer("/metadata/annotations")?.as_object()?;
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    let message = format!("must be at most {MOST} bytes long in all, not {bytes}");
    (bytes > MOST).then(|| Problem { path: "metadata.annotations".to_owned(), message })
}

/// Makes the CRD's schema say in JSON Schema what the API server reads into it.
fn close(schema: &mut Value) {
    let Some(node) = schema.as_object_mut() else { return };
    if node.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        node.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if let Some(items) = node.get_mut("items") {
        close(items);
    }
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(close);
        node.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// The API server takes a field at null for one that was left out, unless the schema says nullable: ours never does.
fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let schema_of = |name: &str| schema.get("properties").and_then(|properties| properties.get(name)).unwrap_or(&Value::Null);
            fields.retain(|name, value| !(value.is_null() && schema_of(name).is_object()));
            fields.iter_mut().for_each(|(name, value)| drop_nulls(schema_of(name), value));
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            items.iter_mut().for_each(|item| drop_nulls(schema, item));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether the server would not look at the CEL rules any more: they could be misled by the wrong shape, or cost too much.
fn hides_rules(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Enum { .. } | Kind::Type { .. } | Kind::Required { .. } | Kind::MaxItems { .. } | Kind::MaxLength { .. })
}

fn expectation(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Enum { options } => format!("must be {}", alternatives(options)),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MaxLength { limit } => format!("must be at most {limit} characters long"),
        Kind::MinItems { limit } => format!("must have at least {limit} item(s)"),
        Kind::MinLength { .. } => "must not be empty".to_owned(),
        Kind::Pattern { .. } => "must be a DNS name: lower-case letters, digits, - and, in names, dots".to_owned(),
        Kind::Type { kind: TypeKind::Single(kind) } => format!("must be of type {kind}, not {}", kind_of(error.instance())),
        Kind::Type { kind: TypeKind::Multiple(_) } => format!("must be an integer or a string, not {}", kind_of(error.instance())),
        _ => error.to_string(),
    }
}

fn alternatives(options: &Value) -> String {
    let options = options.as_array().into_iter().flatten();
    options.map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned)).collect::<Vec<_>>().join(" or ")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn dotted(location: &Location) -> String {
    let mut path = String::new();
    for segment in location {
        match segment {
            LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
            LocationSegment::Property(name) if path.is_empty() => path.push_str(&name),
            LocationSegment::Property(name) => path.extend([".", &name]),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut object = json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "metadata": {"name": "a"},
            "spec": {"auth0": {"domain": "t.auth0.com", "audience": ["a"]}, "backend": {"service": "a", "port": 1}, "rules": [{"path": "/"}]},
        });
        change(&mut object);
        Schema::new().problems(&object).into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn every_rule_of_the_definition_can_be_evaluated_here() {
        assert!(!Schema::new().rules.has_errors());
        assert_eq!(problems(|_| {}), [""; 0]);
    }

    #[test]
    fn metadata_is_looked_at_too() {
        assert_eq!(
            problems(|object| object["metadata"]["labels"] = json!({"a": true})),
            ["metadata.labels.a: must be of type string, not boolean"]
        );
        assert_eq!(problems(|object| object["metadata"] = json!({})), ["metadata.name: is required"]);
        let unknown = "metadata.label: unknown field; known here: annotations, creationTimestamp";
        assert!(problems(|object| object["metadata"]["label"] = json!({})).concat().starts_with(unknown));
        assert_eq!(problems(|object| object["apiVersion"] = json!("portcullis.dev/v2")), ["apiVersion: must be portcullis.dev/v1alpha1"]);
    }

    #[test]
    fn what_a_server_has_set_does_not_matter() {
        let read_back = json!({"name": "a", "uid": "u", "generation": 1, "managedFields": [], "creationTimestamp": "1970-01-01T00:00:00Z"});
        let change = |object: &mut Value| {
            object["metadata"] = read_back;
            object["status"] = json!({"anything": 1});
        };
        assert_eq!(problems(change), [""; 0]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let change = |object: &mut Value| {
            object["spec"]["timeout"] = json!("0s");
            object["spec"]["auth0"]["alg"] = json!("RSA256");
            object["spec"]["rules"][0]["pfad"] = json!("/");
        };
        let paths: Vec<_> = problems(change).into_iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        assert_eq!(paths, ["spec.auth0.alg", "spec.rules[0].pfad", "spec.timeout"]);
    }
}
