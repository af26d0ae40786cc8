//! What a status should say: a pure function of what is known.

use super::stamp::time;
use crate::{
    api::{HostSince, ProtectedEndpointStatus},
    compile::{Condition, Keys, Outcome, Reason},
    jwks::{FetchError, KeyState},
    jwt::SkippedKey,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as ApiCondition;
use std::time::Duration;

/// Everything that a status is made of.
#[derive(Clone, Debug)]
pub(super) struct Known<'a> {
    pub(super) outcome: &'a Outcome,
    /// The state of the keys that its issuer publishes; `None` when it needs none of these.
    pub(super) keys: Option<&'a KeyState>,
    pub(super) programmed: Programmed,
    /// What is remembered of its hosts.
    pub(super) claims: Vec<HostSince>,
    pub(super) addresses: &'a [String],
    /// What the status says now.
    pub(super) previous: &'a ProtectedEndpointStatus,
}

/// Whether every replica serves this generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Programmed {
    Yes,
    NotYet,
    /// The cluster's resourceVersions are no numbers, so nothing can be compared.
    Unknowable,
}

/// A condition before its times: type, status, reason, message.
#[derive(Debug)]
struct Line {
    condition: Condition,
    status: &'static str,
    reason: Reason,
    message: String,
}

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";
/// The API server's bound of a condition's message is 32 KiB; ours is that of an Event's note.
const LONGEST_MESSAGE: usize = 1024;

/// The status that says what is known at `now` (since the Unix epoch). Equal knowledge gives an equal status: a condition keeps
/// its lastTransitionTime while its status stays, and the order never changes.
pub(super) fn desired(known: Known<'_>, now: Duration) -> ProtectedEndpointStatus {
    let [accepted, resolved] = known.outcome.verdicts.each_ref().map(|verdict| Line {
        condition: verdict.condition,
        status: if verdict.good { TRUE } else { FALSE },
        reason: verdict.reason,
        message: verdict.message.clone(),
    });
    let mut lines = vec![accepted, resolved, keys_ready(&known), programmed(known.programmed)];
    lines.push(ready(&lines));
    let stamp = |line: Line| stamped(line, &known, now);
    let conditions = lines.into_iter().map(stamp).collect();
    ProtectedEndpointStatus { conditions, hosts: known.claims, addresses: known.addresses.to_vec() }
}

/// Whether two statuses mean the same. Conditions that others have added do not count.
pub(super) fn means_the_same(desired: &ProtectedEndpointStatus, stored: &ProtectedEndpointStatus) -> bool {
    let has = |wanted: &ApiCondition| condition(stored, &wanted.type_) == Some(wanted);
    desired.hosts == stored.hosts && desired.addresses == stored.addresses && desired.conditions.iter().all(has)
}

pub(super) fn condition<'a>(status: &'a ProtectedEndpointStatus, type_: &str) -> Option<&'a ApiCondition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

fn keys_ready(known: &Known<'_>) -> Line {
    match known.outcome.keys {
        Keys::Secret { usable: true } => line(TRUE, Reason::Fresh, "the Secret's key is here".to_owned()),
        Keys::Secret { usable: false } => {
            line(FALSE, Reason::InvalidSecret, "the Secret gives no key, as ResolvedRefs says; until then 503".to_owned())
        }
        Keys::NotNeeded | Keys::Published(_) => published(known.keys, known.outcome.max_staleness),
    }
}

/// True while Token rules are served by all that the issuer publishes; whether they are at all depends on the age of its keys.
fn published(state: Option<&KeyState>, max_staleness: Duration) -> Line {
    let Some(state) = state else {
        return line(TRUE, Reason::NoKeysNeeded, "no key source is in use".to_owned());
    };
    match (&state.good, state.failure) {
        (Some((_, came)), Some(error)) => stale(error, came.elapsed() > max_staleness, &left_out(state)),
        (Some(_), None) if state.skipped.iter().any(SkippedKey::is_ambiguous) => {
            let message = format!("tokens that name an ambiguous key of the issuer are refused{}", left_out(state));
            line(FALSE, Reason::AmbiguousKeys, message)
        }
        (Some(_), None) => line(TRUE, Reason::Fresh, format!("the issuer's keys are here{}", left_out(state))),
        (None, Some(error)) => {
            let advice = "see that auth0.domain or auth0.jwksUrl is right and can be reached; until then 503";
            line(FALSE, Reason::FetchFailed, format!("the issuer's keys could not be fetched ({error}): {advice}{}", left_out(state)))
        }
        (None, None) => line(UNKNOWN, Reason::NeverFetched, "the issuer's keys are being fetched; until then 503".to_owned()),
    }
}

/// An issuer that is away is none of the user's concern for a while; one that says it has no key is, at once (J40).
fn stale(error: FetchError, too_old: bool, left_out: &str) -> Line {
    let serve = "the last good keys serve";
    let (status, then) = match too_old {
        true => (FALSE, "the last good keys are older than jwksMaxStaleness: 503"),
        false if error == FetchError::NoUsableKey => (FALSE, serve),
        false => (TRUE, serve),
    };
    line(status, Reason::Stale, format!("the newest fetch of the issuer's keys failed ({error}); {then}{left_out}"))
}

/// As many as are of use to a person.
fn left_out(state: &KeyState) -> String {
    const MOST: usize = 4;
    let more = state.skipped.len().saturating_sub(MOST);
    let mut parts: Vec<_> = state.skipped.iter().take(MOST).map(ToString::to_string).collect();
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    if parts.is_empty() { String::new() } else { format!("; left out: {}", parts.join("; ")) }
}

fn line(status: &'static str, reason: Reason, message: String) -> Line {
    Line { condition: Condition::KeysReady, status, reason, message }
}

fn programmed(programmed: Programmed) -> Line {
    let (status, reason, message) = match programmed {
        Programmed::Yes => (TRUE, Reason::Programmed, "every replica serves this generation"),
        Programmed::NotYet => (FALSE, Reason::Pending, "not every replica serves this generation yet"),
        Programmed::Unknowable => {
            (UNKNOWN, Reason::Pending, "this cluster's resourceVersions are no integers, so replicas cannot be compared")
        }
    };
    Line { condition: Condition::Programmed, status, reason, message: message.to_owned() }
}

/// All of them, else the first failing one's reason. What is unknowable for ever does not count against it.
fn ready(lines: &[Line]) -> Line {
    let counts = |line: &&Line| line.status != TRUE && !(line.condition == Condition::Programmed && line.status == UNKNOWN);
    match lines.iter().find(counts) {
        None => Line { condition: Condition::Ready, status: TRUE, reason: Reason::Ready, message: "requests are served".to_owned() },
        Some(line) => {
            let message = format!("{}: {}", line.condition.as_str(), line.message);
            Line { condition: Condition::Ready, status: line.status, reason: line.reason, message }
        }
    }
}

fn stamped(line: Line, known: &Known<'_>, now: Duration) -> ApiCondition {
    let type_ = line.condition.as_str();
    let unchanged = condition(known.previous, type_).filter(|old| old.status == line.status);
    ApiCondition {
        type_: type_.to_owned(),
        status: line.status.to_owned(),
        reason: line.reason.as_str().to_owned(),
        message: shorten(line.message),
        last_transition_time: unchanged.map_or_else(|| time(seconds(now)), |old| old.last_transition_time.clone()),
        observed_generation: Some(known.outcome.generation),
    }
}

fn shorten(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE - 3));
        message.push_str("...");
    }
    message
}

fn seconds(since_epoch: Duration) -> i64 {
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
