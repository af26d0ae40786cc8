//! What is said about an object: a finite vocabulary, and a sentence that names the field and what would be right.

/// Identifies one object in messages and status writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// One condition. `good` becomes its status True or False.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub condition: Condition,
    pub good: bool,
    pub reason: Reason,
    /// Every problem, one sentence each, joined by "; ". At most 1 KiB.
    pub message: String,
}

/// Condition types, as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    Accepted,
    ResolvedRefs,
    KeysReady,
    Programmed,
    Ready,
}

/// Condition reasons: CamelCase words that scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    // Accepted
    Accepted,
    HostNotAllowed,
    HostOwned,
    Invalid,
    Overlapped,
    TooManyIssuers,
    UnsupportedField,
    // ResolvedRefs
    BackendNotFound,
    BackendNotPermitted,
    InvalidSecret,
    PortNotFound,
    RefNotPermitted,
    ResolvedRefs,
    SecretKeyNotFound,
    SecretNotFound,
    UnsupportedProtocol,
    // KeysReady
    AmbiguousKeys,
    FetchFailed,
    Fresh,
    NeverFetched,
    NoKeysNeeded,
    Stale,
    // Programmed, and ResolvedRefs while a Secret is being read
    Pending,
    Programmed,
    // Ready
    Ready,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::AmbiguousKeys => "AmbiguousKeys",
            Self::BackendNotFound => "BackendNotFound",
            Self::BackendNotPermitted => "BackendNotPermitted",
            Self::FetchFailed => "FetchFailed",
            Self::Fresh => "Fresh",
            Self::HostNotAllowed => "HostNotAllowed",
            Self::HostOwned => "HostOwned",
            Self::Invalid => "Invalid",
            Self::InvalidSecret => "InvalidSecret",
            Self::NeverFetched => "NeverFetched",
            Self::NoKeysNeeded => "NoKeysNeeded",
            Self::Overlapped => "Overlapped",
            Self::Pending => "Pending",
            Self::PortNotFound => "PortNotFound",
            Self::Programmed => "Programmed",
            Self::Ready => "Ready",
            Self::RefNotPermitted => "RefNotPermitted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::SecretKeyNotFound => "SecretKeyNotFound",
            Self::SecretNotFound => "SecretNotFound",
            Self::Stale => "Stale",
            Self::TooManyIssuers => "TooManyIssuers",
            Self::UnsupportedField => "UnsupportedField",
            Self::UnsupportedProtocol => "UnsupportedProtocol",
        }
    }
}

impl Condition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::KeysReady => "KeysReady",
            Self::Programmed => "Programmed",
            Self::Ready => "Ready",
            Self::ResolvedRefs => "ResolvedRefs",
        }
    }
}
