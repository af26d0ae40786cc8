//! What a gateway would have in service: files or a cluster, compiled and published as `serve` and `run` do it.

use super::{Usage, assume};
use crate::{
    args::Explain,
    compile::{Compiled, EndpointObject, Inputs, Loopback, ObjectRef, Ownership, SERVICE_NAME, Secrets, ServiceObject, compile, endpoints},
    controller::Listed,
    live::Live,
    publish::Publisher,
    routing::{BackendId, EndpointSet, RuleId},
    source::{
        documents,
        lines::{Lines, lines},
        objects::{Objects, Severity},
        schema::Schema,
    },
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

/// All objects, and where they were found.
#[derive(Debug)]
struct World {
    endpoints: Vec<(EndpointObject, Option<Origin>)>,
    services: Vec<ServiceObject>,
    slices: Vec<EndpointSlice>,
    secrets: Secrets,
    loopback: Loopback,
    notes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Origin {
    file: PathBuf,
    lines: Option<Lines>,
}

/// The same in service: what any number of questions are asked about.
#[derive(Debug)]
pub struct Served {
    pub(super) live: Arc<Live>,
    /// What was left out, and what is only assumed.
    pub(super) notes: Vec<String>,
    outcomes: BTreeMap<ObjectRef, Vec<String>>,
    origins: BTreeMap<String, (EndpointObject, Option<Origin>)>,
}

/// Takes a moment to make.
static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::new);

// === impl World ===

impl World {
    /// # Errors
    /// A file cannot be read, or is no YAML: nobody knows what it would serve.
    fn of_files(files: &[PathBuf]) -> Result<Self, Usage> {
        let (endpoints, services, slices, notes) = (vec![], vec![], vec![], vec![]);
        let mut world = Self { endpoints, services, slices, secrets: Secrets::complete(), loopback: Loopback::Allow, notes };
        for file in files.iter().map(|file| manifests(file)).collect::<Result<Vec<_>, _>>()?.concat() {
            let content = documents::read(&file).and_then(|content| Ok((documents::parse(&content)?, lines(&content))));
            let (documents, lines) = content.map_err(|error| Usage::new(&format!("{}: {error}", file.display())))?;
            world.take(&file, Objects::read(&file.display().to_string(), &documents, &SCHEMA), &lines);
        }
        Ok(world)
    }

    fn of_cluster(listed: Listed) -> Self {
        let endpoints = listed.endpoints.into_iter().map(|object| (object, None)).collect();
        let (services, slices, loopback, notes) = (listed.services, listed.slices, Loopback::Refuse, vec![]);
        let secrets = Secrets::unread("explain reads no Secret of a cluster: give it files with that Secret");
        Self { endpoints, services, slices, secrets, loopback, notes }
    }

    /// Every backend that is named and not there becomes one that is there and ready.
    fn assume_backends(&mut self) {
        let assumed = assume::backends(self.endpoints.iter().map(|(object, _)| object), &mut self.services, &mut self.slices);
        self.notes.extend(assumed);
    }

    fn serve(mut self, class: &str, ownership: Ownership) -> Served {
        let objects: Vec<_> = self.endpoints.iter().enumerate().map(|(index, (object, _))| numbered(index, object)).collect();
        let (services, secrets) = (self.services.clone(), std::mem::take(&mut self.secrets));
        let inputs = Inputs { class: class.to_owned(), endpoints: objects.clone(), services, secrets, ownership };
        let notes = std::mem::take(&mut self.notes);
        let (compiled, live) = (compile(&inputs), Arc::new(Live::default()));
        let outcomes = outcomes(&compiled);
        Publisher::new(Arc::clone(&live), Box::new(|_| ())).publish(compiled, |backend| self.addresses(backend));
        let origins = objects.into_iter().zip(self.endpoints).map(|(object, (_, origin))| (object.uid.clone(), (object, origin)));
        Served { live, notes, outcomes, origins: origins.collect() }
    }

    fn take(&mut self, file: &Path, objects: Objects, lines: &[Lines]) {
        for remark in objects.remarks.into_iter().filter(|remark| remark.severity == Severity::Problem) {
            self.notes.push(format!("{}: {}: {}: left out", file.display(), remark.at.name, remark.text));
        }
        let origin = |number: usize| Origin { file: file.to_owned(), lines: lines.get(number.wrapping_sub(1)).cloned() };
        self.endpoints.extend(objects.endpoints.into_iter().map(|endpoint| (endpoint.object, Some(origin(endpoint.at.number)))));
        self.services.extend(objects.services);
        objects.secrets.into_iter().for_each(|(reference, data)| self.secrets.insert(reference, data));
        self.slices.extend(objects.slices);
    }

    fn addresses(&self, backend: &BackendId) -> EndpointSet {
        let is_of = |slice: &&EndpointSlice| {
            let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
            slice.metadata.namespace.as_deref() == Some(&*backend.namespace) && service.map(String::as_str) == Some(&*backend.service)
        };
        endpoints(self.slices.iter().filter(is_of), &backend.port, self.loopback)
    }
}

/// Files give no uid, and may hold one object twice.
fn numbered(index: usize, object: &EndpointObject) -> EndpointObject {
    let uid = if object.uid.is_empty() { format!("#{index}") } else { object.uid.clone() };
    EndpointObject { uid, ..object.clone() }
}

fn outcomes(compiled: &Compiled) -> BTreeMap<ObjectRef, Vec<String>> {
    let problems = |outcome: &crate::compile::Outcome| {
        let bad = outcome.verdicts.iter().filter(|verdict| !verdict.good);
        bad.map(|verdict| format!("{}={}: {}", verdict.condition.as_str(), verdict.reason.as_str(), verdict.message)).collect()
    };
    compiled.outcomes.iter().map(|(object, outcome)| (object.clone(), problems(outcome))).collect()
}

// === impl Served ===

impl Served {
    /// Of the files that the arguments name, or of what a cluster was found to hold.
    ///
    /// # Errors
    /// A file cannot be read, or is no YAML.
    pub fn new(args: &Explain, listed: Option<Listed>) -> Result<Self, Usage> {
        let mut world = listed.map_or_else(|| World::of_files(&args.files), |listed| Ok(World::of_cluster(listed)))?;
        if args.assume_backends {
            world.assume_backends();
        }
        Ok(world.serve(&args.class, args.ownership()))
    }

    /// What is wrong with the object of a rule, as its status would say it.
    pub(super) fn problems(&self, rule: &RuleId) -> Vec<String> {
        let of_rule = |object: &ObjectRef| *object.namespace == *rule.namespace && *object.name == *rule.name;
        self.outcomes.iter().filter(|(object, _)| of_rule(object)).flat_map(|(_, problems)| problems.clone()).collect()
    }

    /// File and line of a rule; `None` for an object of a cluster.
    pub(super) fn place(&self, rule: &RuleId) -> Option<(String, Option<u64>)> {
        let of_rule = |object: &EndpointObject| *object.namespace == *rule.namespace && *object.name == *rule.name;
        let (object, origin) = self.origins.values().find(|(object, _)| of_rule(object))?;
        let origin = origin.as_ref()?;
        let line = origin
            .lines
            .as_ref()
            .map(|lines| index_of(object, &rule.rule).and_then(|index| lines.rules.get(index)).copied().unwrap_or(lines.object));
        Some((origin.file.display().to_string(), line))
    }
}

/// A rule is known by its name or by its index.
fn index_of(object: &EndpointObject, rule: &str) -> Option<usize> {
    let by_index = || rule.strip_prefix("rules[")?.strip_suffix(']')?.parse().ok();
    let rules = object.spec.get("rules").and_then(serde_json::Value::as_array)?;
    rules.iter().position(|one| one.get("name").and_then(serde_json::Value::as_str) == Some(rule)).or_else(by_index)
}

/// The file itself, or the manifests of the directory by name, as `serve` reads them.
fn manifests(path: &Path) -> Result<Vec<PathBuf>, Usage> {
    let unreadable = |error: std::io::Error| Usage::new(&format!("{}: cannot be read: {error}", path.display()));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(|file| is_manifest(file) && file.is_file()).collect();
    files.sort();
    Ok(files)
}

fn is_manifest(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && matches!(file.extension().and_then(OsStr::to_str), Some("yaml" | "yml" | "json"))
}
