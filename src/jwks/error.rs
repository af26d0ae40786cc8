//! Why a fetch failed.

/// A bounded code, never text of the other side: it goes into statuses and metric labels (P65).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FetchError {
    /// The name does not resolve.
    #[error("Dns")]
    Dns,
    /// The URL is not https, or its name resolves only to addresses that are not the public Internet's.
    #[error("Forbidden")]
    Forbidden,
    /// The connection was refused, or broke before the answer was whole.
    #[error("Connect")]
    Connect,
    /// The egress proxy cannot be reached, or opens no tunnel.
    #[error("Proxy")]
    Proxy,
    /// The certificate is not valid for the name, not now, or not by the trusted roots; or the handshake broke.
    #[error("Tls")]
    Tls,
    /// Not done within five seconds in all.
    #[error("Timeout")]
    Timeout,
    /// Not 200; redirects are not followed.
    #[error("Status")]
    Status,
    #[error("TooLarge")]
    TooLarge,
    /// The answer is compressed though we asked for it not to be.
    #[error("Encoding")]
    Encoding,
    #[error("NotJwks")]
    NotJwks,
    #[error("NoUsableKey")]
    NoUsableKey,
}

impl FetchError {
    pub const ALL: [Self; 11] = [
        Self::Dns,
        Self::Forbidden,
        Self::Connect,
        Self::Proxy,
        Self::Tls,
        Self::Timeout,
        Self::Status,
        Self::TooLarge,
        Self::Encoding,
        Self::NotJwks,
        Self::NoUsableKey,
    ];
}
