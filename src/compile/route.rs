//! From one rule to its place in the table and what happens there.

use super::{
    auth::{Auth, AuthKeys},
    backend::{Services, Target},
    field, headers,
    report::{Problem, Report},
    require,
    salvage::{self, Place},
    verdict::Reason,
};
use crate::{
    api::{self, EscapedSlashes, PathType, ProtectedEndpointSpec, Quantity},
    authz::{Line, Public, Requirement},
    routing::{
        Access, CanonicalPath, ClaimHeader, Cors, Credentials, KeySource, PathKind, Plan, Refusal, Rewrite, RuleId, Serve, Spot,
        TokenPolicy, Upstream,
    },
};
use http::Method;
use serde_json::Value;
use std::{
    cell::OnceCell,
    fmt::{self, Display},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

/// One rule, compiled; under which hosts it stands is decided later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    pub(super) place: Place,
    pub(super) plan: Plan,
    pub(super) cors: Option<Arc<Cors>>,
    /// Asks for a token, with an auth block that is sound.
    pub(super) needs_keys: bool,
}

/// What the rules of one object share. A part that is not sound is `None`, and is in the report already.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) spec: &'a ProtectedEndpointSpec,
    pub(super) services: &'a Services<'a>,
    pub(super) auth: Option<Auth>,
    pub(super) credentials: Option<Credentials>,
    pub(super) timeout: Option<Duration>,
    pub(super) max_request_body: Option<Option<u64>>,
    pub(super) cors: Option<Option<Arc<Cors>>>,
    pub(super) require: Option<Vec<Line>>,
    pub(super) claim_headers: Option<Vec<ClaimHeader>>,
    /// The spec's backend, once a rule has asked for it.
    pub(super) target: OnceCell<Result<Target, Problem>>,
}

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

impl Rule {
    /// Where its tokens are looked for and how they are checked; `None` when it reads none, or refuses anyway.
    pub(super) fn tokens(&self) -> Option<(&Credentials, &TokenPolicy)> {
        match &self.plan {
            Plan::Serve(serve) => match &serve.access {
                Access::Token(policy) => Some((&serve.credentials, policy)),
                Access::Public(_) => None,
            },
            Plan::Refuse(_) => None,
        }
    }
}

/// Compiles the rule at `index`; `raw` is the same rule as it is stored.
pub(super) fn compile(shared: &Shared<'_>, index: usize, rule: &api::Rule, raw: &Value, report: &mut Report) -> Rule {
    let compiler = RuleCompiler { shared, index, rule };
    let place = compiler.place(report);
    let plan = compiler.plan(place.is_some(), report);
    Rule {
        id: RuleId { namespace: Arc::clone(&shared.namespace), name: Arc::clone(&shared.name), rule: compiler.name(index, report) },
        place: place.unwrap_or_else(|| salvage::place(raw)),
        plan: plan.map_or_else(Plan::Refuse, |serve| Plan::Serve(Box::new(serve))),
        cors: shared.cors.clone().flatten(),
        needs_keys: shared.auth.is_some() && rule.access == api::Access::Token,
    }
}

pub(super) fn timeout(field: &dyn Display, value: Option<&api::Duration>, default: Duration) -> Result<Duration, Problem> {
    field::duration(field, value, default, TIMEOUT)
}

pub(super) fn endpoint_timeout(spec: &ProtectedEndpointSpec) -> Result<Duration, Problem> {
    timeout(&"spec.timeout", spec.timeout.as_ref(), DEFAULT_TIMEOUT)
}

pub(super) fn max_request_body(spec: &ProtectedEndpointSpec) -> Result<Option<u64>, Problem> {
    let bytes = spec.max_request_body.as_ref().map(Quantity::bytes).transpose();
    bytes.map_err(|error| Problem::invalid(&"spec.maxRequestBody", error))
}

/// `rules[].name`, when it is a name; else the rule's place in the list.
pub(super) fn rule_name(name: Option<&str>, index: usize) -> Arc<str> {
    name.filter(|name| field::is_label(name)).map_or_else(|| format!("rules[{index}]").into(), Arc::from)
}

struct RuleCompiler<'a> {
    shared: &'a Shared<'a>,
    index: usize,
    rule: &'a api::Rule,
}

/// Names a field of a rule; written out only when something is wrong with it.
#[derive(Clone, Copy, Debug)]
struct Field {
    index: usize,
    name: &'static str,
}

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.rules[{}].{}", self.index, self.name)
    }
}

// === impl RuleCompiler ===

