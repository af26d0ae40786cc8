//! DATA PLANE. Runs without a cluster: all it knows is [`Live`].
//!
//! ```text
//! accept -> read head -> handle -> target -> route -> credentials -> verify -> authorise -> forward -> answer
//!             |             |        400      404       400 401        401 503    403         502 503 504
//!             |             |                405 503    403
//!             timeouts      every way out passes `reject` (if refused) and `record` (always: one line, one count)
//! ```
//!
//! One worker a core: its own runtime, listener and upstream connections. Workers share [`Live`], and nothing else.

mod activity;
mod balance;
mod body;
mod chunk;
mod connection;
mod cors;
mod credentials;
mod dialect;
mod doors;
mod encrypted;
mod explain;
mod forward;
mod frames;
mod grpc;
mod handle;
mod headers;
mod heads;
mod http2;
mod identity;
mod line;
mod listen;
mod onward;
mod pool;
mod proxied;
mod query;
mod record;
mod reject;
mod serve;
mod socket;
mod spoken;
mod standing;
mod streams;
mod target;
mod tls;
mod trail;
mod tunnel;
mod upload;
mod watched;
mod websocket;
mod worker;

pub use self::{
    credentials::Place,
    explain::{Explanation, Onward, Verdict, explain},
    listen::{ListenError, Port, Protocol, listen},
    reject::{Blame, Rejection},
    serve::{Handle, Opener, Server, Shutdown},
    tls::{TlsTerms, TlsVersion},
    trail::Step,
};

use crate::{jwt::TokenCache, live::Live, telemetry};
use ipnet::IpNet;
use std::{sync::Arc, time::Duration};

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    pub live: Arc<Live>,
    /// What is remembered of tokens whose signature was good.
    pub tokens: Arc<TokenCache>,
    pub settings: Settings,
    /// `None`: it is not spoken.
    pub tls: Option<TlsTerms>,
    pub metrics: Arc<telemetry::Metrics>,
    pub access_log: telemetry::AccessLog,
    pub clock: Clock,
}

/// Tells the time since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    Running(fn() -> Duration),
    /// Always the same: for questions about another time.
    Standing(Duration),
}

/// Fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Answered with `{"status":"ok"}` where no rule matches; `None`: nowhere.
    pub health_path: Option<String>,
    pub client_address: ClientAddress,
    /// This installation's name in `Via` (RFC 9110 §7.6.3): a token nobody else uses.
    pub via: String,
    pub timeouts: Timeouts,
    /// Clients' connections at once, over all workers (P58). One that is idle costs about 20 KiB, one that sends a head of 64 KiB
    /// about 90 KiB.
    pub max_connections: usize,
    /// Requests at once on HTTP/2 connections beside each connection's first, over all workers. One costs about as much as a
    /// connection.
    pub max_streams: usize,
    /// Where clients reach the port for TLS; `None`: at the usual one.
    pub https_public_port: Option<u16>,
}

/// Whose word about the client's address, scheme and host is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// Nobody's: the peer is the client.
    Direct,
    /// Peers in these networks: each of their connections begins with a header of the PROXY protocol that says who the client is.
    ProxyProtocol(Vec<IpNet>),
    /// Peers in these networks: what they say in `X-Forwarded-*` and `Forwarded` is passed on.
    TrustedProxies(Vec<IpNet>),
}

/// Limits on a connection's patience (P56).
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the first byte of a request head to its last.
    pub header: Duration,
    /// Between requests.
    pub idle: Duration,
    /// A client that sends no byte of the body it promised.
    pub body_stall: Duration,
    /// A client that takes no byte of an answer.
    pub write_stall: Duration,
    /// A body of which no byte comes or goes once the answer has begun, whosever fault it is: long polls and event streams
    /// must live.
    pub body_idle: Duration,
    /// Between two looks whether an answer under way would be given again (J100): well within the time that a drain takes.
    pub standing: Duration,
    /// A WebSocket, however busy.
    pub websocket_life: Duration,
    /// To open a connection to a backend.
    pub connect: Duration,
    /// An upstream connection without a request.
    pub upstream_idle: Duration,
    /// An upstream connection takes no new request when it is older: endpoints come and go, and those that came should get their
    /// share.
    pub upstream_life: Duration,
    /// How long an endpoint that failed three times in a row is left out at first; twelve times as long at most.
    pub ejection: Duration,
}

// === impl Clock ===

impl Clock {
    pub fn now(self) -> Duration {
        match self {
            Self::Running(now) => now(),
            Self::Standing(now) => now,
        }
    }
}

// === impl Timeouts ===

impl Timeouts {
    /// Of those that may begin at any time on a client's connection.
    fn shortest(&self) -> Duration {
        self.header.min(self.idle).min(self.body_stall).min(self.write_stall).min(self.body_idle)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body_stall: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            body_idle: Duration::from_secs(3600),
            standing: Duration::from_secs(10),
            websocket_life: Duration::from_secs(24 * 3600),
            connect: Duration::from_secs(5),
            upstream_idle: Duration::from_secs(20),
            upstream_life: Duration::from_secs(600),
            ejection: Duration::from_secs(5),
        }
    }
}
