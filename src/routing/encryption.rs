//! What a host asks of its clients' connections: which certificate they meet, and whether clear text is served at all.

use super::Certificate;
use http::HeaderValue;
use std::sync::Arc;

/// Of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Encryption {
    pub certificate: HostCertificate,
    /// Clear text is answered with the same address under https.
    pub redirect: bool,
    /// `Strict-Transport-Security` on every answer over TLS.
    pub hsts: Option<HeaderValue>,
}

/// Where a host's certificate comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HostCertificate {
    /// The installation's default one, if there is one.
    #[default]
    Default,
    Own {
        /// Namespace and name of its Secret.
        secret: Arc<str>,
        /// `None`: there is none that could be served.
        certificate: Option<Certificate>,
        /// While there is none, the one before may be served on: the Secret has become unusable, but nobody has forbidden it.
        keep: bool,
    },
}

// === impl HostCertificate ===

impl HostCertificate {
    /// The one that can be served, when it is not the installation's.
    pub(super) fn own(&self) -> Option<&Certificate> {
        match self {
            Self::Own { certificate, .. } => certificate.as_ref(),
            Self::Default => None,
        }
    }

    /// Takes over what `old` served from the same Secret, when there is nothing better.
    pub(super) fn keep_from(&mut self, old: Option<&Self>) {
        if let Self::Own { secret, certificate: mine @ None, keep: true } = self {
            *mine = old.and_then(Self::own).filter(|old| old.name() == &**secret).cloned();
        }
    }
}
