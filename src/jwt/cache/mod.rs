//! Remembered tokens: a signature that was good is not checked again on the next request.
//!
//! An entry says one thing: this text carries a good signature under these keys, and reads so. All else (algorithm, type, issuer,
//! audience, times, organization, lifetime) is decided anew at every hit, by the code that decides it for a new token. So an entry is of
//! use to every resource of its owner, and neither a changed resource nor the time has to flush anything; another set of keys does.
//! Entries are found by the SHA-256 of the whole token: no token is kept, and none can be made to look like another.

mod bad;
mod level;
mod share;
mod size;

use self::{bad::BadTokens, share::Share};
use super::{Checks, Claims, KeySet, TokenError, token::MAX_TOKEN};
use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use foldhash::fast::RandomState;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Shared by all workers. Bounded in bytes; when it is full, the owner that holds most gives way, so that nobody who holds an equal
/// share or less loses a token to another.
#[derive(Debug)]
pub struct TokenCache {
    capacity: u64,
    owners: ArcSwap<Owners>,
    bad: BadTokens,
    /// The sum of what the owners hold.
    held: AtomicU64,
    leveling: Mutex<()>,
    hits: AtomicU64,
    misses: AtomicU64,
    refused: AtomicU64,
}

type Owners = HashMap<Arc<str>, Arc<Share>, RandomState>;

/// SHA-256 of a token.
type TokenId = [u8; digest::SHA256_OUTPUT_LEN];

/// What the cache did since it was made, and what it holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStats {
    /// Tokens found with a good signature, whatever the other checks said.
    pub hits: u64,
    pub misses: u64,
    /// Tokens refused because their signature was known to be bad.
    pub refused: u64,
    pub tokens: usize,
    pub bytes: u64,
}

// === impl TokenCache ===

impl TokenCache {
    /// Holds up to so many bytes; zero remembers nothing.
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            owners: ArcSwap::default(),
            bad: BadTokens::new(),
            held: AtomicU64::new(0),
            leveling: Mutex::new(()),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// [`Checks::verify`], with the same verdict. `owner` is charged for what is remembered: a namespace.
    ///
    /// # Errors
    /// As [`Checks::verify`]; a bad signature that is remembered says `Signature` even where a cheaper check would now fail first.
    pub fn verify(&self, owner: &str, token: &str, checks: &Checks, keys: &KeySet, now: Duration) -> Result<Arc<Claims>, TokenError> {
        if self.capacity == 0 || token.len() > MAX_TOKEN {
            return checks.verify(token, keys, now).map(Arc::new);
        }
        let id = id_of(token);
        if let Some(claims) = self.owners.load().get(owner).and_then(|share| share.find(&id, keys.id())) {
            self.hits.fetch_add(1, Relaxed);
            return checks.check(&claims, now).map(|()| claims);
        }
        if self.bad.holds(&id, keys.id(), checks.algorithm, now) {
            self.refused.fetch_add(1, Relaxed);
            return Err(TokenError::Signature);
        }
        self.misses.fetch_add(1, Relaxed);
        self.verify_new(owner, id, token, checks, keys, now)
    }

    /// Forgets expired tokens and the owners that are no longer in use, and lets those that gave way grow again. Call it once a minute
    /// and after each new table; it holds up workers for well under a millisecond.
    pub fn tidy(&self, is_in_use: impl Fn(&str) -> bool, now: Duration) {
        self.owners
            .rcu(|owners| owners.iter().filter(|(owner, _)| is_in_use(owner)).map(|(o, s)| (o.clone(), s.clone())).collect::<Owners>());
        self.owners.load().values().for_each(|share| share.forget_expired(now));
        self.level();
    }

    pub fn stats(&self) -> CacheStats {
        let owners = self.owners.load();
        CacheStats {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            refused: self.refused.load(Relaxed),
            tokens: owners.values().map(|share| share.len()).sum(),
            bytes: owners.values().map(|share| share.bytes()).sum(),
        }
    }

    fn verify_new(
        &self,
        owner: &str,
        id: TokenId,
        token: &str,
        checks: &Checks,
        keys: &KeySet,
        now: Duration,
    ) -> Result<Arc<Claims>, TokenError> {
        match checks.verify(token, keys, now) {
            Ok(claims) => {
                let claims = Arc::new(claims);
                let grown = self.share(owner).remember(id, keys.id(), Arc::clone(&claims));
                if self.held.fetch_add(grown, Relaxed).wrapping_add(grown) > self.capacity {
                    self.level();
                }
                Ok(claims)
            }
            Err(TokenError::Signature) => {
                self.bad.remember(id, keys.id(), checks.algorithm, now);
                Err(TokenError::Signature)
            }
            Err(cheap) => Err(cheap),
        }
    }

    fn share(&self, owner: &str) -> Arc<Share> {
        if let Some(share) = self.owners.load().get(owner) {
            return Arc::clone(share);
        }
        let new = Arc::new(Share::new(self.capacity));
        self.owners.rcu(|owners| {
            let mut owners = Owners::clone(owners);
            owners.entry(owner.into()).or_insert_with(|| Arc::clone(&new));
            owners
        });
        self.owners.load().get(owner).map_or(new, Arc::clone)
    }

    /// Sets the limit of every owner so that together they leave some room, and counts what they hold anew.
    fn level(&self) {
        let _one_at_a_time = self.leveling.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = self.owners.load();
        let held = owners.values().map(|share| share.bytes()).collect();
        let limit = level::limit(held, self.capacity - self.capacity / 64).unwrap_or(self.capacity);
        owners.values().for_each(|share| share.set_limit(limit));
        self.held.store(owners.values().map(|share| share.settle().0).sum(), Relaxed);
    }
}

/// The whole token, signature and all: none can be made to look like another, and the cache holds no token that could be stolen.
fn id_of(token: &str) -> TokenId {
    let mut id = TokenId::default();
    id.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    id
}
