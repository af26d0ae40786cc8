//! From documents to objects, and what is wrong with them: the same for `serve` and `check`.

use super::schema::{Problem, Schema};
use crate::compile::{EndpointObject, SecretData, SecretRef, ServiceObject};
use k8s_openapi::{
    api::{
        core::v1::{Secret, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub const DEFAULT_NAMESPACE: &str = "default";

/// Everything that the documents of one file say.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub endpoints: Vec<Endpoint>,
    pub services: Vec<ServiceObject>,
    pub slices: Vec<EndpointSlice>,
    pub secrets: Vec<(SecretRef, SecretData)>,
    pub remarks: Vec<Remark>,
}

/// What an API server would refuse it for is in the object: compile then refuses at the places it names.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub at: Document,
    pub object: EndpointObject,
}

/// Where an object stands in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// From 1.
    pub number: usize,
    /// Kind, namespace and name; else the number.
    pub name: String,
}

/// Something about a document that is no ProtectedEndpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    pub at: Document,
    pub severity: Severity,
    /// The field, and what would be right.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The document does not count.
    Problem,
    Note,
}

// === impl Objects ===

impl Objects {
    /// A document that is not understood is remarked upon and left out; one that may have been meant as a ProtectedEndpoint
    /// never is. `file` names an object that has no name.
    pub fn read(file: &str, documents: &[Value], schema: &Schema) -> Self {
        let mut objects = Self::default();
        for (index, document) in documents.iter().enumerate() {
            objects.take(file, Document::new(index + 1, document), document, schema);
        }
        objects
    }

    fn take(&mut self, file: &str, at: Document, document: &Value, schema: &Schema) {
        match (text(document, "apiVersion"), text(document, "kind")) {
            (version, kind) if is_endpoint(version, kind, document) => self.endpoints.push(Endpoint::read(file, at, document, schema)),
            ("v1", "Service") => {
                let service: Option<Service> = self.typed(&at, document);
                self.services.extend(service.as_ref().map(ServiceObject::from));
            }
            ("discovery.k8s.io/v1", "EndpointSlice") => {
                let slice = self.typed(&at, document);
                self.slices.extend(slice);
            }
            ("v1", "Secret") => {
                let secret = self.secret(&at, document);
                self.secrets.extend(secret);
            }
            ("", _) => self.remark(&at, Severity::Problem, "apiVersion: is required, such as portcullis.dev/v1alpha1".to_owned()),
            (_, "") => self.remark(&at, Severity::Problem, "kind: is required, such as ProtectedEndpoint".to_owned()),
            (_, kind) => self.remark(&at, Severity::Note, format!("kind {kind} is not looked at")),
        }
    }

    /// `None` when the document cannot be read as its kind; then what names it answers 503.
    fn typed<K: DeserializeOwned>(&mut self, at: &Document, document: &Value) -> Option<K> {
        let document = namespaced(document);
        let (mut unknown, mut track) = (Vec::new(), serde_path_to_error::Track::new());
        let tracked = serde_path_to_error::Deserializer::new(document, &mut track);
        let read = serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string()));
        for field in unknown {
            self.remark(at, Severity::Note, format!("{field}: this field is not known here, and ignored"));
        }
        read.map_err(|error: serde_json::Error| self.remark(at, Severity::Problem, format!("{}: {error}", track.path()))).ok()
    }

    /// What is wrong with one is told without a word of what is in it.
    fn secret(&mut self, at: &Document, document: &Value) -> Option<(SecretRef, SecretData)> {
        match serde_json::from_value::<Secret>(namespaced(document)) {
            Ok(secret) => Some((SecretRef::from(&secret), SecretData::from(&secret))),
            Err(_) => {
                let text = "cannot be read as a Secret: data must hold base64 texts, and stringData texts (quote what looks like a number)";
                self.remark(at, Severity::Problem, text.to_owned());
                None
            }
        }
    }

    fn remark(&mut self, at: &Document, severity: Severity, text: String) {
        self.remarks.push(Remark { at: at.clone(), severity, text });
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Claims and ages are a cluster's: here namespace and name decide.
    fn read(file: &str, at: Document, document: &Value, schema: &Schema) -> Self {
        let metadata = document.get("metadata").unwrap_or(&Value::Null);
        let filled = |field| Some(text(metadata, field)).filter(|text| !text.is_empty()).map(str::to_owned);
        let name = filled("name").unwrap_or_else(|| format!("{file}-{}", at.number));
        let namespace = filled("namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let metadata = ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() };
        let problems = schema.problems(document).into_iter().map(|Problem { path, message }| format!("{path}: {message}"));
        let object = EndpointObject::from_parts(&metadata, document);
        Self { at, object: EndpointObject { claims: vec![], problems: problems.collect(), ..object } }
    }
}

// === impl Document ===

impl Document {
    fn new(number: usize, document: &Value) -> Self {
        let metadata = document.get("metadata").unwrap_or(&Value::Null);
        let name = match (text(document, "kind"), text(metadata, "name")) {
            ("", _) | (_, "") => format!("document {number}"),
            (kind, name) => match text(metadata, "namespace") {
                "" => format!("{kind} {DEFAULT_NAMESPACE}/{name}"),
                namespace => format!("{kind} {namespace}/{name}"),
            },
        };
        Self { number, name }
    }
}

/// What is nearly a ProtectedEndpoint protects nothing if it is skipped: another version, a misspelt kind, or neither and a
/// tenant.
fn is_endpoint(version: &str, kind: &str, document: &Value) -> bool {
    let group = version.split('/').next().unwrap_or_default();
    let named = group.eq_ignore_ascii_case("portcullis.dev") || kind.to_ascii_lowercase().starts_with("protectedendpoint");
    named || (version.is_empty() || kind.is_empty()) && document.pointer("/spec/auth0").is_some()
}

fn namespaced(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| DEFAULT_NAMESPACE.into());
    }
    document
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
