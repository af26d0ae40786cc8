//! The controller against a real API server: what the cluster says is what is served, whatever happens to the cluster.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at the first surprise")]

#[path = "support/apiserver.rs"]
mod apiserver;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/gate.rs"]
mod gate;

use apiserver::ApiServer;
use gate::{Gate, always, apply, condition, create_service, endpoint, endpoints_api, eventually, set_addresses, until_condition};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret, events::v1::Event, rbac::v1::RoleBinding};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;

/// A client with exactly the installation's rights.
async fn restricted(server: &ApiServer) -> Client {
    let mut config = server.config().await.unwrap();
    config.auth_info.impersonate = Some(cluster::ACCOUNT.to_owned());
    Client::try_from(config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_live_from_apply_to_delete_with_exactly_the_rights_of_the_chart() {
    let server = ApiServer::start().await.unwrap();
    let admin = server.client().await.unwrap();
    cluster::prepare(&admin).await;
    cluster::grant(&admin).await;
    let gate = Gate::start(restricted(&server).await, "gate-0");

    // K11: no CRD yet. It stays up, is not ready, does not storm, and heals.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(!gate.is_ready(), "ready without a CRD");
    assert!(gate.live.table.load().is_none(), "a table out of half a view (K03)");
    let errors = gate.health.counters.watch_errors.load(Relaxed);
    assert!((1..=8).contains(&errors), "{errors} attempts in 2 s (K08)");
    cluster::install_crd(&admin).await;
    gate.until_ready(10).await;
    cluster::until_crd_works(&admin).await;

    lives(&gate, &admin).await;
    reports(&gate, &admin).await;
    another_class_is_not_seen(&gate, &admin).await;
    a_host_stays_with_its_first_namespace(&gate, &admin, restricted(&server).await).await;
    moves_and_goes(&gate, &admin).await;

    let leases: Api<Lease> = Api::namespaced(admin.clone(), gate::NAMESPACE);
    gate.stop().await;
    let names: Vec<_> = leases.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["portcullis-portcullis"], "the replica's own Lease goes with it");
    let holder = leases.get("portcullis-portcullis").await.unwrap().spec.unwrap().holder_identity;
    assert_eq!(holder.as_deref(), Some(""), "the Lease is given back");
}

async fn lives(gate: &Gate, admin: &Client) {
    apply(admin, &endpoint("shop", "web")).await;
    eventually("refused in place while the Service is missing", 5, async || gate.refuses("shop.example.com")).await;
    create_service(admin, "web").await;
    eventually("live once the Service is there (K15)", 5, async || gate.serves("shop.example.com")).await;
    set_addresses(admin, "web", &["10.1.0.1", "10.1.0.2"]).await;
    eventually("both addresses", 5, async || gate.endpoints("web").is_some_and(|set| set.len() == 2)).await;

    // Endpoint churn compiles nothing.
    let compiled = gate.health.counters.compiled.load(Relaxed);
    for last in 3..8 {
        let address = format!("10.1.0.{last}");
        set_addresses(admin, "web", &[&address]).await;
        let want = vec![format!("{address}:8080").parse().unwrap()];
        eventually("the new address", 5, async || gate.endpoints("web").as_ref() == Some(&want)).await;
    }
    let status_echoes = 2;
    assert!(gate.health.counters.compiled.load(Relaxed) <= compiled + status_echoes, "compiled for an EndpointSlice");
}

async fn reports(gate: &Gate, admin: &Client) {
    let object = until_condition(admin, "shop", "Ready", ("True", "Ready"), 10).await;
    let conditions = [
        ("Accepted", "Accepted"),
        ("ResolvedRefs", "ResolvedRefs"),
        ("KeysReady", "Fresh"),
        ("Programmed", "Programmed"),
        ("Ready", "Ready"),
    ];
    let types: Vec<_> = object.data["status"]["conditions"].as_array().unwrap().iter().map(|c| c["type"].clone()).collect();
    assert_eq!(types, conditions.map(|(kind, _)| kind), "in this order");
    for (kind, reason) in conditions {
        assert_eq!(condition(&object, kind), ("True".to_owned(), reason.to_owned()), "{kind}");
    }
    assert_eq!(object.data["status"]["hosts"][0]["host"], "shop.example.com");
    assert_eq!(object.data["status"]["addresses"], json!(["192.0.2.7"]));
    assert!(gate.health.leads());

    // Written once, and not again (K24).
    let api = endpoints_api(admin);
    always("the resourceVersion", 6, async || api.get("shop").await.unwrap().resource_version()).await;

    let mut down = endpoint("down", "web");
    down["spec"]["auth0"]["domain"] = json!("down.example.com");
    apply(admin, &down).await;
    until_condition(admin, "down", "KeysReady", ("False", "FetchFailed"), 10).await;
    until_condition(admin, "down", "Ready", ("False", "FetchFailed"), 10).await;

    let events: Api<Event> = Api::namespaced(admin.clone(), "default");
    let has = |all: &[Event], name: &str, reason: &str| {
        let about = |event: &Event| event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name);
        all.iter().any(|event| about(event) && event.reason.as_deref() == Some(reason))
    };
    eventually("an Event for each turn of Ready", 5, async || {
        let all = events.list(&ListParams::default()).await.unwrap().items;
        has(&all, "shop", "Ready") && has(&all, "down", "FetchFailed")
    })
    .await;

    gate.rotate_keys().await;
    eventually("an Event about the issuer's new keys", 10, async || {
        let all = events.list(&ListParams::default()).await.unwrap().items;
        let told: Vec<_> = all.iter().filter(|event| event.reason.as_deref() == Some("KeysRotated")).collect();
        let names_both = |note: &str| note.contains("tenant.example.com") && note.contains("new: \"") && note.contains("gone: \"");
        told.len() == 1 && has(&all, "shop", "KeysRotated") && told[0].note.as_deref().is_some_and(names_both)
    })
    .await;
}

