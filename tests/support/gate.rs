//! A controller under test, and the objects it looks at.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at the first surprise")]
#![allow(dead_code, unreachable_pub, reason = "every test includes this file and uses a part of it")]

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use portcullis::{
    clock,
    compile::Ownership,
    controller::{self, Health, Pod, Reader},
    demo::Tenant,
    jwks::{Fetch, FetchError, FetchFailure, Refresher},
    jwt::ProviderId,
    live::Live,
    routing::{BackendId, CanonicalPath, Found, Host, Plan, Route},
};
use serde_json::{Value, json};
use std::{fmt::Debug, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

pub const NAMESPACE: &str = "portcullis";

/// One running controller.
pub struct Gate {
    pub live: Arc<Live>,
    pub health: Arc<Health>,
    issuers: Issuers,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Answers for every issuer, except those whose name begins with `down.`. All have the keys of one tenant.
#[derive(Clone)]
struct Issuers {
    tenant: Arc<Tenant>,
}

// === impl Gate ===

impl Gate {
    /// Starts a replica named `pod` of class `portcullis` in namespace `portcullis`.
    pub fn start(client: Client, pod: &str) -> Self {
        Self::start_as(client, Some(Pod { name: pod.to_owned(), uid: None }))
    }

    /// The same outside the cluster: nobody's replica.
    pub fn start_guest(client: Client) -> Self {
        Self::start_as(client, None)
    }

    fn start_as(client: Client, pod: Option<Pod>) -> Self {
        let (live, health) = (Arc::new(Live::default()), Arc::new(Health::default()));
        let config = controller::Config {
            class: "portcullis".to_owned(),
            ownership: Ownership::default(),
            namespace: NAMESPACE.to_owned(),
            pod,
            service: Some((NAMESPACE.to_owned(), "portcullis".to_owned())),
            reader: Reader { role: "portcullis-secrets".to_owned(), account: Some((NAMESPACE.to_owned(), "portcullis".to_owned())) },
            clock: clock::unix_now,
        };
        let issuers = Issuers::new();
        let mut refresher = Refresher::new(tokio::runtime::Handle::current(), issuers.clone(), 7);
        let ring = Arc::clone(&live);
        let assign = Box::new(move |providers: &[_]| refresher.assign(&ring.keys, providers));
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let task = tokio::spawn(controller::run(client, config, Arc::clone(&live), assign, Arc::clone(&health), shutdown));
        Self { live, health, issuers, stop: Some(stop), task }
    }

    /// Every issuer has new keys, and they are fetched as for a token that names one of them.
    pub async fn rotate_keys(&self) {
        self.issuers.tenant.rotate().unwrap();
        self.issuers.tenant.revoke_old_keys();
        for (_, provider) in self.live.keys.all() {
            if let Some((seen, _)) = provider.state().good.clone() {
                assert!(provider.refresh_for_unknown_key(&seen).await, "other keys");
            }
        }
    }

    pub fn is_ready(&self) -> bool {
        *self.health.ready().borrow()
    }

    pub async fn until_ready(&self, patience: u64) {
        eventually("ready", patience, async || self.is_ready()).await;
    }

    /// The route that serves `GET http://host/path`.
    pub fn route(&self, host: &str, path: &str) -> Option<Arc<Route>> {
        let table = self.live.table.load();
        let (host, path) = (Host::parse(host).unwrap(), CanonicalPath::parse(path).unwrap());
        match (*table).as_ref().as_ref()?.find(&host, &path, &http::Method::GET) {
            Found::Route(route) => Some(Arc::clone(route)),
            _ => None,
        }
    }

    /// Whether a request there would be forwarded (once its token is good).
    pub fn serves(&self, host: &str) -> bool {
        self.route(host, "/").is_some_and(|route| matches!(route.plan, Plan::Serve(_)))
    }

    /// Whether a request there is refused in place.
    pub fn refuses(&self, host: &str) -> bool {
        self.route(host, "/").is_some_and(|route| matches!(route.plan, Plan::Refuse(_)))
    }

    pub fn endpoints(&self, service: &str) -> Option<Vec<SocketAddr>> {
        let id = BackendId { namespace: "default".into(), service: service.into(), port: "http".into() };
        Some(self.live.endpoints_of(&id)?.addresses().to_vec())
    }

    /// Stops it as SIGTERM would.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }
}

// === impl Issuers ===

impl Issuers {
    fn new() -> Self {
        Self { tenant: Arc::new(Tenant::new("tenant.example.com", clock::unix_now).unwrap()) }
    }
}

impl Fetch for Issuers {
    async fn fetch(&self, id: &ProviderId) -> Result<bytes::Bytes, FetchFailure> {
        match id.jwks_url.starts_with("https://down.") {
            true => Err(FetchError::Connect.into()),
            false => Ok(self.tenant.jwks().to_string().into()),
        }
    }
}

/// Waits until `done`, at most `patience` seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, patience: u64, done: impl Fn() -> F) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(patience), "not within {patience} s: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Asserts that `holds`, again and again, for `seconds`.
pub async fn always<F: Future<Output = T>, T: PartialEq + Debug>(what: &str, seconds: u64, value: impl Fn() -> F) {
    let (start, first) = (Instant::now(), value().await);
    while start.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_millis(50)).await;
        assert_eq!(value().await, first, "changed: {what}");
    }
}

