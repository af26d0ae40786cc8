//! The stores: what the cluster says now, kept by watches that never give up.
//!
//! List, then watch: it heals a missing CRD sooner than a streaming list, and its pages bound memory. A store changes whole at
//! the end of a relist, so no route disappears in between (K05), and an outage never empties it (K01).

use super::{
    Config,
    backoff::Capped,
    bounded::{Pick, bounded},
    changes::Changes,
    health::{Health, count},
    raw::RawEndpoint,
    secrets::SecretStates,
    sink::{Endpoints, Services, Slices},
    slices::SliceIndex,
};
use futures::{StreamExt, future::join3};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{Store, store::Writer},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::time::sleep;

/// Seconds until the server ends a watch. kube gives a silent one up 5 s later, so a dead one is noticed within 30 s (K06).
const TIMEOUT: u32 = 25;

/// A watch that went wrong unseen would be believed for ever: everything is listed again this often (K19), or up to a
/// minute sooner, so that replicas do not do it together.
const RELIST: Duration = Duration::from_secs(600);
const SPREAD: u64 = 60;

/// What readers see. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Stores {
    pub(super) endpoints: Store<RawEndpoint>,
    pub(super) services: Store<Service>,
    pub(super) slices: Store<EndpointSlice>,
    /// The same.
    pub(super) by_service: Arc<SliceIndex>,
    pub(super) secrets: Arc<SecretStates>,
    /// The highest resourceVersion of any ProtectedEndpoint that is in, or has left, `endpoints`. 0 where versions are no
    /// numbers. Read it *before* the store: then the store holds at least that.
    pub(super) seen: Arc<AtomicU64>,
}

/// The writing ends, one a watch.
#[derive(Debug)]
pub(super) struct Watches {
    endpoints: Endpoints,
    services: Services,
    slices: Slices,
}

// === impl Stores ===

impl Stores {
    /// Until each has been listed once. Never returns when a watch has gone.
    pub(super) async fn synced(&self) {
        let ready = join3(self.endpoints.wait_until_ready(), self.services.wait_until_ready(), self.slices.wait_until_ready());
        if let (Ok(()), Ok(()), Ok(())) = ready.await {
            return;
        }
        std::future::pending().await
    }
}

// === impl Watches ===

impl Watches {
    pub(super) fn new(config: &Config, changes: &Arc<Changes>) -> (Self, Stores) {
        let seen = Arc::new(AtomicU64::new(0));
        let changes = || Arc::clone(changes);
        let endpoints =
            Endpoints { store: Writer::default(), changes: changes(), class: config.class.clone(), newest: 0, seen: Arc::clone(&seen) };
        let services = Services { store: Writer::default(), changes: changes(), own: config.service.clone() };
        let by_service = Arc::<SliceIndex>::default();
        let slices = Slices { store: Writer::default(), by_service: Arc::clone(&by_service), changes: changes() };
        let (e, s, l) = (endpoints.store.as_reader(), services.store.as_reader(), slices.store.as_reader());
        (Self { endpoints, services, slices }, Stores { endpoints: e, services: s, slices: l, by_service, secrets: Arc::default(), seen })
    }

    /// Runs the three watches, for ever.
    pub(super) async fn run(mut self, client: &Client, health: &Arc<Health>, seed: u64) {
        let client = |pick: Pick| bounded(client.clone(), Arc::clone(health), pick);
        let endpoints = Api::<DeserializeGuard<RawEndpoint>>::all(client(|h| &h.protected_endpoints));
        let services = Api::<Service>::all(client(|h| &h.services));
        let slices = Api::<EndpointSlice>::all(client(|h| &h.endpoint_slices));
        join3(
            follow(endpoints, config(), health, seed, |event| self.endpoints.take(event)),
            follow(services, config(), health, seed ^ 1, |event| self.services.take(event)),
            follow(slices, config(), health, seed ^ 2, |event| self.slices.take(event)),
        )
        .await;
    }
}

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().timeout(TIMEOUT)
}

/// Gives every event of a watch to `take`, for ever, and begins anew with a list every ten minutes; errors are logged, counted and
/// waited for.
pub(super) async fn follow<K>(api: Api<K>, config: watcher::Config, health: &Health, seed: u64, mut take: impl FnMut(Event<K>))
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut failing = false;
    let mut note = |event| match event {
        Ok(event) => {
            let heard = !matches!(event, Event::Init);
            if heard && std::mem::take(&mut failing) {
                tracing::info!(kind = %K::plural(&()), "watch works again");
            }
            take(event);
        }
        Err(error) => {
            count(&health.counters.watch_errors);
            log(&K::plural(&()), &error, std::mem::replace(&mut failing, true));
        }
    };
    loop {
        let events = watcher::watcher(api.clone(), config.clone()).backoff(Capped::new(seed));
        let mut events = pin!(events.take_until(sleep(RELIST - Duration::from_secs(seed % SPREAD))));
        while let Some(event) = events.next().await {
            note(event);
        }
    }
}

/// The first error of a row is a warning, the rest are details.
fn log(kind: &str, error: &watcher::Error, again: bool) {
    let hint = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.is_not_found() => "; is the CRD installed?",
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.is_forbidden() => {
            "; does the ClusterRole allow list and watch?"
        }
        _ => "",
    };
    if again {
        tracing::debug!(%kind, %error, "watch failed again{hint}");
    } else {
        tracing::warn!(%kind, %error, "watch failed, trying again{hint}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use std::{
        convert::Infallible,
        sync::Mutex,
        task::{Context, Poll},
    };
    use tokio::time::{Instant, timeout};

    /// An API server of no objects, that notes when it is asked for a list.
    #[derive(Clone, Default)]
    struct Empty(Arc<Mutex<Vec<Instant>>>);

    impl tower_service::Service<Request<Body>> for Empty {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = futures::future::BoxFuture<'static, Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            if !watch {
                self.0.lock().unwrap().push(Instant::now());
            }
            let list = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}"#;
            Box::pin(async move {
                sleep(Duration::from_secs(if watch { TIMEOUT.into() } else { 0 })).await;
                Ok(Response::new(Body::from(if watch { Vec::new() } else { list.into() })))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_listed_again_every_ten_minutes_k19() {
        let (server, health) = (Empty::default(), Health::default());
        let api = Api::<Service>::all(Client::new(server.clone(), "default"));
        let mut lists = 0;
        let take = |event| lists += u32::from(matches!(event, Event::InitDone));
        drop(timeout(Duration::from_secs(45 * 60), follow(api, config(), &health, 7, take)).await);
        let asked = server.0.lock().unwrap().clone();
        let apart: Vec<_> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
        assert_eq!((apart, lists), (vec![593; 4], 5));
        assert_eq!(health.counters.watch_errors.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
