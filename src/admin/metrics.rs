//! Metrics that are read at each scrape instead of counted as they happen.

use crate::{jwks::ProviderKeys, jwt::ProviderId, live::Live};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use std::{fmt, sync::Arc};

/// Age of the keys and results of their fetches, by key-set URL.
#[derive(Debug)]
pub struct KeyMetrics {
    pub live: Arc<Live>,
}

impl Collector for KeyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let providers = self.live.keys.all();
        ages(&providers, &mut encoder)?;
        fetches(&providers, &mut encoder)
    }
}

type Providers = [(ProviderId, Arc<ProviderKeys>)];

fn ages(providers: &Providers, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let sample = ConstGauge::new(0_i64);
    let mut family =
        encoder.encode_descriptor("jwks_age_seconds", "Seconds since the keys in service were fetched", None, sample.metric_type())?;
    for (id, keys) in providers {
        if let Some((_, came)) = &keys.state().good {
            let labels = [("jwks_url", id.to_string())];
            ConstGauge::new(i64::try_from(came.elapsed().as_secs()).unwrap_or(i64::MAX)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn fetches(providers: &Providers, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let sample = ConstCounter::new(0_u64);
    let mut family = encoder.encode_descriptor("jwks_fetches", "Fetches of key sets by result", None, sample.metric_type())?;
    for (id, keys) in providers {
        for (result, count) in keys.fetches() {
            let labels = [("jwks_url", id.to_string()), ("result", result)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
