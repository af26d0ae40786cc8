//! From the text of a file to objects.

use crate::compile::{EndpointObject, ServiceObject};
use k8s_openapi::{
    api::{core::v1::Service, discovery::v1::EndpointSlice},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const DEFAULT_NAMESPACE: &str = "default";

/// Everything that manifests may say.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub(super) endpoints: Vec<EndpointObject>,
    pub(super) services: Vec<ServiceObject>,
    slices: Vec<EndpointSlice>,
}

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub(super) enum ParseError {
    #[error("no UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    #[error("no YAML: {0}")]
    Yaml(String),
}

/// One document, and where it stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    /// From 1.
    document: usize,
}

/// Reads all documents of a file, or none. A document that is not understood is reported and left out; a ProtectedEndpoint is
/// never left out: compile refuses at the places it names.
pub(super) fn parse(file: &str, content: &[u8]) -> Result<Objects, ParseError> {
    let text = std::str::from_utf8(content)?;
    // YAML 1.2 booleans: `no` and `on` are strings, as users of JSON and of Kubernetes' schema expect.
    let options = serde_yaml::options! { strict_booleans: true, with_snippet: false };
    let documents: Vec<Value> =
        serde_yaml::from_multiple_with_options(text, options).map_err(|error| ParseError::Yaml(error.to_string()))?;
    let mut objects = Objects::default();
    for (index, document) in documents.into_iter().enumerate() {
        objects.add(Place { file, document: index + 1 }, document);
    }
    Ok(objects)
}

// === impl Objects ===

impl Objects {
    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.services.is_empty() && self.slices.is_empty()
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.endpoints.extend_from_slice(&other.endpoints);
        self.services.extend_from_slice(&other.services);
        self.slices.extend_from_slice(&other.slices);
    }

    pub(super) fn slices_of<'a>(&'a self, namespace: &'a str, service: &'a str) -> impl Iterator<Item = &'a EndpointSlice> {
        self.slices.iter().filter(move |slice| {
            let label = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
            slice.metadata.namespace.as_deref() == Some(namespace) && label.is_some_and(|label| label == service)
        })
    }

    /// A cluster holds one object of a name. Here both count, and nothing depends on the order of files.
    pub(super) fn report_duplicates(&self) {
        let mut names = BTreeSet::new();
        for object in &self.endpoints {
            if !names.insert((&object.namespace, &object.name)) {
                tracing::error!(
                    namespace = object.namespace,
                    name = object.name,
                    "two ProtectedEndpoints have this name; give each its own"
                );
            }
        }
    }

    fn add(&mut self, place: Place<'_>, document: Value) {
        let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        match (text("apiVersion").as_str(), text("kind").as_str()) {
            ("portcullis.dev/v1alpha1", "ProtectedEndpoint") => self.endpoints.push(endpoint(place, document)),
            ("v1", "Service") => {
                let service: Option<Service> = typed(place, document);
                self.services.extend(service.map(|service| ServiceObject::from(&service)));
            }
            ("discovery.k8s.io/v1", "EndpointSlice") => self.slices.extend(typed::<EndpointSlice>(place, document)),
            ("v1", "List") => {
                let items = document.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                items.into_iter().for_each(|item| self.add(place, item));
            }
            (version, kind) => place.unknown(version, kind),
        }
    }
}

/// Claims and ages are a cluster's: here namespace and name decide.
fn endpoint(place: Place<'_>, mut document: Value) -> EndpointObject {
    let metadata = document.get("metadata").cloned().unwrap_or_default();
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = text("name").unwrap_or_else(|| place.nameless());
    let namespace = text("namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    place.report_unknown_top_level(&document);
    if let Some(document) = document.as_object_mut() {
        document.remove("status");
    }
    let metadata = ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() };
    EndpointObject::from_parts(&metadata, &document)
}

/// `None` when the document cannot be read as its kind; then what names it answers 503.
fn typed<K: DeserializeOwned>(place: Place<'_>, mut document: Value) -> Option<K> {
    if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| DEFAULT_NAMESPACE.into());
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(document, &mut track);
    let read = serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string()));
    for field in unknown {
        tracing::error!(file = place.file, document = place.document, field, "this field does not exist; it is ignored");
    }
    let field = track.path();
    read.inspect_err(|error| tracing::error!(file = place.file, document = place.document, %field, %error, "this document is ignored")).ok()
}

// === impl Place ===

impl Place<'_> {
    fn nameless(self) -> String {
        let name = format!("{}-{}", self.file, self.document);
        tracing::error!(file = self.file, document = self.document, field = "metadata.name", "is missing; messages will say {name}");
        name
    }

    fn report_unknown_top_level(self, document: &Value) {
        for field in document.as_object().into_iter().flat_map(|document| document.keys()) {
            if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&field.as_str()) {
                tracing::error!(file = self.file, document = self.document, field, "this field does not exist; did you mean spec?");
            }
        }
    }

    fn unknown(self, version: &str, kind: &str) {
        tracing::warn!(
            file = self.file,
            document = self.document,
            version,
            kind,
            "this document is ignored; want a ProtectedEndpoint (portcullis.dev/v1alpha1), Service (v1) or EndpointSlice (discovery.k8s.io/v1)"
        );
    }
}
