//! What can be made out of a spec that cannot be read: where its rules stand, so that they refuse there, and never less than
//! that. Total over any JSON.
//!
//! What is unclear is taken to mean everything it might have meant: both kinds of path, every method, the nearest path above
//! that can be read (`/` at worst).

use super::{field, host::Wish, inputs::EndpointObject, report::Problem};
use crate::routing::{CanonicalPath, HostPattern, PathKind};
use http::Method;
use serde_json::Value;
use std::collections::HashSet;

/// Where a rule stands: each of its method sets (an empty one: every method) at each of its spots.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) spots: Vec<(PathKind, CanonicalPath<'static>)>,
    pub(super) methods: Vec<Vec<Method>>,
}

pub(super) const MAX_METHODS: usize = 16;

/// A rule names them one by one where another rule's named methods would win against a rule without any.
pub(super) const COMMON_METHODS: [Method; 7] =
    [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT];

/// The hosts of one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hosts {
    pub(super) wishes: Vec<Wish>,
    /// Entries that are no hosts.
    pub(super) problems: Vec<Problem>,
    /// Whether the object names the hosts it wishes for. If not, they are only where its rules refuse: those its namespace
    /// holds through it, else a guess: `*`.
    pub(super) named: bool,
}

/// Which hosts `object` names; a spec without the field names `*`.
pub(super) fn hosts(object: &EndpointObject) -> Hosts {
    if !object.spec.is_object() {
        return Hosts { wishes: remembered(object), problems: vec![], named: false };
    }
    let Some(entries) = object.spec.get("hosts") else {
        return Hosts { wishes: vec![wish(HostPattern::Any)], problems: vec![], named: true };
    };
    let (mut seen, mut wishes, mut problems) = (HashSet::new(), Vec::new(), Vec::new());
    for (index, entry) in entries.as_array().into_iter().flatten().enumerate() {
        match entry.as_str().and_then(|host| HostPattern::parse(host).ok()) {
            Some(pattern) if !seen.insert(pattern.clone()) => {}
            Some(pattern) => wishes.push(wish(pattern)),
            None => problems.push(unreadable_host(index, entry)),
        }
    }
    let named = !wishes.is_empty();
    Hosts { wishes: if named { wishes } else { remembered(object) }, problems, named }
}

fn unreadable_host(index: usize, entry: &Value) -> Problem {
    let want = "must be a DNS name such as api.example.com, or *.example.com for one label";
    Problem::invalid(&format!("spec.hosts[{index}]"), format_args!("{want}, not {}", field::show(entry)))
}

fn remembered(object: &EndpointObject) -> Vec<Wish> {
    let valid = object.claims.iter().filter(|claim| claim.since >= object.created);
    let held: Vec<_> = valid.filter_map(|claim| HostPattern::parse(&claim.host).ok()).map(wish).collect();
    match held.is_empty() {
        true => vec![Wish { pattern: HostPattern::Any, guessed: true }],
        false => held,
    }
}

fn wish(pattern: HostPattern) -> Wish {
    Wish { pattern, guessed: false }
}

/// The elements of `spec.rules`; one that says nothing when there is none.
pub(super) fn rules(spec: &Value) -> Vec<&Value> {
    let rules: Vec<_> = spec.get("rules").and_then(Value::as_array).into_iter().flatten().collect();
    match rules.is_empty() {
        true => vec![&Value::Null],
        false => rules,
    }
}

/// Where an element of `spec.rules` stands.
pub(super) fn place(rule: &Value) -> Place {
    let path = rule.get("path").and_then(Value::as_str).map_or_else(root, nearest_path);
    Place { spots: kinds(rule).iter().map(|kind| (*kind, path.clone())).collect(), methods: methods(rule.get("methods")) }
}

/// The whole of a host.
pub(super) fn everywhere() -> Place {
    place(&Value::Null)
}

/// The path's longest readable ancestor; as a Prefix that holds whatever the path meant.
fn nearest_path(text: &str) -> CanonicalPath<'static> {
    let mut text = text;
    loop {
        match (field::readable_path(text), text.rfind('/')) {
            (Some(path), _) => return path,
            (None, Some(slash)) if slash > 0 => text = text.get(..slash).unwrap_or_default(),
            (None, _) => return root(),
        }
    }
}

fn root() -> CanonicalPath<'static> {
    CanonicalPath::root()
}

/// An Exact path says so; one that cannot be read is a Prefix now, whatever it was.
fn kinds(rule: &Value) -> &'static [PathKind] {
    let readable = rule.get("path").and_then(Value::as_str).is_some_and(|path| field::readable_path(path).is_some());
    match (rule.get("pathType").map(Value::as_str), readable) {
        (Some(Some("Exact")), true) => &[PathKind::Exact],
        (None | Some(Some("Prefix")), true) => &[PathKind::Prefix],
        _ => &[PathKind::Prefix, PathKind::Exact],
    }
}

fn methods(value: Option<&Value>) -> Vec<Vec<Method>> {
    let Some(value) = value else { return vec![vec![]] };
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let read: Vec<_> = items.iter().take(MAX_METHODS).filter_map(|item| method(item.as_str()?)).collect();
    match !read.is_empty() && read.len() == items.len() {
        true => vec![read],
        false => vec![read.into_iter().chain(COMMON_METHODS).collect(), vec![]],
    }
}

/// A method that a rule may name.
pub(super) fn method(name: &str) -> Option<Method> {
    let shape = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    Method::from_bytes(name.as_bytes()).ok().filter(|method| shape && !matches!(*method, Method::CONNECT | Method::TRACE))
}
