//! KEY REFRESH. One fetch per distinct key source, ahead of need, never in the way of a request whose key is known.
//!
//! ```text
//! compile -> providers -> KeyRing::assign -> one refresh task each -> fetch -> KeySet::from_jwks -> ArcSwap<KeyState>
//! request -> KeyRing::find -> KeyState -> keys, or "never fetched", or "too old"
//! request with an unknown kid -> ProviderKeys::refresh_for_unknown_key -> at most one fetch per 30 s for all of them
//! ```

use crate::jwt::{KeySet, Provider, ProviderId};
use arc_swap::ArcSwap;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Every key source in use. Readers never block.
#[derive(Debug, Default)]
pub struct KeyRing {
    providers: ArcSwap<HashMap<ProviderId, Arc<ProviderKeys>>>,
}

/// One key source: its keys now, and how to ask for newer ones.
#[derive(Debug)]
pub struct ProviderKeys {
    state: ArcSwap<KeyState>,
}

/// What is known of one key source at one moment.
#[derive(Clone, Debug, Default)]
pub struct KeyState {
    /// The last good keys and when they came; `None` until there were some.
    pub good: Option<(Arc<KeySet>, Instant)>,
    /// Why the newest attempt failed: a bounded code, never text of the other side. `None` after a success.
    pub failure: Option<FetchError>,
}

/// Why a fetch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FetchError {
    #[error("Dns")]
    Dns,
    #[error("Connect")]
    Connect,
    #[error("Tls")]
    Tls,
    #[error("Timeout")]
    Timeout,
    #[error("Status")]
    Status,
    #[error("TooLarge")]
    TooLarge,
    #[error("NotJwks")]
    NotJwks,
    #[error("NoUsableKey")]
    NoUsableKey,
}

/// What a request finds for its provider.
#[derive(Clone, Debug)]
pub enum Keys {
    Known(Arc<KeySet>),
    /// Never fetched, or older than the route allows: 503 on that rule alone.
    Unavailable,
}

impl KeyRing {
    /// Makes the ring hold exactly these providers: new ones start fetching, known ones keep their keys, others stop.
    pub fn assign(&self, providers: &[Provider]) {
        todo!()
    }

    pub fn find(&self, id: &ProviderId) -> Option<Arc<ProviderKeys>> {
        self.providers.load().get(id).cloned()
    }
}

impl ProviderKeys {
    /// The keys, unless there are none or they are older than `max_staleness`.
    pub fn at(&self, now: Instant, max_staleness: Duration) -> Keys {
        todo!()
    }

    pub fn state(&self) -> Arc<KeyState> {
        self.state.load_full()
    }

    /// Asks for newer keys because a token named one that is not known. Waits for that one fetch (bounded by its deadline);
    /// `false` at once while the cool-down lasts.
    pub async fn refresh_for_unknown_key(&self) -> bool {
        todo!()
    }
}
