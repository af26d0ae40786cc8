//! Metrics that are read at each scrape instead of counted as they happen.

use crate::{
    jwks::{KeyState, ProviderKeys},
    jwt::ProviderId,
    live::Live,
};
use aws_lc_rs::digest::{SHA256, digest};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use std::{fmt, sync::Arc};

/// Age and number of the keys and results of their fetches, by key source.
#[derive(Debug)]
pub struct KeyMetrics {
    pub live: Arc<Live>,
}

impl Collector for KeyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let providers = self.live.keys.all();
        ages(&providers, &mut encoder)?;
        counts(&providers, &mut encoder)?;
        fetches(&providers, &mut encoder)
    }
}

/// How the control plane is doing.
#[cfg(feature = "controller")]
#[derive(Debug)]
pub struct ControlMetrics {
    pub health: Arc<crate::controller::Health>,
}

#[cfg(feature = "controller")]
impl Collector for ControlMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stale = i64::try_from(self.health.staleness().as_secs()).unwrap_or(i64::MAX);
        gauge(&mut encoder, "control_plane_stale_seconds", "Seconds since the most silent watch heard from the API server", stale)?;
        gauge(&mut encoder, "leader", "1 while this replica writes status", i64::from(self.health.leads()))?;
        let loaded = i64::try_from(self.health.loaded()).unwrap_or(i64::MAX);
        gauge(&mut encoder, "loaded_resource_version", "Every ProtectedEndpoint up to this resourceVersion is in the table", loaded)?;
        silences(&self.health, &mut encoder)?;
        let counters = &self.health.counters;
        let all = [
            ("compiles", "Tables compiled", &counters.compiled),
            ("compile_panics", "Compiles that panicked; the table in service stayed", &counters.compile_panics),
            ("watch_errors", "Errors of watches", &counters.watch_errors),
            ("status_writes", "Status patches sent", &counters.status_writes),
            ("status_errors", "Status patches that failed", &counters.status_errors),
            ("events_sent", "Events sent", &counters.events_sent),
            ("events_failed", "Events that could not be sent", &counters.events_failed),
            ("events_dropped", "Events that were not sent because too many waited", &counters.events_dropped),
            ("task_panics", "Control-plane tasks that panicked and were started again", &counters.task_panics),
        ];
        all.into_iter().try_for_each(|(name, help, counter)| {
            let counter = ConstCounter::new(counter.load(std::sync::atomic::Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        })
    }
}

/// K19: a watch that went silent is seen by its kind.
#[cfg(feature = "controller")]
fn silences(health: &crate::controller::Health, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let sample = ConstGauge::new(0_i64);
    let help = "Seconds since the watch of a kind heard from the API server";
    let mut family = encoder.encode_descriptor("watch_silence_seconds", help, None, sample.metric_type())?;
    let watches =
        [("ProtectedEndpoint", &health.protected_endpoints), ("Service", &health.services), ("EndpointSlice", &health.endpoint_slices)];
    watches.into_iter().try_for_each(|(kind, heard)| {
        let age = i64::try_from(heard.age().as_secs()).unwrap_or(i64::MAX);
        ConstGauge::new(age).encode(family.encode_family(&[("kind", kind)])?)
    })
}

#[cfg(feature = "controller")]
fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> Result<(), fmt::Error> {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

type Providers = [(ProviderId, Arc<ProviderKeys>)];

/// Two sources of one URL are told apart by their authority: none, or the beginning of its bundle's SHA-256.
fn labels(id: &ProviderId) -> [(&'static str, String); 2] {
    let digest = id.ca_bundle.as_ref().map(|bundle| digest(&SHA256, bundle.as_bytes()));
    let ca = digest.map(|digest| digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect());
    [("jwks_url", id.to_string()), ("ca", ca.unwrap_or_default())]
}

fn ages(providers: &Providers, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let age = |state: &KeyState| state.good.as_ref().map(|(_, came)| came.elapsed().as_secs());
    gauges(providers, encoder, "jwks_age_seconds", "Seconds since the keys in service were fetched", age)
}

fn counts(providers: &Providers, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let keys = |state: &KeyState| state.good.as_ref().map(|(keys, _)| keys.key_ids().len() as u64);
    gauges(providers, encoder, "jwks_keys", "Key ids in service", keys)?;
    let skipped = |state: &KeyState| Some(state.skipped.len() as u64);
    gauges(providers, encoder, "jwks_skipped_keys", "Keys of the newest key set that verify nothing", skipped)?;
    let failing = |state: &KeyState| Some(u64::from(state.failure.is_some()));
    gauges(providers, encoder, "jwks_failing", "1 while the newest fetch has failed", failing)
}

fn gauges(
    providers: &Providers,
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl Fn(&KeyState) -> Option<u64>,
) -> Result<(), fmt::Error> {
    let sample = ConstGauge::new(0_i64);
    let mut family = encoder.encode_descriptor(name, help, None, sample.metric_type())?;
    for (id, keys) in providers {
        if let Some(value) = value(&keys.state()) {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(family.encode_family(&labels(id))?)?;
        }
    }
    Ok(())
}

fn fetches(providers: &Providers, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let sample = ConstCounter::new(0_u64);
    let mut family = encoder.encode_descriptor("jwks_fetches", "Fetches of key sets by result", None, sample.metric_type())?;
    for (id, keys) in providers {
        for (result, count) in keys.fetches() {
            let [url, ca] = labels(id);
            ConstCounter::new(count).encode(family.encode_family(&[url, ca, ("result", result)])?)?;
        }
    }
    Ok(())
}
