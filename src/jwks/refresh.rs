//! One task for each key source: fetch, publish, wait, for ever.

use super::{Fetch, FetchError, FetchFailure, KeyRing, ProviderKeys, ring::ProviderMap, schedule::Outcome};
use crate::jwt::{KeySet, KeySetError, Provider, ProviderId};
use aws_lc_rs::digest::{self, Digest};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Keeps a [`KeyRing`] supplied. Owned by the control plane; dropping it stops every fetch and leaves the keys in service.
#[derive(Debug)]
pub struct Refresher<F> {
    runtime: Handle,
    fetch: Arc<F>,
    random: Random,
    running: HashMap<ProviderId, Running>,
}

/// A task and its two ends. Dropping it ends the task.
#[derive(Debug)]
struct Running {
    keys: Arc<ProviderKeys>,
    interval: watch::Sender<Duration>,
    task: JoinHandle<()>,
}

/// What a task holds.
struct Refresh<F> {
    id: ProviderId,
    keys: Arc<ProviderKeys>,
    fetch: Arc<F>,
    interval: watch::Receiver<Duration>,
    served: watch::Sender<()>,
    random: Random,
    /// Of the document that the keys in service came from.
    document: Option<Digest>,
    failures: u32,
}

/// SplitMix64: spreads fetches over time, guards nothing.
#[derive(Debug)]
struct Random(u64);

// === impl Refresher ===

impl<F: Fetch> Refresher<F> {
    /// Fetches run on `runtime`, whichever thread assigns. `seed` decides the jitter; give each process its own.
    pub fn new(runtime: Handle, fetch: F, seed: u64) -> Self {
        Self { runtime, fetch: Arc::new(fetch), random: Random(seed), running: HashMap::new() }
    }

    /// Makes `ring` hold exactly these providers: new ones are fetched at once, known ones keep their keys and take on a new
    /// interval, others stop. A provider named twice is refreshed at its shortest interval.
    pub fn assign(&mut self, ring: &KeyRing, providers: &[Provider]) {
        let mut intervals: HashMap<&ProviderId, Duration> = HashMap::with_capacity(providers.len());
        for provider in providers {
            let interval = intervals.entry(&provider.id).or_insert(provider.refresh);
            *interval = provider.refresh.min(*interval);
        }
        self.running.retain(|id, _| intervals.contains_key(id));
        for (id, interval) in intervals {
            match self.running.get(id) {
                Some(running) => running.set_interval(interval),
                None => self.start(id, interval),
            }
        }
        ring.store(self.running.iter().map(|(id, running)| (id.clone(), Arc::clone(&running.keys))).collect::<ProviderMap>());
    }

    fn start(&mut self, id: &ProviderId, interval: Duration) {
        let (keys, served) = ProviderKeys::new();
        let keys = Arc::new(keys);
        let (interval, intervals) = watch::channel(interval);
        let refresh = Refresh {
            id: id.clone(),
            keys: Arc::clone(&keys),
            fetch: Arc::clone(&self.fetch),
            interval: intervals,
            served,
            random: Random(self.random.next()),
            document: None,
            failures: 0,
        };
        let task = self.runtime.spawn(refresh.run());
        self.running.insert(id.clone(), Running { keys, interval, task });
    }
}

// === impl Running ===

impl Running {
    fn set_interval(&self, interval: Duration) {
        self.interval.send_if_modified(|current| std::mem::replace(current, interval) != interval);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Refresh ===

impl<F: Fetch> Refresh<F> {
    async fn run(mut self) {
        loop {
            self.keys.fetch_begins();
            let fetched = self.fetch.fetch(&self.id).await;
            let outcome = match fetched.and_then(|document| self.accept(&document)) {
                Ok(()) => self.succeed(),
                Err(failure) => self.fail(&failure),
            };
            self.wait(outcome).await;
        }
    }

    /// Publishes what the document holds. The same document leaves the same `Arc` in service, and what was cached by it valid.
    fn accept(&mut self, document: &[u8]) -> Result<(), FetchFailure> {
        let digest = digest::digest(&digest::SHA256, document);
        if self.document.as_ref().is_some_and(|known| known.as_ref() == digest.as_ref()) {
            self.keys.fetch_succeeded(None, Instant::now(), &self.served);
            return Ok(());
        }
        let keys = self.read(document)?;
        tracing::info!(provider = %self.id, keys = keys.key_ids().len(), "new keys");
        self.document = Some(digest);
        self.keys.fetch_succeeded(Some(keys), Instant::now(), &self.served);
        Ok(())
    }

    /// Tells which keys are left out, also when none remains.
    fn read(&self, document: &[u8]) -> Result<KeySet, FetchError> {
        let (keys, skipped) = match KeySet::from_jwks(document) {
            Ok((keys, skipped)) => (Ok(keys), skipped),
            Err(KeySetError::Empty(skipped)) => (Err(FetchError::NoUsableKey), skipped),
            Err(KeySetError::Malformed | KeySetError::TooMany) => return Err(FetchError::NotJwks),
        };
        for key in &skipped {
            tracing::warn!(provider = %self.id, %key, "a key of the issuer is left out");
        }
        self.keys.skipped(skipped);
        keys
    }

    fn succeed(&mut self) -> Outcome {
        if self.failures > 0 {
            tracing::info!(provider = %self.id, failures = self.failures, "keys are fresh again");
        }
        self.failures = 0;
        Outcome::Succeeded
    }

    fn fail(&mut self, failure: &FetchFailure) -> Outcome {
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(provider = %self.id, error = %failure.error, failures = self.failures, "keys could not be fetched");
        // Unknown keys wait as long; `Outcome::delay` bounds it again, should the interval be shortened meanwhile.
        let retry_after = failure.retry_after.map(|asked| asked.min(*self.interval.borrow()));
        self.keys.fetch_failed(failure.error, retry_after.map(|pause| Instant::now() + pause), &self.served);
        Outcome::Failed { in_row: self.failures, retry_after }
    }

    /// Until the next fetch is due, an unknown key wants one, or for ever once the provider is no longer assigned.
    async fn wait(&mut self, outcome: Outcome) {
        let (ended, random) = (Instant::now(), self.random.unit());
        while !self.keys.is_wanted() {
            let due = ended + outcome.delay(*self.interval.borrow_and_update(), random);
            tokio::select! {
                () = sleep_until(due) => return,
                () = self.keys.wanted.notified() => {}
                changed = self.interval.changed() => if changed.is_err() { std::future::pending().await },
            }
        }
    }
}

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }
}
