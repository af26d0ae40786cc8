//! An issuer that does what a test says, in paused time.

use crate::{
    jwks::{Document, Fetch, FetchError, FetchFailure, KeyRing, Keys, ProviderKeys, Refresher},
    jwt::{KeySet, Provider, ProviderId},
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) type Answer = Result<Document, FetchFailure>;

/// What every issuer answers now and after how long, and when it was asked.
#[derive(Debug, Default)]
pub(super) struct Script {
    answers: Mutex<HashMap<ProviderId, (Duration, Answer)>>,
    asked: Mutex<Vec<(ProviderId, Instant)>>,
}

impl Script {
    pub(super) fn answer(&self, id: &ProviderId, answer: Answer) {
        self.answer_after(id, Duration::ZERO, answer);
    }

    pub(super) fn answer_after(&self, id: &ProviderId, delay: Duration, answer: Answer) {
        self.answers.lock().unwrap().insert(id.clone(), (delay, answer));
    }

    /// When this issuer was asked, oldest first.
    pub(super) fn asked(&self, id: &ProviderId) -> Vec<Instant> {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == id).map(|(_, at)| *at).collect()
    }
}

impl Fetch for Arc<Script> {
    async fn fetch(&self, id: &ProviderId) -> Answer {
        self.asked.lock().unwrap().push((id.clone(), Instant::now()));
        let (delay, answer) = self.answers.lock().unwrap().get(id).cloned().unwrap_or_else(|| (Duration::ZERO, fails(FetchError::Dns)));
        sleep(delay).await;
        answer
    }
}

/// A ring with one issuer, `https://a.example/`, that answers with the key `one`.
pub(super) struct Stage {
    pub(super) script: Arc<Script>,
    pub(super) ring: KeyRing,
    pub(super) refresher: Refresher<Arc<Script>>,
    pub(super) id: ProviderId,
}

impl Stage {
    pub(super) fn new(first: Answer) -> Self {
        let (script, id) = (Arc::new(Script::default()), id("a"));
        script.answer(&id, first);
        let refresher = Refresher::new(Handle::current(), Arc::clone(&script), 7);
        Self { script, ring: KeyRing::default(), refresher, id }
    }

    /// Assigned with this refresh interval; the first fetch has ended.
    pub(super) async fn started(first: Answer, refresh: Duration) -> Self {
        let mut stage = Self::new(first);
        stage.assign(refresh);
        settle().await;
        stage
    }

    pub(super) fn assign(&mut self, refresh: Duration) {
        self.refresher.assign(&self.ring, &[Provider { id: self.id.clone(), refresh }]);
    }

    pub(super) fn keys(&self) -> Arc<ProviderKeys> {
        self.ring.find(&self.id).expect("assigned")
    }

    pub(super) fn set(&self) -> Arc<KeySet> {
        let Keys::Known(set) = self.keys().at(Instant::now(), DAY) else { panic!("no keys") };
        set
    }

    /// The ids in service, `None` when there are no keys or they are older than a day.
    pub(super) fn key_ids(&self) -> Option<Vec<String>> {
        match self.keys().at(Instant::now(), DAY) {
            Keys::Known(set) => Some(set.key_ids().into_iter().map(str::to_owned).collect()),
            Keys::Unavailable => None,
        }
    }

    pub(super) fn fetches(&self) -> usize {
        self.script.asked(&self.id).len()
    }
}

/// Lets every task that can run do so; no timer fires.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn id(name: &str) -> ProviderId {
    ProviderId { jwks_url: format!("https://{name}.example/.well-known/jwks.json").into(), ca_bundle: None }
}

pub(super) fn jwk(kid: &str) -> Value {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = BASE64URL.encode(pair.public_key());
    json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x})
}

/// A JWKS with a new key under each id.
pub(super) fn keys(kids: &[&str]) -> Answer {
    let keys: Vec<_> = kids.iter().map(|kid| jwk(kid)).collect();
    Ok(Document::from(json!({"keys": keys}).to_string()))
}

pub(super) fn document(text: impl Into<String>) -> Answer {
    Ok(Document::from(text.into()))
}

pub(super) fn fails(error: FetchError) -> Answer {
    Err(FetchFailure::from(error))
}

pub(super) fn try_again_in(pause: Duration) -> Answer {
    Err(FetchFailure { error: FetchError::Status, retry_after: Some(pause) })
}

/// What was logged while the guard lived, at every level.
#[derive(Clone, Debug, Default)]
pub(super) struct Logs(Arc<Mutex<Vec<u8>>>);

/// For this thread, which is a test's whole runtime.
pub(super) fn capture_logs() -> (Logs, tracing::subscriber::DefaultGuard) {
    /// While there is only one subscriber, tracing lets the thread that first passes an event decide for all whether anybody
    /// listens. A second one that lives as long as the process makes it ask.
    static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(io::sink).into());
    let logs = Logs::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    (logs, tracing::subscriber::set_default(subscriber))
}

impl Logs {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
