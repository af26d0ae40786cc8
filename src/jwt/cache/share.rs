//! What one owner's tokens said.

use super::{TokenId, size};
use crate::jwt::{Claims, keys::KeySetId};
use foldhash::fast::RandomState;
use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

const SHARDS: usize = 8;
/// Of an Auth0 token, in bytes: decides how finely a small cache is divided.
const USUAL_TOKEN: u64 = 2048;
/// The longest leeway that a resource can ask for.
const LONGEST_LEEWAY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Share {
    tokens: Cache<TokenId, Verified, ByBytes, RandomState>,
    /// As far as the sum over all owners knows.
    settled: AtomicU64,
}

/// A token whose signature was good under these keys.
#[derive(Clone, Debug)]
struct Verified {
    claims: Arc<Claims>,
    keys: KeySetId,
    bytes: u32,
}

#[derive(Clone, Debug)]
struct ByBytes;

/// What one owner holds now, and by how much that is more than before, modulo 2^64.
pub(super) struct Settled(pub(super) u64, u64);

// === impl Share ===

impl Share {
    pub(super) fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / USUAL_TOKEN).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new().shards(SHARDS).estimated_items_capacity(items).weight_capacity(capacity).build();
        let options = options.expect("both capacities are given");
        let tokens = Cache::with_options(options, ByBytes, RandomState::default(), DefaultLifecycle::default());
        Self { tokens, settled: AtomicU64::new(0) }
    }

    /// Only if the signature was checked with these very keys (J49).
    pub(super) fn find(&self, id: &TokenId, keys: KeySetId) -> Option<Arc<Claims>> {
        self.tokens.get(id).filter(|verified| verified.keys == keys).map(|verified| verified.claims)
    }

    /// Returns by how many bytes the share has grown, modulo 2^64.
    pub(super) fn remember(&self, id: TokenId, keys: KeySetId, claims: Arc<Claims>) -> u64 {
        let bytes = size::of(&claims);
        self.tokens.insert(id, Verified { claims, keys, bytes });
        self.settle().1
    }

    pub(super) fn forget_expired(&self, now: Duration) {
        self.tokens.retain(|_, verified| verified.claims.expires.saturating_add(LONGEST_LEEWAY) > now);
    }

    pub(super) fn set_limit(&self, bytes: u64) {
        if self.tokens.capacity() != bytes {
            self.tokens.set_capacity(bytes);
        }
    }

    pub(super) fn settle(&self) -> Settled {
        let held = self.bytes();
        Settled(held, held.wrapping_sub(self.settled.swap(held, Relaxed)))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.tokens.weight()
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }
}

// === impl ByBytes ===

impl Weighter<TokenId, Verified> for ByBytes {
    fn weight(&self, _id: &TokenId, verified: &Verified) -> u64 {
        verified.bytes.into()
    }
}
