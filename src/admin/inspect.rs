//! The read-only view of what is in service now: `/table`.

use super::Answer;
use crate::{
    jwks::{Freshness, ProviderKeys},
    jwt::ProviderId,
    live::{Endpoints, Live},
    routing::{Access, BackendId, Line, Plan, Serve},
};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// Everything a person needs to see why a request is served as it is, and nothing secret.
#[derive(Debug)]
pub struct Inspect {
    pub live: Arc<Live>,
}

impl Answer for Inspect {
    fn answer(&self, path: &str) -> Option<(StatusCode, &'static str, String)> {
        (path == "/table").then(|| (StatusCode::OK, "application/json", format!("{:#}\n", self.table())))
    }
}

impl Inspect {
    pub fn table(&self) -> Value {
        let table = self.live.table.load();
        let routes = table.as_ref().as_ref().map(|snapshot| snapshot.lines().iter().map(route).collect::<Vec<_>>());
        let keys: Vec<_> = self.live.keys.all().iter().map(|(id, keys)| provider(id, keys)).collect();
        json!({ "loaded": routes.is_some(), "routes": routes.unwrap_or_default(), "keys": keys, "endpoints": self.endpoints() })
    }

    fn endpoints(&self) -> Value {
        let endpoints = self.live.endpoints.load();
        let line = |(id, endpoints): (&BackendId, &Arc<Endpoints>)| (id.to_string(), json!(endpoints.now().addresses()));
        let mut lines: Vec<_> = endpoints.iter().map(line).collect();
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        lines.into_iter().collect::<serde_json::Map<_, _>>().into()
    }
}

fn route(line: &Line<'_>) -> Value {
    let methods: Vec<_> = line.methods.iter().map(|method| method.as_str()).collect();
    let plan = match &line.route.plan {
        Plan::Refuse(refusal) => json!({ "refuses": refusal.as_str() }),
        Plan::Serve(serve) => served(serve),
    };
    json!({
        "host": line.host.to_string(), "pathType": format!("{:?}", line.kind), "path": line.path, "methods": methods,
        "rule": line.route.id.to_string(), "plan": plan,
    })
}

fn served(serve: &Serve) -> Value {
    let access = match &serve.access {
        Access::Public(_) => json!("Public"),
        Access::Token(policy) => json!({
            "issuer": policy.checks.issuer, "audience": policy.checks.audience, "alg": policy.checks.algorithm.as_str(),
            "keys": policy.keys.to_string(), "requires": policy.requirement.lines.len(),
        }),
    };
    let upstream = &serve.upstream;
    let (backend, scheme) = (upstream.backend.to_string(), upstream.transport.scheme());
    json!({ "access": access, "backend": backend, "scheme": scheme, "timeoutMs": upstream.timeout.as_millis() as u64 })
}

fn provider(id: &ProviderId, keys: &ProviderKeys) -> Value {
    let state = keys.state();
    let good = state.good.as_ref();
    json!({
        "jwksUrl": id.to_string(), "privateCa": id.ca_bundle.is_some(), "state": freshness(state.freshness()),
        "failure": state.failure.map(|error| error.to_string()),
        "ageSeconds": good.map(|(_, came)| came.elapsed().as_secs()),
        "skippedKeys": state.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "keyIds": good.map(|(keys, _)| keys.key_ids()).unwrap_or_default(),
    })
}

fn freshness(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::NeverFetched => "NeverFetched",
        Freshness::FetchFailed => "FetchFailed",
        Freshness::Fresh => "Fresh",
        Freshness::Stale => "Stale",
    }
}
