//! TOKENS. Pure: bytes, keys and the time go in; claims or a reason come out. Knows nothing of routes, HTTP or Kubernetes.

mod algorithm;
mod cache;
mod checks;
mod claims;
mod error;
mod examine;
mod json;
mod jwk;
mod keys;
mod provider;
mod token;

pub use self::{
    algorithm::Algorithm,
    cache::{CacheStats, TokenCache},
    checks::{AudienceMatch, Checks},
    claims::{ClaimName, Claims},
    error::TokenError,
    examine::{Check, Examination, Mismatch},
    keys::{KeySet, KeySetError, SecretError, SkippedKey},
    provider::{Provider, ProviderId},
};

#[cfg(test)]
mod tests;
