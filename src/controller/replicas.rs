//! What every replica has loaded, as the leader sees it.

use super::{
    replica::{CLASS, DURATION, LOADED},
    watch,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{ResourceExt, runtime::watcher::Event};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// The Leases of this class's replicas. Expiry counts from when *we* saw a Lease change: no clock of another machine matters.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    leases: Mutex<HashMap<String, Told>>,
    /// Told when what all have reached is another version than before; that a silent one expires, time alone tells.
    pub(super) changed: Notify,
}

/// What one replica said last.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    loaded: u64,
    version: Option<String>,
    at: Instant,
    lasts: Duration,
    /// Still there in the list that is coming in.
    listed: bool,
}

// === impl Replicas ===

impl Replicas {
    /// The resourceVersion that every living replica serves; `None` while none is known.
    pub(super) fn reached(&self, now: Instant) -> Option<u64> {
        reached(&self.leases.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    pub(super) fn take(&self, event: Event<Lease>, now: Instant) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reached(&leases, now);
        match event {
            Event::Apply(lease) | Event::InitApply(lease) => note(&mut leases, &lease, now),
            Event::Delete(lease) => drop(leases.remove(&lease.name_any())),
            Event::Init => leases.values_mut().for_each(|told| told.listed = false),
            Event::InitDone => leases.retain(|_, told| told.listed),
        }
        if reached(&leases, now) != before {
            self.changed.notify_one();
        }
    }

    pub(super) fn watch_config(class: &str) -> kube::runtime::watcher::Config {
        watch::config().labels(&format!("{CLASS}={class}"))
    }
}

fn reached(leases: &HashMap<String, Told>, now: Instant) -> Option<u64> {
    leases.values().filter(|told| now < told.at + told.lasts).map(|told| told.loaded).min()
}

fn note(leases: &mut HashMap<String, Told>, lease: &Lease, now: Instant) {
    let version = lease.resource_version();
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
    let told = Told {
        loaded: lease.annotations().get(LOADED).and_then(|text| text.parse().ok()).unwrap_or_default(),
        at: leases.get(&lease.name_any()).filter(|old| old.version == version).map_or(now, |old| old.at),
        version,
        lasts: seconds.map_or(DURATION, Duration::from_secs),
        listed: true,
    };
    leases.insert(lease.name_any(), told);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use kube::api::ObjectMeta;

    fn lease(name: &str, version: u32, loaded: &str) -> Lease {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            resource_version: Some(version.to_string()),
            annotations: Some([(LOADED.to_owned(), loaded.to_owned())].into()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: None }
    }

    #[test]
    fn a_version_is_reached_when_every_living_replica_has_it() {
        let (replicas, start) = (Replicas::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(replicas.reached(at(0)), None, "nobody is there");
        replicas.take(Event::Apply(lease("a", 1, "100")), at(0));
        replicas.take(Event::Apply(lease("b", 2, "90")), at(0));
        assert_eq!(replicas.reached(at(0)), Some(90), "the slowest decides");
        replicas.take(Event::Apply(lease("a", 3, "120")), at(20));
        assert_eq!(replicas.reached(at(29)), Some(90), "b is silent, not yet gone");
        assert_eq!(replicas.reached(at(30)), Some(120), "b has expired");
        replicas.take(Event::Delete(lease("a", 3, "120")), at(31));
        assert_eq!(replicas.reached(at(31)), None, "a said good-bye");
    }

    #[tokio::test]
    async fn a_renewal_that_says_nothing_new_wakes_nobody() {
        let (replicas, start) = (Replicas::default(), Instant::now());
        let told = |version, name, loaded| {
            replicas.take(Event::Apply(lease(name, version, loaded)), start);
            replicas.changed.notified().now_or_never().is_some()
        };
        assert!(told(1, "a", "100"), "the first");
        assert!(!told(2, "a", "100"), "a renewal");
        assert!(!told(3, "b", "120"), "the slowest decides");
        assert!(told(4, "a", "110"));
        assert!(told(5, "c", "90"));
    }

    #[test]
    fn a_relist_renews_nobody_and_forgets_who_left() {
        let (replicas, start) = (Replicas::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        replicas.take(Event::Apply(lease("a", 1, "100")), at(0));
        replicas.take(Event::Apply(lease("b", 2, "90")), at(0));
        for event in [Event::Init, Event::InitApply(lease("a", 1, "100")), Event::InitDone] {
            replicas.take(event, at(10));
        }
        assert_eq!(replicas.reached(at(29)), Some(100), "b has left");
        assert_eq!(replicas.reached(at(30)), None, "seeing the same record again is no sign of life");
    }

    #[test]
    fn a_lease_without_a_readable_version_has_loaded_nothing() {
        let replicas = Replicas::default();
        replicas.take(Event::Apply(lease("a", 1, "x")), Instant::now());
        assert_eq!(replicas.reached(Instant::now()), Some(0));
    }
}