async fn another_class_is_not_seen(gate: &Gate, admin: &Client) {
    let ours = endpoint("other", "web");
    let mut theirs = ours.clone();
    theirs["spec"]["className"] = json!("another");
    apply(admin, &theirs).await;
    endpoints_api(admin).delete("other", &DeleteParams::default()).await.unwrap();
    apply(admin, &ours).await;
    eventually("ours now", 5, async || gate.serves("other.example.com")).await;
    endpoints_api(admin).delete("other", &DeleteParams::default()).await.unwrap();
    apply(admin, &theirs).await;
    eventually("no longer ours", 5, async || gate.route("other.example.com", "/").is_none()).await;
}

/// P69: whatever another namespace says, and whichever replica looks.
async fn a_host_stays_with_its_first_namespace(gate: &Gate, admin: &Client, client: Client) {
    let thief = |name: &str, hosts: &[&str]| {
        let mut object = endpoint(name, "web");
        (object["metadata"]["namespace"], object["spec"]["hosts"]) = (json!("thieves"), json!(hosts));
        object
    };
    cluster::create_namespace(admin, "thieves").await;
    gate::apply_in(admin, "thieves", &thief("exact", &["shop.example.com"])).await;
    gate::apply_in(admin, "thieves", &thief("wide", &["*.example.com", "own.example.org"])).await;
    gate::until_condition_in(admin, "thieves", "exact", "Accepted", ("False", "HostOwned"), 10).await;
    gate::until_condition_in(admin, "thieves", "wide", "Accepted", ("True", "Accepted"), 10).await;
    let events: Api<Event> = Api::namespaced(admin.clone(), "thieves");
    eventually("an Event says so", 5, async || {
        events.list(&ListParams::default()).await.unwrap().iter().any(|event| event.reason.as_deref() == Some("HostOwned"))
    })
    .await;
    let owner = |gate: &Gate, host: &str| gate.route(host, "/").map(|route| route.id.namespace.to_string());
    let owned = |gate: &Gate| ["shop.example.com", "own.example.org"].map(|host| owner(gate, host));
    let expected = [Some("default".to_owned()), Some("thieves".to_owned())];
    assert_eq!(owned(gate), expected);

    // A replica that knows only what the cluster remembers.
    let another = Gate::start(client, "gate-9");
    another.until_ready(10).await;
    assert_eq!(owned(&another), expected);
    another.stop().await;
    for name in ["exact", "wide"] {
        gate::endpoints_api_in(admin, "thieves").delete(name, &DeleteParams::default()).await.unwrap();
    }
}

