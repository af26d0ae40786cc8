//! Counters and histograms in OpenMetrics text. Every label is bounded: objects and rules by what is stored, reasons by code.

use super::{AccessLog, series::Series};
use crate::routing::RuleId;
use http::Version;
use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{collections::HashSet, time::Duration};

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    series: Series,
    /// Open client connections.
    pub connections: Gauge,
    /// Open WebSockets, among the clients' connections.
    pub websockets: Gauge,
    /// Open connections to backends.
    pub upstream_connections: Gauge,
    /// Endpoints of backends that are left out because they failed, over all workers.
    pub upstream_ejected: Gauge,
    /// How often one was.
    pub upstream_ejections: Counter,
    /// Tables put in service.
    pub tables: Counter,
    /// TLS connections that did not come about.
    pub failed_handshakes: Counter,
    http1: Counter,
    http2: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

/// As it stands in logs and labels.
pub fn protocol(version: Version) -> &'static str {
    if version == Version::HTTP_2 { "h2" } else { "http/1.1" }
}

/// One more in a gauge for as long as this lives, however it ends.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            series: Series::default(),
            connections: Gauge::default(),
            websockets: Gauge::default(),
            upstream_connections: Gauge::default(),
            upstream_ejected: Gauge::default(),
            upstream_ejections: Counter::default(),
            tables: Counter::default(),
            failed_handshakes: Counter::default(),
            http1: Counter::default(),
            http2: Counter::default(),
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

    /// Adds the lines that `log` loses.
    pub fn watch(&mut self, log: &AccessLog) {
        self.registry.register("access_log_lost_lines", "Lines the output was too slow for", log.dropped().clone());
    }

    pub fn request(&self, rule: Option<&RuleId>, code: u16, reason: &'static str, latency: Duration) {
        self.series.count(rule, code, reason, latency);
    }

    /// Counts a request by what it came in.
    pub fn by_protocol(&self, version: Version) {
        let counter = if version == Version::HTTP_2 { &self.http2 } else { &self.http1 };
        counter.inc();
    }

    /// Forgets the rules that are not in `table`, and were not when this was called last.
    pub fn retain_rules(&self, table: &HashSet<&RuleId>) {
        self.series.retain(table);
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
        registry.register_collector(Box::new(self.series.clone()));
        registry.register("connections", "Open client connections", self.connections.clone());
        registry.register("websockets", "Open WebSockets, among the client connections", self.websockets.clone());
        registry.register("upstream_connections", "Open connections to backends", self.upstream_connections.clone());
        registry.register("upstream_ejected", "Endpoints left out because they failed, by worker", self.upstream_ejected.clone());
        registry.register("upstream_ejections", "How often a worker left an endpoint out", self.upstream_ejections.clone());
        registry.register("tables", "Routing tables put in service", self.tables.clone());
        registry.register("failed_handshakes", "TLS connections that did not come about", self.failed_handshakes.clone());
        let by_protocol = Family::<ProtocolLabel, Counter>::default();
        self.http1 = by_protocol.get_or_create(&ProtocolLabel { protocol: protocol(Version::HTTP_11) }).clone();
        self.http2 = by_protocol.get_or_create(&ProtocolLabel { protocol: protocol(Version::HTTP_2) }).clone();
        registry.register("requests_by_protocol", "Requests by what they came in", by_protocol);
    }
}

// === impl Counted ===

impl Counted {
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> RuleId {
        RuleId { namespace: "shop".into(), name: name.into(), rule: "read".into() }
    }

    #[test]
    fn a_request_is_counted_once_by_rule_answer_and_reason() {
        let metrics = Metrics::default();
        metrics.request(Some(&rule("messages")), 401, "missing_token", Duration::from_micros(700));
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

    #[test]
    fn p74_rules_that_left_the_table_leave_no_series() {
        let (metrics, kept, gone) = (Metrics::default(), rule("kept"), rule("gone"));
        let count = |rule: &RuleId| metrics.request(Some(rule), 200, "forwarded", Duration::from_micros(70));
        let has = |name: &str| metrics.encode().contains(&format!("name=\"{name}\""));
        let table = HashSet::from([&kept]);
        [&kept, &gone].into_iter().for_each(count);
        metrics.request(None, 404, "no_route", Duration::from_micros(70));
        metrics.retain_rules(&table);
        assert!(has("gone"), "answers may still be on their way");
        metrics.retain_rules(&table);
        assert!(has("kept") && !has("gone") && has(""), "{}", metrics.encode());
        count(&gone);
        metrics.retain_rules(&table);
        metrics.retain_rules(&HashSet::from([&kept, &gone]));
        metrics.retain_rules(&table);
        assert!(has("gone"), "it came back in between");
    }

    #[test]
    fn k27_lines_that_the_log_lost_are_told() {
        let (mut metrics, log) = (Metrics::default(), AccessLog::off());
        metrics.watch(&log);
        log.dropped().inc();
        assert!(metrics.encode().contains("portcullis_access_log_lost_lines_total 1"), "{}", metrics.encode());
    }
}
