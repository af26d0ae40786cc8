use super::*;
use crate::{compile::Ownership, controller::Reader};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll},
};
use tower_service::Service;

/// An API server that knows one Lease, and can stop answering.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    frozen: bool,
    /// Answered once, before the next write is looked at: another replica was quicker.
    rival: Option<&'static str>,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn holder(&self) -> Option<String> {
        self.state().lease.as_ref()?.spec.as_ref()?.holder_identity.clone()
    }

    /// As another replica, whose clock stands anywhere, would write it.
    fn put(&self, holder: &str, renewed: i64) {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        };
        self.state().store(Lease { spec: Some(spec), ..Lease::default() });
    }

    fn elector(&self, pod: &str) -> (Elector, Leading) {
        let config = Config {
            class: "portcullis".to_owned(),
            ownership: Ownership::default(),
            namespace: "portcullis".to_owned(),
            pod: None,
            service: None,
            reader: Reader { role: String::new(), account: None },
            clock: || Duration::from_secs(1_000),
        };
        let leading = Leading::default();
        let pod = Pod { name: pod.to_owned(), uid: None };
        (Elector::new(Client::new(self.clone(), "portcullis"), &config, &pod, leading.clone()), leading)
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let mut state = self.state();
        if let Some(rival) = (*method != Method::GET).then(|| state.rival.take()).flatten() {
            let spec = LeaseSpec { holder_identity: Some(rival.to_owned()), ..LeaseSpec::default() };
            state.store(Lease { spec: Some(spec), ..Lease::default() });
        }
        let sent = || serde_json::from_slice::<Lease>(body).unwrap();
        let current = state.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let code = match *method {
            Method::GET if current.is_none() => StatusCode::NOT_FOUND,
            Method::POST if current.is_some() => StatusCode::CONFLICT,
            Method::PUT if current != sent().metadata.resource_version => StatusCode::CONFLICT,
            Method::GET => StatusCode::OK,
            _ => {
                state.store(sent());
                StatusCode::OK
            }
        };
        let reason = if code == StatusCode::NOT_FOUND { "NotFound" } else { "Conflict" };
        let failure =
            || serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(), "reason": reason});
        let answer = if code == StatusCode::OK { serde_json::to_vec(&state.lease) } else { serde_json::to_vec(&failure()) };
        (code, answer.unwrap())
    }
}

impl State {
    fn store(&mut self, mut lease: Lease) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease);
    }
}

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            if server.state().frozen {
                std::future::pending::<()>().await;
            }
            let (head, body) = request.into_parts();
            let (code, answer) = server.answer(&head.method, &body.collect().await.unwrap().to_bytes());
            Ok(Response::builder().status(code).body(Body::from(answer)).unwrap())
        })
    }
}

/// Runs an elector until the test ends or `stop` is dropped.
fn run(mut elector: Elector) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    (stop, tokio::spawn(async move { elector.run(async { drop(stopped.await) }).await }))
}

async fn after(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_takes_it_keeps_it_and_gives_it_back() {
    let server = Server::default();
    let (elector, leading) = server.elector("a");
    let (stop, task) = run(elector);
    timeout(Duration::from_secs(5), leading.begun()).await.unwrap();
    for _ in 0..60 {
        after(1).await;
        assert!(leading.now() && server.holder().as_deref() == Some("a"));
    }
    let renewals = server.state().version;
    assert!((25..=35).contains(&renewals), "{renewals} writes in a minute");
    drop(stop);
    task.await.unwrap();
    assert!(!leading.now());
    assert_eq!(server.holder().as_deref(), Some(""));
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_replaced_by_our_clock_whatever_its_own_says_k26() {
    for renewed in [0, 1_000, 4_000_000_000] {
        let server = Server::default();
        server.put("old", renewed);
        let (elector, leading) = server.elector("a");
        let _running = run(elector);
        after(14).await;
        assert!(!leading.now(), "taken before the old holder's time was over; it says {renewed}");
        after(4).await;
        assert!(leading.now(), "not taken within 18 s; the old holder says {renewed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_renews_keeps_it() {
    let server = Server::default();
    let (elector, leading) = server.elector("a");
    let _running = run(elector);
    for _ in 0..10 {
        server.put("other", 0);
        after(10).await;
        assert!(!leading.now());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_is_a_conflict_and_no_term() {
    let server = Server::default();
    server.put("", 0);
    server.state().rival = Some("quicker");
    let (elector, leading) = server.elector("a");
    let _running = run(elector);
    after(1).await;
    assert!(!leading.now());
    assert_eq!(server.holder().as_deref(), Some("quicker"));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_silent_ends_the_term_before_others_may_begin_k23() {
    let server = Server::default();
    let (elector, leading) = server.elector("a");
    let _running = run(elector);
    timeout(Duration::from_secs(5), leading.begun()).await.unwrap();
    let start = Instant::now();
    server.state().frozen = true;
    leading.over().await;
    assert!(start.elapsed() <= RENEW, "acted for {:?} on one renewal", start.elapsed());
    assert!(RENEW + RETRY < DURATION, "others wait longer than we act");
    server.state().frozen = false;
    after(7).await;
    assert!(leading.now(), "and leads again afterwards (K23)");
}

#[tokio::test(start_paused = true)]
async fn a_term_that_ends_early_is_over_at_once() {
    let server = Server::default();
    let (elector, leading) = server.elector("a");
    let (stop, _task) = run(elector);
    timeout(Duration::from_secs(5), leading.begun()).await.unwrap();
    server.put("thief", 0);
    timeout(RETRY + Duration::from_secs(1), leading.over()).await.expect("another holds it, and the next round sees that");
    after(30).await;
    assert!(leading.now(), "the thief fell silent");
    drop(stop);
    timeout(Duration::from_millis(100), leading.over()).await.expect("given back");
}
