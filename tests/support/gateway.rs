//! The real data plane on a port of its own, fed with the documents a user would write.

use super::client::{Answer, Client};
use k8s_openapi::api::core::v1::Secret;
use portcullis::{
    clock,
    compile::{Compiled, EndpointObject, Inputs, Ownership, SecretData, SecretRef, Secrets, ServiceObject, compile},
    demo::{Api, Echo, Tenant},
    jwks::{ConnectTo, Connector, Fetcher, KeyRing, PrivateIssuers, Refresher},
    jwt::{KeySet, Provider, ProviderId, TokenCache},
    live::Live,
    proxy::{self, ClientAddress, Clock, Protocol, Server, Settings, Shutdown, Timeouts, TlsTerms, TlsVersion, listen},
    publish::Publisher,
    routing::{BackendId, EndpointSet},
    telemetry::{AccessLog, Format, Metrics},
};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Handle, time::Instant};

pub const DOMAIN: &str = "tenant.example.com";
pub const AUDIENCE: &str = "https://api.example.com";
/// This installation's name in `Via`.
pub const VIA: &str = "portcullis-test";

/// The issuer of every test that does not watch its fetches: its keys are in the ring from the start.
pub static TENANT: LazyLock<Tenant> = LazyLock::new(new_tenant);

/// A running data plane. Stops when dropped.
pub struct Gateway {
    pub address: SocketAddr,
    /// Where HTTP/2 is spoken with prior knowledge.
    pub h2c: SocketAddr,
    pub https: SocketAddr,
    pub live: Arc<Live>,
    pub tokens: Arc<TokenCache>,
    pub metrics: Arc<Metrics>,
    pub handle: proxy::Handle,
    server: Option<Server>,
    log: Lines,
    default_certificate: Option<SecretRef>,
    publisher: Mutex<Publisher>,
}

/// What a gateway starts with.
pub struct Setup {
    /// ProtectedEndpoints and Services.
    pub manifests: String,
    /// Behind each Service (of any namespace), under all its ports.
    pub endpoints: Vec<(String, Vec<SocketAddr>)>,
    pub timeouts: Timeouts,
    pub client_address: ClientAddress,
    pub workers: usize,
    /// Bytes for remembered tokens; 0: none are.
    pub token_cache: u64,
    pub max_connections: usize,
    pub max_streams: usize,
    pub https_public_port: Option<u16>,
    pub default_certificate: Option<SecretRef>,
    /// Where `TENANT`'s domain really is; `None`: its keys are there, and nothing is fetched.
    pub issuer: Option<SocketAddr>,
    pub ca: Option<String>,
    /// `false`: no table yet.
    pub publish: bool,
}

/// The access log, line by line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

// === impl Setup ===

impl Setup {
    pub fn new(manifests: &str) -> Self {
        Self {
            manifests: manifests.to_owned(),
            endpoints: Vec::new(),
            timeouts: Timeouts::default(),
            client_address: ClientAddress::Direct,
            workers: 1,
            token_cache: 1 << 24,
            max_connections: 10_000,
            max_streams: 5_000,
            https_public_port: None,
            default_certificate: None,
            issuer: None,
            ca: None,
            publish: true,
        }
    }

    pub fn behind(mut self, service: &str, addresses: &[SocketAddr]) -> Self {
        self.endpoints.push((service.to_owned(), addresses.to_vec()));
        self
    }

    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The keys come from there, by way of the real refresher.
    pub fn issuer(mut self, address: SocketAddr) -> Self {
        self.issuer = Some(address);
        self
    }

    pub fn start(self) -> Gateway {
        Gateway::start(&self)
    }
}

// === impl Gateway ===

impl Gateway {
    pub fn start(setup: &Setup) -> Self {
        let ring = if setup.issuer.is_some() { KeyRing::default() } else { fixed_keys() };
        let live = Arc::new(Live { keys: ring, ..Live::default() });
        let log = Lines::default();
        let tokens = Arc::new(TokenCache::new(setup.token_cache));
        let gateway = Arc::new(proxy::Gateway {
            live: Arc::clone(&live),
            tokens: Arc::clone(&tokens),
            settings: settings(setup),
            tls: Some(TlsTerms::new(TlsVersion::Tls12, &[]).unwrap()),
            metrics: Arc::new(Metrics::default()),
            access_log: AccessLog::start(Format::Text, log.clone()).unwrap(),
            clock: Clock::Running(clock::unix_now),
        });
        let any = ([127, 0, 0, 1], 0).into();
        let ports = [Protocol::Http1, Protocol::Http2, Protocol::Tls].map(|protocol| listen(protocol, any, setup.workers).unwrap());
        let server = Server::start(&gateway, ports.into(), 7).unwrap();
        let publisher = Publisher::new(Arc::clone(&live), assign_keys(setup, &live));
        let metrics = Arc::clone(&gateway.metrics);
        let this = Self {
            address: server.address_of(Protocol::Http1).unwrap(),
            h2c: server.address_of(Protocol::Http2).unwrap(),
            https: server.address_of(Protocol::Tls).unwrap(),
            live,
            tokens,
            metrics,
            handle: server.handle(),
            server: Some(server),
            log,
            default_certificate: setup.default_certificate.clone(),
            publisher: Mutex::new(publisher),
        };
        if setup.publish {
            this.publish(&setup.manifests, &setup.endpoints);
        }
        this
    }

    /// Puts other documents in service.
    pub fn publish(&self, manifests: &str, endpoints: &[(String, Vec<SocketAddr>)]) -> Compiled {
        let mut inputs = inputs(manifests);
        inputs.ownership.default_certificate = self.default_certificate.clone();
        let compiled = compile(&inputs);
        self.publisher.lock().unwrap().publish(compiled.clone(), |backend| addresses(endpoints, backend));
        compiled
    }

