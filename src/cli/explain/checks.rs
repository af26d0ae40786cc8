//! One row a decision, in the order in which the data plane makes them.

use super::world::Served;
use crate::{
    jwt::{Check, Checks, Examination},
    proxy::{Explanation, Place, Rejection, Step, Verdict},
    routing::{Access, CanonicalPath, Credentials, Host, HostPattern, PathKind, Route, Snapshot, Standing, TokenPolicy},
};
use http::Method;
use serde::Serialize;
use std::{collections::BTreeSet, iter};

/// A decision, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// A bounded label.
    pub check: &'static str,
    pub passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The claim or header parameter that decided against the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the request has instead; absent when it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// Hosts or paths that are listed where none fits.
const MAX_SHOWN: usize = 12;

pub(super) fn rows(method: &Method, explanation: &Explanation, served: &Served) -> Vec<Row> {
    let (table, empty) = (served.live.table.load(), Snapshot::default());
    let table = (*table).as_ref().as_ref().unwrap_or(&empty);
    let standing = standing(table, explanation);
    let teller = Teller { method, explanation, served, table, standing, policy: policy(explanation) };
    let passed = explanation.steps.iter().flat_map(|step| teller.passed(*step));
    passed.chain(teller.end()).collect()
}

struct Teller<'a> {
    method: &'a Method,
    explanation: &'a Explanation,
    served: &'a Served,
    table: &'a Snapshot,
    standing: Option<Standing<'a>>,
    policy: Option<&'a TokenPolicy>,
}

// === impl Row ===

impl Row {
    fn passed(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, passed: true, detail: Some(detail.into()).filter(|detail: &String| !detail.is_empty()), ..Self::default() }
    }

    fn failed(check: &'static str, expected: impl Into<String>) -> Self {
        Self { check, expected: Some(expected.into()), ..Self::default() }
    }
}

// === impl Teller ===

