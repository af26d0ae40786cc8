//! What is wrong with one object, gathered while it is compiled, and the two verdicts it ends in.

use super::{
    secrets::SecretRef,
    verdict::{Condition, Reason, Verdict},
};
use std::{collections::BTreeSet, fmt::Display};

/// A verdict's message is no longer than this, in bytes.
const MAX_MESSAGE: usize = 1024;

/// More sentences than a message holds are not kept.
const MAX_SENTENCES: usize = 64;

/// One thing that is wrong: a sentence that names the field and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// Everything that is said about one object. Nothing is said twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Against `Accepted`, in the order found.
    invalid: Vec<Problem>,
    /// Against `ResolvedRefs`.
    unresolved: Vec<Problem>,
    /// Worth knowing although the object is accepted.
    notes: Vec<String>,
    /// Named by the object, there or not.
    secrets: BTreeSet<SecretRef>,
}

// === impl Problem ===

impl Problem {
    pub(super) fn invalid(field: &dyn Display, what: impl Display) -> Self {
        Self::new(Reason::Invalid, field, what)
    }

    pub(super) fn new(reason: Reason, field: &dyn Display, what: impl Display) -> Self {
        Self { reason, message: format!("{field}: {what}") }
    }
}

// === impl Report ===

impl Report {
    pub(super) fn invalid(&mut self, problem: Problem) {
        push_new(&mut self.invalid, problem);
    }

    pub(super) fn unresolved(&mut self, problem: Problem) {
        push_new(&mut self.unresolved, problem);
    }

    pub(super) fn note(&mut self, note: String) {
        push_new(&mut self.notes, note);
    }

    pub(super) fn names_secret(&mut self, reference: SecretRef) {
        self.secrets.insert(reference);
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.secrets.iter()
    }

    /// The value of a part that is sound; otherwise what is wrong with it is kept.
    pub(super) fn keep<T>(&mut self, part: Result<T, Problem>) -> Option<T> {
        part.map_err(|problem| self.invalid(problem)).ok()
    }

    /// `Accepted`: `serves` says what a sound object gets.
    pub(super) fn accepted(&self, serves: &str) -> Verdict {
        let worst = self.invalid.iter().map(|problem| problem.reason).min_by_key(|reason| severity(*reason));
        let lead = if self.invalid.is_empty() { Some(serves) } else { None };
        let problems = self.invalid.iter().map(|problem| problem.message.as_str());
        let message = join(lead.into_iter().chain(problems).chain(self.notes.iter().map(String::as_str)));
        Verdict { condition: Condition::Accepted, good: worst.is_none(), reason: worst.unwrap_or(Reason::Accepted), message }
    }

    pub(super) fn resolved_refs(&self) -> Verdict {
        let first = self.unresolved.iter().map(|problem| problem.reason).min_by_key(|reason| certainty(*reason));
        let message = match first {
            Some(_) => join(self.unresolved.iter().map(|problem| problem.message.as_str())),
            None if self.secrets.is_empty() => "every Service and port that is named exists".to_owned(),
            None => "every Service, port and Secret that is named exists".to_owned(),
        };
        Verdict { condition: Condition::ResolvedRefs, good: first.is_none(), reason: first.unwrap_or(Reason::ResolvedRefs), message }
    }
}

/// The smallest gives the condition its reason.
fn severity(reason: Reason) -> u8 {
    match reason {
        Reason::UnsupportedField => 0,
        Reason::Invalid => 1,
        Reason::HostNotAllowed => 2,
        Reason::HostOwned => 3,
        _ => 4,
    }
}

/// A Secret that is not here (yet) does not hide what is certainly wrong: the smallest gives the reason.
fn certainty(reason: Reason) -> u8 {
    match reason {
        Reason::Pending => 2,
        Reason::SecretNotFound => 1,
        _ => 0,
    }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_SENTENCES && !list.contains(&item) {
        list.push(item);
    }
}

/// Joins sentences, as many as fit, and says that some did not.
fn join<'a>(sentences: impl Iterator<Item = &'a str>) -> String {
    const MORE: &str = "; and more";
    let mut message = String::new();
    for sentence in sentences {
        let separator = if message.is_empty() { "" } else { "; " };
        if message.len() + separator.len() + sentence.len() + MORE.len() > MAX_MESSAGE {
            return if message.is_empty() { cut(sentence).to_owned() } else { message + MORE };
        }
        message.extend([separator, sentence]);
    }
    message
}

fn cut(sentence: &str) -> &str {
    sentence.get(..sentence.floor_char_boundary(MAX_MESSAGE)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_every_problem_once_and_ends_in_time() {
        let mut report = Report::default();
        for _ in 0..2 {
            report.invalid(Problem::invalid(&"spec.a", "must be b"));
            report.invalid(Problem::new(Reason::UnsupportedField, &"spec.c", "unknown"));
            report.note("a note".into());
        }
        let verdict = report.accepted("serves nothing");
        assert_eq!((verdict.good, verdict.reason), (false, Reason::UnsupportedField));
        assert_eq!(verdict.message, "spec.a: must be b; spec.c: unknown; a note");
        (0..100).for_each(|n| report.note(format!("note {n} {}", "é".repeat(40))));
        let message = report.accepted("").message;
        assert!(message.len() <= MAX_MESSAGE && message.ends_with("; and more"), "{message}");
    }

    #[test]
    fn one_endless_sentence_is_cut_at_a_character() {
        let mut report = Report::default();
        report.unresolved(Problem::new(Reason::BackendNotFound, &"x", "é".repeat(2000)));
        let verdict = report.resolved_refs();
        assert!(verdict.message.len() <= MAX_MESSAGE && verdict.message.len() > MAX_MESSAGE - 4);
        assert_eq!(verdict.reason, Reason::BackendNotFound);
    }

    #[test]
    fn what_is_certainly_wrong_gives_the_reason() {
        let mut report = Report::default();
        for (reason, want) in [
            (Reason::Pending, Reason::Pending),
            (Reason::SecretNotFound, Reason::SecretNotFound),
            (Reason::BackendNotFound, Reason::BackendNotFound),
            (Reason::InvalidSecret, Reason::BackendNotFound),
        ] {
            report.unresolved(Problem::new(reason, &"spec.x", reason.as_str()));
            assert_eq!(report.resolved_refs().reason, want, "{reason:?}");
        }
    }

    #[test]
    fn a_sound_object_is_told_what_it_gets() {
        let report = Report::default();
        assert_eq!(report.accepted("serves 2 rules").message, "serves 2 rules");
        assert!(report.accepted("").good && report.resolved_refs().good);
    }
}
