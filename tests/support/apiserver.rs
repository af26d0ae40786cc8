//! A real etcd and kube-apiserver for one test, on random ports of 127.0.0.1, stopped when dropped.
//!
//! The binaries come from $KUBEBUILDER_ASSETS, else from where `tests/cluster/cluster build` puts them. Without them `start` is an
//! error that says so: a test that needs an API server never passes without one.

#![allow(clippy::indexing_slicing, reason = "of JSON values, where it gives null")]
#![allow(dead_code, unreachable_pub, reason = "every test includes this file and uses a part of it")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

pub type Error = Box<dyn std::error::Error + Send + Sync>;

const TOKEN: &str = "admin-token-of-a-test";
const PATIENCE: Duration = Duration::from_secs(60);

/// Running servers. `stop` and `restart` concern the API server; etcd lives as long as this value.
#[derive(Debug)]
pub struct ApiServer {
    binaries: PathBuf,
    etcd: Process,
    apiserver: Option<Process>,
    ports: Ports,
    /// Certificates, data and logs. Dropped last.
    dir: Dir,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    etcd: u16,
    peer: u16,
    secure: u16,
}

// === impl ApiServer ===

impl ApiServer {
    /// Starts both and waits until the API server is ready (about 3 s).
    ///
    /// # Errors
    /// The binaries are missing, or the servers did not become ready: the message ends with the last lines of their logs.
    pub async fn start() -> Result<Self, Error> {
        let binaries = find_binaries()?;
        for _ in 0..2 {
            match Self::launch(binaries.clone()).await {
                // Another process took a port between our finding it free and their using it.
                Err(error) if error.to_string().contains("address already in use") => {}
                result => return result,
            }
        }
        Self::launch(binaries).await
    }

    async fn launch(binaries: PathBuf) -> Result<Self, Error> {
        let dir = Dir::create()?;
        let ports = Ports::free()?;
        write_files(dir.path(), ports)?;
        let etcd = start_etcd(&binaries, dir.path(), ports)?;
        let mut server = Self { binaries, etcd, apiserver: None, ports, dir };
        server.restart().await?;
        Ok(server)
    }

