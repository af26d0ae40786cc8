//! The Secrets that resources name: what is known of them, and the one way for a resource to get at what is in one.
//!
//! ```text
//! compile: SecretsOf::find -> what the Secret holds, or a problem against ResolvedRefs     (pure; the name is noted either way)
//!     '-> Compiled::secrets -> controller::secrets watches exactly these, by name -> Inputs::secrets -> compile again
//! ```
//!
//! A resource names Secrets of its own namespace alone: there is no way to say another (P68). One that is needed and cannot be
//! had is a [`Problem`] against `ResolvedRefs`, and the rules that need it refuse in place.

use super::{
    field::quote,
    report::{Problem, Report},
    verdict::Reason,
};
use crate::secret::SecretBytes;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::{self, Display},
    sync::Arc,
};

/// Names one Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// What a Secret holds, by key. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretData(Arc<BTreeMap<String, SecretBytes>>);

/// What is known of one Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SecretState {
    Known(SecretData),
    Missing,
    /// `remedy` says what would give the right to read it.
    NotPermitted {
        remedy: Arc<str>,
    },
    /// Nobody has answered yet.
    #[default]
    Pending,
}

/// Every Secret that is known of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    states: BTreeMap<SecretRef, SecretState>,
    /// That of a Secret which is not among `states`.
    others: SecretState,
}

/// The Secrets of one namespace, as a resource of it sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct SecretsOf<'a> {
    secrets: &'a Secrets,
    namespace: &'a str,
}

/// A Secret that is there, and the field that names it.
#[derive(Clone, Debug)]
pub(super) struct NamedSecret<'a> {
    field: String,
    reference: SecretRef,
    data: &'a SecretData,
}

/// A larger value is not kept: it is no key, certificate chain or password.
const MAX_VALUE: usize = 64 * 1024;

// === impl Secrets ===

impl Secrets {
    /// Of a source that holds every Secret there is: what is not inserted is missing.
    pub fn complete() -> Self {
        Self { states: BTreeMap::new(), others: SecretState::Missing }
    }

    /// Of a source that learns of Secrets one by one: what is not among `states` is pending.
    pub fn watched(states: BTreeMap<SecretRef, SecretState>) -> Self {
        Self { states, others: SecretState::Pending }
    }

    /// Of a source that looks at none. `remedy` says what would.
    pub fn unread(remedy: &str) -> Self {
        Self { states: BTreeMap::new(), others: SecretState::NotPermitted { remedy: remedy.into() } }
    }

    /// Adds one that is there. Of two with one name the smaller counts, whatever their order.
    pub fn insert(&mut self, reference: SecretRef, data: SecretData) {
        match self.states.entry(reference) {
            Entry::Vacant(entry) => drop(entry.insert(SecretState::Known(data))),
            Entry::Occupied(mut entry) => {
                if matches!(entry.get(), SecretState::Known(other) if data < *other) {
                    entry.insert(SecretState::Known(data));
                }
            }
        }
    }

    /// Whether a Secret of `namespace` is among them.
    pub fn holds_any_of(&self, namespace: &str) -> bool {
        self.states.keys().any(|reference| &*reference.namespace == namespace)
    }

    pub(super) fn of<'a>(&'a self, namespace: &'a str) -> SecretsOf<'a> {
        SecretsOf { secrets: self, namespace }
    }

    fn state(&self, reference: &SecretRef) -> &SecretState {
        self.states.get(reference).unwrap_or(&self.others)
    }
}

// === impl SecretsOf ===

