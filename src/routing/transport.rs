//! How a backend is spoken to.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The protocol of a backend and, over TLS, whom it must prove to be. Connections are shared only where this is equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP/1.1 in the clear.
    #[default]
    Http,
    /// HTTP/2 in the clear, by prior knowledge (RFC 9113 §3.3).
    H2c,
    /// HTTP/2 or HTTP/1.1 over TLS, as the backend chooses (ALPN, RFC 7301).
    Https(Arc<Tls>),
}

/// What a backend must prove. It is verified always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The DNS name that its certificate must be for, and that it is asked for (SNI).
    pub server_name: Arc<str>,
    /// PEM of the authorities that may have signed its certificate; `None`: the system's roots.
    pub ca_bundle: Option<Arc<str>>,
}

// === impl Transport ===

impl Transport {
    /// As the field `scheme` spells it.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https(_) => "https",
        }
    }
}

// === impl Tls ===

/// The name tells most apart: a bundle of 32 KiB is not hashed for every request.
impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.server_name.hash(state);
    }
}
