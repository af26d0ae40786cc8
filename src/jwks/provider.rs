//! One key source: its keys now, and how a request asks for newer ones.

use super::FetchError;
use crate::jwt::{KeySet, SkippedKey};
use arc_swap::ArcSwap;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

/// Between two fetches that unknown keys ask for, whatever came of the first.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// No request waits longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Written by its refresh task, read by every worker. Readers of known keys never block.
#[derive(Debug)]
pub struct ProviderKeys {
    state: ArcSwap<KeyState>,
    fetches: FetchCounts,
    demand: Mutex<Demand>,
    /// Wakes the refresh task.
    pub(super) wanted: Notify,
    /// Whether a fetch has ended, one way or the other.
    attempted: watch::Sender<bool>,
    /// Says that a demanded fetch has ended. Closed once the provider is no longer assigned.
    served: watch::Receiver<()>,
}

/// What is known of one key source at one moment.
#[derive(Clone, Debug, Default)]
pub struct KeyState {
    /// The last good keys and when they came; `None` until there were some. The `Arc` is the same as long as the keys are.
    pub good: Option<(Arc<KeySet>, Instant)>,
    /// Why the newest attempt failed. `None` after a success.
    pub failure: Option<FetchError>,
    /// Of the newest document that was a key set: the keys that verify nothing, and why.
    pub skipped: Arc<[SkippedKey]>,
}

/// A [`KeyState`] in one word, named as the condition `KeysReady` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The first attempt has not ended.
    NeverFetched,
    /// No attempt has succeeded.
    FetchFailed,
    Fresh,
    /// There are keys, but the newest attempt failed.
    Stale,
}

/// What a request finds for its provider.
#[derive(Clone, Debug)]
pub enum Keys {
    Known(Arc<KeySet>),
    /// Never fetched, or older than the route allows: 503 on that rule alone.
    Unavailable,
}

/// Requests whose token names an unknown key share one fetch.
#[derive(Debug, Default)]
struct Demand {
    flight: Flight,
    /// No new flight before this.
    cool_until: Option<Instant>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Flight {
    #[default]
    None,
    /// Asked for; a fetch that is already under way does not count, it may be older than the key.
    Asked,
    Running,
}

/// How every fetch so far ended.
#[derive(Debug, Default)]
struct FetchCounts {
    good: AtomicU64,
    failed: [AtomicU64; FetchError::ALL.len()],
}

// === impl ProviderKeys ===

impl ProviderKeys {
    /// No keys yet. The refresh task holds the sender.
    pub(super) fn new() -> (Self, watch::Sender<()>) {
        let (sender, served) = watch::channel(());
        let keys = Self {
            state: ArcSwap::default(),
            fetches: FetchCounts::default(),
            demand: Mutex::default(),
            wanted: Notify::new(),
            attempted: watch::Sender::new(false),
            served,
        };
        (keys, sender)
    }

    pub(super) fn fixed(keys: KeySet, now: Instant) -> Self {
        let (provider, _) = Self::new();
        provider.state.store(Arc::new(KeyState { good: Some((Arc::new(keys), now)), ..KeyState::default() }));
        provider
    }

    /// The keys, unless there are none or they are older than `max_staleness`.
    pub fn at(&self, now: Instant, max_staleness: Duration) -> Keys {
        match &self.state.load().good {
            Some((keys, came)) if now.saturating_duration_since(*came) <= max_staleness => Keys::Known(Arc::clone(keys)),
            _ => Keys::Unavailable,
        }
    }

    pub fn state(&self) -> Arc<KeyState> {
        self.state.load_full()
    }

    /// How many fetches ended so: `"Ok"`, then every [`FetchError`], those that never happened included.
    pub fn fetches(&self) -> impl Iterator<Item = (String, u64)> {
        let good = ("Ok".to_owned(), self.fetches.good.load(Ordering::Relaxed));
        let failed = FetchError::ALL.iter().zip(&self.fetches.failed);
        std::iter::once(good).chain(failed.map(|(error, count)| (error.to_string(), count.load(Ordering::Relaxed))))
    }

