//! Whether an endpoint takes connections and answers, as the requests that went to it tell. Nobody asks it for its own sake.

use super::lock;
use crate::telemetry::{Counted, Metrics};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Left out after so many failures in a row, for a while; then one request at a time tries whether it is back.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Spares the lock while all is well.
    is_failing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    out: Option<Out>,
}

#[derive(Debug)]
struct Out {
    /// When the next request may try.
    until: Instant,
    /// How long it was left out last.
    pause: Duration,
    _counted: Counted,
    _tally: Tally,
}

/// How many endpoints are left out, and what is told about it.
#[derive(Debug)]
pub(super) struct Ward {
    out: Arc<AtomicUsize>,
    /// How long an endpoint is left out first; twice as long each time it fails again.
    pause: Duration,
    metrics: Arc<Metrics>,
}

/// One that is left out.
#[derive(Debug)]
struct Tally(Arc<AtomicUsize>);

/// One lost connection, or two, is bad luck.
const FAILURES: u32 = 3;
/// The longest pause, in first ones.
const LONGEST: u32 = 12;

// === impl Health ===

impl Health {
    pub(super) fn succeeded(&self) {
        if self.is_failing.load(Relaxed) {
            self.is_failing.store(false, Relaxed);
            *lock(&self.state) = State::default();
        }
    }

    pub(super) fn failed(&self, ward: &Ward) {
        self.is_failing.store(true, Relaxed);
        let mut state = lock(&self.state);
        state.failures += 1;
        if state.failures >= FAILURES {
            let pause = state.out.as_ref().map_or(ward.pause, |out| (out.pause * 2).min(ward.pause * LONGEST));
            state.out = Some(Out { until: Instant::now() + pause, pause, _counted: ward.count(), _tally: Tally::new(&ward.out) });
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.is_failing.load(Relaxed) && lock(&self.state).out.is_some()
    }

    /// Whether this request is to try if the endpoint is back; another may after the same pause.
    pub(super) fn may_try(&self) -> bool {
        let (mut state, now) = (lock(&self.state), Instant::now());
        let Some(out) = state.out.as_mut().filter(|out| out.until <= now) else { return false };
        out.until = now + out.pause;
        true
    }
}

// === impl Ward ===

impl Ward {
    pub(super) fn new(pause: Duration, metrics: &Arc<Metrics>) -> Self {
        Self { out: Arc::default(), pause, metrics: Arc::clone(metrics) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.load(Relaxed) == 0
    }

    fn count(&self) -> Counted {
        self.metrics.upstream_ejections.inc();
        Counted::new(&self.metrics.upstream_ejected)
    }
}

// === impl Tally ===

impl Tally {
    fn new(out: &Arc<AtomicUsize>) -> Self {
        out.fetch_add(1, Relaxed);
        Self(Arc::clone(out))
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const PAUSE: Duration = Duration::from_secs(5);

    fn fail(health: &Health, ward: &Ward, times: u32) {
        (0..times).for_each(|_| health.failed(ward));
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_in_a_row_is_left_out_and_tried_now_and_then() {
        let (ward, health) = (Ward::new(PAUSE, &Arc::default()), Health::default());
        fail(&health, &ward, FAILURES - 1);
        health.succeeded();
        fail(&health, &ward, FAILURES - 1);
        assert!(!health.is_out() && ward.is_empty(), "not in a row");
        fail(&health, &ward, 1);
        assert!(health.is_out() && !ward.is_empty() && !health.may_try());
        advance(PAUSE).await;
        assert!(health.may_try() && !health.may_try(), "one request tries");
        fail(&health, &ward, 1);
        advance(PAUSE).await;
        assert!(!health.may_try(), "twice as long");
        advance(PAUSE).await;
        assert!(health.may_try());
        health.succeeded();
        assert!(!health.is_out() && ward.is_empty());
        assert_eq!((ward.metrics.upstream_ejected.get(), ward.metrics.upstream_ejections.get()), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_is_longer_than_a_minute() {
        let (ward, health) = (Ward::new(PAUSE, &Arc::default()), Health::default());
        fail(&health, &ward, 100);
        advance(Duration::from_secs(60)).await;
        assert!(health.may_try());
        drop(health);
        assert!(ward.is_empty() && ward.metrics.upstream_ejected.get() == 0, "who is forgotten is no longer counted");
    }
}
