//! Tokens whose signature is bad: a client that repeats one pays for the verification once in a while, not at every request.

use super::TokenId;
use crate::jwt::{Algorithm, keys::KeySetId};
use quick_cache::sync::Cache;
use std::time::Duration;

/// All together, whoever they came to: about half a megabyte. A flood of different ones pushes out nothing but each other.
const MAX_TOKENS: usize = 4096;
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct BadTokens {
    tokens: Cache<TokenId, Bad>,
}

/// All that a bad signature depends on besides the token.
#[derive(Clone, Debug)]
struct Bad {
    keys: KeySetId,
    algorithm: Algorithm,
    since: Duration,
}

// === impl BadTokens ===

impl BadTokens {
    pub(super) fn new() -> Self {
        Self { tokens: Cache::new(MAX_TOKENS) }
    }

    pub(super) fn holds(&self, id: &TokenId, keys: KeySetId, algorithm: Algorithm, now: Duration) -> bool {
        let is_same = |bad: &Bad| bad.keys == keys && bad.algorithm == algorithm;
        // A clock that was set back ends the memory too.
        let is_recent = |bad: &Bad| now.checked_sub(bad.since).is_some_and(|age| age < MEMORY);
        self.tokens.get(id).is_some_and(|bad| is_same(&bad) && is_recent(&bad))
    }

    pub(super) fn remember(&self, id: TokenId, keys: KeySetId, algorithm: Algorithm, now: Duration) {
        self.tokens.insert(id, Bad { keys, algorithm, since: now });
    }
}
