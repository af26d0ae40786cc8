//! `portcullis explain --cluster` against a real API server: the same table, asked once.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at the first surprise")]

#[path = "support/apiserver.rs"]
mod apiserver;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/gate.rs"]
mod gate;

use apiserver::ApiServer;
use gate::{apply, create_service, endpoint, set_addresses};
use serde_json::{Value, json};
use std::process::Command;
use tokio::task::spawn_blocking;

/// Exit code, standard output and error.
async fn explain(server: &ApiServer, url: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["explain", "--cluster", "-o", "json", "GET", url]).env("KUBECONFIG", server.kubeconfig());
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), out, err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_once_and_answers_as_its_gateway_would() {
    let server = ApiServer::start().await.unwrap();
    let admin = server.client().await.unwrap();
    let (code, _, error) = explain(&server, "http://shop.example.com/").await;
    assert!(code == 2 && error.contains("cannot reach a cluster"), "without the CRD: {code} {error}");

    cluster::install_crd(&admin).await;
    cluster::until_crd_works(&admin).await;
    let mut shop = endpoint("shop", "web");
    shop["spec"]["rules"] = json!([{"path": "/"}, {"path": "/open", "access": "Public"}]);
    apply(&admin, &shop).await;
    let reason = async |path: &str| {
        let (code, out, error) = explain(&server, &format!("http://shop.example.com{path}")).await;
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
        (code, report["answer"]["reason"].as_str().unwrap().to_owned(), report)
    };
    let (code, refused, report) = reason("/open").await;
    assert_eq!((code, refused.as_str(), &report["rule"]["rule"]), (1, "invalid_backend", &json!("rules[1]")));
    create_service(&admin, "web").await;
    assert_eq!(reason("/open").await.1, "no_endpoint");
    set_addresses(&admin, "web", &["10.1.0.1"]).await;
    let (code, forwarded, report) = reason("/open").await;
    assert_eq!((code, forwarded.as_str(), &report["backend"]["endpoints"]), (0, "forwarded", &json!(["10.1.0.1:8080"])));
    assert_eq!(reason("/").await.1, "missing_token");
}