    pub fn set_endpoints(&self, service: &str, to: &[SocketAddr]) {
        let endpoints = [(service.to_owned(), to.to_vec())];
        let publisher = self.publisher.lock().unwrap();
        let concerned: Vec<_> = publisher.backends().iter().filter(|backend| &*backend.service == service).cloned().collect();
        publisher.refresh(&concerned, |backend| addresses(&endpoints, backend));
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends these bytes on a connection of their own; returns what came until its end (or until nothing came for a while).
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.client().await;
        client.send(bytes).await;
        client.rest().await
    }

    /// One request on a connection of its own.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut client = self.client().await;
        client.request(method, path, headers).await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers).await
    }

    /// Waits until a line of the access log holds `text`.
    pub async fn logged(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(line) = self.log_lines().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "no line with {text:?} in {:#?}", self.log_lines());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn log_lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }

    /// Stops step by step; returns when every worker has ended.
    pub async fn join(mut self) {
        let server = self.server.take().unwrap();
        tokio::task::spawn_blocking(move || server.join()).await.unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.handle.shut_down(Shutdown::Stopped);
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(setup: &Setup) -> Settings {
    Settings {
        health_path: Some("/__health".to_owned()),
        client_address: setup.client_address.clone(),
        via: VIA.to_owned(),
        timeouts: setup.timeouts,
        max_connections: setup.max_connections,
        max_streams: setup.max_streams,
        https_public_port: setup.https_public_port,
    }
}

fn fixed_keys() -> KeyRing {
    let (keys, _) = KeySet::from_jwks(TENANT.jwks().to_string().as_bytes()).unwrap();
    KeyRing::fixed([(ProviderId { jwks_url: TENANT.jwks_url().into(), ca_bundle: None }, keys)], Instant::now())
}

fn assign_keys(setup: &Setup, live: &Arc<Live>) -> portcullis::publish::AssignKeys {
    let Some(issuer) = setup.issuer else { return Box::new(|_: &[Provider]| {}) };
    let rule: ConnectTo = format!("{DOMAIN}:443:{issuer}").parse().unwrap();
    let connector = Connector::new(vec![rule], PrivateIssuers::default()).unwrap();
    let mut refresher = Refresher::new(Handle::current(), Fetcher::new(connector), 1);
    let live = Arc::clone(live);
    Box::new(move |providers| refresher.assign(&live.keys, providers))
}

/// Documents that are neither ProtectedEndpoints nor Secrets are Services.
pub fn inputs(manifests: &str) -> Inputs {
    let documents: Vec<Value> = serde_yaml::from_multiple(manifests).unwrap();
    let (secrets, documents): (Vec<_>, Vec<_>) = documents.into_iter().partition(|document| document["kind"] == "Secret");
    let (endpoints, services): (Vec<_>, Vec<_>) = documents.into_iter().partition(|document| document["kind"] == "ProtectedEndpoint");
    let metadata = |document: &Value| {
        let mut metadata = document["metadata"].clone();
        metadata.as_object_mut().unwrap().entry("namespace").or_insert(json!("default"));
        metadata
    };
    let endpoint = |d: &Value| EndpointObject::from_parts(&serde_json::from_value(metadata(d)).unwrap(), d);
    let mut known = Secrets::complete();
    for document in &secrets {
        let mut document = document.clone();
        document["metadata"] = metadata(&document);
        let secret: Secret = serde_json::from_value(document).unwrap();
        known.insert(SecretRef::from(&secret), SecretData::from(&secret));
    }
    let service = |d: &Value| {
        let mut d = d.clone();
        d["metadata"] = metadata(&d);
        ServiceObject::from(&serde_json::from_value(d).unwrap())
    };
    Inputs {
        class: "portcullis".to_owned(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        services: services.iter().map(service).collect(),
        secrets: known,
        ownership: Ownership::default(),
    }
}

fn addresses(endpoints: &[(String, Vec<SocketAddr>)], backend: &BackendId) -> EndpointSet {
    let found = endpoints.iter().filter(|(service, _)| **service == *backend.service);
    found.flat_map(|(_, addresses)| addresses.iter().copied()).collect()
}

pub fn new_tenant() -> Tenant {
    let api = Api { audience: AUDIENCE.to_owned(), scope: "read:messages".to_owned(), claims: serde_json::Map::new() };
    Tenant::new(DOMAIN, clock::unix_now).unwrap().with_api(api).with_client("client", "secret")
}

/// A good token, with these claims in place of the usual.
pub fn token_with(claims: &Value) -> String {
    let mut all = TENANT.claims("client", AUDIENCE);
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    TENANT.mint(&all)
}

pub fn token() -> String {
    token_with(&json!({}))
}

pub fn bearer() -> String {
    format!("Bearer {}", token())
}

pub async fn start_echo() -> (Arc<Echo>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = Arc::new(Echo::default());
    tokio::spawn(Arc::clone(&echo).serve(listener));
    (echo, address)
}

/// One ProtectedEndpoint over the Service `web`, and that Service. `rest` continues the spec, at its indentation of two.
pub fn manifest(rest: &str) -> String {
    let auth = format!("auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}], alg: RS256}}");
    format!("{}\n---\n{SERVICE}", endpoint("messages", &format!("{auth}\n  backend: {{service: web, port: 80}}\n{rest}")))
}

/// A ProtectedEndpoint whose spec is this text, at an indentation of two after the first line.
pub fn endpoint(name: &str, spec: &str) -> String {
    format!("apiVersion: portcullis.dev/v1alpha1\nkind: ProtectedEndpoint\nmetadata: {{name: {name}}}\nspec:\n  {spec}")
}

pub const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}";
