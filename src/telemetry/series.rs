//! Requests and latencies by rule. A rule that left the table leaves its series behind, and they are removed (P74).

use crate::routing::RuleId;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::Counter, histogram::Histogram},
    registry::Unit,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Written by every request, read at each scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(Arc<All>);

#[derive(Debug, Default)]
struct All {
    by_rule: RwLock<HashMap<RuleId, Arc<Rule>>>,
    /// No rule matched.
    other: Rule,
}

#[derive(Debug)]
struct Rule {
    latency: Histogram,
    answers: Mutex<BTreeMap<Answer, Counter>>,
    /// It was not in the table when that was looked at last.
    gone: AtomicBool,
}

/// Code and reason.
type Answer = (u16, &'static str);

/// Empty names: no rule matched.
#[derive(Clone, Debug, EncodeLabelSet)]
struct RuleLabels {
    namespace: Arc<str>,
    name: Arc<str>,
    rule: Arc<str>,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct RequestLabels {
    namespace: Arc<str>,
    name: Arc<str>,
    rule: Arc<str>,
    code: u16,
    reason: &'static str,
}

/// Seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

// === impl Series ===

impl Series {
    pub(super) fn count(&self, rule: Option<&RuleId>, code: u16, reason: &'static str, latency: Duration) {
        match rule {
            None => self.0.other.count(code, reason, latency),
            Some(rule) => self.of(rule).count(code, reason, latency),
        }
    }

    /// Removes what is not in `table` now and was not when this was called last: an answer that comes late finds its series.
    pub(super) fn retain(&self, table: &HashSet<&RuleId>) {
        let mut all = self.0.by_rule.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, rule| {
            let gone = !table.contains(id);
            !(rule.gone.swap(gone, Relaxed) && gone)
        });
    }

    fn of(&self, id: &RuleId) -> Arc<Rule> {
        let known = self.0.by_rule.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.0.by_rule.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(id.clone()).or_default())
        })
    }

    /// In a fixed order.
    fn all(&self) -> Vec<(RuleLabels, Arc<Rule>)> {
        let all = self.0.by_rule.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = all.iter().map(|(id, rule)| (id.clone(), Arc::clone(rule))).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all.into_iter().map(|(id, rule)| (RuleLabels::from(id), rule)).collect()
    }
}

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.all();
        let all = || all.iter().map(|(labels, rule)| (labels.clone(), &**rule)).chain([(RuleLabels::default(), &self.0.other)]);
        let mut requests = encoder.encode_descriptor("requests", "Requests by rule, answer and reason", None, MetricType::Counter)?;
        for (labels, rule) in all() {
            for ((code, reason), counter) in rule.answers() {
                counter.encode(requests.encode_family(&labels.clone().with(code, reason))?)?;
            }
        }
        let (help, unit) = ("From request head to response head", Unit::Seconds);
        let mut latency = encoder.encode_descriptor("request_latency", help, Some(&unit), MetricType::Histogram)?;
        for (labels, rule) in all().filter(|(_, rule)| !rule.answers().is_empty()) {
            rule.latency.encode(latency.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

// === impl Rule ===

impl Default for Rule {
    fn default() -> Self {
        Self { latency: Histogram::new(BUCKETS), answers: Mutex::default(), gone: AtomicBool::new(false) }
    }
}

impl Rule {
    fn count(&self, code: u16, reason: &'static str, latency: Duration) {
        self.latency.observe(latency.as_secs_f64());
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry((code, reason)).or_default().inc();
    }

    fn answers(&self) -> BTreeMap<Answer, Counter> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl RuleLabels ===

impl RuleLabels {
    fn with(self, code: u16, reason: &'static str) -> RequestLabels {
        let Self { namespace, name, rule } = self;
        RequestLabels { namespace, name, rule, code, reason }
    }
}

impl Default for RuleLabels {
    fn default() -> Self {
        Self { namespace: "".into(), name: "".into(), rule: "".into() }
    }
}

impl From<RuleId> for RuleLabels {
    fn from(RuleId { namespace, name, rule }: RuleId) -> Self {
        Self { namespace, name, rule }
    }
}
