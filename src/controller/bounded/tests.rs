use super::*;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use k8s_openapi::api::core::v1::Service as KubeService;
use kube::{
    Api,
    api::{ListParams, WatchParams},
};

/// An API server that breaks off in one way.
#[derive(Clone, Copy, Debug)]
enum Broken {
    NoHead,
    NoBody,
    /// This many bookmarks, ten seconds apart, then silence.
    Bookmarks(u32),
    /// This status, and this body.
    Says(u16, &'static str),
}

struct Pieces {
    left: u32,
    next: Pin<Box<Sleep>>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        ready!(self.next.as_mut().poll(cx));
        self.left -= 1;
        self.next.as_mut().reset(Instant::now() + Duration::from_secs(10));
        let line = r#"{"type":"BOOKMARK","object":{"apiVersion":"v1","kind":"Service","metadata":{"resourceVersion":"9"}}}"#;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(format!("{line}\n"))))))
    }
}

impl Service<Request<Body>> for Broken {
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let pieces = |left| Pieces { left, next: Box::pin(sleep(Duration::from_secs(10))) };
        let broken = *self;
        Box::pin(async move {
            match broken {
                Self::NoHead => std::future::pending().await,
                Self::NoBody => Ok(Response::new(pieces(0).boxed_unsync())),
                Self::Bookmarks(left) => Ok(Response::new(pieces(left).boxed_unsync())),
                Self::Says(status, body) => {
                    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
                    Ok(Response::builder().status(status).body(body.boxed_unsync())?)
                }
            }
        })
    }
}

fn services(broken: Broken) -> (Api<KubeService>, Arc<Health>) {
    let health = Arc::new(Health::default());
    let client = bounded(Client::new(broken, "default"), Arc::clone(&health), |health| &health.services);
    (Api::all(client), health)
}

#[tokio::test(start_paused = true)]
async fn a_list_without_head_or_body_ends_k07() {
    for (broken, limit) in [(Broken::NoHead, HEAD), (Broken::NoBody, SILENCE)] {
        let (api, _) = services(broken);
        let start = Instant::now();
        let error = api.list(&ListParams::default()).await;
        assert!(error.is_err() && start.elapsed() >= limit && start.elapsed() < limit + Duration::from_secs(1), "{broken:?}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_lives_as_long_as_it_is_not_silent_k06() {
    let (api, health) = services(Broken::Bookmarks(9));
    let start = Instant::now();
    let mut events = Box::pin(api.watch(&WatchParams::default(), "0").await.unwrap());
    let mut bookmarks = 0;
    while let Some(Ok(_)) = events.next().await {
        bookmarks += 1;
        assert!(health.services.age() < Duration::from_secs(1), "a bookmark is a sign of life (K01)");
    }
    assert_eq!(bookmarks, 9);
    assert!(start.elapsed() >= Duration::from_secs(90) + SILENCE && start.elapsed() < Duration::from_secs(91) + SILENCE);
}

/// K01: staleness is the age of what is known, and a refusal tells nothing.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_heard() {
    let forbidden = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}"#;
    let gone = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}"#;
    let list = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}"#;
    let cases = [(403, forbidden, false), (500, "{}", false), (404, "", false), (200, gone, false), (200, list, true), (200, "", true)];
    for (status, body, heard) in cases {
        let (api, health) = services(Broken::Says(status, body));
        tokio::time::advance(Duration::from_secs(60)).await;
        match body == list {
            true => drop(api.list(&ListParams::default()).await),
            false => match api.watch(&WatchParams::default(), "0").await {
                Ok(events) => drop(events.count().await),
                Err(error) => assert!(!heard, "{status} {body}: {error}"),
            },
        }
        assert_eq!(health.services.age() < Duration::from_secs(1), heard, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_half_a_second_apart_and_nothing_else_waits_k19() {
    let (api, _) = services(Broken::Says(500, "{}"));
    let start = Instant::now();
    for list in 0..4 {
        assert!(api.list(&ListParams::default()).await.is_err());
        assert_eq!(start.elapsed().as_millis() / 10, u128::from(list * 50_u32));
        assert!(api.watch(&WatchParams::default(), "0").await.is_err());
        assert!(api.list(&ListParams::default().continue_token("x")).await.is_err());
    }
    assert!(start.elapsed() < Duration::from_millis(1_510));
}