impl<'a> SecretsOf<'a> {
    /// The Secret `name`, which `field` names. From now on it is watched, until no resource names it any more.
    ///
    /// `None`: it cannot be had. Why, and what would be right, is then in `report` against `ResolvedRefs`; what needs it must
    /// refuse.
    pub(super) fn find(&self, field: &dyn Display, name: &str, report: &mut Report) -> Option<NamedSecret<'a>> {
        if !is_name(name) {
            let want = "must be the name of a Secret of this namespace: lower-case letters, digits, - and .";
            report.invalid(Problem::invalid(&format_args!("{field}.name"), format_args!("{want}, not {}", quote(name))));
            return None;
        }
        let reference = SecretRef { namespace: self.namespace.into(), name: name.into() };
        report.names_secret(reference.clone());
        match self.secrets.state(&reference) {
            SecretState::Known(data) => Some(NamedSecret { field: field.to_string(), reference, data }),
            state => {
                report.unresolved(absent(field, &reference, state));
                None
            }
        }
    }

    /// As it stands in messages.
    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }

    /// Whether the right to read the Secret is missing, or was taken away.
    pub(super) fn forbids(&self, name: &str) -> bool {
        let reference = SecretRef { namespace: self.namespace.into(), name: name.into() };
        matches!(self.secrets.state(&reference), SecretState::NotPermitted { .. })
    }
}

// === impl NamedSecret ===

impl NamedSecret<'_> {
    /// The value under `key`; `None` when there is none, which is then in `report`.
    pub(super) fn value(&self, key: &str, report: &mut Report) -> Option<SecretBytes> {
        let value = self.data.0.get(key);
        if value.is_none() {
            let what = format_args!("Secret {} has no key {} of at most 64 KiB; add it", self.reference, quote(key));
            report.unresolved(Problem::new(Reason::SecretKeyNotFound, &self.field, what));
        }
        value.cloned()
    }

    /// Reports that what the Secret holds under `key` is not what it should be. `want` says what it should be, and nothing of
    /// what it is.
    pub(super) fn refuse(&self, key: &str, want: &dyn Display, report: &mut Report) {
        let what = format_args!("the key {} of Secret {} {want}", quote(key), self.reference);
        report.unresolved(Problem::new(Reason::InvalidSecret, &self.field, what));
    }
}

// === impl SecretData ===

impl FromIterator<(String, SecretBytes)> for SecretData {
    fn from_iter<I: IntoIterator<Item = (String, SecretBytes)>>(values: I) -> Self {
        Self(Arc::new(values.into_iter().filter(|(_, value)| value.expose().len() <= MAX_VALUE).collect()))
    }
}

// === impl SecretRef ===

impl Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn absent(field: &dyn Display, reference: &SecretRef, state: &SecretState) -> Problem {
    let (reason, what) = match state {
        SecretState::NotPermitted { remedy } => (Reason::RefNotPermitted, format!("Portcullis may not read Secret {reference}; {remedy}")),
        SecretState::Pending => (Reason::Pending, format!("Secret {reference} is being read")),
        SecretState::Known(_) | SecretState::Missing => {
            (Reason::SecretNotFound, format!("there is no Secret {reference}; create it or name another"))
        }
    };
    Problem::new(reason, field, what)
}

