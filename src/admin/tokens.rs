//! What the memory for tokens does, read at each scrape.

use crate::jwt::{CacheStats, TokenCache};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use std::{fmt, sync::Arc};

/// Hits and misses make the hit ratio: `rate(hits) / (rate(hits) + rate(misses))`. All are zero while the cache is off.
#[derive(Debug)]
pub struct TokenMetrics {
    pub tokens: Arc<TokenCache>,
}

impl Collector for TokenMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let CacheStats { hits, misses, refused, tokens, bytes } = self.tokens.stats();
        counter(&mut encoder, "token_cache_hits", "Tokens whose signature was remembered as good", hits)?;
        counter(&mut encoder, "token_cache_misses", "Tokens that were not remembered", misses)?;
        counter(&mut encoder, "token_cache_refusals", "Tokens whose signature was remembered as bad", refused)?;
        gauge(&mut encoder, "token_cache_tokens", "Tokens remembered as good", tokens as u64)?;
        gauge(&mut encoder, "token_cache_bytes", "Memory that remembered tokens are charged with", bytes)
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}