impl Teller<'_> {
    /// A step may be several decisions, or none worth a row.
    fn passed(&self, step: Step) -> Vec<Row> {
        match step {
            Step::Target => vec![Row::passed("target", format!("host {}, path {}", self.explanation.host, self.explanation.path))],
            Step::Route => self.place().chain(self.method()).collect(),
            Step::Plan => vec![Row::passed("rule", self.rule())],
            Step::Public => vec![Row::passed("access", "Public: no token is asked for")],
            Step::Credentials(place) => vec![Row::passed("token", self.whereabouts(place))],
            Step::Origin => self.origin().into_iter().chain(self.token()).collect(),
            Step::Permission => self.permission().into_iter().collect(),
            Step::Rewrite | Step::Token | Step::Loop | Step::Identity => vec![],
        }
    }

    /// What the last decision was about.
    fn end(&self) -> Vec<Row> {
        match &self.explanation.verdict {
            Verdict::Answer(_, label, _) => vec![Row::passed("own answer", *label)],
            Verdict::Forward(onward) => vec![Row::passed("endpoints", format!("{} ready of {}", onward.endpoints.len(), onward.backend))],
            Verdict::Reject(rejection, _) => self.refused(rejection),
        }
    }

    fn refused(&self, rejection: &Rejection) -> Vec<Row> {
        match rejection {
            Rejection::NoRoute => self.place().collect(),
            Rejection::MethodNotAllowed(allow) => {
                let allow = Row::failed("method", format!("one of {}", allow.to_str().unwrap_or_default()));
                let failed = Row { found: Some(self.method.to_string()), ..allow };
                self.place().filter(|row| row.passed).chain(iter::once(failed)).collect()
            }
            // Told already, with what was found.
            Rejection::InvalidToken(_) if self.mismatch() => vec![],
            rejection => vec![self.refusal(rejection)],
        }
    }

    fn refusal(&self, rejection: &Rejection) -> Row {
        let credentials = || self.credentials().map(places).unwrap_or_default();
        match rejection {
            Rejection::BadRequest(part) => Row::failed(if self.explanation.steps.is_empty() { "target" } else { part }, unreadable(part)),
            Rejection::Refused(_) => Row { check: "rule", detail: Some(self.problems()), ..Row::default() },
            Rejection::MissingToken => Row::failed("token", credentials()),
            Rejection::InvalidRequest(how) => Row { found: Some((*how).to_owned()), ..Row::failed("token", "exactly one token") },
            Rejection::InvalidToken(error) => Row::failed("token", format!("a token: {error}")),
            Rejection::CrossOrigin => {
                Row::failed("origin", "with a cookie: Sec-Fetch-Site same-origin or none, or an Origin that is this host")
            }
            Rejection::KeysUnavailable => Row::failed("keys", self.policy.map(|policy| policy.keys.to_string()).unwrap_or_default()),
            Rejection::Denied(denied) => self.lack(denied.reason),
            Rejection::ClaimTooLong => Row::failed("claim headers", "claims of at most 8 KiB"),
            Rejection::NoEndpoint => Row::failed("endpoints", "a ready endpoint of the backend"),
            rejection => Row::failed(rejection.reason(), rejection.message()),
        }
    }

    /// Host and path, as far as they are known to the table.
    fn place(&self) -> impl Iterator<Item = Row> {
        let explanation = self.explanation;
        let host = match &self.standing {
            Some(standing) => Row::passed("host", standing.host.to_string()),
            None => Row {
                found: Some(explanation.host.clone()),
                ..Row::failed("host", one_of(self.table.lines().iter().map(|line| line.host.to_string())))
            },
        };
        let path = self.standing.as_ref().map(|standing| match standing.path {
            Some((kind, path)) => Row::passed("path", format!("{} {path}", name(kind))),
            None => Row { found: Some(explanation.path.clone()), ..Row::failed("path", one_of(self.paths(&standing.host))) },
        });
        iter::once(host).chain(path)
    }

    fn paths(&self, host: &HostPattern) -> impl Iterator<Item = String> {
        let lines = self.table.lines().into_iter().filter(move |line| line.host == *host);
        lines.map(|line| format!("{} {}", name(line.kind), line.path))
    }

    fn method(&self) -> Option<Row> {
        let route = self.explanation.route.as_deref()?;
        let named: Vec<_> = route.methods.iter().map(|method| method.as_str()).collect();
        Some(Row::passed("method", if named.is_empty() { "any".to_owned() } else { format!("one of {}", named.join(", ")) }))
    }

    fn rule(&self) -> String {
        let Some(route) = &self.explanation.route else { return String::new() };
        match self.served.place(&route.id) {
            Some((file, Some(line))) => format!("{} ({file}:{line})", route.id),
            Some((file, None)) => format!("{} ({file})", route.id),
            None => route.id.to_string(),
        }
    }

    fn problems(&self) -> String {
        let problems = self.explanation.route.as_ref().map(|route| self.served.problems(&route.id)).unwrap_or_default();
        format!("{} refuses in its place: {}", self.rule(), problems.join("; "))
    }

    fn credentials(&self) -> Option<&Credentials> {
        Some(&serve(self.explanation.route.as_deref()?)?.credentials)
    }

    fn whereabouts(&self, place: Place) -> String {
        let Some(credentials) = self.credentials() else { return String::new() };
        match place {
            Place::Header => format!("in the header {}", credentials.header),
            Place::Cookie => format!("in the cookie {}", credentials.cookie.as_deref().unwrap_or_default()),
            Place::Query => format!("in the query parameter {}", credentials.query.as_deref().unwrap_or_default()),
        }
    }

    /// Asked of cookies alone.
    fn origin(&self) -> Option<Row> {
        let cookie = self.explanation.steps.contains(&Step::Credentials(Place::Cookie));
        cookie.then(|| Row::passed("origin", "no other site's doing"))
    }

    fn token(&self) -> Vec<Row> {
        let (Some(policy), Some(Examination { passed, failed })) = (self.policy, &self.explanation.token) else { return vec![] };
        let keys = Row::passed("keys", policy.keys.to_string());
        let passed = passed.iter().map(|check| Row::passed(check.as_str(), asked(*check, &policy.checks)));
        let failed = failed.as_ref().map(|failed| Row {
            member: failed.member.map(str::to_owned),
            found: failed.found.clone(),
            ..Row::failed(failed.check.as_str(), failed.expected.clone())
        });
        iter::once(keys).chain(passed).chain(failed).collect()
    }

    fn mismatch(&self) -> bool {
        self.explanation.token.as_ref().is_some_and(|token| token.failed.is_some())
    }

    fn permission(&self) -> Option<Row> {
        let lines = &self.policy?.requirement.lines;
        let told: Vec<_> = lines.iter().map(ToString::to_string).collect();
        (!told.is_empty()).then(|| Row::passed("permission", told.join("; ")))
    }

    fn lack(&self, reason: &'static str) -> Row {
        let Some(lack) = &self.explanation.lack else { return Row::failed(reason, "more than the token allows") };
        let found = lack.found.as_ref().map(ToString::to_string);
        Row { member: Some(lack.claim.to_string()), found, ..Row::failed(reason, lack.expected.clone()) }
    }
}

