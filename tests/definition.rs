//! How the definition looks to people on a real API server: `kubectl get pe`, `kubectl explain`, a resource nobody serves yet.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of a test may panic as the test itself may")]

#[path = "support/apiserver.rs"]
mod apiserver;

use apiserver::ApiServer;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use portcullis::api::{ProtectedEndpoint, custom_resource_definition};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_the_contract_shows() {
    let server = ApiServer::start().await.unwrap();
    let client = server.client().await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &custom_resource_definition()).await.unwrap();
    await_condition(definitions, "protectedendpoints.portcullis.dev", is_crd_established()).await.unwrap();
    let endpoints: Api<ProtectedEndpoint> = Api::namespaced(client.clone(), "default");
    endpoints.create(&PostParams::default(), &endpoint()).await.unwrap();

    a_resource_that_nobody_serves_says_so(&endpoints).await;
    the_table_shows_what_was_found(&client, &endpoints).await;
    explain_says_what_would_be_right(&server).await;
}

fn endpoint() -> ProtectedEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "metadata": {"name": "messages"},
        "spec": {
            "hosts": ["api.example.com", "b.example.com"],
            "auth0": {"domain": "tenant.eu.auth0.com", "audience": ["https://api.example.com"]},
            "backend": {"service": "messages", "port": 8080},
            "rules": [{"path": "/api"}],
        },
    }))
    .unwrap()
}

async fn a_resource_that_nobody_serves_says_so(endpoints: &Api<ProtectedEndpoint>) {
    let status = endpoints.get("messages").await.unwrap().status.unwrap();
    let [condition] = &status.conditions[..] else { panic!("{status:?}") };
    assert_eq!([&*condition.type_, &*condition.status, &*condition.reason], ["Accepted", "Unknown", "Pending"]);
    assert!(condition.message.contains("spec.className") && condition.message.contains("--class"), "{}", condition.message);
}

async fn the_table_shows_what_was_found(client: &Client, endpoints: &Api<ProtectedEndpoint>) {
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "status": {
            "conditions": [condition("KeysReady", "Fresh"), condition("Programmed", "Programmed"), condition("Ready", "Ready")],
            "hosts": [{"host": "api.example.com", "since": "2026-01-01T00:00:00Z"}],
            "addresses": ["192.0.2.1", "lb.example.com"],
        },
    });
    endpoints.patch_status("messages", &PatchParams::apply("portcullis").force(), &Patch::Apply(&status)).await.unwrap();
    let table = table(client).await;
    let columns = table["columnDefinitions"].as_array().unwrap().iter().zip(table["rows"][0]["cells"].as_array().unwrap());
    let shown: Vec<_> = columns
        .map(|(column, cell)| (column["name"].as_str().unwrap(), cell.as_str().unwrap_or_default(), column["priority"].as_i64().unwrap()))
        .collect();
    let expected = [
        ("Name", "messages", 0),
        ("HOSTS", "api.example.com", 0),
        ("DOMAIN", "tenant.eu.auth0.com", 0),
        ("READY", "True", 0),
        ("REASON", "Ready", 0),
        ("ADDRESS", "192.0.2.1", 0),
        ("AUDIENCE", "https://api.example.com", 1),
        ("ALG", "RS256", 1),
        ("KEYS", "Fresh", 1),
        ("PROGRAMMED", "True", 1),
    ];
    assert_eq!(shown[..expected.len()], expected);
    assert_eq!(shown[expected.len()].0, "AGE");
}

async fn table(client: &Client) -> Value {
    let request = http::Request::get("/apis/portcullis.dev/v1alpha1/namespaces/default/protectedendpoints");
    let request = request.header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io").body(Vec::new()).unwrap();
    client.request(request).await.unwrap()
}

/// By short name and category. A server publishes a new kind's documentation a moment after the kind itself.
async fn explain_says_what_would_be_right(server: &ApiServer) {
    assert!(kubectl(server, &["get", "portcullis", "-o", "name"]).unwrap().contains("protectedendpoint.portcullis.dev/messages"));
    for _ in 0..50 {
        if let Ok(text) = kubectl(server, &["explain", "pe.spec.auth0"]) {
            let words: Vec<_> = text.split_whitespace().collect();
            let text = words.join(" ");
            assert!(text.contains("audience <[]string> -required-"), "{text}");
            assert!(text.contains("enum: Any, All"), "{text}");
            assert!(text.contains("RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA"), "{text}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("kubectl explain does not know the kind after 10 s");
}

fn kubectl(server: &ApiServer, args: &[&str]) -> Result<String, String> {
    let output = server.kubectl().args(args).output().expect("kubectl stands beside the API server: run `tests/cluster/cluster build`");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
