//! KEY REFRESH. One fetch per distinct key source, ahead of need, never in the way of a request whose key is known.
//!
//! ```text
//! compile -> providers -> Refresher::assign -> one task each -> Fetch -> KeySet::from_jwks -> ProviderKeys, in the KeyRing
//! request -> KeyRing::find -> ProviderKeys::at -> keys, or "never fetched", or "too old"
//! request with an unknown kid -> ProviderKeys::refresh_for_unknown_key -> at most one fetch per 30 s for all of them
//! ```
//!
//! The control plane owns the [`Refresher`] and its tasks; the data plane only reads the [`KeyRing`]. Keys live so:
//!
//! ```text
//! NeverFetched -> Fresh <-> Stale (serves on, until `max_staleness`)
//!      `-> FetchFailed -> Fresh
//! ```

mod address;
mod connect;
mod egress;
mod error;
mod exchange;
mod fetch;
mod guard;
mod operator;
mod provider;
mod refresh;
mod resolve;
mod ring;
mod schedule;

pub use self::{
    connect::{Connector, TlsStream},
    egress::{EgressProxy, EgressProxyError, NoProxy},
    error::FetchError,
    exchange::exchange,
    fetch::{Document, Fetch, FetchFailure, Fetcher},
    operator::{ConnectTo, ConnectToError, PrivateIssuers, PrivateIssuersError},
    provider::{Freshness, KeyState, Keys, ProviderKeys},
    refresh::Refresher,
    ring::KeyRing,
};

#[cfg(test)]
mod tests;
