//! Who writes status: the holder of one Lease. GET, then PUT with resourceVersion, so that a lost race is a 409.
//!
//! Time is this process's monotonic clock only (K26): another's Lease has expired when *we* have seen it unchanged for its
//! duration, and ours counts from *before* the renewal that succeeded. Losing the Lease stops status writes and nothing else
//! (K23).

use super::{Clock, Config, Pod};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, Error, api::PostParams};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How long a silent holder keeps the Lease.
const DURATION: Duration = Duration::from_secs(15);
/// How long we act on a renewal: less than others wait.
const RENEW: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
/// Of one attempt: two calls.
const DEADLINE: Duration = Duration::from_secs(4);

/// Whether this replica holds the Lease now. Written by the elector alone.
#[derive(Clone, Debug)]
pub(super) struct Leading {
    until: Arc<watch::Sender<Option<Instant>>>,
}

/// Takes the Lease, and keeps it.
#[derive(Debug)]
pub(super) struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    /// The record of another holder, and since when we have seen it like this.
    seen: Option<(Record, Instant)>,
    leading: Leading,
}

/// What changes when a Lease is renewed or taken.
#[derive(Debug, PartialEq)]
struct Record {
    holder: String,
    version: Option<String>,
}

// === impl Leading ===

impl Leading {
    /// True until a little before others may take over.
    pub(super) fn now(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Ends once this replica leads.
    pub(super) async fn begun(&self) {
        let mut until = self.until.subscribe();
        while !self.now() && until.changed().await.is_ok() {}
    }

    /// Ends once the last renewal has run out, or the Lease has been lost or given back before.
    pub(super) async fn over(&self) {
        let mut renewed = self.until.subscribe();
        while let Some(until) = self.until().filter(|until| Instant::now() < *until) {
            tokio::select! {
                () = sleep_until(until) => {}
                _ = renewed.changed() => {}
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        *self.until.borrow()
    }
}

impl Default for Leading {
    fn default() -> Self {
        Self { until: Arc::new(watch::Sender::new(None)) }
    }
}

// === impl Elector ===

impl Elector {
    pub(super) fn new(client: Client, config: &Config, pod: &Pod, leading: Leading) -> Self {
        let leases = Api::namespaced(client, &config.namespace);
        let name = format!("portcullis-{}", config.class);
        Self { leases, name, identity: pod.name.clone(), clock: config.clock, seen: None, leading }
    }

    /// Runs until `stop`; then gives the Lease back, if it is ours.
    pub(super) async fn run(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.round() => {}
            }
        }
        self.release().await;
    }

    async fn round(&mut self) {
        let started = Instant::now();
        match timeout(DEADLINE, self.attempt()).await {
            Ok(Ok(true)) => self.hold(Some(started + RENEW)),
            Ok(Ok(false)) => self.hold(None),
            Ok(Err(error)) => tracing::debug!(%error, "lease: the attempt failed"),
            Err(_) => tracing::debug!("lease: no answer within {DEADLINE:?}"),
        }
        sleep(RETRY).await;
    }

    fn hold(&self, until: Option<Instant>) {
        let (had, has) = (self.leading.until().is_some(), until.is_some());
        if had != has {
            tracing::info!(lease = %self.name, "this replica {} status", if has { "now writes" } else { "no longer writes" });
        }
        self.leading.until.send_replace(until);
    }

    /// One attempt; true: we hold the Lease, and did when it began.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let Some(lease) = self.leases.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(&LeaseSpec::default(), &self.identity)) };
            return won(self.leases.create(&PostParams::default(), &lease).await);
        };
        if self.is_held_by_another(&lease) {
            return Ok(false);
        }
        self.put(lease, &self.identity).await
    }

    fn is_held_by_another(&mut self, lease: &Lease) -> bool {
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
        let record = Record { holder: holder.clone(), version: lease.metadata.resource_version.clone() };
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record, Instant::now()));
        }
        let unchanged = self.seen.as_ref().map(|(_, since)| since.elapsed()).unwrap_or_default();
        !holder.is_empty() && holder != self.identity && unchanged < seconds.map_or(DURATION, Duration::from_secs)
    }

    /// Writes over `lease` as it was read: its resourceVersion makes a lost race a 409.
    async fn put(&self, mut lease: Lease, holder: &str) -> Result<bool, Error> {
        lease.spec = Some(self.spec(&lease.spec.unwrap_or_default(), holder));
        won(self.leases.replace(&self.name, &PostParams::default(), &lease).await)
    }

    fn spec(&self, old: &LeaseSpec, holder: &str) -> LeaseSpec {
        let now = Some(micro_time((self.clock)()));
        let same = old.holder_identity.as_deref() == Some(holder);
        let duration = if holder.is_empty() { Duration::from_secs(1) } else { DURATION };
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
            acquire_time: if same { old.acquire_time.clone() } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(old.lease_transitions.unwrap_or_default().saturating_add(i32::from(!same))),
            ..LeaseSpec::default()
        }
    }

    /// Stops acting first, then lets go, so that the next holder need not wait.
    async fn release(&self) {
        let held = self.leading.until.send_replace(None).is_some_and(|until| Instant::now() < until);
        if held && timeout(RETRY, self.give_back()).await.is_err() {
            tracing::debug!("lease: could not be given back in time; it will expire");
        }
    }

    async fn give_back(&self) -> Result<(), Error> {
        let lease = self.leases.get(&self.name).await?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder == Some(&self.identity) {
            self.put(lease, "").await?;
        }
        Ok(())
    }
}

pub(super) fn micro_time(since_epoch: Duration) -> MicroTime {
    let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// A conflict is a lost race, no error.
fn won(answer: Result<Lease, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
