//! From a tenant's key to a verified token, over real TLS and through every part of the room.

use crate::{
    demo::{JWKS_PATH, Tenant},
    jwks::{ConnectTo, Connector, FetchError, Fetcher, Freshness, KeyRing, Keys, PrivateIssuers, ProviderKeys, Refresher},
    jwt::{Algorithm, AudienceMatch, Checks, KeySet, Provider, ProviderId, TokenError},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    time::{Instant, sleep},
};

const DOMAIN: &str = "tenant.example.com";
const AUDIENCE: &str = "https://api.example.com";
const NOW: Duration = Duration::from_secs(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A tenant in service, and a ring that is kept supplied from it.
struct World {
    tenant: Arc<Tenant>,
    ring: KeyRing,
    id: ProviderId,
    _refresher: Refresher<Fetcher>,
}

impl World {
    async fn new(refresh: Duration) -> Self {
        let tenant = Arc::new(Tenant::new(DOMAIN, || NOW).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rule: ConnectTo = format!("{DOMAIN}:443:{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(Arc::clone(&tenant).serve(listener));
        let connector = Connector::new(vec![rule], PrivateIssuers::default()).unwrap();
        let mut refresher = Refresher::new(Handle::current(), Fetcher::new(connector), 1);
        let id = ProviderId { jwks_url: tenant.jwks_url().into(), ca_bundle: Some(tenant.ca_pem().into()) };
        let ring = KeyRing::default();
        refresher.assign(&ring, &[Provider { id: id.clone(), refresh }]);
        let world = Self { tenant, ring, id, _refresher: refresher };
        world.until(|provider| provider.state().freshness() == Freshness::Fresh).await;
        world
    }

    fn provider(&self) -> Arc<ProviderKeys> {
        self.ring.find(&self.id).unwrap()
    }

    fn set(&self) -> Arc<KeySet> {
        let Keys::Known(set) = self.provider().at(Instant::now(), HOUR) else { panic!("no keys") };
        set
    }

    fn verify(&self, token: &str) -> Result<(), TokenError> {
        let checks = Checks {
            algorithm: Algorithm::RS256,
            issuer: self.tenant.issuer(),
            audience: vec![AUDIENCE.to_owned()],
            audience_match: AudienceMatch::Any,
            leeway: Duration::from_secs(5),
            ..Checks::default()
        };
        checks.verify(token, &self.set(), NOW).map(|_| ())
    }

    fn token(&self) -> String {
        self.tenant.mint(&self.tenant.claims("client", AUDIENCE))
    }

    async fn until(&self, condition: impl Fn(&ProviderKeys) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(&self.provider()) {
            assert!(Instant::now() < deadline, "{:?}", self.provider().state());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// J48, J50.
#[tokio::test]
async fn a_token_of_a_new_key_passes_after_one_more_fetch() {
    let world = World::new(HOUR).await;
    assert_eq!(world.verify(&world.token()), Ok(()));
    world.tenant.rotate().unwrap();
    let (token, seen) = (world.token(), world.set());
    assert_eq!(world.verify(&token), Err(TokenError::UnknownKey));
    assert!(world.provider().refresh_for_unknown_key(&seen).await);
    assert_eq!(world.verify(&token), Ok(()));
    assert!(!world.provider().refresh_for_unknown_key(&world.set()).await);
    assert_eq!(world.tenant.requests(JWKS_PATH), 2);
}

/// J49.
#[tokio::test]
async fn a_token_of_a_removed_key_is_refused_after_the_next_refresh() {
    let world = World::new(Duration::from_secs(1)).await;
    let token = world.token();
    assert_eq!(world.verify(&token), Ok(()));
    world.tenant.rotate().unwrap();
    world.tenant.revoke_old_keys();
    world.until(|_| world.verify(&token) == Err(TokenError::UnknownKey)).await;
    assert_eq!(world.verify(&world.token()), Ok(()));
}

/// J42, J47.
#[tokio::test]
async fn a_failing_tenant_leaves_its_last_keys_in_service() {
    use crate::demo::Behaviour;
    let world = World::new(Duration::from_secs(1)).await;
    let token = world.token();
    world.tenant.behave(Behaviour::Fail(http::StatusCode::INTERNAL_SERVER_ERROR));
    world.until(|provider| provider.state().freshness() == Freshness::Stale).await;
    assert_eq!((world.provider().state().failure, world.verify(&token)), (Some(FetchError::Status), Ok(())));
    world.tenant.behave(Behaviour::Normal);
    world.until(|provider| provider.state().freshness() == Freshness::Fresh).await;
    assert_eq!(world.verify(&token), Ok(()));
}