impl RuleCompiler<'_> {
    /// The field `name` of this rule, for messages.
    fn at(&self, name: &'static str) -> Field {
        Field { index: self.index, name }
    }

    /// Of two rules with one name the second is known by its index.
    fn name(&self, index: usize, report: &mut Report) -> Arc<str> {
        let Some(name) = self.rule.name.as_deref() else { return rule_name(None, index) };
        let earlier = self.shared.spec.rules.iter().take(index).any(|rule| rule.name.as_deref() == Some(name));
        if earlier || !field::is_label(name) {
            let what = if earlier {
                "names another rule already; each name once"
            } else {
                "must be a DNS label: lower-case letters, digits and -"
            };
            report.invalid(Problem::invalid(&self.at("name"), format_args!("{} {what}", field::quote(name))));
        }
        rule_name(Some(name).filter(|_| !earlier), index)
    }

    fn place(&self, report: &mut Report) -> Option<Place> {
        let path = report.keep(field::path(&self.at("path"), &self.rule.path));
        let methods = report.keep(self.methods());
        Some(Place { spot: Spot::new(self.kind(), &path?), methods: methods?, guess: None })
    }

    fn kind(&self) -> PathKind {
        match self.rule.path_type {
            PathType::Exact => PathKind::Exact,
            PathType::Prefix => PathKind::Prefix,
        }
    }

    fn methods(&self) -> Result<Vec<Method>, Problem> {
        let names = &self.rule.methods;
        let methods: Vec<_> = names.iter().filter_map(|name| salvage::method(name)).collect();
        match methods.len() == names.len() && names.len() <= salvage::MAX_METHODS {
            true => Ok(methods),
            false => Err(Problem::invalid(
                &self.at("methods"),
                "must be 1 to 16 methods in capitals, such as GET or POST; CONNECT and TRACE are never served",
            )),
        }
    }

    /// Every part is looked at, so that the report is whole; then the worst decides.
    fn plan(&self, placed: bool, report: &mut Report) -> Result<Serve, Refusal> {
        let timeout = self.timeout(report);
        let rewrite = report.keep(self.rewrite());
        let access = self.access(report);
        let backend = self.backend(report);
        let shared = self.shared.credentials.as_ref().zip(self.shared.claim_headers.as_ref());
        let (credentials, _) = shared.filter(|_| placed).ok_or(Refusal::InvalidSpec)?;
        let (timeout, rewrite) = timeout.zip(rewrite).ok_or(Refusal::InvalidSpec)?;
        let (max_request_body, _) = self.shared.max_request_body.zip(self.shared.cors.as_ref()).ok_or(Refusal::InvalidSpec)?;
        let keep_escaped_slashes = self.rule.escaped_slashes == EscapedSlashes::Keep;
        let (access, Target { backend, transport }) = (access?, backend?);
        let upstream = Upstream { backend, transport, timeout, rewrite };
        Ok(Serve { access, credentials: credentials.clone(), upstream, keep_escaped_slashes, max_request_body })
    }

    /// An endpoint's broken timeout breaks every rule, also those with one of their own.
    fn timeout(&self, report: &mut Report) -> Option<Duration> {
        self.shared.timeout.and_then(|default| report.keep(timeout(&self.at("timeout"), self.rule.timeout.as_ref(), default)))
    }

    fn rewrite(&self) -> Result<Option<Rewrite>, Problem> {
        let Some(text) = self.rule.rewrite.as_deref() else { return Ok(None) };
        let with: Arc<str> = field::path(&self.at("rewrite"), text)?.as_str().into();
        let matched = || field::readable_path(&self.rule.path).map_or(0, |path| matched_length(&path));
        Ok(Some(match self.kind() {
            PathKind::Exact => Rewrite::Replace(with),
            PathKind::Prefix => Rewrite::ReplacePrefix { matched: matched(), with },
        }))
    }

    fn access(&self, report: &mut Report) -> Result<Access, Refusal> {
        let lines = require::compile(&self.at("require"), self.rule.require.as_ref(), report);
        let headers = headers::compile(&self.at("claimHeaders"), &self.rule.claim_headers, self.shared.credentials.as_ref(), report);
        let headers = headers.ok_or(Refusal::InvalidSpec);
        match self.rule.access {
            api::Access::Public => self.public(report).and_then(|public| headers.map(|_| public)),
            api::Access::Token => self.token(lines, &headers?),
        }
    }

    fn public(&self, report: &mut Report) -> Result<Access, Refusal> {
        if self.rule.require.is_some() {
            let what = "does not go with access Public: no token is read there; use access Token, or leave require out";
            report.invalid(Problem::invalid(&self.at("require"), what));
            return Err(Refusal::InvalidSpec);
        }
        Ok(Access::Public(Public::declared()))
    }

    fn token(&self, lines: Option<Vec<Line>>, headers: &[ClaimHeader]) -> Result<Access, Refusal> {
        let auth = self.shared.auth.as_ref().ok_or(Refusal::InvalidAuth)?;
        let (common, own) = self.shared.require.as_ref().zip(lines).ok_or(Refusal::InvalidAuth)?;
        let common_headers = self.shared.claim_headers.as_deref().ok_or(Refusal::InvalidSpec)?;
        Ok(Access::Token(Box::new(TokenPolicy {
            keys: key_source(&auth.keys)?,
            checks: Arc::clone(&auth.checks),
            requirement: Requirement { lines: common.iter().cloned().chain(own).collect() },
            claim_headers: headers::merge(common_headers, headers),
        })))
    }

    /// The endpoint's is looked up once for all rules that have none of their own.
    fn backend(&self, report: &mut Report) -> Result<Target, Refusal> {
        let resolve = |field: &dyn Display, backend| self.shared.services.resolve(&self.shared.namespace, field, backend);
        let target = match (&self.rule.backend, &self.shared.spec.backend) {
            (Some(own), _) => resolve(&self.at("backend"), own),
            (None, Some(common)) => self.shared.target.get_or_init(|| resolve(&"spec.backend", common)).clone(),
            (None, None) => Err(Problem::invalid(&self.at("backend"), "is required here or in spec.backend")),
        };
        target.map_err(|problem| match problem.reason {
            Reason::Invalid => {
                report.invalid(problem);
                Refusal::InvalidSpec
            }
            _ => {
                report.unresolved(problem);
                Refusal::InvalidBackend
            }
        })
    }
}

fn key_source(keys: &AuthKeys) -> Result<KeySource, Refusal> {
    match keys {
        AuthKeys::Published { provider, max_staleness } => {
            Ok(KeySource::Published { provider: provider.id.clone(), max_staleness: *max_staleness })
        }
        AuthKeys::Secret(key) => key.clone().map(KeySource::Secret).ok_or(Refusal::InvalidSecret),
    }
}

/// Bytes of a Prefix that a rewrite replaces: without its trailing slash.
fn matched_length(path: &CanonicalPath<'_>) -> usize {
    path.as_str().trim_end_matches('/').len()
}