    /// Asks for newer keys because a token named one that `seen` does not hold. `true`: there are others now, look again.
    ///
    /// All callers share one fetch and wait for it at most five seconds; the fetch outlives a caller that leaves. In the
    /// thirty seconds after it was asked for, or longer if the issuer said so, the answer comes at once.
    pub async fn refresh_for_unknown_key(&self, seen: &Arc<KeySet>) -> bool {
        let mut served = self.served.clone();
        if !self.differs_from(seen) && self.ask(Instant::now(), &mut served) {
            // Too late, or no longer assigned: what there is by now decides.
            let _ = timeout(PATIENCE, served.changed()).await;
        }
        self.differs_from(seen)
    }

    /// Returns once a fetch has ended, one way or the other.
    pub async fn attempted(&self) {
        // The sender lives as long as `self`.
        let _ = self.attempted.subscribe().wait_for(|attempted| *attempted).await;
    }

    fn differs_from(&self, seen: &Arc<KeySet>) -> bool {
        self.state.load().good.as_ref().is_some_and(|(keys, _)| !Arc::ptr_eq(keys, seen))
    }

    /// Whether there is a fetch to wait for. `served` is marked under the lock that [`Demand::land`] holds: nobody waits for
    /// a fetch that has already ended.
    fn ask(&self, now: Instant, served: &mut watch::Receiver<()>) -> bool {
        let mut demand = self.demand();
        served.mark_unchanged();
        if demand.flight != Flight::None {
            return true;
        }
        if demand.cool_until.is_some_and(|until| now < until) {
            return false;
        }
        demand.flight = Flight::Asked;
        demand.cool_until = Some(now + COOL_DOWN);
        self.wanted.notify_one();
        true
    }

    // --- for the refresh task ---

    /// A fetch begins: it serves every demand made until now.
    pub(super) fn fetch_begins(&self) {
        let mut demand = self.demand();
        if demand.flight == Flight::Asked {
            demand.flight = Flight::Running;
        }
    }

    /// Whether somebody waits for a fetch that has not begun.
    pub(super) fn is_wanted(&self) -> bool {
        self.demand().flight == Flight::Asked
    }

    /// What is said about the keys of a document; before anything comes of them.
    pub(super) fn skipped(&self, skipped: Vec<SkippedKey>) {
        self.state.store(Arc::new(KeyState { skipped: skipped.into(), ..KeyState::clone(&self.state.load()) }));
    }

    /// Publishes what came of a fetch, then answers those who waited for it: `keys` are `None` when they are as before.
    pub(super) fn fetch_succeeded(&self, keys: Option<KeySet>, now: Instant, served: &watch::Sender<()>) {
        self.fetches.good.fetch_add(1, Ordering::Relaxed);
        let before = self.state();
        let keys = keys.map(Arc::new).or_else(|| before.good.as_ref().map(|(keys, _)| Arc::clone(keys)));
        self.state.store(Arc::new(KeyState { good: keys.map(|keys| (keys, now)), failure: None, skipped: Arc::clone(&before.skipped) }));
        self.attempted.send_replace(true);
        self.demand().land(served);
    }

    /// Keeps the keys there are. Until `not_before` the issuer is not asked for unknown keys either.
    pub(super) fn fetch_failed(&self, error: FetchError, not_before: Option<Instant>, served: &watch::Sender<()>) {
        self.fetches.count(error);
        self.state.store(Arc::new(KeyState { failure: Some(error), ..KeyState::clone(&self.state.load()) }));
        self.attempted.send_replace(true);
        let mut demand = self.demand();
        demand.cool_until = demand.cool_until.max(not_before);
        demand.land(served);
    }

    fn demand(&self) -> MutexGuard<'_, Demand> {
        self.demand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Demand ===

impl Demand {
    /// A fetch has ended: wakes those whom it served.
    fn land(&mut self, served: &watch::Sender<()>) {
        if self.flight == Flight::Running {
            self.flight = Flight::None;
            served.send_replace(());
        }
    }
}

// === impl KeyState ===

impl KeyState {
    pub fn freshness(&self) -> Freshness {
        match (&self.good, self.failure) {
            (None, None) => Freshness::NeverFetched,
            (None, Some(_)) => Freshness::FetchFailed,
            (Some(_), None) => Freshness::Fresh,
            (Some(_), Some(_)) => Freshness::Stale,
        }
    }
}

// === impl FetchCounts ===

impl FetchCounts {
    fn count(&self, error: FetchError) {
        let slot = FetchError::ALL.iter().zip(&self.failed).find(|(known, _)| **known == error);
        if let Some((_, count)) = slot {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
