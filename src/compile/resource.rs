//! From one object to its rules: each object for itself, so that no other is harmed by what is in it.

use super::{
    auth::{self, AuthKeys},
    backend::Services,
    cors, headers,
    host::{Basis, Wish},
    inputs::{DEFAULT_CLASS, EndpointObject},
    report::{Problem, Report},
    require,
    route::{self, Rule, Shared},
    salvage::{self, Hosts, Place},
    secrets::Secrets,
    spec, tls, token,
    verdict::Reason,
};
use crate::{
    api::ProtectedEndpointSpec,
    routing::{Encryption, HostPattern, Plan, Refusal, RuleId},
};
use serde_json::Value;
use std::{
    cell::OnceCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// One object, compiled as far as that needs no other object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    pub(super) wishes: Vec<Wish>,
    pub(super) rules: Vec<Rule>,
    /// Where its keys come from, when a rule needs some.
    pub(super) keys: Option<AuthKeys>,
    /// What connections to its hosts must be like.
    pub(super) encryption: Option<Encryption>,
    pub(super) report: Report,
}

/// What an object may refer to.
#[derive(Debug)]
pub(super) struct References<'a> {
    pub(super) services: Services<'a>,
    pub(super) secrets: &'a Secrets,
}

/// Compiles one object by itself.
pub(super) type Compiler = dyn Fn(&EndpointObject, &References<'_>) -> Resource;

/// Said where the auth block is of no use.
pub(super) const TOKEN_RULES_CLOSED: &str = "until that is corrected, rules with access Token answer 503; Public ones are served";
const MAX_HOSTS: usize = 64;
const MAX_RULES: usize = 128;

/// The installation that an object asks for.
pub(super) fn class(object: &EndpointObject) -> &str {
    object.spec.get("className").and_then(Value::as_str).unwrap_or(DEFAULT_CLASS)
}

/// Runs `compiler`; should it panic, the object's rules refuse at their places (K14).
pub(super) fn isolated(object: &EndpointObject, references: &References<'_>, compiler: &Compiler) -> Resource {
    let problem = || Problem::invalid(&"spec", "Portcullis failed on this object, which is a fault of Portcullis; please report it");
    let salvaged = || refused(object, salvage::hosts(object), Refusal::InvalidSpec, vec![problem()]);
    let compiled = catch_unwind(AssertUnwindSafe(|| compiler(object, references)));
    let compiled = compiled.or_else(|_| catch_unwind(AssertUnwindSafe(salvaged)));
    compiled.unwrap_or_else(|_| refused_everywhere(object, vec![Wish { pattern: HostPattern::Any, basis: Basis::Guessed }], problem()))
}

/// Compiles one object.
pub(super) fn compile(object: &EndpointObject, references: &References<'_>) -> Resource {
    let mut resource = served(object, references);
    resource.encryption = tls::compile(object, references.secrets.of(&object.namespace), &mut resource.report);
    resource
}

fn served(object: &EndpointObject, references: &References<'_>) -> Resource {
    let hosts = salvage::hosts(object);
    if let Some(problem) = oversized(hosts.named, salvage::rules(&object.spec).len()) {
        return refused_everywhere(object, hosts.wishes, problem);
    }
    match (spec::read(&object.spec), object.problems.is_empty()) {
        (Ok(spec), true) if hosts.named > 0 => sound(object, &spec, hosts, references),
        (Ok(_), true) => refused(object, hosts, Refusal::InvalidSpec, vec![]),
        (Err(unreadable), true) => refused(object, hosts, unreadable.refusal, unreadable.problems),
        (read, false) => refused_before(object, hosts, read.err().map_or(Refusal::InvalidSpec, |unreadable| unreadable.refusal)),
    }
}

/// Who read it has said already all that is wrong.
fn refused_before(object: &EndpointObject, hosts: Hosts, refusal: Refusal) -> Resource {
    let reason = if refusal == Refusal::UnsupportedField { Reason::UnsupportedField } else { Reason::Invalid };
    let problem = |message: &String| Problem { reason, message: message.clone() };
    refused(object, Hosts { problems: vec![], ..hosts }, refusal, object.problems.iter().map(problem).collect())
}

fn sound(object: &EndpointObject, spec: &ProtectedEndpointSpec, hosts: Hosts, references: &References<'_>) -> Resource {
    let mut report = Report::default();
    hosts.problems.into_iter().for_each(|problem| report.invalid(problem));
    let shared = shared(object, spec, references, &mut report);
    let raw = salvage::rules(&object.spec);
    let rules = spec.rules.iter().zip(raw).enumerate();
    let rules: Vec<_> = rules.map(|(index, (rule, raw))| route::compile(&shared, index, rule, raw, &mut report)).collect();
    if shared.auth.is_none() || shared.require.is_none() {
        report.note(TOKEN_RULES_CLOSED.to_owned());
    }
    let keys = shared.auth.map(|auth| auth.keys).filter(|_| rules.iter().any(|rule| rule.needs_keys));
    Resource { wishes: hosts.wishes, rules, keys, encryption: None, report }
}

fn shared<'a>(
    object: &'a EndpointObject,
    spec: &'a ProtectedEndpointSpec,
    references: &'a References<'a>,
    report: &mut Report,
) -> Shared<'a> {
    let auth = auth::compile(&spec.auth0, references.secrets.of(&object.namespace), report);
    let credentials = token::compile(&spec.token, report);
    let claim_headers = headers::compile(&"spec.claimHeaders", &spec.claim_headers, credentials.as_ref(), report);
    Shared {
        namespace: object.namespace.as_str().into(),
        name: object.name.as_str().into(),
        timeout: report.keep(route::endpoint_timeout(spec)),
        cors: cors::compile(spec.cors.as_ref(), &spec.token.header, report),
        max_request_body: report.keep(route::max_request_body(spec)),
        require: require::compile(&"spec.require", spec.require.as_ref(), report),
        spec,
        services: &references.services,
        auth,
        credentials,
        claim_headers,
        target: OnceCell::new(),
    }
}

