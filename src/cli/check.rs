//! `portcullis check FILE…`: what a cluster would say of these manifests, without one.
//!
//! ```text
//! FILE… -> documents -> ProtectedEndpoint -> schema, CEL rules -> findings      (source::objects, as `serve` reads them)
//!                    -> Service, Secret   -> context            -> compile -> findings
//! ```

mod finding;

use self::finding::{Finding, Place, Severity};
use crate::{
    compile::{Compiled, Condition, DEFAULT_CLASS, EndpointObject, Inputs, Ownership, Reason, Secrets, ServiceObject, Verdict, compile},
    source::{
        documents,
        objects::{self, Objects},
        schema::Schema,
    },
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// All files, read.
#[derive(Debug)]
struct Check {
    schema: Schema,
    endpoints: Vec<Endpoint>,
    services: Vec<ServiceObject>,
    secrets: Secrets,
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct Endpoint {
    place: Place,
    object: EndpointObject,
}

/// Writes every problem of `files` to `out`, one a line: file, object, field, and what would be right. True when there is none.
///
/// # Errors
/// Those of `out`; what is wrong with a file is a problem like others.
pub fn run(files: &[PathBuf], out: &mut dyn Write) -> io::Result<bool> {
    let (endpoints, services, secrets, findings) = (Vec::new(), Vec::new(), Secrets::complete(), Vec::new());
    let mut check = Check { schema: Schema::new(), endpoints, services, secrets, findings };
    files.iter().enumerate().for_each(|(index, file)| check.read(index, file));
    check.compile();
    check.findings.sort_by(|a, b| a.place.cmp(&b.place));
    check.findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))?;
    let problems = check.findings.iter().filter(|finding| finding.severity == Severity::Problem).count();
    writeln!(out, "{} ProtectedEndpoint(s) checked, {problems} problem(s)", check.endpoints.len())?;
    Ok(problems == 0)
}

// === impl Check ===

impl Check {
    fn read(&mut self, index: usize, file: &Path) {
        let place = Place::of_file(index, file);
        match documents::read(file).and_then(|content| documents::parse(&content)) {
            Ok(documents) => self.take(&place, Objects::read(&file.display().to_string(), &documents, &self.schema)),
            Err(error) => self.problem(&place, error.to_string()),
        }
    }

    fn take(&mut self, file: &Place, objects: Objects) {
        for remark in objects.remarks {
            self.say(Severity::from(remark.severity), &file.of_document(&remark.at), remark.text);
        }
        self.services.extend(objects.services);
        objects.secrets.into_iter().for_each(|(reference, data)| self.secrets.insert(reference, data));
        objects.endpoints.into_iter().for_each(|endpoint| self.take_endpoint(file, endpoint));
    }

    fn take_endpoint(&mut self, file: &Place, endpoint: objects::Endpoint) {
        let (place, mut object) = (file.of_document(&endpoint.at), endpoint.object);
        object.problems.iter().for_each(|problem| self.problem(&place, problem));
        object.uid = self.endpoints.len().to_string();
        self.expect_first(&place, &object);
        self.endpoints.push(Endpoint { place, object });
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

    /// Every class as its installation would see it.
    fn compile(&mut self) {
        if self.endpoints.is_empty() {
            self.problem(&Place::everywhere(), "no ProtectedEndpoint was found in these files");
        }
        let classes: BTreeSet<_> = self.endpoints.iter().map(|endpoint| class(&endpoint.object).to_owned()).collect();
        for class in classes {
            let endpoints = self.endpoints.iter().map(|endpoint| endpoint.object.clone()).collect();
            let (services, secrets) = (self.services.clone(), self.secrets.clone());
            let inputs = Inputs { class, endpoints, services, secrets, ownership: Ownership::default() };
            let findings = self.judge(&compile(&inputs));
            self.findings.extend(findings);
        }
    }

    /// What `compile` says of sound endpoints; of others the schema has said it.
    fn judge(&self, compiled: &Compiled) -> Vec<Finding> {
        let by_uid: BTreeMap<_, _> = compiled.outcomes.iter().map(|(object, outcome)| (object.uid.as_str(), outcome)).collect();
        let sound = self.endpoints.iter().filter(|endpoint| endpoint.object.problems.is_empty());
        let outcomes = sound.filter_map(|endpoint| Some((endpoint, by_uid.get(endpoint.object.uid.as_str())?)));
        let verdicts = outcomes.flat_map(|(endpoint, outcome)| outcome.verdicts.iter().map(move |verdict| (endpoint, verdict)));
        verdicts.filter_map(|(endpoint, verdict)| self.finding(endpoint, verdict)).collect()
    }

    fn finding(&self, endpoint: &Endpoint, verdict: &Verdict) -> Option<Finding> {
        let severity = self.severity(endpoint, verdict)?;
        let text = format!("{}={}: {}", verdict.condition.as_str(), verdict.reason.as_str(), verdict.message);
        Some(Finding { severity, place: endpoint.place.clone(), text })
    }

    fn severity(&self, endpoint: &Endpoint, verdict: &Verdict) -> Option<Severity> {
        let knows_services = self.services.iter().any(|service| service.namespace == endpoint.object.namespace);
        let knows_secrets = self.secrets.holds_any_of(&endpoint.object.namespace);
        match (verdict.good, verdict.condition, verdict.reason) {
            // Says what is served, and what else is worth knowing.
            (true, Condition::Accepted, _) => Some(Severity::Good),
            (true, _, _) => None,
            // Most files hold no Services and no Secrets; what they leave to the cluster is not wrong.
            (false, _, Reason::BackendNotFound) if !knows_services => Some(Severity::Note),
            (false, _, Reason::SecretNotFound) if !knows_secrets => Some(Severity::Note),
            (false, _, _) => Some(Severity::Problem),
        }
    }

    fn problem(&mut self, place: &Place, text: impl Into<String>) {
        self.say(Severity::Problem, place, text);
    }

    fn say(&mut self, severity: Severity, place: &Place, text: impl Into<String>) {
        self.findings.push(Finding { severity, place: place.clone(), text: text.into() });
    }
}

fn class(object: &EndpointObject) -> &str {
    object.spec.get("className").and_then(Value::as_str).unwrap_or(DEFAULT_CLASS)
}

#[cfg(test)]
mod tests;