async fn moves_and_goes(gate: &Gate, admin: &Client) {
    let mut moved = endpoint("shop", "web");
    moved["spec"]["rules"] = json!([{"path": "/v2"}]);
    let generation = apply(admin, &moved).await.metadata.generation.unwrap();
    eventually("the new path", 5, async || {
        gate.route("shop.example.com", "/v2").is_some() && gate.route("shop.example.com", "/").is_none()
    })
    .await;
    until_programmed(admin, "shop", generation).await;

    // K29
    endpoints_api(admin).delete("shop", &DeleteParams::default()).await.unwrap();
    eventually("404", 1, async || gate.route("shop.example.com", "/v2").is_none()).await;
    endpoints_api(admin).delete("down", &DeleteParams::default()).await.unwrap();
    eventually("backends that nobody names are forgotten", 5, async || gate.endpoints("web").is_none()).await;
}

/// Until every condition is True for that generation.
async fn until_programmed(admin: &Client, name: &str, generation: i64) {
    eventually("its generation is Programmed", 10, async || {
        let object = endpoints_api(admin).get(name).await.unwrap();
        let good = |c: &serde_json::Value| c["observedGeneration"] == generation && c["status"] == "True";
        object.data["status"]["conditions"].as_array().unwrap().iter().all(good)
    })
    .await;
}

/// K12, K15, P68: a Secret is read where its namespace allows it, and for as long as it does.
#[tokio::test(flavor = "multi_thread")]
async fn k12_p68_a_secret_is_read_where_a_role_binding_says_so_and_the_condition_names_it() {
    let server = ApiServer::start().await.unwrap();
    let admin = server.client().await.unwrap();
    cluster::prepare(&admin).await;
    cluster::grant(&admin).await;
    cluster::create_secrets_role(&admin).await;
    cluster::install_crd(&admin).await;
    cluster::until_crd_works(&admin).await;
    create_service(&admin, "web").await;
    let mut object = endpoint("shop", "web");
    object["spec"]["auth0"]["alg"] = json!("HS256");
    object["spec"]["auth0"]["secretRef"] = json!({"name": "tenant"});
    apply(&admin, &object).await;
    apply(&admin, &endpoint("other", "web")).await;
    let gate = Gate::start(restricted(&server).await, "gate-0");
    gate.until_ready(10).await;
    assert!(gate.refuses("shop.example.com") && gate.serves("other.example.com"), "one rule is concerned");
    let refused = until_condition(&admin, "shop", "ResolvedRefs", ("False", "RefNotPermitted"), 10).await;
    let remedy = "kubectl create rolebinding portcullis-secrets --namespace=default --clusterrole=portcullis-secrets \
                  --serviceaccount=portcullis:portcullis";
    assert!(refused.data["status"].to_string().contains(remedy), "{}", refused.data["status"]);
    until_condition(&admin, "shop", "KeysReady", ("False", "InvalidSecret"), 1).await;
    until_condition(&admin, "other", "Ready", ("True", "Ready"), 10).await;

    // The right comes; the Secret does not exist yet, then does.
    cluster::bind_secrets_role(&admin).await;
    until_condition(&admin, "shop", "ResolvedRefs", ("False", "SecretNotFound"), 12).await;
    set_secret(&admin, &"a".repeat(32)).await;
    eventually("served within a second of the Secret (K15)", 1, async || gate.serves("shop.example.com")).await;
    until_condition(&admin, "shop", "Ready", ("True", "Ready"), 10).await;
    until_condition(&admin, "shop", "KeysReady", ("True", "Fresh"), 1).await;

    // A new value makes a new table (K25); a bad one refuses; the next heals.
    let first = gate.route("shop.example.com", "/");
    set_secret(&admin, &"b".repeat(32)).await;
    eventually("the new value", 1, async || gate.route("shop.example.com", "/") != first).await;
    assert!(gate.serves("shop.example.com"));
    set_secret(&admin, "too short").await;
    let short = until_condition(&admin, "shop", "ResolvedRefs", ("False", "InvalidSecret"), 10).await;
    assert!(!short.data["status"].to_string().contains("too short"), "J53 {}", short.data["status"]);
    set_secret(&admin, &"c".repeat(32)).await;
    eventually("healed", 1, async || gate.serves("shop.example.com")).await;

    // P68: the right goes, and with it what was read.
    let bindings: Api<RoleBinding> = Api::namespaced(admin.clone(), "default");
    bindings.delete("portcullis-secrets", &DeleteParams::default()).await.unwrap();
    eventually("the right is gone", 15, async || gate.refuses("shop.example.com")).await;
    until_condition(&admin, "shop", "ResolvedRefs", ("False", "RefNotPermitted"), 10).await;
    assert!(gate.serves("other.example.com"));
    gate.stop().await;
}

