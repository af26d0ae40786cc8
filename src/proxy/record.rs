//! What became of one request: one line in the access log, one count. Closed when the answer's body is.

use super::{
    Gateway,
    activity::Activity,
    body::Broken,
    reject::{Blame, Rejection},
    trail::Trail,
    tunnel::End,
};
use crate::{
    routing::{Cors, RuleId},
    telemetry,
};
use http::{HeaderValue, Method, StatusCode, Version};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Record {
    gateway: Arc<Gateway>,
    activity: Arc<Activity>,
    started: Instant,
    answered: Option<Instant>,
    pub(super) client: IpAddr,
    pub(super) method: Method,
    version: Version,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) request_id: String,
    pub(super) rule: Option<RuleId>,
    /// For every answer of the host.
    pub(super) hsts: Option<HeaderValue>,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) trail: Trail,
    /// What browsers are told on the answer, whatever it is.
    pub(super) cors: Option<Arc<Cors>>,
    status: StatusCode,
    reason: &'static str,
    blame: Option<&'static str>,
    message: Option<String>,
}

impl Record {
    pub(super) fn begin(gateway: &Arc<Gateway>, activity: &Arc<Activity>, client: IpAddr, method: Method, version: Version) -> Self {
        activity.request_began();
        Self {
            gateway: Arc::clone(gateway),
            activity: Arc::clone(activity),
            started: Instant::now(),
            answered: None,
            client,
            method,
            version,
            host: String::new(),
            path: String::new(),
            request_id: String::new(),
            rule: None,
            hsts: None,
            upstream: None,
            trail: Trail::default(),
            cors: None,
            status: StatusCode::OK,
            // Kept when nobody answers: the client went away.
            reason: "aborted",
            blame: Some("client"),
            message: None,
        }
    }

    /// A request that could not be read at all.
    pub(super) fn refused(gateway: &Arc<Gateway>, activity: &Arc<Activity>, client: IpAddr, version: Version, rejection: &Rejection) {
        let unknown = Method::from_bytes(b"-").unwrap_or_default();
        Self::begin(gateway, activity, client, unknown, version).rejected(rejection);
    }

    pub(super) fn served(&mut self, status: StatusCode, reason: &'static str) {
        self.answered = Some(Instant::now());
        (self.status, self.reason, self.blame) = (status, reason, None);
    }

    /// The answer ended before it was whole.
    pub(super) fn broke_off(&mut self, broken: &Broken) {
        self.activity.answer_broke_off();
        (self.reason, self.blame) = match broken {
            Broken::Upstream(_) => ("broken_answer", Some(Blame::Upstream.as_str())),
            Broken::TokenExpired => ("token_expired", Some(Blame::Client.as_str())),
            Broken::Withdrawn(rejection) => {
                self.message = Some(rejection.message());
                ("withdrawn", Some(rejection.blame().as_str()))
            }
        };
    }

    /// A WebSocket is over.
    pub(super) fn tunnel_ended(&mut self, end: End) {
        self.reason = end.as_str();
        self.blame = matches!(end, End::Expired | End::Idle).then_some(Blame::Client.as_str());
    }

    pub(super) fn rejected(&mut self, rejection: &Rejection) {
        self.served(rejection.status(), rejection.reason());
        self.blame = Some(rejection.blame().as_str());
        self.message = Some(rejection.message());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.activity.request_ended();
        let latency = self.answered.unwrap_or_else(Instant::now) - self.started;
        let status = self.answered.map_or(telemetry::CLIENT_CLOSED, |_| self.status.as_u16());
        self.gateway.metrics.request(self.rule.as_ref(), status, self.reason, latency);
        self.gateway.metrics.by_protocol(self.version);
        self.gateway.access_log.write(&telemetry::AccessLine {
            time: self.gateway.clock.now(),
            client: self.client,
            method: telemetry::cut(self.method.as_str(), telemetry::MAX_METHOD),
            protocol: telemetry::protocol(self.version),
            host: &self.host,
            path: &self.path,
            status,
            reason: self.reason,
            blame: self.blame,
            message: self.message.as_deref(),
            rule: self.rule.as_ref(),
            upstream: self.upstream,
            request_id: &self.request_id,
            latency,
            duration: self.started.elapsed(),
        });
    }
}
