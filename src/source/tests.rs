use super::{objects::Objects, *};
use crate::routing::{BackendId, CanonicalPath, Found, Host, Plan, Refusal};
use std::{
    fs,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering, Ordering::SeqCst},
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

const ENDPOINT: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: ProtectedEndpoint
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  auth0: {domain: tenant.example.com, audience: [https://api.example.com]}
  backend: {service: web, port: 80}
  rules: [{path: /}]
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
# An API server would refuse this address.
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [127.0.0.1]}]
";

/// A directory of our own, and what serves it.
struct Served {
    dir: PathBuf,
    live: Arc<Live>,
    ready: watch::Receiver<bool>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<(), SourceError>>>,
}

impl Served {
    fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("portcullis-source-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Self { dir, live: Arc::default(), ready: watch::channel(false).1, stop: None, task: None }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let served = Self::empty();
        files.iter().for_each(|(name, content)| served.write(name, content));
        served
    }

    /// As editors do it: another file takes the name.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.dir.join(".new"), content).unwrap();
        fs::rename(self.dir.join(".new"), self.dir.join(name)).unwrap();
    }

    async fn start(&mut self) {
        self.spawn();
        let _ = timeout(Duration::from_secs(60), self.ready.wait_for(|ready| *ready)).await.unwrap();
    }

    fn spawn(&mut self) {
        let config = Config { dir: self.dir.clone(), class: "portcullis".to_owned(), ownership: Ownership::default() };
        let (ready, seen) = watch::channel(false);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        self.task = Some(tokio::spawn(run(config, Arc::clone(&self.live), Box::new(|_| ()), ready, shutdown)));
        (self.stop, self.ready) = (Some(stop), seen);
    }

    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..300 {
            if done(self) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("not within 30 s: {what}");
    }

    /// The plan of `GET http://host/path`.
    fn plan(&self, host: &str, path: &str) -> Option<Plan> {
        let table = self.live.table.load();
        let (host, path) = (Host::parse(host).unwrap(), CanonicalPath::parse(path).unwrap());
        match (*table).as_ref().as_ref()?.find(&host, &path, &http::Method::GET) {
            Found::Route(route) => Some(route.plan.clone()),
            _ => None,
        }
    }

    fn serves(&self, host: &str, path: &str) -> bool {
        matches!(self.plan(host, path), Some(Plan::Serve(_)))
    }

    fn addresses(&self) -> usize {
        let id = BackendId { namespace: "default".into(), service: "web".into(), port: "http".into() };
        self.live.endpoints_of(&id).map_or(0, |set| set.addresses().len())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_served_and_followed() {
    let mut served = Served::with(&[("a.yaml", ENDPOINT), ("b.yml", SERVICE), ("notes.txt", "not: read"), (".hidden.yaml", "}{")]);
    served.start().await;
    assert!(served.serves("shop.example.com", "/"));
    assert_eq!(served.addresses(), 1, "loopback is allowed here");

    served.write("b.yml", &SERVICE.replace("[127.0.0.1]}", "[127.0.0.1]}, {addresses: [127.0.0.2]}"));
    served.until("the second address", |served| served.addresses() == 2).await;
    served.write("c.json", &serde_json::to_string(&list_in_json()).unwrap());
    served.until("a JSON file", |served| served.serves("json.example.com", "/")).await;
    fs::remove_file(served.dir.join("a.yaml")).unwrap();
    served.until("404 for what was removed", |served| served.plan("shop.example.com", "/").is_none()).await;

    drop(served.stop.take());
    assert!(served.task.take().unwrap().await.unwrap().is_ok());
}

fn list_in_json() -> serde_json::Value {
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [{
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "metadata": {"name": "json"},
        "spec": {
            "hosts": ["json.example.com"], "auth0": {"domain": "tenant.example.com", "audience": ["a"]},
            "backend": {"service": "web", "port": 80}, "rules": [{"path": "/"}],
        },
    }]})
}