/// The Secret `default/tenant`.
async fn set_secret(client: &Client, value: &str) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tenant"}, "stringData": {"secret": value}});
    let api: Api<Secret> = Api::namespaced(client.clone(), "default");
    api.patch("tenant", &PatchParams::apply("tests").force(), &Patch::Apply(secret)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_goes_and_comes_back_never_empties_the_table() {
    let mut server = ApiServer::start().await.unwrap();
    let admin = server.client().await.unwrap();
    cluster::prepare(&admin).await;
    cluster::install_crd(&admin).await;
    cluster::until_crd_works(&admin).await;
    create_service(&admin, "web").await;
    set_addresses(&admin, "web", &["10.1.0.1"]).await;
    for name in ["stays", "goes"] {
        apply(&admin, &endpoint(name, "web")).await;
    }
    let gate = Gate::start(admin.clone(), "gate-0");
    gate.until_ready(10).await;
    assert!(gate.serves("stays.example.com") && gate.serves("goes.example.com"), "ready before the table was whole (K03)");
    assert!(gate.endpoints("web").is_some_and(|set| set.len() == 1));
    until_condition(&admin, "stays", "Ready", ("True", "Ready"), 10).await;

    // K01
    server.stop();
    always("what is in service", 3, async || (gate.is_ready(), gate.serves("stays.example.com"), gate.endpoints("web"))).await;
    assert!(gate.health.staleness() >= std::time::Duration::from_secs(2), "{:?}", gate.health.staleness());

    // A server that answers nothing (K07) is no reason to stop either.
    server.restart().await.unwrap();
    let admin = server.client().await.unwrap();
    apply(&admin, &endpoint("between", "web")).await;
    eventually("healed (K08)", 10, async || gate.serves("between.example.com")).await;
    server.pause().unwrap();
    always("what is in service", 3, async || (gate.is_ready(), gate.serves("stays.example.com"), gate.endpoints("web"))).await;
    server.resume().unwrap();
    apply(&admin, &endpoint("thawed", "web")).await;
    eventually("the watch goes on", 10, async || gate.serves("thawed.example.com")).await;
    server.stop();

    // K05: deleted and compacted while nobody watched.
    server.forget("/registry/portcullis.dev/protectedendpoints/default/goes").await.unwrap();
    let back = tokio::time::Instant::now();
    server.restart().await.unwrap();
    let admin = server.client().await.unwrap();
    eventually("the delete of the gap is seen", 15, async || gate.route("goes.example.com", "/").is_none()).await;
    assert!(gate.serves("stays.example.com"));
    apply(&admin, &endpoint("late", "web")).await;
    eventually("and what comes after it", 10, async || gate.serves("late.example.com")).await;
    println!("healed {:?} after the restart began (K08)", back.elapsed());
    until_condition(&admin, "late", "Ready", ("True", "Ready"), 20).await;
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_has_stored_is_refused_alone() {
    let server = ApiServer::start().await.unwrap();
    let admin = server.client().await.unwrap();
    cluster::prepare(&admin).await;
    cluster::install_loose_crd(&admin).await;
    cluster::until_crd_works(&admin).await;
    create_service(&admin, "web").await;
    // K13, K28
    let mut unknown = endpoint("unknown", "web");
    unknown["spec"]["shadow"] = json!(true);
    let mut garbage = endpoint("garbage", "web");
    garbage["spec"] = json!("not even an object");
    let mut nothing = endpoint("nothing", "web");
    nothing.as_object_mut().unwrap().remove("spec");
    let mut odd = endpoint("odd", "web");
    odd["spec"]["rules"] = json!([{"path": "/"}, 7, {"path": {"a": "map"}}]);
    odd["status"] = json!({"conditions": "garbage", "hosts": 5});
    for object in [&unknown, &garbage, &nothing, &odd, &endpoint("good", "web")] {
        apply(&admin, object).await;
    }
    let gate = Gate::start(admin.clone(), "gate-0");
    gate.until_ready(10).await;
    assert!(gate.serves("good.example.com"));
    assert!(gate.refuses("unknown.example.com"), "a field that this version does not know refuses the whole resource");
    assert!(!gate.serves("odd.example.com"));
    // And it goes on watching.
    apply(&admin, &endpoint("later", "web")).await;
    eventually("later objects", 5, async || gate.serves("later.example.com")).await;
    until_condition(&admin, "good", "Ready", ("True", "Ready"), 10).await;
    until_condition(&admin, "unknown", "Accepted", ("False", "UnsupportedField"), 10).await;

    a_lagging_replica_holds_programmed_back(&admin).await;

    // Two replicas; the second waits for the Lease and routes all the same (K23).
    let second = Gate::start(admin.clone(), "gate-1");
    second.until_ready(10).await;
    assert!(second.serves("good.example.com") && !second.health.leads());

    // What an old leader would write: derived from a resourceVersion that is no longer the newest.
    let (api, old) = (endpoints_api(&admin), endpoints_api(&admin).get("good").await.unwrap());
    let mut newer = endpoint("good", "web");
    newer["metadata"]["labels"] = json!({"a": "b"});
    apply(&admin, &newer).await;
    let patch = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint",
        "metadata": {"resourceVersion": old.resource_version()}, "status": {"addresses": ["192.0.2.9"]},
    });
    let late = api.patch_status("good", &PatchParams::apply("portcullis").force(), &Patch::Apply(patch)).await;
    assert!(matches!(late, Err(kube::Error::Api(status)) if status.code == 409));

    gate.stop().await;
    eventually("the second takes over at once", 5, async || second.health.leads()).await;
    assert!(second.serves("good.example.com"));
    second.stop().await;
}

