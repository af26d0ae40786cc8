//! How many key sources a namespace may have: each costs every replica a task, memory and fetches, whoever asks for it.

use super::{
    conflict::Entry,
    report::Problem,
    resource::{Resource, TOKEN_RULES_CLOSED},
    verdict::Reason,
};
use crate::{
    jwt::ProviderId,
    routing::{Plan, Refusal},
};
use std::collections::{HashMap, HashSet};

/// Refuses, in their places, the Token rules of the objects that ask for one key source more than `most`. `entries` are the oldest first, so
/// that no newcomer takes another's place; objects that share a source share its place.
pub(super) fn apply(entries: &mut [Entry<'_>], most: usize) {
    let mut sources: HashMap<&str, HashSet<ProviderId>> = HashMap::new();
    for entry in entries.iter_mut() {
        let Some(id) = super::provider(entry).map(|provider| provider.id.clone()) else { continue };
        let known = sources.entry(entry.object.namespace.as_str()).or_default();
        if known.contains(&id) || known.len() < most {
            known.insert(id);
        } else {
            refuse(&mut entry.resource, most);
        }
    }
}

fn refuse(resource: &mut Resource, most: usize) {
    resource.keys = None;
    for rule in resource.rules.iter_mut().filter(|rule| rule.needs_keys) {
        rule.plan = Plan::Refuse(Refusal::TooManyIssuers);
        rule.needs_keys = false;
    }
    let what = format!(
        "this namespace has {most} issuers already, the most that the installation allows (--issuers-per-namespace); use one of them, or ask its operator"
    );
    resource.report.invalid(Problem::new(Reason::TooManyIssuers, &"spec.auth0", what));
    resource.report.note(TOKEN_RULES_CLOSED.to_owned());
}
