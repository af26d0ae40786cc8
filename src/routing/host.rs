//! Hosts, parsed once: a request's host, and the pattern a resource names.

use std::{fmt, sync::Arc};

/// A request's host in canonical form: lower case, without port and without one trailing dot (P40).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

/// `api.example.com`, `*.example.com` (exactly one label) or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    Exact(Arc<str>),
    /// The part after `*.`.
    Wildcard(Arc<str>),
    Any,
}

/// Why a host cannot be served: 400 (P38, P39).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name: want a DNS name or IP address, with an optional port")]
pub struct HostError(());