#[tokio::test(start_paused = true)]
async fn a_broken_resource_refuses_in_place_and_a_broken_file_keeps_what_it_had() {
    let public = ENDPOINT.replace("name: shop", "name: wide").replace("{path: /}", "{path: /, access: Public}");
    let narrow = ENDPOINT.replace("path: /", "path: /admin");
    let mut served = Served::with(&[("a.yaml", &public), ("b.yaml", &narrow), ("service.yaml", SERVICE)]);
    served.start().await;
    assert!(served.serves("shop.example.com", "/") && served.serves("shop.example.com", "/admin"));

    served.write("b.yaml", &narrow.replace("rules:", "shadow: true\n  rules:"));
    let refused = Some(Plan::Refuse(Refusal::UnsupportedField));
    served.until("refused at its place, not opened by the wider rule", |served| served.plan("shop.example.com", "/admin") == refused).await;

    served.write("b.yaml", &narrow);
    served.until("healed", |served| served.serves("shop.example.com", "/admin")).await;
    served.write("b.yaml", "spec: [unclosed");
    served.write("a.yaml", &public.replace("path: /,", "path: /v2,"));
    served.until("the other file is followed", |served| served.plan("shop.example.com", "/").is_none()).await;
    assert!(served.serves("shop.example.com", "/v2"));
    assert!(served.serves("shop.example.com", "/admin"), "the last readable content stays");
}

