//! `portcullis check FILE…`: what a cluster would say of these manifests, without one.
//!
//! ```text
//! FILE… -> documents -> ProtectedEndpoint -> schema, CEL rules (offline.rs)  -> findings
//!                    -> Service           -> context                         -> compile -> findings
//! ```

use super::{
    documents,
    offline::{Problem, Schema},
};
use crate::compile::{Compiled, EndpointObject, Inputs, Ownership, Reason, ServiceObject, Verdict, compile};
use k8s_openapi::{
    api::{
        core::v1::{Secret, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    file: PathBuf,
    /// `namespace/name`, or what else tells the object from others in its file; empty when it is about the file.
    object: String,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// Ends with exit code 1.
    Problem,
    Note,
    Good,
}

/// Where an object stands.
#[derive(Clone, Debug)]
struct Place {
    file: PathBuf,
    object: String,
}

/// All files, read.
#[derive(Debug)]
struct Check {
    schema: Schema,
    endpoints: Vec<Endpoint>,
    services: Vec<ServiceObject>,
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct Endpoint {
    place: Place,
    object: EndpointObject,
    /// Schema and rules hold; otherwise `compile` would only say the same again.
    sound: bool,
}

/// Writes every problem of `files` to `out`, one a line: file, object, field, and what would be right. True when there is none.
///
/// # Errors
/// Those of `out`; what is wrong with a file is a problem like others.
pub fn run(files: &[PathBuf], out: &mut dyn Write) -> io::Result<bool> {
    let mut check = Check { schema: Schema::new(), endpoints: Vec::new(), services: Vec::new(), findings: Vec::new() };
    files.iter().for_each(|file| check.read(file));
    check.compile();
    check.findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))?;
    let problems = check.findings.iter().filter(|finding| finding.severity == Severity::Problem).count();
    writeln!(out, "{} ProtectedEndpoint(s) checked, {problems} problem(s)", check.endpoints.len())?;
    Ok(problems == 0)
}

// === impl Check ===

impl Check {
    fn read(&mut self, file: &Path) {
        match documents::read(file) {
            Ok(documents) => documents.iter().enumerate().for_each(|(index, document)| self.take(&place(file, index, document), document)),
            Err(error) => self.problem(&Place { file: file.to_owned(), object: String::new() }, error.to_string()),
        }
    }

    fn take(&mut self, place: &Place, document: &Value) {
        let text = |field| document.get(field).and_then(Value::as_str).unwrap_or_default();
        match (text("apiVersion"), text("kind")) {
            (_, "ProtectedEndpoint") => self.take_endpoint(place, document),
            ("v1", "Service") => self.take_service(place, document),
            ("v1", "Secret") => drop(self.parse::<Secret>(place, document)),
            ("discovery.k8s.io/v1", "EndpointSlice") => drop(self.parse::<EndpointSlice>(place, document)),
            ("", _) => self.problem(place, "apiVersion: is required, such as portcullis.dev/v1alpha1"),
            (_, "") => self.problem(place, "kind: is required, such as ProtectedEndpoint"),
            (version, kind) if version.starts_with("portcullis.dev/") => {
                self.problem(place, format!("kind: there is no kind {kind} in {version}; the one there is: ProtectedEndpoint"));
            }
            (_, kind) => self.note(place, format!("kind {kind} is not looked at")),
        }
    }

    fn take_endpoint(&mut self, place: &Place, document: &Value) {
        let problems = self.schema.problems(document);
        for Problem { path, message } in &problems {
            self.problem(place, format!("{path}: {message}"));
        }
        let metadata = document.get("metadata").cloned().unwrap_or_default();
        let mut metadata: ObjectMeta = serde_json::from_value(metadata).unwrap_or_default();
        namespaced(&mut metadata);
        metadata.uid = Some(self.endpoints.len().to_string());
        let object = EndpointObject::from_parts(&metadata, document);
        self.expect_first(place, &object);
        self.endpoints.push(Endpoint { place: place.clone(), object, sound: problems.is_empty() });
    }

    /// An object that stands twice would be applied twice, and the last one would win.
    fn expect_first(&mut self, place: &Place, object: &EndpointObject) {
        let same = |other: &&Endpoint| (&other.object.namespace, &other.object.name) == (&object.namespace, &object.name);
        if let Some(first) = self.endpoints.iter().find(same) {
            let text =
                format!("metadata.name: the same object stands in {} already; give one of them another name", first.place.file.display());
            self.problem(place, text);
        }
    }

    fn take_service(&mut self, place: &Place, document: &Value) {
        if let Some(mut service) = self.parse::<Service>(place, document) {
            namespaced(&mut service.metadata);
            self.services.push(ServiceObject::from(&service));
        }
    }

    fn parse<T: DeserializeOwned>(&mut self, place: &Place, document: &Value) -> Option<T> {
        match serde_path_to_error::deserialize(document) {
            Ok(object) => Some(object),
            Err(error) => {
                self.problem(place, format!("{}: {}", error.path(), error.inner()));
                None
            }
        }
    }

    /// Every class as its installation would see it.
    fn compile(&mut self) {
        if self.endpoints.is_empty() {
            let place = Place { file: PathBuf::new(), object: String::new() };
            self.problem(&place, "no ProtectedEndpoint was found in these files");
        }
        let classes: BTreeSet<_> = self.endpoints.iter().map(|endpoint| class(&endpoint.object).to_owned()).collect();
        for class in classes {
            let endpoints = self.endpoints.iter().map(|endpoint| endpoint.object.clone()).collect();
            let inputs = Inputs { class, endpoints, services: self.services.clone(), ownership: Ownership::default() };
            self.report(&compile(&inputs));
        }
    }

    fn report(&mut self, compiled: &Compiled) {
        let by_uid: BTreeMap<_, _> = compiled.outcomes.iter().map(|(object, outcome)| (object.uid.as_str(), outcome)).collect();
        let mut findings = Vec::new();
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.sound) {
            let verdicts = by_uid.get(endpoint.object.uid.as_str()).into_iter().flat_map(|outcome| &outcome.verdicts);
            findings.extend(verdicts.map(|verdict| (endpoint.place.clone(), self.judge(endpoint, verdict))));
        }
        findings.into_iter().for_each(|(place, (severity, text))| self.say(severity, &place, text));
    }

    fn judge(&self, endpoint: &Endpoint, verdict: &Verdict) -> (Severity, String) {
        let knows_services = self.services.iter().any(|service| service.namespace == endpoint.object.namespace);
        let severity = match verdict.reason {
            _ if verdict.good => Severity::Good,
            // Most files hold no Services; what they leave to the cluster is not wrong.
            Reason::BackendNotFound if !knows_services => Severity::Note,
            _ => Severity::Problem,
        };
        (severity, format!("{}={}: {}", verdict.condition.as_str(), verdict.reason.as_str(), verdict.message))
    }

    fn problem(&mut self, place: &Place, text: impl Into<String>) {
        self.say(Severity::Problem, place, text);
    }

    fn note(&mut self, place: &Place, text: impl Into<String>) {
        self.say(Severity::Note, place, text);
    }

    fn say(&mut self, severity: Severity, place: &Place, text: impl Into<String>) {
        self.findings.push(Finding { severity, file: place.file.clone(), object: place.object.clone(), text: text.into() });
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Problem => "problem",
            Severity::Note => "note",
            Severity::Good => "ok",
        };
        let file = self.file.display().to_string();
        let parts = [severity, &file, &self.object, &self.text].into_iter().filter(|part| !part.is_empty());
        f.write_str(&one_line(&parts.collect::<Vec<_>>().join(": ")))
    }
}

/// Files hold what anyone wrote: no control character of theirs reaches the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn place(file: &Path, index: usize, document: &Value) -> Place {
    let text = |pointer| document.pointer(pointer).and_then(Value::as_str);
    let object = match (text("/kind"), text("/metadata/name")) {
        (Some(kind), Some(name)) => format!("{kind} {}/{name}", text("/metadata/namespace").unwrap_or(DEFAULT_NAMESPACE)),
        _ => format!("document {}", index + 1),
    };
    Place { file: file.to_owned(), object }
}

const DEFAULT_NAMESPACE: &str = "default";

fn namespaced(metadata: &mut ObjectMeta) {
    metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
}

fn class(object: &EndpointObject) -> &str {
    object.spec.get("className").and_then(Value::as_str).unwrap_or("portcullis")
}

#[cfg(test)]
mod tests;