/// A DNS subdomain (RFC 1123). Nothing that could mean more than a name in the request that asks for it.
fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-');
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(values: &[(&str, &str)]) -> SecretData {
        values.iter().map(|(key, value)| ((*key).to_owned(), SecretBytes::from(value.as_bytes().to_vec()))).collect()
    }

    fn reference(namespace: &str, name: &str) -> SecretRef {
        SecretRef { namespace: namespace.into(), name: name.into() }
    }

    /// The value of `spec.x`'s Secret `name` under `key` in namespace `shop`, and what is said.
    fn found(secrets: &Secrets, name: &str, key: &str) -> (Option<SecretBytes>, Reason, String) {
        let mut report = Report::default();
        let value = secrets.of("shop").find(&"spec.x", name, &mut report).and_then(|secret| secret.value(key, &mut report));
        let said = if report.accepted("").good { report.resolved_refs() } else { report.accepted("") };
        assert_eq!(said.good, value.is_some(), "{said:?}");
        (value, said.reason, said.message)
    }

    #[test]
    fn a_secret_that_cannot_be_had_says_why_and_what_would_be_right() {
        let remedy = "create a RoleBinding".into();
        let states = [
            (reference("shop", "there"), SecretState::Known(data(&[("a", "value")]))),
            (reference("shop", "missing"), SecretState::Missing),
            (reference("shop", "forbidden"), SecretState::NotPermitted { remedy }),
        ];
        let secrets = Secrets::watched(states.into());
        assert_eq!(found(&secrets, "there", "a").0.unwrap().expose(), b"value");
        let rows = [
            ("there", "b", Reason::SecretKeyNotFound, "spec.x: Secret shop/there has no key \"b\" of at most 64 KiB; add it"),
            ("missing", "a", Reason::SecretNotFound, "spec.x: there is no Secret shop/missing; create it or name another"),
            ("forbidden", "a", Reason::RefNotPermitted, "spec.x: Portcullis may not read Secret shop/forbidden; create a RoleBinding"),
            ("new", "a", Reason::Pending, "spec.x: Secret shop/new is being read"),
        ];
        for (name, key, reason, message) in rows {
            assert_eq!(found(&secrets, name, key), (None, reason, message.to_owned()), "{name}");
        }
        assert_eq!(found(&Secrets::complete(), "new", "a").1, Reason::SecretNotFound);
    }

    /// Whatever a name looks like, it means one Secret of this namespace or none.
    #[test]
    fn p68_no_secret_of_another_namespace_can_be_named() {
        let mut secrets = Secrets::complete();
        secrets.insert(reference("other", "key"), data(&[("a", "value")]));
        let names =
            ["key", "other/key", "../other/secrets/key", "key,metadata.namespace=other", "key=", "", ".", "a..b", "-a", "A", "a%2fb"];
        for name in names {
            let (value, reason, _) = found(&secrets, name, "a");
            let want = if name == "key" { Reason::SecretNotFound } else { Reason::Invalid };
            assert_eq!((value, reason), (None, want), "{name}");
        }
    }

    #[test]
    fn what_is_named_is_noted_and_a_huge_value_is_not_kept() {
        let (mut secrets, mut report) = (Secrets::complete(), Report::default());
        secrets.insert(reference("shop", "big"), data(&[("a", &"x".repeat(MAX_VALUE + 1)), ("b", &"x".repeat(MAX_VALUE))]));
        for name in ["big", "none", "big", "no name"] {
            let _ = secrets.of("shop").find(&"spec.x", name, &mut report);
        }
        assert_eq!(report.secrets().cloned().collect::<Vec<_>>(), [reference("shop", "big"), reference("shop", "none")]);
        assert!(found(&secrets, "big", "a").0.is_none() && found(&secrets, "big", "b").0.is_some());
    }

    #[test]
    fn of_two_with_one_name_the_same_counts_in_either_order() {
        let (one, two) = (data(&[("a", "1")]), data(&[("a", "2")]));
        let of = |first: &SecretData, second: &SecretData| {
            let mut secrets = Secrets::complete();
            [first, second].into_iter().for_each(|data| secrets.insert(reference("shop", "twice"), data.clone()));
            found(&secrets, "twice", "a").0
        };
        assert_eq!(of(&one, &two), of(&two, &one));
    }

    #[test]
    fn j53_no_view_of_a_secret_shows_what_is_in_it() {
        let mut secrets = Secrets::complete();
        secrets.insert(reference("shop", "key"), data(&[("a", "hunter2")]));
        let mut report = Report::default();
        let named = secrets.of("shop").find(&"spec.x", "key", &mut report).unwrap();
        named.refuse("a", &"must be longer", &mut report);
        let shown = format!("{secrets:?} {named:?} {report:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
        assert_eq!(report.resolved_refs().message, "spec.x: the key \"a\" of Secret shop/key must be longer");
    }
}
