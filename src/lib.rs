//! Portcullis, the Auth0 gate for Kubernetes: one resource becomes a live, token-checked route.
//!
//! ```text
//!  1  objects --watch-->            controller::watch keeps reflector stores   (or source::files reads a directory)
//!  2  stores --debounce-->          Inputs: one owned, consistent view         (quiet 50 ms, at most 500 ms)
//!  3  compile(&Inputs) ->           Compiled { snapshot, providers, verdicts } (pure and total: no error type, clock or I/O)
//!  4  verdicts --lease holder-->    status patches, events                     (each names object, field, reason)
//!  5  snapshot --if different-->    live::Live                                 (old requests keep the old Arc)
//!  6  request -> snapshot.find()    -> Route                                   | none -> 404, other method -> 405
//!  7  route  -> checks.verify(token, keys, now) -> Claims                      | TokenError -> 401
//!  8  claims -> requirement.check(&claims) -> Permit                           | Denied -> 403
//!  9  permit -> forward                                                        | 502 503 504, with whose fault it was
//! 10  outcome -> one access line, one counter; reject.rs alone makes error answers
//! ```
//!
//! Lines 1-3 and 5-10 run in every replica; only line 4 needs the lease, and losing it never changes the table in service.
//! Keys travel their own road: a route names a [`jwt::ProviderId`], [`jwks::KeyRing`] maps it to the current [`jwt::KeySet`].
//! Endpoints travel theirs: a route names a [`routing::BackendId`], [`live::Live`] maps it to the current
//! [`routing::EndpointSet`]. Rotation and endpoint churn need no recompile, and a [`routing::Snapshot`] stays plain,
//! comparable data.

#![forbid(unsafe_code)]

pub mod admin;
pub mod authz;
pub mod clock;
pub mod jwks;
pub mod jwt;
pub mod live;
pub mod proxy;
pub mod routing;
pub mod secret;
pub mod telemetry;
pub mod trust;

#[cfg(feature = "controller")]
pub mod api;
#[cfg(feature = "controller")]
pub mod app;
#[cfg(feature = "controller")]
pub mod args;
#[cfg(feature = "controller")]
pub mod cli;
#[cfg(feature = "controller")]
pub mod compile;
#[cfg(feature = "controller")]
pub mod controller;
#[cfg(feature = "controller")]
pub mod demo;
#[cfg(feature = "controller")]
pub mod publish;
#[cfg(feature = "controller")]
pub mod source;
