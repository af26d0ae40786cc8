//! The test server itself: it serves, freezes, and keeps its objects over a restart.

#[path = "support/apiserver.rs"]
mod apiserver;

use apiserver::ApiServer;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn it_freezes_and_restarts_with_its_objects() {
    let mut server = ApiServer::start().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(server.client().await.unwrap(), "default");
    let mut map = ConfigMap::default();
    map.metadata.name = Some("kept".to_owned());
    maps.create(&PostParams::default(), &map).await.unwrap();

    server.pause().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), maps.get("kept")).await.is_err(), "a frozen server answers nothing");
    server.resume().unwrap();
    assert!(maps.get("kept").await.is_ok());

    server.stop();
    assert!(server.pause().is_err());
    assert!(maps.get("kept").await.is_err());
    server.restart().await.unwrap();
    assert!(maps.get("kept").await.is_ok());
}
