//! An Auth0-like tenant: the token endpoint, the key set and the discovery document of one domain, over TLS.

use super::{
    authority::Authority,
    grant::Grant,
    http::{Answer, accept, json, read_body, serve_connection, with_header},
    signing::SigningKey,
};
use http::{Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub const JWKS_PATH: &str = "/.well-known/jwks.json";
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
pub const TOKEN_PATH: &str = "/oauth/token";
const PATHS: [&str; 3] = [JWKS_PATH, DISCOVERY_PATH, TOKEN_PATH];
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Keys, clients and APIs of one domain. Its certificate is for that domain, whatever address it listens on.
pub struct Tenant {
    domain: String,
    clients: Vec<Client>,
    apis: Vec<Api>,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    authority: Authority,
    tls: TlsAcceptor,
    state: Mutex<State>,
}

/// A machine-to-machine application.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    pub secret: String,
}

/// An API: what its tokens hold besides the usual claims.
#[derive(Clone, Debug)]
pub struct Api {
    pub audience: String,
    /// Space-separated; left out of the token when empty.
    pub scope: String,
    /// Such as `permissions`, or roles under a name that an Action chose.
    pub claims: Map<String, Value>,
}

/// What the tenant does with a request, so that tests can break it.
#[derive(Clone, Debug, Default)]
pub enum Behaviour {
    #[default]
    Normal,
    /// Answers every request with this status and a body of text.
    Fail(StatusCode),
    /// Answers as usual, this much later.
    Slow(Duration),
}

#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    #[error("the certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the signing key could not be made")]
    Key(#[from] aws_lc_rs::error::Unspecified),
}

struct State {
    /// The newest is last, and signs.
    keys: Vec<SigningKey>,
    behaviour: Behaviour,
    requests: HashMap<&'static str, u64>,
}

// === impl Tenant ===

impl Tenant {
    /// A tenant with one key, no client and no API. `now` is the time since the Unix epoch.
    ///
    /// # Errors
    /// When `domain` is not a DNS name, or the system has no randomness to give.
    pub fn new(domain: &str, now: impl Fn() -> Duration + Send + Sync + 'static) -> Result<Self, TenantError> {
        let authority = Authority::new()?;
        let tls = TlsAcceptor::from(authority.server(domain)?);
        let state = State { keys: vec![SigningKey::generate()?], behaviour: Behaviour::Normal, requests: HashMap::new() };
        let (clients, apis) = (Vec::new(), Vec::new());
        Ok(Self { domain: domain.to_owned(), clients, apis, now: Box::new(now), authority, tls, state: Mutex::new(state) })
    }

    #[must_use]
    pub fn with_client(mut self, id: &str, secret: &str) -> Self {
        self.clients.push(Client { id: id.to_owned(), secret: secret.to_owned() });
        self
    }

    #[must_use]
    pub fn with_api(mut self, api: Api) -> Self {
        self.apis.push(api);
        self
    }

    /// `https://DOMAIN/`, with the slash.
    pub fn issuer(&self) -> String {
        format!("https://{}/", self.domain)
    }

    pub fn jwks_url(&self) -> String {
        format!("https://{}{JWKS_PATH}", self.domain)
    }

    /// The CA that signed the tenant's certificate.
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The document at [`JWKS_PATH`].
    pub fn jwks(&self) -> Value {
        json!({"keys": self.state().keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()})
    }

    /// The claims a client gets for an audience, whether or not either is known: a start for [`Self::mint`].
    pub fn claims(&self, client: &str, audience: &str) -> Value {
        let now = (self.now)().as_secs();
        let mut claims = json!({
            "iss": self.issuer(), "sub": format!("{client}@clients"), "aud": audience, "iat": now,
            "exp": now.saturating_add(TOKEN_LIFETIME.as_secs()), "azp": client, "gty": "client-credentials",
        });
        if let (Some(api), Some(object)) = (self.apis.iter().find(|api| api.audience == audience), claims.as_object_mut()) {
            if !api.scope.is_empty() {
                object.insert("scope".to_owned(), Value::from(api.scope.clone()));
            }
            object.extend(api.claims.clone());
        }
        claims
    }

