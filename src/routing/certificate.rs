//! The certificate of a host and its key: read once, and never shown.

use rustls::{
    Error, InconsistentKeys,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    fmt,
    sync::{Arc, LazyLock},
};

/// A chain that a TLS client can be shown, with the key that proves it. Cheap to clone. Its `Debug` shows the name alone.
#[derive(Clone)]
pub struct Certificate {
    name: Arc<str>,
    key: Arc<CertifiedKey>,
}

/// Why a certificate cannot be used. Says nothing of what is in the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("must hold certificates in PEM: the host's own first, then those of its issuers")]
    Chain,
    #[error("must hold X.509 certificates that can be read, the host's own first")]
    Certificate,
    #[error("must hold one private key in PEM: PKCS #8, PKCS #1 or SEC1, not encrypted")]
    Key,
    #[error("must hold a key of RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) or Ed25519")]
    KeyKind,
    #[error("must be the key of the first certificate in tls.crt")]
    Mismatch,
}

// === impl Certificate ===

impl Certificate {
    /// Reads `chain` and `key` as PEM. `name` says where they come from, in logs and to tell certificates apart.
    ///
    /// # Errors
    /// When a TLS client could not be served with them; which of the two is at fault is in `CertificateError::is_about_key`.
    pub fn from_pem(name: &str, chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let certificates = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.ok().filter(|chain| !chain.is_empty()).ok_or(CertificateError::Chain)?;
        let key_bytes = PrivateKeyDer::from_pem_slice(key).map_err(|_: pem::Error| CertificateError::Key)?;
        let key = CertifiedKey::from_der(certificates, key_bytes, provider()).map_err(|error| refused(&error))?;
        Ok(Self { name: name.into(), key: Arc::new(key) })
    }

    /// Where it comes from. What is read anew from the same place replaces it; it is no other certificate then.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

/// The key belongs to the first certificate, or it would not have been read.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.key.cert == other.key.cert
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.name).finish()
    }
}

// === impl CertificateError ===

impl CertificateError {
    /// It is the key that is wrong; else the chain is.
    pub fn is_about_key(self) -> bool {
        matches!(self, Self::Key | Self::KeyKind | Self::Mismatch)
    }
}

fn provider() -> &'static CryptoProvider {
    static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(aws_lc_rs::default_provider);
    &PROVIDER
}

fn refused(error: &Error) -> CertificateError {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => CertificateError::Mismatch,
        Error::InvalidCertificate(_) => CertificateError::Certificate,
        _ => CertificateError::KeyKind,
    }
}

#[cfg(test)]
mod tests;
