//! Headers that carry claims: what each rule sets, and what the gateway alone may set in a whole namespace.

use super::report::{Problem, Report};
use crate::{
    api::{self, Arrays, FORBIDDEN_CLAIM_HEADERS},
    jwt::ClaimName,
    routing::{ClaimHeader, Credentials},
};
use http::HeaderName;
use serde_json::Value;
use std::{fmt::Display, sync::Arc};

const MAX_HEADERS: usize = 32;
const MAX_NAME: usize = 64;

/// Every header that `spec` names for claims or for the token it passes on, as far as it can be read: a broken object must not
/// stop its namespace from removing what clients forge (J105). Not the header of its own token: a rule that names it refuses.
pub(super) fn named(spec: &Value) -> Vec<HeaderName> {
    let token = spec.pointer("/token/header").and_then(Value::as_str);
    let rules = spec.get("rules").and_then(Value::as_array).into_iter().flatten();
    let lists = std::iter::once(spec).chain(rules).filter_map(|level| level.get("claimHeaders")?.as_array());
    let claims = lists.flatten().filter_map(|entry| entry.get("header")?.as_str());
    let names = claims.chain(spec.pointer("/token/forwardAs").and_then(Value::as_str));
    names.filter(|name| token.is_none_or(|token| !token.eq_ignore_ascii_case(name))).filter_map(header_name).collect()
}

/// Compiles one `claimHeaders` list. `None` when a header of it would be missing.
pub(super) fn compile(
    field: &dyn Display,
    list: &[api::ClaimHeader],
    token: Option<&Credentials>,
    report: &mut Report,
) -> Option<Vec<ClaimHeader>> {
    if list.len() > MAX_HEADERS {
        report.invalid(Problem::invalid(field, format_args!("must have at most {MAX_HEADERS} entries, not {}", list.len())));
        return None;
    }
    let (mut headers, mut sound): (Vec<ClaimHeader>, _) = (Vec::with_capacity(list.len()), true);
    for (index, entry) in list.iter().enumerate() {
        match compile_one(&format_args!("{field}[{index}]"), entry, token, &headers) {
            Ok(header) => headers.push(header),
            Err(problem) => {
                report.invalid(problem);
                sound = false;
            }
        }
    }
    sound.then_some(headers)
}

/// The endpoint's headers, and the rule's: the rule's win where both name one.
pub(super) fn merge(endpoint: &[ClaimHeader], rule: &[ClaimHeader]) -> Vec<ClaimHeader> {
    let kept = endpoint.iter().filter(|header| !rule.iter().any(|other| other.header == header.header));
    kept.chain(rule).cloned().collect()
}

fn compile_one(
    field: &dyn Display,
    entry: &api::ClaimHeader,
    token: Option<&Credentials>,
    others: &[ClaimHeader],
) -> Result<ClaimHeader, Problem> {
    let at = &format_args!("{field}.header");
    let header = target(&entry.header).ok_or_else(|| no_target(at, &entry.header))?;
    if token.is_some_and(|token| token.header == header) {
        return Err(Problem::invalid(at, "must not be the header that carries the token (spec.token.header)"));
    }
    if token.is_some_and(|token| token.forward_as.as_ref() == Some(&header)) {
        return Err(Problem::invalid(at, "must not be the header that passes the token on (spec.token.forwardAs)"));
    }
    if others.iter().any(|other| other.header == header) {
        return Err(Problem::invalid(at, format_args!("{header} is named twice; each header once, whatever its case")));
    }
    let claim = claim_name(field, entry.claim.as_deref(), entry.claim_path.as_deref())?;
    Ok(ClaimHeader { header, claim, repeat: entry.arrays == Arrays::Repeat })
}

/// A claim is named by exactly one of its two fields.
pub(super) fn claim_name(field: &dyn Display, claim: Option<&str>, path: Option<&[String]>) -> Result<ClaimName, Problem> {
    let fits = |key: &str| (1..=256).contains(&key.len());
    match (claim, path) {
        (Some(key), None) if fits(key) => Ok(ClaimName::Key(key.into())),
        (None, Some(path)) if (1..=8).contains(&path.len()) && path.iter().all(|key| fits(key)) => {
            Ok(ClaimName::Path(path.iter().map(|key| Arc::from(key.as_str())).collect()))
        }
        _ => Err(Problem::invalid(field, "exactly one of claim (one literal key) and claimPath (1 to 8 keys) is required")),
    }
}

/// A header that the gateway may set, spelled as it will be sent.
pub(super) fn target(text: &str) -> Option<HeaderName> {
    header_name(text).filter(|_| !text.contains('_'))
}

pub(super) fn no_target(field: &dyn Display, text: &str) -> Problem {
    let want = "must be letters, digits and -, and no header that HTTP or the gateway uses itself";
    Problem::invalid(field, format_args!("{} {want}", super::field::quote(text)))
}

/// A header that claims may be written to (J109), in whatever spelling.
fn header_name(text: &str) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| text.len() <= MAX_NAME)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let folded = name.as_str().replace('_', "-");
    let forbidden = FORBIDDEN_CLAIM_HEADERS.contains(&folded.as_str());
    (text.bytes().all(allowed) && !forbidden).then_some(name)
}