/// Every rule refuses where it stands, as far as that can be made out.
fn refused(object: &EndpointObject, hosts: Hosts, refusal: Refusal, problems: Vec<Problem>) -> Resource {
    let rules = salvage::rules(&object.spec).into_iter().enumerate();
    let named = |rule: &Value, index| route::rule_name(rule.get("name").and_then(Value::as_str), index);
    let rules = rules.map(|(index, rule)| refused_rule(object, named(rule, index), salvage::place(rule), refusal)).collect();
    refused_at(hosts.wishes, rules, problems.into_iter().chain(hosts.problems))
}

/// Nothing of the object is looked at.
fn refused_everywhere(object: &EndpointObject, wishes: Vec<Wish>, problem: Problem) -> Resource {
    let rule = refused_rule(object, route::rule_name(None, 0), salvage::everywhere(), Refusal::InvalidSpec);
    refused_at(wishes, vec![rule], std::iter::once(problem))
}

fn refused_rule(object: &EndpointObject, rule: Arc<str>, place: Place, refusal: Refusal) -> Rule {
    let id = RuleId { namespace: object.namespace.as_str().into(), name: object.name.as_str().into(), rule };
    Rule { id, place, plan: Plan::Refuse(refusal), cors: None, needs_keys: false }
}

fn refused_at(wishes: Vec<Wish>, rules: Vec<Rule>, problems: impl Iterator<Item = Problem>) -> Resource {
    let mut report = Report::default();
    problems.for_each(|problem| report.invalid(problem));
    report.unresolved(Problem::invalid(&"spec", "Services are looked up once the spec can be read"));
    report.note("until that is corrected, every rule of this resource answers 503".to_owned());
    Resource { wishes, rules, keys: None, encryption: None, report }
}

/// More hosts or rules than any schema allowed: the cost of their product is not paid.
fn oversized(hosts: usize, rules: usize) -> Option<Problem> {
    let problem = |field: &str, max, len| Problem::invalid(&field, format_args!("must have at most {max} entries, not {len}"));
    match (hosts > MAX_HOSTS, rules > MAX_RULES) {
        (true, _) => Some(problem("spec.hosts", MAX_HOSTS, hosts)),
        (false, true) => Some(problem("spec.rules", MAX_RULES, rules)),
        (false, false) => None,
    }
}