/// Of the namespace `default`.
pub fn endpoints_api(client: &Client) -> Api<DynamicObject> {
    endpoints_api_in(client, "default")
}

pub fn endpoints_api_in(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "portcullis.dev".into(),
        version: "v1alpha1".into(),
        api_version: "portcullis.dev/v1alpha1".into(),
        kind: "ProtectedEndpoint".into(),
        plural: "protectedendpoints".into(),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// A good ProtectedEndpoint `name` of the host `name.example.com`, for the Service `service`.
pub fn endpoint(name: &str, service: &str) -> Value {
    json!({
        "apiVersion": "portcullis.dev/v1alpha1",
        "kind": "ProtectedEndpoint",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "hosts": [format!("{name}.example.com")],
            "auth0": {"domain": "tenant.example.com", "audience": ["https://api.example.com"]},
            "backend": {"service": service, "port": 80},
            "rules": [{"path": "/"}],
        },
    })
}

/// `kubectl apply --server-side` as somebody who is not Portcullis.
pub async fn apply(client: &Client, object: &Value) -> DynamicObject {
    apply_in(client, "default", object).await
}

pub async fn apply_in(client: &Client, namespace: &str, object: &Value) -> DynamicObject {
    let name = object["metadata"]["name"].as_str().unwrap();
    endpoints_api_in(client, namespace).patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(object)).await.unwrap()
}

/// A Service in `default` with one port, `http`.
pub async fn create_service(client: &Client, name: &str) {
    let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}});
    let api: Api<Service> = Api::namespaced(client.clone(), "default");
    api.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
}

/// One EndpointSlice of that Service with these ready addresses.
pub async fn set_addresses(client: &Client, service: &str, addresses: &[&str]) {
    let endpoints: Vec<_> = addresses.iter().map(|a| json!({"addresses": [a], "conditions": {"ready": true}})).collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    });
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
    api.patch(&format!("{service}-1"), &PatchParams::apply("tests").force(), &Patch::Apply(slice)).await.unwrap();
}

/// Status, then reason, of one condition; "" when there is none.
pub fn condition(object: &DynamicObject, kind: &str) -> (String, String) {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind).cloned().unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

pub async fn until_condition(client: &Client, name: &str, kind: &str, want: (&str, &str), patience: u64) -> DynamicObject {
    until_condition_in(client, "default", name, kind, want, patience).await
}

pub async fn until_condition_in(
    client: &Client,
    namespace: &str,
    name: &str,
    kind: &str,
    want: (&str, &str),
    patience: u64,
) -> DynamicObject {
    let api = endpoints_api_in(client, namespace);
    let start = Instant::now();
    loop {
        let object = api.get(name).await.unwrap();
        let have = condition(&object, kind);
        if (have.0.as_str(), have.1.as_str()) == want {
            return object;
        }
        assert!(
            start.elapsed() < Duration::from_secs(patience),
            "{name}: {kind} is {have:?}, wanted {want:?}: {:#}",
            object.data["status"]
        );
        sleep(Duration::from_millis(50)).await;
    }
}
