//! What a rule says, compiled: nothing here is left to parse, look up or default.

use crate::{
    authz::{Public, Requirement},
    jwt::{Checks, ClaimName, KeySet, ProviderId},
};
use http::{HeaderName, Method};
use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc, time::Duration};

use super::{Cors, backend::BackendId, transport::Transport};

/// One rule of one ProtectedEndpoint under one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub id: RuleId,
    /// The methods it names; empty: every method.
    pub methods: Vec<Method>,
    /// Removed from every client request in every spelling: the claim headers of the whole namespace.
    pub managed: Arc<ManagedHeaders>,
    /// What browsers are told, also where the rule refuses.
    pub cors: Option<Arc<Cors>>,
    pub plan: Plan,
}

/// Names a rule in logs, metrics and messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    /// `rules[].name`, else `rules[N]`.
    pub rule: Arc<str>,
}

/// Serve, or refuse in place. A broken rule keeps its place so that its requests never fall to a wider one.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    Refuse(Refusal),
    Serve(Box<Serve>),
}

/// Why a rule answers 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The auth block cannot be compiled.
    InvalidAuth,
    /// A Service or port that does not exist or may not be used.
    InvalidBackend,
    /// The stored object cannot be read or contradicts itself.
    InvalidSpec,
    /// A Secret that the rule needs is not there, may not be read, or does not hold what it should.
    InvalidSecret,
    /// Its namespace has as many issuers as it may.
    TooManyIssuers,
    /// The stored object has a field or enum value that this version does not know.
    UnsupportedField,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    pub access: Access,
    pub credentials: Credentials,
    pub upstream: Upstream,
    /// `%2F` and `%5C` in a request's path are passed on as they are; otherwise such a request is refused.
    pub keep_escaped_slashes: bool,
    /// Bytes of a request's body; `None`: any number.
    pub max_request_body: Option<u64>,
}

/// Who may pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    Public(Public),
    Token(Box<TokenPolicy>),
}

/// Which token passes, and what of it the backend is told.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenPolicy {
    pub keys: KeySource,
    pub checks: Arc<Checks>,
    pub requirement: Requirement,
    pub claim_headers: Vec<ClaimHeader>,
}

/// What verifies a token.
#[derive(Clone, Debug, PartialEq)]
pub enum KeySource {
    /// The keys that an issuer publishes, as they are at the time of the request.
    Published {
        provider: ProviderId,
        /// How long the last good keys serve while refreshes fail.
        max_staleness: Duration,
    },
    /// The key of HS256. It is a part of the table: a new value of its Secret makes a new table.
    Secret(Arc<KeySet>),
}

/// One claim passed on as a header.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimHeader {
    pub header: HeaderName,
    pub claim: ClaimName,
    /// Arrays become one line an element instead of one line joined by commas.
    pub repeat: bool,
}

/// Where the token is looked for, and whether the backend sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    pub header: HeaderName,
    pub cookie: Option<Arc<str>>,
    /// Never forwarded.
    pub query: Option<Arc<str>>,
    /// Remove the verified token (and, on Public rules, every configured place) before forwarding.
    pub strip: bool,
    /// The verified token is passed on here, bare.
    pub forward_as: Option<HeaderName>,
    /// The client's Authorization is passed on although the token comes in another header.
    pub keep_authorization: bool,
    /// An answer still under way when its token expires is cut off.
    pub end_with_token: bool,
    pub cross_origin: CrossOrigin,
}

/// What happens to a token from a cookie on a request that another site may have caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossOrigin {
    Allow,
    Refuse,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    pub backend: BackendId,
    pub transport: Transport,
    /// From authorisation to the final response head.
    pub timeout: Duration,
    pub rewrite: Option<Rewrite>,
}

/// Whole path, or path elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    Exact,
    Prefix,
}

/// How the path changes on its way to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The whole path becomes this.
    Replace(Arc<str>),
    /// The first `matched` bytes (the rule's prefix, without trailing slash) become `with`.
    ReplacePrefix { matched: usize, with: Arc<str> },
}

/// Header names that only the gateway may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedHeaders {
    folded: BTreeSet<Box<str>>,
}

// === impl RuleId ===

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.name, self.rule)
    }
}

// === impl Refusal ===

impl Refusal {
    /// A bounded label for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidAuth => "invalid_auth",
            Self::InvalidBackend => "invalid_backend",
            Self::InvalidSecret => "invalid_secret",
            Self::InvalidSpec => "invalid_spec",
            Self::TooManyIssuers => "too_many_issuers",
            Self::UnsupportedField => "unsupported_field",
        }
    }
}

// === impl Plan ===

impl Plan {
    /// # Errors
    /// Why the rule refuses in place.
    pub fn sound(&self) -> Result<&Serve, Refusal> {
        match self {
            Self::Refuse(refusal) => Err(*refusal),
            Self::Serve(serve) => Ok(serve),
        }
    }
}

// === impl KeySource ===

impl KeySource {
    /// Who publishes the keys, if anybody does.
    pub fn provider(&self) -> Option<&ProviderId> {
        match self {
            Self::Published { provider, .. } => Some(provider),
            Self::Secret(_) => None,
        }
    }
}

/// Where the keys come from, without the keys.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { provider, .. } => provider.fmt(f),
            Self::Secret(_) => f.write_str("Secret"),
        }
    }
}

// === impl ManagedHeaders ===

impl ManagedHeaders {
    /// Whether a client's header of this name must go: equal when [`folded`] (J105, J106).
    pub fn contains(&self, name: &HeaderName) -> bool {
        !self.folded.is_empty() && self.folded.contains(&*folded(name))
    }

    pub fn is_empty(&self) -> bool {
        self.folded.is_empty()
    }
}

impl FromIterator<HeaderName> for ManagedHeaders {
    fn from_iter<I: IntoIterator<Item = HeaderName>>(names: I) -> Self {
        Self { folded: names.into_iter().map(|name| folded(&name).into()).collect() }
    }
}

/// The name as a backend may read it that keeps headers in variables, as CGI does (RFC 3875 §4.1.18): whatever is neither a letter
/// nor a digit is one character to it.
pub fn folded(name: &HeaderName) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    match name.as_str().bytes().all(plain) {
        true => Cow::Borrowed(name.as_str()),
        false => Cow::Owned(name.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
    }
}

// === impl Rewrite ===

impl Rewrite {
    /// The path to forward for a canonical request path that this rule matched.
    pub fn apply(&self, path: &str) -> String {
        match self {
            Self::Replace(with) => with.to_string(),
            Self::ReplacePrefix { matched, with } => {
                let rest = path.get(*matched..).unwrap_or_default();
                match (with.trim_end_matches('/'), rest) {
                    ("", "") => "/".to_owned(),
                    ("", rest) => rest.to_owned(),
                    (with, rest) => format!("{with}{rest}"),
                }
            }
        }
    }
}
