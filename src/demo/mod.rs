//! DEMO. An Auth0-like tenant and an echo backend: for `portcullis demo`, for tests, and as an issuer inside a cluster.
//! Keys and certificates live in memory and end with the process.

mod authority;
mod echo;
mod grant;
mod http;
mod signing;
mod tenant;

pub use self::{
    authority::Authority,
    echo::{Echo, Seen},
    signing::SigningKey,
    tenant::{Api, Behaviour, Client, DISCOVERY_PATH, JWKS_PATH, TOKEN_PATH, Tenant, TenantError},
};

#[cfg(test)]
mod tests;