/// Some of what the table has, each once.
fn one_of(known: impl Iterator<Item = String>) -> String {
    let known: BTreeSet<_> = known.collect();
    let shown: Vec<_> = known.iter().take(MAX_SHOWN).map(String::as_str).collect();
    match known.len() {
        0 => "a rule, and there is none".to_owned(),
        count if count > MAX_SHOWN => format!("one of {} and {} more", shown.join(", "), count - MAX_SHOWN),
        _ => format!("one of {}", shown.join(", ")),
    }
}

fn standing<'a>(table: &'a Snapshot, explanation: &Explanation) -> Option<Standing<'a>> {
    table.standing(&Host::parse(&explanation.host).ok()?, &CanonicalPath::parse(&explanation.path).ok()?)
}

fn serve(route: &Route) -> Option<&crate::routing::Serve> {
    route.plan.sound().ok()
}

pub(super) fn policy(explanation: &Explanation) -> Option<&TokenPolicy> {
    match &serve(explanation.route.as_deref()?)?.access {
        Access::Public(_) => None,
        Access::Token(policy) => Some(policy),
    }
}

fn places(credentials: &Credentials) -> String {
    let header = format!("one in the header {}", credentials.header);
    let cookie = credentials.cookie.as_ref().map(|name| format!("in the cookie {name}"));
    let query = credentials.query.as_ref().map(|name| format!("in the query parameter {name}"));
    iter::once(header).chain(cookie).chain(query).collect::<Vec<_>>().join(", or ")
}

/// What a check that was passed asks for, where the resource decides that.
fn asked(check: Check, checks: &Checks) -> String {
    match check {
        Check::Algorithm => checks.algorithm.to_string(),
        Check::Issuer => checks.issuer.clone(),
        Check::Audience => checks.audience.join(", "),
        Check::Organization => checks.organizations.join(", "),
        _ => String::new(),
    }
}

fn name(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Exact => "Exact",
        PathKind::Prefix => "Prefix",
    }
}

fn unreadable(part: &str) -> &'static str {
    match part {
        "escapes" => "escapes that mean the same rule, decoded or not",
        "host" => "one host, a DNS name or an address",
        "method" => "a method of at most 64 bytes",
        "parameters" => "one rule, whether or not `;` ends a segment",
        "path" => "a path that every backend reads alike: no %2F, %5C, control, broken escape or way above the root",
        "query" => "a query that can be passed on",
        _ => "a request that can be read in one way only",
    }
}