    /// Signs any claims with the newest key.
    pub fn mint(&self, claims: &Value) -> String {
        self.state().keys.last().map(|key| key.sign(claims)).unwrap_or_default()
    }

    /// Signs any claims under any header; the signature is RS256 with the newest key whatever the header says.
    pub fn mint_with_header(&self, header: &Value, claims: &Value) -> String {
        self.state().keys.last().map(|key| key.sign_with_header(header, claims)).unwrap_or_default()
    }

    /// The id of the key that signs.
    pub fn kid(&self) -> String {
        self.state().keys.last().map(|key| key.kid().to_owned()).unwrap_or_default()
    }

    /// A new key signs from now on; the key set holds the old ones too.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn rotate(&self) -> Result<(), TenantError> {
        let key = SigningKey::generate()?;
        self.state().keys.push(key);
        Ok(())
    }

    /// Takes every key but the newest out of the key set.
    pub fn revoke_old_keys(&self) {
        let mut state = self.state();
        let old = state.keys.len().saturating_sub(1);
        state.keys.drain(..old);
    }

    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// How many requests named this path, whatever was answered. Unknown paths are counted together as `""`.
    pub fn requests(&self, path: &str) -> u64 {
        self.state().requests.get(path).copied().unwrap_or_default()
    }

    /// Accepts connections for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let stream = accept(&listener).await;
            tokio::spawn(Arc::clone(&self).serve_stream(stream));
        }
    }

    async fn serve_stream(self: Arc<Self>, stream: TcpStream) {
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_connection(stream, |request| self.answer(request)).await,
            Ok(Err(error)) => tracing::debug!(%error, "demo tenant: no TLS"),
            Err(_) => tracing::debug!("demo tenant: TLS handshake timed out"),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match self.count(request.uri().path()) {
            Behaviour::Normal => {}
            Behaviour::Fail(status) => return json(status, &json!({"error": "broken on purpose"})),
            Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, JWKS_PATH) => with_header(json(StatusCode::OK, &self.jwks()), header::CACHE_CONTROL, "public, max-age=15"),
            (&Method::GET, DISCOVERY_PATH) => json(StatusCode::OK, &self.discovery()),
            (&Method::POST, TOKEN_PATH) => with_header(self.grant(request).await, header::CACHE_CONTROL, "no-store"),
            _ => json(StatusCode::NOT_FOUND, &json!({"error": "not_found"})),
        }
    }

    fn count(&self, path: &str) -> Behaviour {
        let path = PATHS.into_iter().find(|known| *known == path).unwrap_or_default();
        let mut state = self.state();
        *state.requests.entry(path).or_default() += 1;
        state.behaviour.clone()
    }

    fn discovery(&self) -> Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}oauth/token"),
            "jwks_uri": self.jwks_url(),
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    async fn grant(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let body = read_body(body).await.unwrap_or_default();
        let grant = Grant::parse(&head.headers, &body);
        let granted = grant.and_then(|grant| grant.authorize(&self.clients, &self.apis));
        granted.map_or_else(|error| json(error.status, &error.body()), |(client, api)| self.token_answer(client, api))
    }

    fn token_answer(&self, client: &Client, api: &Api) -> Answer {
        let token = self.mint(&self.claims(&client.id, &api.audience));
        let mut answer = json!({"access_token": token, "expires_in": TOKEN_LIFETIME.as_secs(), "token_type": "Bearer"});
        if let (Some(object), false) = (answer.as_object_mut(), api.scope.is_empty()) {
            object.insert("scope".to_owned(), Value::from(api.scope.clone()));
        }
        json(StatusCode::OK, &answer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("domain", &self.domain).finish_non_exhaustive()
    }
}
