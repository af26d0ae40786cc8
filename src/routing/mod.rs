//! THE SNAPSHOT. Pure data that answers one question: which route serves this host, path and method?
//!
//! Three final decisions, in this order and never taken back: host, path, method. A host with any rule never falls to a wider
//! one; a path that is found never falls to a shorter one because its methods differ.

mod backend;
mod certificate;
mod cors;
mod encryption;
mod host;
mod path;
mod route;
mod spot;
mod table;
mod transport;

pub use self::{
    backend::{BackendId, EndpointSet},
    certificate::{Certificate, CertificateError},
    cors::{Cors, Origins},
    encryption::{Encryption, HostCertificate},
    host::{Host, HostError, HostPattern},
    path::{CanonicalPath, PathError},
    route::{
        Access, ClaimHeader, Credentials, CrossOrigin, KeySource, ManagedHeaders, PathKind, Plan, Refusal, Rewrite, Route, RuleId, Serve,
        TokenPolicy, Upstream, folded,
    },
    spot::Spot,
    table::{Found, HostTable, Line, Lost, Snapshot, SnapshotBuilder, Standing},
    transport::{Tls, Transport},
};
