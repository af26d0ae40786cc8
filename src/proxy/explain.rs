//! What the data plane would answer, and why, without a socket or a backend: [`decide`] itself, asked by an operator.

use super::{
    Gateway, Rejection,
    activity::Activity,
    connection::Peer,
    encrypted,
    forward::endpoints,
    handle::{Decision, Passage, accept_lines, decide},
    record::Record,
    reject::Context,
    serve::Shutdown,
    trail::{Kept, Step, Trail},
    upload::Upload,
    worker::{Share, Worker},
};
use crate::{
    authz::Lack,
    jwks::Keys,
    jwt::{Examination, ProviderId},
    routing::{Access, BackendId, KeySource, Route, TokenPolicy},
};
use http::{HeaderMap, Method, StatusCode, Uri, request::Parts};
use std::{net::SocketAddr, sync::Arc};
use tokio::{sync::watch, time::Instant};

/// One request, decided.
#[derive(Debug)]
pub struct Explanation {
    /// Canonical; empty when they could not be read.
    pub host: String,
    pub path: String,
    pub route: Option<Arc<Route>>,
    /// What went well, in order.
    pub steps: Vec<Step>,
    /// What became of the token, where one was looked at with keys.
    pub token: Option<Examination>,
    /// What the claims of a good token lack.
    pub lack: Option<Lack>,
    /// Whose keys are needed and are not there.
    pub keys_wanted: Option<ProviderId>,
    pub verdict: Verdict,
}

/// What the client would get.
#[derive(Debug)]
pub enum Verdict {
    /// An answer of the gateway's own; the label is that of the access log.
    Answer(StatusCode, &'static str, HeaderMap),
    Forward(Onward),
    /// With the headers of the answer, but for the request's id.
    Reject(Rejection, HeaderMap),
}

/// What the backend would be asked.
#[derive(Debug)]
pub struct Onward {
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    pub headers: HeaderMap,
    pub backend: BackendId,
    /// Ready now; one of them would be chosen.
    pub endpoints: Vec<SocketAddr>,
}

/// Decides the request as a worker would, up to the door of the backend.
pub async fn explain(gateway: &Arc<Gateway>, peer: SocketAddr, parts: Parts) -> Explanation {
    let (_running, shutdown) = watch::channel(Shutdown::Running);
    let worker = Worker::new(gateway, shutdown, Share::of(&gateway.settings, 1), 0);
    let mut record = Record::begin(gateway, &Activity::new(), peer.ip(), parts.method.clone(), parts.version);
    record.trail = Trail::kept();
    let accept = accept_lines(&parts);
    let peer = Peer { address: peer, secured: encrypted::as_asked(gateway, &parts.uri) };
    let decided = decide(&worker, &peer, parts, Upload::default(), &mut record).await;
    let verdict = match decided.and_then(|decision| verdict(&worker, decision)) {
        Ok(verdict) => verdict,
        Err(rejection) => {
            let context = Context { request: &accept, realm: &record.host, request_id: "" };
            let headers = std::mem::take(rejection.answer(&context).headers_mut());
            Verdict::Reject(rejection, headers)
        }
    };
    let Kept { steps, route, token } = record.trail.take();
    let policy = route.as_deref().and_then(policy);
    let (token, lack) = policy.zip(token).and_then(|(policy, token)| examine(gateway, policy, &token)).unzip();
    let wanted = matches!(verdict, Verdict::Reject(Rejection::KeysUnavailable, _));
    Explanation {
        host: record.host.clone(),
        path: record.path.clone(),
        token,
        lack: lack.flatten(),
        keys_wanted: policy.filter(|_| wanted).and_then(|policy| policy.keys.provider().cloned()),
        route,
        steps,
        verdict,
    }
}

fn verdict(worker: &Worker, decision: Decision) -> Result<Verdict, Rejection> {
    match decision {
        Decision::Answer(mut response, label) => Ok(Verdict::Answer(response.status(), label, std::mem::take(response.headers_mut()))),
        Decision::Forward(passage) => onward(worker, passage).map(Verdict::Forward),
    }
}

/// The permit ends here.
fn onward(worker: &Worker, passage: Passage) -> Result<Onward, Rejection> {
    let Passage { route, request, .. } = passage;
    let upstream = &route.plan.sound().map_err(Rejection::Refused)?.upstream;
    let endpoints = endpoints(worker, upstream)?.addresses().to_vec();
    let (head, _) = request.into_parts();
    Ok(Onward { method: head.method, uri: head.uri, headers: head.headers, backend: upstream.backend.clone(), endpoints })
}

fn policy(route: &Route) -> Option<&TokenPolicy> {
    match &route.plan.sound().ok()?.access {
        Access::Public(_) => None,
        Access::Token(policy) => Some(policy),
    }
}

/// With the keys and the time that the decision was made with: both stand still here.
fn examine(gateway: &Gateway, policy: &TokenPolicy, token: &str) -> Option<(Examination, Option<Lack>)> {
    let keys = match &policy.keys {
        KeySource::Secret(key) => Arc::clone(key),
        KeySource::Published { provider, max_staleness } => match gateway.live.keys.find(provider)?.at(Instant::now(), *max_staleness) {
            Keys::Known(keys) => keys,
            Keys::Unavailable => return None,
        },
    };
    let now = gateway.clock.now();
    let claims = policy.checks.verify(token, &keys, now).ok();
    Some((policy.checks.examine(token, &keys, now), claims.and_then(|claims| policy.requirement.lack(&claims))))
}
