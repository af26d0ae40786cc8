//! What can be made out of a spec that cannot be read: where its rules stand, so that they refuse there, and never less than
//! that. Total over any JSON.
//!
//! What is unclear is taken to mean everything it might have meant: every method, all below the nearest path above that can be
//! read (`/` at worst), every host that the object held.

use super::{
    field,
    host::{Basis, Wish},
    inputs::EndpointObject,
    report::Problem,
};
use crate::routing::{CanonicalPath, HostPattern, PathKind, Spot};
use http::Method;
use serde_json::Value;
use std::collections::HashSet;

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) spot: Spot,
    /// Empty: every method.
    pub(super) methods: Vec<Method>,
    /// It may have meant another place.
    pub(super) guess: Option<Guess>,
}

/// What of a place cannot be read, and so how much it takes from rules that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// All methods at the spot.
    Methods,
    /// All below the spot.
    Path,
}

pub(super) const MAX_METHODS: usize = 16;

/// The hosts of one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hosts {
    pub(super) wishes: Vec<Wish>,
    /// Entries that are no hosts.
    pub(super) problems: Vec<Problem>,
    /// How many hosts it names. Without any its rules refuse, wherever it stands.
    pub(super) named: usize,
}

/// Which hosts `object` names; a spec without the field names `*`. For a host that cannot be read: those it held, else a guess.
pub(super) fn hosts(object: &EndpointObject) -> Hosts {
    if !object.spec.is_object() {
        return Hosts { wishes: unnamed(object, &HashSet::new()), problems: vec![], named: 0 };
    }
    let Some(entries) = object.spec.get("hosts") else {
        return Hosts { wishes: vec![Wish { pattern: HostPattern::Any, basis: Basis::Named }], problems: vec![], named: 1 };
    };
    let (mut seen, mut wishes, mut problems) = (HashSet::new(), Vec::new(), Vec::new());
    for (index, entry) in entries.as_array().into_iter().flatten().enumerate() {
        match entry.as_str().and_then(|host| HostPattern::parse(host).ok()) {
            Some(pattern) if !seen.insert(pattern.clone()) => {}
            Some(pattern) => wishes.push(Wish { pattern, basis: Basis::Named }),
            None => problems.push(unreadable_host(index, entry)),
        }
    }
    let named = wishes.len();
    if named == 0 || !problems.is_empty() {
        wishes.extend(unnamed(object, &seen));
    }
    Hosts { wishes, problems, named }
}

fn unreadable_host(index: usize, entry: &Value) -> Problem {
    let want = "must be a DNS name such as api.example.com, or *.example.com for one label";
    Problem::invalid(&format_args!("spec.hosts[{index}]"), format_args!("{want}, not {}", field::show(entry)))
}

/// The hosts that `object` held and does not name now; a guess when nothing is known of what it held.
fn unnamed(object: &EndpointObject, named: &HashSet<HostPattern>) -> Vec<Wish> {
    let valid = object.claims.iter().filter(|claim| claim.since >= object.created);
    let held: Vec<_> = valid.filter_map(|claim| HostPattern::parse(&claim.host).ok()).collect();
    match held.is_empty() {
        true => vec![Wish { pattern: HostPattern::Any, basis: Basis::Guessed }],
        false => {
            let others = held.into_iter().filter(|host| !named.contains(host));
            others.map(|pattern| Wish { pattern, basis: Basis::Remembered }).collect()
        }
    }
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
    let (path, methods) = (rule.get("path").and_then(Value::as_str), methods(rule.get("methods")));
    let (spot, read) = spot(path, rule.get("pathType"));
    let guess = match (read, &methods) {
        (false, _) => Some(Guess::Path),
        (true, None) => Some(Guess::Methods),
        (true, Some(_)) => None,
    };
    Place { spot, methods: methods.filter(|_| guess.is_none()).unwrap_or_default(), guess }
}

/// The whole of a host.
pub(super) fn everywhere() -> Place {
    place(&Value::Null)
}

/// False when it is a guess: then a Prefix that holds whatever was meant.
fn spot(path: Option<&str>, kind: Option<&Value>) -> (Spot, bool) {
    let kind = match kind.map(Value::as_str) {
        None | Some(Some("Prefix")) => Some(PathKind::Prefix),
        Some(Some("Exact")) => Some(PathKind::Exact),
        Some(_) => None,
    };
    match (kind, path.and_then(field::readable_path)) {
        (Some(kind), Some(path)) => (Spot::new(kind, &path), true),
        _ => (Spot::new(PathKind::Prefix, &path.map_or_else(CanonicalPath::root, nearest_path)), false),
    }
}

/// The path's longest readable ancestor: as a Prefix it holds whatever the path meant.
fn nearest_path(text: &str) -> CanonicalPath<'static> {
    let mut text = if may_climb(text) { "" } else { text };
    loop {
        match (field::readable_path(text), text.rfind('/')) {
            (Some(path), _) => return path,
            (None, Some(slash)) if slash > 0 => text = text.get(..slash).unwrap_or_default(),
            (None, _) => return CanonicalPath::root(),
        }
    }
}

/// `/open/../admin` may mean `/admin`, which is not below `/open`.
fn may_climb(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace("%2e", ".");
    text.contains("..")
}

/// `None` when a method of it cannot be read; empty for every method.
fn methods(value: Option<&Value>) -> Option<Vec<Method>> {
    let Some(value) = value else { return Some(vec![]) };
    let items = value.as_array().filter(|items| (1..=MAX_METHODS).contains(&items.len()))?;
    items.iter().map(|item| method(item.as_str()?)).collect()
}

/// A method that a rule may name.
pub(super) fn method(name: &str) -> Option<Method> {
    let shape = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    Method::from_bytes(name.as_bytes()).ok().filter(|method| shape && !matches!(*method, Method::CONNECT | Method::TRACE))
}
