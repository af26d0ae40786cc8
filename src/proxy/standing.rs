//! Whether an answer under way may go on: as long as the same request would be let in now (J100). A token that has expired is not looked
//! at here, because a rule may let streams outlive it; a key, a rule or a resource that is gone is.

use super::{Gateway, Rejection, handle::find, target::Target};
use crate::{
    jwks::Keys,
    jwt::KeySet,
    routing::{Access, KeySource, TokenPolicy},
};
use http::{HeaderValue, Method, Request, Uri, header::HOST, request::Parts};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What was asked for, and with which token. Cheap to make: every request has one.
pub(super) struct Standing {
    gateway: Arc<Gateway>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    verified: Option<Verified>,
}

/// On a Token rule.
struct Verified {
    token: String,
    /// When that was, since the Unix epoch: the token's times are judged as they were then.
    at: Duration,
}

/// Without the token, which the query may hold as well.
impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("method", &self.method).field("host", &self.host).finish_non_exhaustive()
    }
}

// === impl Standing ===

impl Standing {
    /// Of a request as it came.
    pub(super) fn new(gateway: &Arc<Gateway>, parts: &Parts) -> Self {
        let host = parts.headers.get(HOST).cloned();
        Self { gateway: Arc::clone(gateway), method: parts.method.clone(), uri: parts.uri.clone(), host, verified: None }
    }

    /// With a token that was good at this time.
    pub(super) fn verified(&mut self, token: String, at: Duration) {
        self.verified = Some(Verified { token, at });
    }

    /// Between two looks; most answers are over before the first.
    pub(super) fn pause(&self) -> Duration {
        self.gateway.settings.timeouts.standing
    }

    /// # Errors
    /// What a new request would be refused with.
    pub(super) fn holds(&self) -> Result<(), Rejection> {
        let asked = self.asked();
        let target = Target::read(&asked)?;
        let route = find(&self.gateway, &self.method, &target)?.ok_or(Rejection::NoRoute)?;
        let serve = route.plan.sound().map_err(Rejection::Refused)?;
        match (&serve.access, &self.verified) {
            (Access::Public(_), _) => Ok(()),
            (Access::Token(_), None) => Err(Rejection::MissingToken),
            (Access::Token(policy), Some(verified)) => self.verify(&route.id.namespace, policy, verified),
        }
    }

    fn asked(&self) -> Parts {
        let mut asked = Request::new(()).into_parts().0;
        (asked.method, asked.uri) = (self.method.clone(), self.uri.clone());
        asked.headers.extend(self.host.clone().map(|host| (HOST, host)));
        asked
    }

    fn verify(&self, namespace: &str, policy: &TokenPolicy, verified: &Verified) -> Result<(), Rejection> {
        let keys = self.keys(&policy.keys)?;
        let claims = self.gateway.tokens.verify(namespace, &verified.token, &policy.checks, &keys, verified.at);
        let claims = claims.map_err(Rejection::InvalidToken)?;
        policy.requirement.check(&claims).map(|_| ()).map_err(Rejection::Denied)
    }

    /// Nothing is fetched: the key was known.
    fn keys(&self, source: &KeySource) -> Result<Arc<KeySet>, Rejection> {
        let (provider, max_staleness) = match source {
            KeySource::Published { provider, max_staleness } => (provider, *max_staleness),
            KeySource::Secret(key) => return Ok(Arc::clone(key)),
        };
        let provider = self.gateway.live.keys.find(provider).ok_or(Rejection::KeysUnavailable)?;
        match provider.at(Instant::now(), max_staleness) {
            Keys::Known(keys) => Ok(keys),
            Keys::Unavailable => Err(Rejection::KeysUnavailable),
        }
    }
}
