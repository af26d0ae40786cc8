//! The whole answer, as data: what `-o json` prints, and names that scripts may rely on.

use super::{
    Question,
    checks::{self, Row},
};
use crate::{
    proxy::{Explanation, Onward, Verdict},
    routing::{ClaimHeader, Serve},
};
use http::HeaderMap;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

#[derive(Debug, Serialize)]
pub struct Report {
    pub request: Asked,
    /// Seconds since the Unix epoch, and the same for people.
    pub at: u64,
    pub time: String,
    pub rule: Option<Rule>,
    pub checks: Vec<Row>,
    pub answer: Answer,
    pub backend: Option<Backend>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Asked {
    pub method: String,
    pub url: String,
    /// Canonical; empty when they cannot be read.
    pub host: String,
    pub path: String,
}

#[derive(Debug, Serialize)]
pub struct Rule {
    pub namespace: String,
    pub name: String,
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

#[derive(Debug, Serialize)]
pub struct Answer {
    pub allowed: bool,
    /// `None`: what the backend says.
    pub status: Option<u16>,
    /// As in the access log and the metrics.
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blame: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub headers: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub struct Backend {
    pub backend: String,
    pub endpoints: Vec<String>,
    pub method: String,
    /// Path and query, rewritten.
    pub target: String,
    #[serde(rename = "claimHeaders")]
    pub claim_headers: Vec<Told>,
    /// The header that passes the verified token on, beside those that the client sent.
    #[serde(rename = "forwardAs", skip_serializing_if = "Option::is_none")]
    pub forward_as: Option<String>,
}

/// A claim that is passed on.
#[derive(Debug, Serialize)]
pub struct Told {
    pub header: String,
    pub claim: String,
    /// The token has the claim.
    pub set: bool,
}

pub(super) fn report(question: &Question<'_>, explanation: &Explanation) -> Report {
    let (parts, now) = (&question.parts, question.now);
    let (host, path) = (explanation.host.clone(), explanation.path.clone());
    Report {
        request: Asked { method: parts.method.to_string(), url: question.url.clone(), host, path },
        at: now.as_secs(),
        time: time(now),
        rule: rule(question, explanation),
        checks: checks::rows(&parts.method, explanation, question.served),
        answer: answer(explanation),
        backend: backend(question, explanation),
        notes: question.served.notes.iter().chain(&question.trouble).cloned().collect(),
    }
}

/// A date ends with the year 9999.
fn time(now: Duration) -> String {
    const LAST: u64 = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH.checked_add(now).filter(|_| now.as_secs() <= LAST);
    time.map_or_else(|| now.as_secs().to_string(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

fn rule(question: &Question<'_>, explanation: &Explanation) -> Option<Rule> {
    let id = &explanation.route.as_ref()?.id;
    let (file, line) = question.served.place(id).unzip();
    Some(Rule { namespace: id.namespace.to_string(), name: id.name.to_string(), rule: id.rule.to_string(), file, line: line.flatten() })
}

fn answer(explanation: &Explanation) -> Answer {
    let answer = |allowed, status, reason: &str| Answer {
        allowed,
        status,
        reason: reason.to_owned(),
        blame: None,
        message: None,
        headers: BTreeMap::new(),
    };
    match &explanation.verdict {
        Verdict::Forward(_) => answer(true, None, "forwarded"),
        Verdict::Answer(status, label, headers) => {
            Answer { headers: lines(headers), ..answer(status.is_success(), Some(status.as_u16()), label) }
        }
        Verdict::Reject(rejection, headers) => Answer {
            blame: Some(rejection.blame().as_str()),
            message: Some(rejection.message()),
            headers: lines(headers),
            ..answer(false, Some(rejection.status().as_u16()), rejection.reason())
        },
    }
}

fn lines(headers: &HeaderMap) -> BTreeMap<String, String> {
    let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect::<Vec<_>>().join(", ");
    headers.keys().map(|name| (name.to_string(), values(name))).collect()
}

fn backend(question: &Question<'_>, explanation: &Explanation) -> Option<Backend> {
    let Verdict::Forward(onward) = &explanation.verdict else { return None };
    let serve = explanation.route.as_ref()?.plan.sound().ok()?;
    let claims = checks::policy(explanation).map(|policy| policy.claim_headers.as_slice()).unwrap_or_default();
    Some(Backend {
        backend: onward.backend.to_string(),
        endpoints: onward.endpoints.iter().map(ToString::to_string).collect(),
        method: onward.method.to_string(),
        target: hidden(&onward.uri.to_string(), question.token.as_deref()),
        claim_headers: claims.iter().map(|header| told(header, onward)).collect(),
        forward_as: forward_as(serve),
    })
}

fn told(ClaimHeader { header, claim, .. }: &ClaimHeader, onward: &Onward) -> Told {
    Told { header: header.to_string(), claim: claim.to_string(), set: onward.headers.contains_key(header) }
}

fn forward_as(serve: &Serve) -> Option<String> {
    serve.credentials.forward_as.as_ref().map(ToString::to_string)
}

/// A parameter that no rule reads is passed on; here it is not shown.
fn hidden(text: &str, token: Option<&str>) -> String {
    token.map_or_else(|| text.to_owned(), |token| text.replace(token, "[token]"))
}
