//! Where keys come from: data only; `jwks` does the fetching.

use std::{fmt, sync::Arc, time::Duration};

/// Names one key source: the key-set URL and the CA it is trusted by. Equal ids share one fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId {
    pub jwks_url: Arc<str>,
    /// PEM of the private CA; `None`: the system's roots.
    pub ca_bundle: Option<Arc<str>>,
}

/// One key source and how often to look at it: the shortest interval of all endpoints that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub id: ProviderId,
    pub refresh: Duration,
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.jwks_url)
    }
}