    /// A client with every right (group system:masters).
    ///
    /// # Errors
    /// The client cannot be built from what `start` wrote.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        Ok(kube::Client::try_from(self.config().await?)?)
    }

    /// What `client` is built from, to change its deadlines or to impersonate another user.
    ///
    /// # Errors
    /// As `client`.
    pub async fn config(&self) -> Result<kube::Config, Error> {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig())?;
        Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?)
    }

    /// A kubeconfig file with every right, for kubectl and for our own binary.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// `kubectl` with this server, when it is among the binaries.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.binaries.join("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// Freezes the API server (SIGSTOP): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// No API server is running.
    pub fn pause(&self) -> Result<(), Error> {
        self.apiserver.as_ref().ok_or("the API server is stopped")?.signal("STOP")
    }

    /// Thaws it (SIGCONT).
    ///
    /// # Errors
    /// No API server is running.
    pub fn resume(&self) -> Result<(), Error> {
        self.apiserver.as_ref().ok_or("the API server is stopped")?.signal("CONT")
    }

    /// Kills the API server; etcd keeps the objects.
    pub fn stop(&mut self) {
        self.apiserver = None;
    }

    /// Starts the API server again, at the same address and on the same objects, and waits until it is ready.
    ///
    /// # Errors
    /// As `start`.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.apiserver = Some(start_apiserver(&self.binaries, self.dir.path(), self.ports)?);
        self.until_ready().await
    }

    /// Deletes a key from etcd, unseen by any API server, and compacts: no watch can go on from before (a real 410).
    ///
    /// # Errors
    /// etcd does not answer.
    pub async fn forget(&self, key: &str) -> Result<(), Error> {
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        let deleted = self.etcd_call("/v3/kv/deleterange", &format!(r#"{{"key":"{key}"}}"#)).await?;
        let answer: serde_json::Value = serde_json::from_str(deleted.split("\r\n\r\n").nth(1).unwrap_or_default())?;
        let revision = answer["header"]["revision"].as_str().ok_or_else(|| format!("etcd said: {deleted}"))?;
        if answer["deleted"] != "1" {
            return Err(format!("etcd has no such key: {deleted}").into());
        }
        self.etcd_call("/v3/kv/compaction", &format!(r#"{{"revision":"{revision}","physical":true}}"#)).await?;
        Ok(())
    }

    /// One call of etcd's JSON gateway; the whole answer, head included.
    async fn etcd_call(&self, path: &str, body: &str) -> Result<String, Error> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.etcd)).await?;
        let head = format!("POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn until_ready(&mut self) -> Result<(), Error> {
        let (client, start) = (self.client().await?, Instant::now());
        while start.elapsed() < PATIENCE {
            if tokio::time::timeout(Duration::from_secs(2), is_ready(&client)).await == Ok(true) {
                return Ok(());
            }
            if let Some(ended) = self.ended()? {
                return Err(format!("{ended}{}", self.logs()).into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(format!("the API server was not ready after {PATIENCE:?}{}", self.logs()).into())
    }

    fn ended(&mut self) -> Result<Option<String>, Error> {
        for process in [Some(&mut self.etcd), self.apiserver.as_mut()].into_iter().flatten() {
            if let Some(status) = process.child.try_wait()? {
                return Ok(Some(format!("{} ended: {status}", process.name)));
            }
        }
        Ok(None)
    }

    fn logs(&self) -> String {
        ["etcd", "kube-apiserver"].map(|name| last_lines(&self.dir.path().join(format!("{name}.log")))).concat()
    }
}

/// Ready means ready for a test: /readyz, and the namespace every test uses.
async fn is_ready(client: &kube::Client) -> bool {
    let readyz = http::Request::get("/readyz").body(Vec::new());
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(client.clone());
    match readyz {
        Ok(request) => client.request_text(request).await.is_ok() && namespaces.get("default").await.is_ok(),
        Err(_) => false,
    }
}

// === impl Process ===

/// A process of ours, killed by its id when dropped; by the kernel when the thread that started it ends before that, as it does
/// when the test is killed.
#[derive(Debug)]
struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    fn spawn(name: &'static str, binaries: &Path, dir: &Path, args: &[String]) -> Result<Self, Error> {
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join(format!("{name}.log")))?;
        // It becomes the server: one process, with the id we know.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(binaries.join(name));
        command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().map_err(|error| format!("setpriv (util-linux), to start {name}: {error}"))?;
        Ok(Self { name, child })
    }

    fn signal(&self, name: &str) -> Result<(), Error> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        status.success().then_some(()).ok_or_else(|| format!("kill -{name} {}: {status}", self.name).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_etcd(binaries: &Path, dir: &Path, ports: Ports) -> Result<Process, Error> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    let args = [
        "--data-dir=etcd".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=error".to_owned(),
    ];
    Process::spawn("etcd", binaries, dir, &args)
}

fn start_apiserver(binaries: &Path, dir: &Path, ports: Ports) -> Result<Process, Error> {
    let args = [
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--secure-port={}", ports.secure),
        "--bind-address=127.0.0.1".to_owned(),
        "--tls-cert-file=server.crt".to_owned(),
        "--tls-private-key-file=server.key".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-account-key-file=account.pub".to_owned(),
        "--service-account-signing-key-file=account.key".to_owned(),
        "--shutdown-delay-duration=0s".to_owned(),
    ];
    Process::spawn("kube-apiserver", binaries, dir, &args)
}

// === impl Ports ===

impl Ports {
    /// Three ports that are free now. All are held at once, so that they differ.
    fn free() -> io::Result<Self> {
        let held = [bind()?, bind()?, bind()?];
        let [etcd, peer, secure] = held.each_ref().map(|listener| listener.local_addr().map(|address| address.port()));
        Ok(Self { etcd: etcd?, peer: peer?, secure: secure? })
    }
}

fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

// === impl Dir ===

/// A directory of our own, removed when dropped.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn create() -> io::Result<Self> {
        let random = bind()?.local_addr()?.port();
        let path = env::temp_dir().join(format!("portcullis-apiserver-{}-{random}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn find_binaries() -> Result<PathBuf, Error> {
    let dir = match env::var_os("KUBEBUILDER_ASSETS") {
        Some(dir) => PathBuf::from(dir),
        None => cluster_cache().ok_or("set KUBEBUILDER_ASSETS, CLUSTER_CACHE or HOME")?.join("bin"),
    };
    let missing = ["etcd", "kube-apiserver"].into_iter().find(|name| !dir.join(name).is_file());
    match missing {
        None => Ok(dir),
        Some(name) => {
            Err(format!("{} is missing: run `tests/cluster/cluster build`, or set KUBEBUILDER_ASSETS", dir.join(name).display()).into())
        }
    }
}

/// The same place as in tests/cluster/cluster.
fn cluster_cache() -> Option<PathBuf> {
    let named = env::var_os("CLUSTER_CACHE").map(PathBuf::from);
    let xdg = || env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    named.or_else(|| Some(xdg().or_else(home)?.join("portcullis-cluster")))
}

/// Certificates, the admin's token, the key that signs service accounts' tokens, and the kubeconfig.
fn write_files(dir: &Path, ports: Ports) -> Result<(), Error> {
    let (ca, certificate, key) = make_certificates()?;
    let account = KeyPair::generate()?;
    let kubeconfig = format!(
        r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "test",
"clusters": [{{"name": "test", "cluster": {{"server": "https://127.0.0.1:{}", "certificate-authority": "{}"}}}}],
"users": [{{"name": "admin", "user": {{"token": "{TOKEN}"}}}}],
"contexts": [{{"name": "test", "context": {{"cluster": "test", "user": "admin"}}}}]}}"#,
        ports.secure,
        dir.join("ca.crt").display(),
    );
    let files = [
        ("ca.crt", ca),
        ("server.crt", certificate),
        ("server.key", key),
        ("account.key", account.serialize_pem()),
        ("account.pub", account.public_key_pem()),
        ("tokens.csv", format!("{TOKEN},admin,admin,\"system:masters\"\n")),
        ("kubeconfig", kubeconfig),
    ];
    Ok(files.into_iter().try_for_each(|(name, text)| fs::write(dir.join(name), text))?)
}

/// PEM of a throw-away authority, of a certificate for 127.0.0.1, and of its key.
fn make_certificates() -> Result<(String, String, String), Error> {
    let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::from_params(&ca, &ca_key);
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?.signed_by(&key, &issuer)?;
    Ok((ca_certificate.pem(), certificate.pem(), key.serialize_pem()))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
    format!("\n--- {}\n{}", log.display(), tail.join("\n"))
}