#[tokio::test(start_paused = true)]
async fn a_mounted_config_map_is_followed_when_its_link_is_swapped() {
    let mut served = Served::empty();
    for (version, content) in [("..1", ENDPOINT.to_owned()), ("..2", ENDPOINT.replace("path: /", "path: /2"))] {
        fs::create_dir(served.dir.join(version)).unwrap();
        fs::write(served.dir.join(version).join("a.yaml"), content).unwrap();
    }
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, served.dir.join(name)).unwrap();
    link("..1", "..data");
    link("..data/a.yaml", "a.yaml");
    link("nowhere", "dangling.yaml");
    served.start().await;
    assert!(served.plan("shop.example.com", "/").is_some());
    std::os::unix::fs::symlink("..2", served.dir.join("..new")).unwrap();
    fs::rename(served.dir.join("..new"), served.dir.join("..data")).unwrap();
    served
        .until("the new content", |served| {
            served.plan("shop.example.com", "/").is_none() && served.plan("shop.example.com", "/2").is_some()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn only_an_unreadable_directory_is_an_error() {
    let mut served = Served::empty();
    served.start().await;
    assert!(served.live.table.load().is_some(), "an empty directory is an empty table");
    fs::rename(&served.dir, served.dir.with_extension("gone")).unwrap();
    sleep(POLL * 3).await;
    assert!(!served.task.as_ref().unwrap().is_finished(), "later it is no error");
    fs::rename(served.dir.with_extension("gone"), &served.dir).unwrap();

    let config = |dir| Config { dir, class: "portcullis".to_owned(), ownership: Ownership::default() };
    let run = |dir| run(config(dir), Arc::default(), Box::new(|_| ()), watch::channel(false).0, std::future::pending());
    let error = run(served.dir.join("absent")).await.unwrap_err().to_string();
    assert!(error.contains("absent: cannot be read") && error.contains("want a directory"), "{error}");
    (0..=listing::MOST_FILES).for_each(|n| fs::write(served.dir.join(format!("{n}.yaml")), "").unwrap());
    assert!(matches!(run(served.dir.clone()).await, Err(SourceError::TooMany { .. })));
}

/// Its requests would fall to the wider rule of another file.
#[tokio::test(start_paused = true)]
async fn no_table_is_served_before_every_file_was_read_once() {
    let public = ENDPOINT.replace("{path: /}", "{path: /, access: Public}").replace("name: shop", "name: wide");
    let narrow = ENDPOINT.replace("path: /", "path: /admin");
    let too_large = format!("# {}", "x".repeat(1 << 20));
    for junk in ["a: [b", &too_large] {
        let mut served = Served::with(&[("a.yaml", &public), ("b.yaml", junk), ("service.yaml", SERVICE)]);
        served.spawn();
        sleep(Duration::from_secs(10)).await;
        assert!(served.live.table.load().is_none() && !*served.ready.borrow(), "held back");
        served.write("b.yaml", &narrow);
        served.until("served", |served| served.serves("shop.example.com", "/")).await;
        assert!(served.serves("shop.example.com", "/admin") && *served.ready.borrow());

        // A file that is new and broken holds back what comes after it.
        served.write("c.yaml", junk);
        served.write("b.yaml", &narrow.replace("/admin", "/other"));
        sleep(Duration::from_secs(10)).await;
        assert!(served.serves("shop.example.com", "/admin"), "the last table stays in service");
        fs::remove_file(served.dir.join("c.yaml")).unwrap();
        served
            .until("the change is served", |served| served.plan("shop.example.com", "/other/x") != served.plan("shop.example.com", "/x"))
            .await;
    }
}

/// Only a file that is not there is gone.
#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_looked_at_keeps_its_content() {
    let mut served = Served::with(&[("a.yaml", ENDPOINT), ("b.yaml", SERVICE)]);
    served.start().await;
    std::os::unix::fs::symlink("circle", served.dir.join("circle")).unwrap();
    std::os::unix::fs::symlink("circle", served.dir.join(".new")).unwrap();
    fs::rename(served.dir.join(".new"), served.dir.join("a.yaml")).unwrap();
    sleep(Duration::from_secs(10)).await;
    assert!(served.serves("shop.example.com", "/"));
    fs::remove_file(served.dir.join("circle")).unwrap();
    served.until("now its link points nowhere", |served| served.plan("shop.example.com", "/").is_none()).await;
}

/// As an API server would refuse it: `check` says the same of the same file.
#[tokio::test(start_paused = true)]
async fn what_check_refuses_is_refused_in_place() {
    let public = ENDPOINT.replace("{path: /}", "{path: /, access: Public}").replace("name: shop", "name: wide");
    let narrow = ENDPOINT.replace("path: /", "path: /admin");
    let changes: [(&str, &str); 8] = [
        ("v1alpha1", "v1"),
        ("portcullis.dev/v1alpha1", "portcullis.io/v1alpha1"),
        ("kind: ProtectedEndpoint", "kind: ProtectedEndpoints"),
        ("apiVersion: portcullis.dev/v1alpha1\nkind: ProtectedEndpoint", "apiVersion: portculis.dev/v1"),
        ("{name: shop}", "{name: shop, labels: {a: true}}"),
        ("{name: shop}", "{name: Shop}"),
        ("{name: shop}", "{}"),
        ("hosts: [shop.example.com]", "hosts: [SHOP.example.com]"),
    ];
    for (from, to) in changes {
        let broken = narrow.replace(from, to);
        assert_ne!(broken, narrow);
        let mut served = Served::with(&[("a.yaml", &public), ("b.yaml", &broken), ("service.yaml", SERVICE)]);
        served.start().await;
        assert!(served.serves("shop.example.com", "/"), "{to}: the other file is sound");
        assert_eq!(served.plan("shop.example.com", "/admin"), Some(Plan::Refuse(Refusal::InvalidSpec)), "{to}");
        let mut said = Vec::new();
        assert!(!crate::cli::check::run(&[served.dir.join("b.yaml")], &mut said).unwrap(), "{to}: check says that it is good");
    }
}

/// While it runs it knows which hosts a resource had; when it starts it does not, and no host of the namespace is safe.
#[tokio::test(start_paused = true)]
async fn a_host_that_can_no_longer_be_read_is_refused_where_it_was() {
    let public = ENDPOINT.replace("{path: /}", "{path: /, access: Public}").replace("name: shop", "name: wide");
    let other = public.replace("name: wide", "name: zebra").replace("shop.example.com", "zebra.example.com");
    let narrow = ENDPOINT.replace("path: /", "path: /admin");
    let broken = narrow.replace("shop.example.com", "shop..example.com");
    let mut served = Served::with(&[("a.yaml", &public), ("b.yaml", &narrow), ("c.yaml", &other), ("service.yaml", SERVICE)]);
    served.start().await;
    let refused = Some(Plan::Refuse(Refusal::InvalidSpec));
    for again in [broken.clone(), broken.replace("name: shop", "name: shop, labels: {a: b}")] {
        served.write("b.yaml", &again);
        served.until("refused", |served| served.plan("shop.example.com", "/admin") == refused).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(served.plan("shop.example.com", "/admin"), refused);
        assert!(served.serves("shop.example.com", "/") && served.serves("zebra.example.com", "/admin"), "nobody else suffers");
    }
    let mut served = Served::with(&[("a.yaml", &public), ("b.yaml", &broken), ("c.yaml", &other), ("service.yaml", SERVICE)]);
    served.start().await;
    for host in ["shop.example.com", "zebra.example.com", "elsewhere.example.com"] {
        assert_eq!(served.plan(host, "/admin"), refused, "{host}");
    }
    assert!(served.serves("shop.example.com", "/"));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_live_in_well_under_a_second() {
    let mut served = Served::with(&[("a.yaml", ENDPOINT), ("b.yaml", SERVICE)]);
    served.start().await;
    let start = tokio::time::Instant::now();
    served.write("a.yaml", &ENDPOINT.replace("path: /", "path: /2"));
    while !served.serves("shop.example.com", "/2") {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
}

/// Two files that change at once, again and again: what is served is always one version of both.
#[tokio::test(start_paused = true)]
async fn a_table_is_made_of_one_version_of_the_directory() {
    let mut served = Served::empty();
    let write = |dir: &Path, n: u32| {
        let version = dir.join(format!("..{n}"));
        fs::create_dir(&version).unwrap();
        for (name, host) in [("a", "a.example.com"), ("z", "z.example.com")] {
            let text = ENDPOINT.replace("name: shop", &format!("name: {name}")).replace("shop.example.com", host);
            fs::write(version.join(format!("{name}.yaml")), text.replace("{path: /}", &format!("{{path: /{n}}}"))).unwrap();
        }
        std::os::unix::fs::symlink(format!("..{n}"), dir.join("..new")).unwrap();
        fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    };
    write(&served.dir, 0);
    for name in ["a.yaml", "z.yaml"] {
        std::os::unix::fs::symlink(format!("..data/{name}"), served.dir.join(name)).unwrap();
    }
    served.start().await;
    let (dir, seen) = (served.dir.clone(), Arc::new(AtomicUsize::new(0)));
    let enough = Arc::clone(&seen);
    let mut writer = Some(std::thread::spawn(move || {
        // A busy machine may see few of them.
        let more = |n: &u32| *n < 100 || enough.load(SeqCst) < 3 && *n < 10_000;
        (1..)
            .take_while(more)
            .inspect(|n| {
                write(&dir, *n);
                std::thread::sleep(Duration::from_millis(u64::from(n * 7 % 23)));
            })
            .last()
    }));
    let mut versions = std::collections::BTreeSet::new();
    let mut last = None;
    while last.as_ref().is_none_or(|last| !versions.contains(last)) {
        sleep(Duration::from_millis(1)).await;
        let table = served.live.table.load_full();
        let lines = (*table).as_ref().unwrap().lines();
        let paths: Vec<_> = lines.iter().map(|line| line.path.to_owned()).collect();
        assert!(matches!(&paths[..], [a, z] if a == z), "{paths:?}");
        versions.extend(paths);
        seen.store(versions.len(), SeqCst);
        last = writer.take_if(|writer| writer.is_finished()).map(|writer| format!("/{}", writer.join().unwrap().unwrap())).or(last);
    }
    assert!(versions.len() > 2, "{versions:?}");
}

/// A Secret of the directory is used, a new value of it too; what is wrong with one closes its rule alone.
#[tokio::test(start_paused = true)]
async fn secrets_are_read_from_the_same_directory() {
    let hs256 = ENDPOINT.replace("audience: [", "alg: HS256, secretRef: {name: tenant}, audience: [");
    let secret = |value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: tenant}}\nstringData: {{secret: {value}}}\n");
    let (one, two) = (secret(&"a".repeat(32)), secret(&"b".repeat(32)));
    let mut served = Served::with(&[("a.yaml", &hs256), ("b.yaml", SERVICE), ("c.yaml", &one)]);
    served.start().await;
    let first = served.plan("shop.example.com", "/").unwrap();
    assert!(matches!(first, Plan::Serve(_)), "{first:?}");
    served.write("c.yaml", &two);
    served.until("the new value", |served| served.plan("shop.example.com", "/").is_some_and(|plan| plan != first)).await;
    assert!(served.serves("shop.example.com", "/"));
    let refused = Some(Plan::Refuse(Refusal::InvalidSecret));
    for bad in [secret("short"), two.replace("tenant", "other"), two.replace("stringData", "data")] {
        served.write("c.yaml", &bad);
        served.until(&bad, |served| served.plan("shop.example.com", "/") == refused).await;
        served.write("c.yaml", &one);
        served.until("healed", |served| served.plan("shop.example.com", "/").as_ref() == Some(&first)).await;
    }
}

#[test]
fn documents_are_read_strictly() {
    let endpoint =
        |spec: &str| format!("apiVersion: portcullis.dev/v1alpha1\nkind: ProtectedEndpoint\nmetadata: {{name: a}}\nspec: {spec}\n");
    let schema = Schema::new();
    let count = |text: &str| {
        let documents = documents::parse(text.as_bytes()).ok()?;
        let objects = Objects::read("f", &documents, &schema);
        Some((objects.endpoints.len(), objects.services.len()))
    };
    let cases = [
        ("nothing", String::new(), Some((0, 0))),
        ("comments and empty documents", "# a\n---\n---\n".to_owned(), Some((0, 0))),
        ("two documents", format!("{}---\n{}", endpoint("{}"), endpoint("{}")), Some((2, 0))),
        ("a kind of somebody else", "apiVersion: v1\nkind: Pod\n".to_owned(), Some((0, 0))),
        ("no mapping", "- a\n- b\n".to_owned(), Some((0, 0))),
        ("an unreadable Service is left out", "apiVersion: v1\nkind: Service\nspec: {ports: 5}\n".to_owned(), Some((0, 0))),
        ("an unreadable ProtectedEndpoint is not", endpoint("[]").replace("{name: a}", "5"), Some((1, 0))),
        (
            "a list of ours",
            "apiVersion: portcullis.dev/v1alpha1\nkind: ProtectedEndpointList\nitems: [{metadata: {name: a}}, {}]\n".to_owned(),
            Some((2, 0)),
        ),
        ("a key twice", endpoint("{a: 1, a: 2}"), None),
        ("the second document is broken", format!("{}---\n{{", endpoint("{}")), None),
        (
            "an alias bomb",
            format!(
                "a: &a [{0}]\nb: &b [{1}]\nc: &c [{2}]\nd: [{3}]",
                "x,".repeat(99),
                "*a,".repeat(99),
                "*b,".repeat(99),
                "*c,".repeat(99)
            ),
            None,
        ),
    ];
    for (name, text, want) in cases {
        assert_eq!(count(&text), want, "{name}");
    }
}

#[test]
fn claims_and_ages_of_a_manifest_count_for_nothing() {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ProtectedEndpoint\nmetadata: {name: a, namespace: n, creationTimestamp: '2001-01-01T00:00:00Z'}\n\
                status: {hosts: [{host: h, since: '2001-01-01T00:00:00Z'}]}\n";
    let objects = Objects::read("f", &documents::parse(text.as_bytes()).unwrap(), &Schema::new());
    let object = &objects.endpoints[0].object;
    assert_eq!((object.created, object.claims.len()), (0, 0));
    assert_eq!((object.namespace.as_str(), object.name.as_str()), ("n", "a"));
}
