//! Counters and histograms in OpenMetrics text. Every label is bounded: objects and rules by what is stored, reasons by code.

use crate::routing::RuleId;
use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RuleLabels, Histogram, fn() -> Histogram>,
    /// Open client connections.
    pub connections: Gauge,
    /// Open connections to backends.
    pub upstream_connections: Gauge,
    /// Tables put in service.
    pub tables: Counter,
}

/// Empty names: no rule matched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    namespace: Arc<str>,
    name: Arc<str>,
    rule: Arc<str>,
    code: u16,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    namespace: Arc<str>,
    name: Arc<str>,
    rule: Arc<str>,
}

/// Seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Default for Metrics {
    fn default() -> Self {
        let latency: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            requests: Family::default(),
            latency: Family::new_with_constructor(latency),
            connections: Gauge::default(),
            upstream_connections: Gauge::default(),
            tables: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// Adds what is read at each scrape.
    pub fn collect_from(&mut self, collector: Box<dyn Collector>) {
        self.registry.register_collector(collector);
    }

    pub fn request(&self, rule: Option<&RuleId>, code: u16, reason: &'static str, latency: Duration) {
        let labels = rule.map(RuleLabels::from).unwrap_or_default();
        let RuleLabels { namespace, name, rule } = labels.clone();
        self.latency.get_or_create(&labels).observe(latency.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { namespace, name, rule, code, reason }).inc();
    }

    /// OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests by rule, answer and reason", self.requests.clone());
        let latency = self.latency.clone();
        registry.register_with_unit("request_latency", "From request head to response head", Unit::Seconds, latency);
        registry.register("connections", "Open client connections", self.connections.clone());
        registry.register("upstream_connections", "Open connections to backends", self.upstream_connections.clone());
        registry.register("tables", "Routing tables put in service", self.tables.clone());
    }
}

// === impl RuleLabels ===

impl Default for RuleLabels {
    fn default() -> Self {
        Self { namespace: "".into(), name: "".into(), rule: "".into() }
    }
}

impl From<&RuleId> for RuleLabels {
    fn from(id: &RuleId) -> Self {
        Self { namespace: Arc::clone(&id.namespace), name: Arc::clone(&id.name), rule: Arc::clone(&id.rule) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_once_by_rule_answer_and_reason() {
        let metrics = Metrics::default();
        let rule = RuleId { namespace: "shop".into(), name: "messages".into(), rule: "read".into() };
        metrics.request(Some(&rule), 401, "missing_token", Duration::from_micros(700));
        metrics.request(None, 404, "no_route", Duration::from_micros(70));
        let text = metrics.encode();
        let want = r#"portcullis_requests_total{namespace="shop",name="messages",rule="read",code="401",reason="missing_token"} 1"#;
        assert!(text.contains(want), "{text}");
        assert!(
            text.contains(r#"portcullis_request_latency_seconds_bucket{le="0.001",namespace="shop",name="messages",rule="read"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"rule="",code="404",reason="no_route"} 1"#), "{text}");
    }
}
