//! From `spec.auth0` to what a token must satisfy and where its keys come from.

use super::{
    field,
    issuer::{self, is_https_url},
    keys,
    report::{Problem, Report},
    secrets::SecretsOf,
};
use crate::{
    api::{self, Auth0},
    jwt::{Algorithm, AudienceMatch, Checks, KeySet, Provider, ProviderId},
    trust,
};
use std::{fmt::Display, ops::RangeInclusive, sync::Arc, time::Duration};

/// A sound auth block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Auth {
    pub(super) keys: AuthKeys,
    pub(super) checks: Arc<Checks>,
}

/// Where its keys come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AuthKeys {
    Published {
        provider: Provider,
        max_staleness: Duration,
    },
    /// `None`: the Secret cannot be used, and the report says why.
    Secret(Option<Arc<KeySet>>),
}

// === impl AuthKeys ===

impl AuthKeys {
    /// How long the last good keys serve; zero where nothing is fetched.
    pub(super) fn max_staleness(&self) -> Duration {
        match self {
            Self::Published { max_staleness, .. } => *max_staleness,
            Self::Secret(_) => Duration::ZERO,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(168 * 3600);
const REFRESH: (Duration, RangeInclusive<Duration>) = (Duration::from_secs(900), MINUTE..=DAY);
const STALENESS: (Duration, RangeInclusive<Duration>) = (DAY, MINUTE..=WEEK);
const LEEWAY: (Duration, RangeInclusive<Duration>) = (Duration::from_secs(5), Duration::ZERO..=MINUTE);
const LIFETIME: RangeInclusive<Duration> = MINUTE..=Duration::from_secs(8760 * 3600);
const MAX_CA_BUNDLE: usize = 32 * 1024;

/// `None` when any part of the block is wrong: all of that is then in `report`.
pub(super) fn compile(auth: &Auth0, secrets: SecretsOf<'_>, report: &mut Report) -> Option<Auth> {
    let domain = report.keep(domain(auth));
    let issuer = report.keep(url(&"spec.auth0.issuer", auth.issuer.as_deref()));
    let jwks_url = report.keep(url(&"spec.auth0.jwksUrl", auth.jwks_url.as_deref()));
    let audience = report.keep(audience(&auth.audience));
    let ca_bundle = report.keep(ca_bundle(&"spec.auth0.caBundle", auth.ca_bundle.as_deref()));
    let refresh = report.keep(duration("jwksCacheDuration", auth.jwks_cache_duration.as_ref(), REFRESH));
    let max_staleness = report.keep(duration("jwksMaxStaleness", auth.jwks_max_staleness.as_ref(), STALENESS));
    let asked_rightly = report.keep(keys::check(auth));
    let leeway = report.keep(duration("leeway", auth.leeway.as_ref(), LEEWAY));
    let organizations = report.keep(field::texts(&"spec.auth0.organizations", &auth.organizations, 32, 256));
    let max_token_lifetime = report.keep(lifetime(auth.max_token_lifetime.as_ref()));
    let (issuer, jwks_url) = report.keep(source(auth.alg, domain?.as_deref(), issuer?, jwks_url?))?;
    let checks = Checks {
        algorithm: algorithm(auth.alg),
        issuer,
        audience: audience?,
        audience_match: match auth.audience_match {
            api::AudienceMatch::All => AudienceMatch::All,
            api::AudienceMatch::Any => AudienceMatch::Any,
        },
        leeway: leeway?,
        organizations: organizations.map(|()| auth.organizations.clone())?,
        require_at_jwt: auth.require_at_jwt,
        max_token_lifetime: max_token_lifetime?,
    };
    let id = ProviderId { jwks_url: jwks_url.into(), ca_bundle: ca_bundle? };
    let published = AuthKeys::Published { provider: Provider { id, refresh: refresh? }, max_staleness: max_staleness? };
    asked_rightly?;
    let keys = if checks.algorithm.is_symmetric() { AuthKeys::Secret(keys::secret(auth, secrets, report)) } else { published };
    Some(Auth { keys, checks: Arc::new(checks) })
}

fn domain(auth: &Auth0) -> Result<Option<String>, Problem> {
    let Some(text) = auth.domain.as_deref() else { return Ok(None) };
    let want = "must be the tenant's public DNS name, such as TENANT.eu.auth0.com";
    let wrong = || Problem::invalid(&"spec.auth0.domain", format_args!("{want}, not {}", field::quote(text)));
    issuer::domain(text).map(Some).ok_or_else(wrong)
}

fn url<'a>(field: &dyn Display, text: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    match text {
        Some(text) if !is_https_url(text) => {
            let want = "must be an https URL without user and fragment, such as https://login.example.com/";
            Err(Problem::invalid(field, format_args!("{want}, not {}", field::quote(text))))
        }
        sound => Ok(sound),
    }
}

/// The issuer, and the URL of its keys; "" for an algorithm whose key is nobody's to publish.
fn source(alg: api::Alg, domain: Option<&str>, issuer: Option<&str>, jwks_url: Option<&str>) -> Result<(String, String), Problem> {
    let from_domain = |path| domain.map(|domain| format!("https://{domain}/{path}"));
    let issuer = issuer.map(str::to_owned).or_else(|| from_domain(""));
    let jwks_url = match alg {
        api::Alg::HS256 => Some(String::new()),
        _ => jwks_url.map(str::to_owned).or_else(|| from_domain(".well-known/jwks.json")),
    };
    let missing = "is required, such as TENANT.eu.auth0.com; or, for an issuer other than Auth0, both issuer and jwksUrl";
    issuer.zip(jwks_url).ok_or_else(|| Problem::invalid(&"spec.auth0.domain", missing))
}

fn audience(list: &[String]) -> Result<Vec<String>, Problem> {
    match list.is_empty() {
        true => Err(Problem::invalid(&"spec.auth0.audience", "must name at least one audience, such as https://api.example.com")),
        false => field::texts(&"spec.auth0.audience", list, 16, 512).map(|()| list.to_vec()),
    }
}

fn duration(
    name: &str,
    value: Option<&api::Duration>,
    (default, bounds): (Duration, RangeInclusive<Duration>),
) -> Result<Duration, Problem> {
    field::duration(&format_args!("spec.auth0.{name}"), value, default, bounds)
}

fn lifetime(value: Option<&api::Duration>) -> Result<Option<Duration>, Problem> {
    let read = |value| field::duration(&"spec.auth0.maxTokenLifetime", Some(value), MINUTE, LIFETIME);
    value.map(read).transpose()
}

/// Each certificate must be one that can be trusted: a bundle with another would fail every connection.
pub(super) fn ca_bundle(field: &dyn Display, pem: Option<&str>) -> Result<Option<Arc<str>>, Problem> {
    let Some(pem) = pem else { return Ok(None) };
    let wrong = |what: &str| Problem::invalid(field, what);
    if pem.len() > MAX_CA_BUNDLE {
        return Err(wrong("must be at most 32 KiB"));
    }
    let want = "must hold PEM certificates (-----BEGIN CERTIFICATE-----) of authorities, each of which can be read";
    trust::bundle(pem).map(|_| Some(pem.into())).map_err(|error| wrong(&format!("{want}: {error}")))
}

fn algorithm(alg: api::Alg) -> Algorithm {
    match alg {
        api::Alg::RS256 => Algorithm::RS256,
        api::Alg::RS384 => Algorithm::RS384,
        api::Alg::RS512 => Algorithm::RS512,
        api::Alg::PS256 => Algorithm::PS256,
        api::Alg::PS384 => Algorithm::PS384,
        api::Alg::PS512 => Algorithm::PS512,
        api::Alg::ES256 => Algorithm::ES256,
        api::Alg::ES384 => Algorithm::ES384,
        api::Alg::HS256 => Algorithm::HS256,
        api::Alg::EdDSA => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Secrets;

    fn pem(is_authority: bool) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["ca.example".to_owned()]).unwrap();
        if is_authority {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn block(ca_bundle: &str) -> Auth0 {
        serde_json::from_value(serde_json::json!({"domain": "T.auth0.com", "audience": ["a"], "caBundle": ca_bundle})).unwrap()
    }

    #[test]
    fn a_private_authority_is_part_of_the_key_source() {
        let bundle = format!("# comment\n{}{}", pem(true), pem(true));
        let mut report = Report::default();
        let auth = compile(&block(&bundle), Secrets::default().of("shop"), &mut report).unwrap();
        let AuthKeys::Published { provider, .. } = auth.keys else { panic!("keys that are published") };
        assert_eq!(provider.id.ca_bundle.as_deref(), Some(bundle.as_str()));
        assert_eq!(&*provider.id.jwks_url, "https://t.auth0.com/.well-known/jwks.json");
        assert_eq!(report, Report::default());
    }

    #[test]
    fn a_bundle_that_trusts_nobody_is_refused() {
        let wrap = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let large = format!("{}{}", pem(true), "#".repeat(MAX_CA_BUNDLE));
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for bundle in ["", "no PEM", &key, &wrap("AAAA"), &wrap("*"), &wrap(""), "-----BEGIN CERTIFICATE-----", &large] {
            let mut report = Report::default();
            assert_eq!(compile(&block(bundle), Secrets::default().of("shop"), &mut report), None, "{bundle}");
            assert!(report.accepted("").message.starts_with("spec.auth0.caBundle: must "), "{report:?}");
        }
    }

    #[test]
    fn every_algorithm_is_the_one_of_its_name() {
        for name in Algorithm::ALL.into_iter().map(Algorithm::as_str) {
            let alg = serde_json::from_value(serde_json::json!(name)).unwrap();
            assert_eq!(Some(algorithm(alg)), Algorithm::from_name(name));
        }
    }
}
