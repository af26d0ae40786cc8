//! Which hosts may be remembered as owned now, and since when.
//!
//! A remembered claim beats every other, and of two the older one. So the order in which claims are first remembered could take
//! a host from its owner: a wildcard that comes before a name it covers would own that name too. In the order kept here no stamp
//! ever changes an owner: what is wide waits until all it covers in other namespaces is remembered, and is then younger than
//! that, whatever the clocks of this leader and those before it say. A wildcard that waits serves all the same.

use crate::{api::HostSince, routing::HostPattern};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// One object in service: what it holds, and what is remembered of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    pub(super) namespace: &'a str,
    /// creationTimestamp, seconds since the Unix epoch.
    pub(super) created: i64,
    pub(super) hosts: &'a [String],
    /// `status.hosts`.
    pub(super) claims: &'a [HostSince],
}

/// Answers for one moment. What it lets through may be written in any order, or not at all.
#[derive(Debug)]
pub(super) struct Stamps<'a> {
    /// By wide host: the namespaces that hold something under it which is not remembered.
    waiting: HashMap<HostPattern, BTreeSet<&'a str>>,
    /// The newest time that anything is remembered since.
    newest: i64,
    now: i64,
}

// === impl Stamps ===

impl<'a> Stamps<'a> {
    /// `holders` are all objects in service; `now` is since the Unix epoch.
    pub(super) fn new(holders: impl IntoIterator<Item = Holder<'a>>, now: Duration) -> Self {
        let mut stamps = Self { waiting: HashMap::new(), newest: i64::MIN, now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX) };
        for holder in holders {
            let newest = holder.claims.iter().map(|claim| claim.since.0.as_second()).max();
            stamps.newest = stamps.newest.max(newest.unwrap_or(i64::MIN));
            stamps.wait_for(holder);
        }
        stamps
    }

    /// What the status of `holder` says of its hosts: those remembered, and those that may be from now on.
    pub(super) fn claims(&self, holder: &Holder<'_>) -> Vec<HostSince> {
        let claim = |host: &String| Some(HostSince { host: host.clone(), since: holder.since(host).or_else(|| self.since(holder, host))? });
        holder.hosts.iter().filter_map(claim).collect()
    }

    fn wait_for(&mut self, holder: Holder<'a>) {
        for host in holder.hosts.iter().filter(|host| holder.since(host).is_none()) {
            for wide in HostPattern::parse(host).iter().flat_map(wider) {
                self.waiting.entry(wide).or_default().insert(holder.namespace);
            }
        }
    }

    /// When a new claim begins; `None` while it must wait.
    fn since(&self, holder: &Holder<'_>, host: &str) -> Option<Time> {
        let pattern = HostPattern::parse(host).ok()?;
        let others = self.waiting.get(&pattern).into_iter().flatten().any(|namespace| *namespace != holder.namespace);
        // Of two equal times the older object's would win.
        let newest = self.newest.saturating_add(i64::from(!matches!(pattern, HostPattern::Exact(_))));
        (!others).then(|| time(self.now.max(holder.created).max(newest)))
    }
}

// === impl Holder ===

impl Holder<'_> {
    /// Since when `host` is remembered. A claim from before the object existed is void.
    fn since(&self, host: &str) -> Option<Time> {
        let valid = self.claims.iter().filter(|claim| claim.since.0.as_second() >= self.created);
        valid.filter(|claim| HostPattern::parse(&claim.host) == HostPattern::parse(host)).map(|claim| claim.since.clone()).min()
    }
}

/// The patterns beyond `host` that cover it.
fn wider(host: &HostPattern) -> impl Iterator<Item = HostPattern> + use<> {
    let wildcard = match host {
        HostPattern::Exact(name) => name.split_once('.').and_then(|(_, parent)| HostPattern::parse(&format!("*.{parent}")).ok()),
        HostPattern::Wildcard(_) | HostPattern::Any => None,
    };
    wildcard.into_iter().chain((*host != HostPattern::Any).then_some(HostPattern::Any))
}

/// Whole seconds, as the API server keeps times.
pub(super) fn time(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests;
