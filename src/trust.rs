//! Whom TLS believes, as a client: the system's roots, or exactly those of a PEM bundle.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::{Arc, LazyLock};

/// Why a bundle can be used by nobody.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the bundle holds no certificate")]
    Empty,
    #[error("the bundle is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("a certificate of the bundle cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

/// The system's roots, read once; Mozilla's, which are built in, stand in when the system has none.
pub fn system() -> Arc<RootCertStore> {
    static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| Arc::new(read_system()));
    Arc::clone(&SYSTEM)
}

/// # Errors
/// A bundle that holds no certificate, or one that cannot be read, trusts nobody.
pub fn bundle(pem: &str) -> Result<RootCertStore, BundleError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err(BundleError::Empty) } else { Ok(roots) }
}

fn read_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "reading the system's roots");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_trusted_alone_and_without_one_somebody_is() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(bundle(""), Err(BundleError::Empty)));
        assert!(matches!(bundle(pem), Err(BundleError::Certificate(_))));
        assert!(system().len() > 10);
    }

    #[cfg(feature = "controller")]
    #[test]
    fn a_bundle_adds_nothing_to_itself() {
        let pem = crate::demo::Authority::new().unwrap().pem();
        assert_eq!(bundle(&pem).unwrap().len(), 1);
    }
}
