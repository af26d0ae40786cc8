use super::*;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::json;
use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tower_service::Service;

/// An API server with one Secret, `shop/key`.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    says: Says,
    /// What the client has been told.
    told: Says,
    asked: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Says {
    #[default]
    Missing,
    Value(&'static str),
    Forbidden,
    Broken,
}

struct World {
    server: Server,
    states: Arc<SecretStates>,
    changes: Arc<Changes>,
    watches: SecretWatches,
}

// === impl Server ===

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn say(&self, says: Says) {
        self.state().says = says;
    }

    /// The requests of the next so many seconds.
    async fn asked_within(&self, seconds: u64) -> Vec<String> {
        self.state().asked.clear();
        sleep(Duration::from_secs(seconds)).await;
        self.state().asked.clone()
    }

    fn list(&self) -> (StatusCode, String) {
        let items: Vec<_> = self.secret().into_iter().collect();
        self.told();
        match self.state().says {
            Says::Forbidden => (StatusCode::FORBIDDEN, forbidden()),
            Says::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "broken".to_owned()),
            Says::Missing | Says::Value(_) => {
                let list = json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": items});
                (StatusCode::OK, list.to_string())
            }
        }
    }

    /// Until something changes, or the watch is over.
    async fn watch(&self) -> (StatusCode, String) {
        if matches!(self.state().says, Says::Forbidden | Says::Broken) {
            return self.list();
        }
        let before = self.state().told.clone();
        for _ in 0..TIMEOUT * 10 {
            sleep(Duration::from_millis(100)).await;
            let now = self.state().says.clone();
            match (now, self.secret()) {
                (now, _) if now == before => {}
                // The server does not look at rights while a watch is open.
                (Says::Forbidden | Says::Broken, _) => {}
                (_, Some(secret)) => {
                    self.told();
                    return (StatusCode::OK, format!("{}\n", json!({"type": "MODIFIED", "object": secret})));
                }
                (_, None) => {
                    self.told();
                    let metadata = json!({"name": "key", "namespace": "shop", "resourceVersion": "10"});
                    return (StatusCode::OK, format!("{}\n", json!({"type": "DELETED", "object": {"metadata": metadata}})));
                }
            }
        }
        (StatusCode::OK, String::new())
    }

    fn told(&self) {
        let mut state = self.state();
        if !matches!(state.says, Says::Forbidden | Says::Broken) {
            state.told = state.says.clone();
        }
    }

    fn secret(&self) -> Option<Value> {
        let Says::Value(value) = self.state().says else { return None };
        let metadata = json!({"name": "key", "namespace": "shop", "resourceVersion": "10"});
        Some(json!({"metadata": metadata, "type": "Opaque", "data": {"secret": STANDARD.encode(value), "odd": 5}}))
    }
}

fn forbidden() -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"}).to_string()
}

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (server, uri) = (self.clone(), request.uri().to_string());
        server.state().asked.push(uri.clone());
        Box::pin(async move {
            let (status, body) = if uri.contains("watch=true") { server.watch().await } else { server.list() };
            Ok(Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap())
        })
    }
}

// === impl World ===

impl World {
    fn new() -> Self {
        let (server, states, changes) = (Server::default(), Arc::<SecretStates>::default(), Arc::<Changes>::default());
        let account = Some(("gate".to_owned(), "portcullis".to_owned()));
        let reader = Reader { role: "portcullis-secrets".to_owned(), account };
        let client = Client::new(server.clone(), "default");
        let watches = SecretWatches::new(client, reader, Arc::clone(&states), Arc::clone(&changes), Arc::default(), 7);
        Self { server, states, changes, watches }
    }