/// A generation is not Programmed while one living replica has not loaded it, and then is.
async fn a_lagging_replica_holds_programmed_back(admin: &Client) {
    let leases: Api<Lease> = Api::namespaced(admin.clone(), gate::NAMESPACE);
    let lease = |loaded: &str| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "portcullis-portcullis-slow", "labels": {"portcullis.dev/replica-of": "portcullis"}, "annotations": {"portcullis.dev/loaded": loaded}},
            "spec": {"holderIdentity": "slow", "leaseDurationSeconds": 30},
        })
    };
    let params = PatchParams::apply("tests").force();
    leases.patch("portcullis-portcullis-slow", &params, &Patch::Apply(lease("1"))).await.unwrap();
    apply(admin, &endpoint("held", "web")).await;
    until_condition(admin, "held", "Ready", ("False", "Pending"), 10).await;
    let programmed = async || condition(&endpoints_api(admin).get("held").await.unwrap(), "Programmed").0;
    always("Programmed", 2, programmed).await;
    until_condition(admin, "good", "Programmed", ("True", "Programmed"), 1).await;
    leases.patch("portcullis-portcullis-slow", &params, &Patch::Apply(lease("999999999"))).await.unwrap();
    until_condition(admin, "held", "Ready", ("True", "Ready"), 5).await;
    leases.delete("portcullis-portcullis-slow", &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_freezes_is_replaced_and_serves_on_when_it_thaws() {
    let server = ApiServer::start().await.unwrap();
    let admin = server.client().await.unwrap();
    cluster::prepare(&admin).await;
    cluster::install_crd(&admin).await;
    cluster::until_crd_works(&admin).await;
    create_service(&admin, "web").await;
    apply(&admin, &endpoint("shop", "web")).await;

    a_guest_writes_nothing(&admin).await;

    let frozen = Frozen::start(&server).await;
    eventually("it leads", 10, async || frozen.gate.health.leads()).await;
    until_condition(&admin, "shop", "Ready", ("True", "Ready"), 10).await;
    let second = Gate::start(admin.clone(), "gate-1");
    second.until_ready(10).await;

    // K23
    let start = tokio::time::Instant::now();
    frozen.freeze_for(22);
    eventually("it knows at once that its time is over", 11, async || !frozen.gate.health.leads()).await;
    assert!(!second.health.leads(), "two leaders");
    eventually("the second leads", 20, async || second.health.leads()).await;
    println!("a frozen holder was replaced after {:?}", start.elapsed());
    assert!(start.elapsed() <= std::time::Duration::from_secs(20));
    let mut newer = endpoint("shop", "web");
    newer["spec"]["rules"] = json!([{"path": "/v2"}]);
    let generation = apply(&admin, &newer).await.metadata.generation.unwrap();

    eventually("it thaws and serves what is new", 15, async || frozen.gate.route("shop.example.com", "/v2").is_some()).await;
    let (version, api) = (async || endpoints_api(&admin).get("shop").await.unwrap().resource_version(), endpoints_api(&admin));
    until_programmed(&admin, "shop", generation).await;
    always("one leader, and a status that both agree on", 3, async || (frozen.gate.health.leads(), second.health.leads(), version().await))
        .await;
    assert!(!frozen.gate.health.leads() && frozen.gate.is_ready());
    assert_eq!(condition(&api.get("shop").await.unwrap(), "Ready").0, "True", "losing the Lease clears no status");
    frozen.stop();
    second.stop().await;
}

/// `portcullis run` on a laptop, against a cluster where nobody leads.
async fn a_guest_writes_nothing(admin: &Client) {
    let leases: Api<Lease> = Api::namespaced(admin.clone(), gate::NAMESPACE);
    let guest = Gate::start_guest(admin.clone());
    guest.until_ready(10).await;
    assert!(guest.serves("shop.example.com"));
    always("nobody leads, and no Lease and no status is written", 4, async || {
        let conditions = condition(&endpoints_api(admin).get("shop").await.unwrap(), "Ready");
        (guest.health.leads(), leases.list(&ListParams::default()).await.unwrap().items.len(), conditions)
    })
    .await;
    assert!(leases.list(&ListParams::default()).await.unwrap().items.is_empty());
    assert_eq!(condition(&endpoints_api(admin).get("shop").await.unwrap(), "Ready").0, "", "a status was written");
    guest.stop().await;
}

/// A replica on a thread of its own that can stand still as a stopped process does.
struct Frozen {
    gate: std::sync::Arc<Gate>,
    orders: tokio::sync::mpsc::UnboundedSender<u64>,
    thread: std::thread::JoinHandle<()>,
}

impl Frozen {
    async fn start(server: &ApiServer) -> Self {
        let config = server.config().await.unwrap();
        let (orders, mut waiting) = tokio::sync::mpsc::unbounded_channel::<u64>();
        let (started, gate) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let gate = std::sync::Arc::new(Gate::start(Client::try_from(config).unwrap(), "gate-0"));
                drop(started.send(std::sync::Arc::clone(&gate)));
                while let Some(seconds) = waiting.recv().await {
                    std::thread::sleep(std::time::Duration::from_secs(seconds));
                }
            });
        });
        Self { gate: gate.await.unwrap(), orders, thread }
    }

    fn freeze_for(&self, seconds: u64) {
        self.orders.send(seconds).unwrap();
    }

    fn stop(self) {
        drop(self.orders);
        self.thread.join().unwrap();
    }
}
