//! The key of HS256: whether one is asked for rightly, and what its Secret holds.

use super::{
    report::{Problem, Report},
    secrets::SecretsOf,
};
use crate::{
    api::{Alg, Auth0},
    jwt::KeySet,
};
use std::sync::Arc;

const FIELD: &str = "spec.auth0.secretRef";

/// HS256 takes its key from a Secret and from nowhere else; every other algorithm takes none from there (J04, J39).
pub(super) fn check(auth: &Auth0) -> Result<(), Problem> {
    let fetched = auth.jwks_url.is_some() || auth.jwks_cache_duration.is_some() || auth.jwks_max_staleness.is_some();
    match (auth.alg == Alg::HS256, auth.secret_ref.is_some()) {
        (true, false) => Err(Problem::invalid(&FIELD, "is required with alg HS256: the Secret that holds its key, such as {name: tenant}")),
        (false, true) => Err(Problem::invalid(&FIELD, "is for alg HS256 alone: leave it out, or set alg: HS256")),
        (true, true) if fetched => {
            let what =
                "HS256 takes its key from secretRef and never from a key set: leave out jwksUrl, jwksCacheDuration and jwksMaxStaleness";
            Err(Problem::invalid(&"spec.auth0.alg", what))
        }
        (true, true) | (false, false) => Ok(()),
    }
}

/// `None`: it cannot be had, or is no key. Why is then in `report`.
pub(super) fn secret(auth: &Auth0, secrets: SecretsOf<'_>, report: &mut Report) -> Option<Arc<KeySet>> {
    let reference = auth.secret_ref.as_ref()?;
    let secret = secrets.find(&FIELD, &reference.name, report)?;
    let value = secret.value(&reference.key, report)?;
    let refuse = |error| secret.refuse(&reference.key, &error, report);
    KeySet::from_secret(value.expose()).map_err(refuse).ok().map(Arc::new)
}