    async fn until(&self, want: &SecretState, seconds: u64) {
        let start = Instant::now();
        while self.states.all().get(&key()) != Some(want) {
            assert!(start.elapsed() < Duration::from_secs(seconds), "{want:?} not within {seconds} s: {:?}", self.states);
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn key() -> SecretRef {
    named("shop", "key")
}

fn named(namespace: &str, name: &str) -> SecretRef {
    SecretRef { namespace: namespace.into(), name: name.into() }
}

fn known(value: &str) -> SecretState {
    SecretState::Known([("secret".to_owned(), SecretBytes::from(value.as_bytes().to_vec()))].into_iter().collect())
}

fn not_permitted() -> SecretState {
    let remedy = "a RoleBinding of ClusterRole portcullis-secrets in namespace shop gives the right: kubectl create rolebinding \
                  portcullis-secrets --namespace=shop --clusterrole=portcullis-secrets --serviceaccount=gate:portcullis";
    SecretState::NotPermitted { remedy: remedy.into() }
}

#[tokio::test(start_paused = true)]
async fn k15_k25_a_secret_is_followed_from_missing_to_its_newest_value() {
    let mut world = World::new();
    world.watches.assign(&[key()]);
    world.until(&SecretState::Missing, 1).await;
    for (says, want) in [
        (Says::Value("one"), known("one")),
        (Says::Value("two"), known("two")),
        (Says::Missing, SecretState::Missing),
        (Says::Value("three"), known("three")),
    ] {
        world.changes.next().await;
        world.server.say(says);
        world.until(&want, 1).await;
    }
}

/// P68: what may no longer be read is no longer known; K12: the message names the remedy, and the remedy is all that is needed.
#[tokio::test(start_paused = true)]
async fn p68_a_right_that_is_removed_ends_access_and_one_that_is_given_heals() {
    let mut world = World::new();
    world.server.say(Says::Forbidden);
    world.watches.assign(&[key()]);
    world.until(&not_permitted(), 1).await;
    world.server.say(Says::Value("one"));
    world.until(&known("one"), 7).await;
    world.server.say(Says::Forbidden);
    world.until(&not_permitted(), u64::from(TIMEOUT) + 1).await;
    let asked = world.server.asked_within(60).await;
    assert!((5..=20).contains(&asked.len()), "backed off: {asked:?}");
    world.server.say(Says::Missing);
    world.until(&SecretState::Missing, 7).await;
}

/// K01: an API server that is broken says nothing about the Secret.
#[tokio::test(start_paused = true)]
async fn an_outage_leaves_what_is_known() {
    let mut world = World::new();
    world.server.say(Says::Value("one"));
    world.watches.assign(&[key()]);
    world.until(&known("one"), 1).await;
    world.server.say(Says::Broken);
    let asked = world.server.asked_within(120).await;
    assert!((20..=60).contains(&asked.len()), "{} requests in two minutes", asked.len());
    assert_eq!(world.states.all()[&key()], known("one"));
    world.server.say(Says::Value("two"));
    world.until(&known("two"), 7).await;
    assert!(world.watches.shared.health.counters.watch_errors.load(std::sync::atomic::Ordering::Relaxed) > 10);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_named_is_asked_for_and_by_its_name() {
    let mut world = World::new();
    assert!(world.server.asked_within(60).await.is_empty(), "nobody names a Secret");
    world.server.say(Says::Value("one"));
    world.watches.assign(&[key(), named("web", "other")]);
    let asked = world.server.asked_within(60).await;
    for uri in &asked {
        let key = uri.starts_with("/api/v1/namespaces/shop/secrets?") && uri.contains("fieldSelector=metadata.name%3Dkey");
        let other = uri.starts_with("/api/v1/namespaces/web/secrets?") && uri.contains("fieldSelector=metadata.name%3Dother");
        assert!(key || other, "{uri}");
    }
    assert!(asked.len() > 4, "{asked:?}");
    assert_eq!(world.states.all()[&named("web", "other")], SecretState::Missing, "a Secret of another name does not count");
    world.watches.assign(&[named("web", "other")]);
    let asked = world.server.asked_within(60).await;
    assert!(!asked.is_empty() && asked.iter().all(|uri| uri.contains("/web/")), "{asked:?}");
    assert_eq!(world.states.all().into_keys().collect::<Vec<_>>(), [named("web", "other")], "forgotten at once");
    world.watches.assign(&[]);
    assert!(world.server.asked_within(60).await.is_empty() && world.states.all().is_empty());
}

/// A namespace that names more than its share loses what it named last, and takes nothing from others.
#[tokio::test(start_paused = true)]
async fn what_is_watched_is_bounded() {
    let mut world = World::new();
    let many = |namespace: &str, n: std::ops::Range<usize>| -> Vec<_> { n.map(|n| named(namespace, &format!("s{n:04}"))).collect() };
    let is_over = |state: &SecretState| matches!(state, SecretState::NotPermitted { remedy } if remedy.contains("at most 64 Secrets"));
    let first = many("shop", 500..500 + MOST_IN_NAMESPACE);
    world.watches.assign(&first);
    world.watches.assign(&[many("shop", 0..10), first.clone(), many("web", 0..1)].concat());
    let states = world.states.all();
    let over: Vec<_> = states.iter().filter(|(_, state)| is_over(state)).map(|(reference, _)| reference.clone()).collect();
    assert_eq!(over, many("shop", 0..10));
    assert_eq!(world.watches.running.len(), MOST_IN_NAMESPACE + 1);
    let all: Vec<_> = (0..20).flat_map(|n| many(&format!("n{n:02}"), 0..MOST_IN_NAMESPACE)).collect();
    world.watches.assign(&all);
    assert_eq!(world.watches.running.len(), MOST);
}

#[test]
fn j53_neither_an_object_nor_a_watch_shows_a_secret() {
    let raw: RawSecret =
        serde_json::from_value(Server(Arc::new(Mutex::new(State { says: Says::Value("hunter2"), ..State::default() }))).secret().unwrap())
            .unwrap();
    assert_eq!(SecretState::Known(raw.data.clone()), known("hunter2"), "what cannot be read is left out");
    let states = SecretStates::default();
    states.put(&key(), known("hunter2"));
    let shown = format!("{raw:?} {states:?} {:?}", Event::Apply(raw.clone()));
    assert!(!shown.contains("hunter2") && !shown.contains(&STANDARD.encode("hunter2")) && !shown.contains("104, 117"), "{shown}");
}
