//! `portcullis explain`: what one request would be answered, and why, check by check.
//!
//! ```text
//! files or a cluster -> World -> compile, publish -> Live \
//! METHOD URL, headers, token -> a request's head ----------> proxy::explain -> Report -> text or JSON
//! ```
//!
//! Every decision is the data plane's own: this module reads, asks and tells.

mod assume;
mod checks;
mod page;
mod question;
mod report;
mod world;

pub use self::{report::Report, world::Served};

use crate::{
    args::{Explain, HealthPath},
    jwks::KeyRing,
    jwt::{KeySet, ProviderId, TokenCache},
    live::Live,
    proxy::{self, ClientAddress, Clock, Explanation, Gateway, Settings, Timeouts},
    telemetry::{AccessLog, Metrics},
};
use http::request::Parts;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What cannot be asked: for a person, and never with a token in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

/// A request, and everything that its answer depends on.
#[derive(Debug)]
pub struct Question<'a> {
    parts: Parts,
    token: Option<String>,
    url: String,
    served: &'a Served,
    settings: Settings,
    now: Duration,
    /// Why keys are missing.
    trouble: Vec<String>,
}

/// Nobody: a request that nobody has sent has no peer.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

// === impl Usage ===

impl Usage {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

// === impl Question ===

impl<'a> Question<'a> {
    /// `now` counts from the Unix epoch.
    ///
    /// # Errors
    /// What cannot be asked.
    pub fn new(served: &'a Served, args: &Explain, token: Option<String>, now: Duration) -> Result<Self, Usage> {
        let parts = question::request(args, token.as_deref())?;
        let (settings, now) = (settings(&args.health_path), args.at.map_or(now, |at| at.0));
        Ok(Self { parts, token, url: args.url.clone(), served, settings, now, trouble: vec![] })
    }

    /// Decides without keys first: whose they are, if any are needed, is part of the answer.
    pub async fn wanted_keys(&self) -> Option<ProviderId> {
        self.explain(KeyRing::default()).await.keys_wanted
    }

    /// Decides with these keys; `trouble` tells why there are none.
    pub async fn answer(mut self, keys: Option<(ProviderId, KeySet)>, trouble: Vec<String>) -> Report {
        let explanation = self.explain(KeyRing::fixed(keys, Instant::now())).await;
        self.trouble = trouble;
        report::report(&self, &explanation)
    }

    async fn explain(&self, keys: KeyRing) -> Explanation {
        let served = &self.served.live;
        let (table, endpoints) = (served.table.load_full().into(), served.endpoints.load_full().into());
        let gateway = Gateway {
            live: Arc::new(Live { table, endpoints, keys }),
            tokens: Arc::new(TokenCache::new(0)),
            settings: self.settings.clone(),
            tls: None,
            metrics: Arc::new(Metrics::default()),
            access_log: AccessLog::off(),
            clock: Clock::Standing(self.now),
        };
        proxy::explain(&Arc::new(gateway), PEER, self.parts.clone()).await
    }
}

fn settings(health_path: &HealthPath) -> Settings {
    let health_path = match health_path {
        HealthPath::At(path) => Some(path.clone()),
        HealthPath::Off => None,
    };
    Settings {
        health_path,
        client_address: ClientAddress::Direct,
        via: "portcullis-explain".to_owned(),
        timeouts: Timeouts::default(),
        max_connections: 1,
        max_streams: 1,
        https_public_port: None,
    }
}
