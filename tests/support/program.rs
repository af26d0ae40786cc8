//! The program as it is shipped: `portcullis serve` over a directory, its ports and its log.

use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(30);

/// Ended, and its directory removed, when dropped.
pub struct Program {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    child: Child,
    dir: PathBuf,
    /// The access log's reasons by request id.
    reasons: Arc<Mutex<HashMap<String, &'static str>>>,
}

// === impl Program ===

impl Program {
    pub async fn serve(name: &str, manifests: &str, flags: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("portcullis-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("manifests.yaml"), manifests).unwrap();
        let admin = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("serve").arg(&dir).args(["--http", "127.0.0.1:0", "--inspect", "127.0.0.1:0", "--log", "json"]);
        command.args(["--admin", &admin.to_string(), "--workers", "2"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let reasons = Arc::<Mutex<HashMap<_, _>>>::default();
        follow_access_log(child.stdout.take().unwrap(), Arc::clone(&reasons));
        let address = listening(child.stderr.take().unwrap());
        let address = tokio::task::spawn_blocking(move || address.recv_timeout(PATIENCE)).await.unwrap().expect("it says where it listens");
        Self { address, admin, child, dir, reasons }
    }

    pub async fn ready(&self) {
        let start = Instant::now();
        while !self.admin("/readyz").await.starts_with("HTTP/1.1 200") {
            assert!(start.elapsed() < PATIENCE, "not ready: {}", self.admin("/readyz").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn admin(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = tokio::net::TcpStream::connect(self.admin).await {
            let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
            let _ = stream.read_to_string(&mut answer).await;
        }
        answer
    }

    /// What the access log says of the request of this id.
    pub async fn reason(&self, id: &str) -> &'static str {
        let start = Instant::now();
        loop {
            if let Some(reason) = self.reasons.lock().unwrap().get(id) {
                return reason;
            }
            assert!(start.elapsed() < PATIENCE, "no line about {id}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// One ProtectedEndpoint of one rule at `/` over the Service `web`. `auth` stands at an indentation of four.
pub fn endpoint(name: &str, host: &str, auth: &str, ca: &str) -> String {
    let ca = ca.trim_end().replace('\n', "\n      ");
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ProtectedEndpoint\nmetadata: {{name: {name}}}\nspec:\n  hosts: [{host}]\n  auth0:\n    {auth}
    caBundle: |\n      {ca}\n  backend: {{service: web, port: 80}}\n  rules: [{{path: /}}]\n"
    )
}

/// A Service, and its one endpoint.
pub fn service(name: &str, address: SocketAddr) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: {}}}]
endpoints: [{{addresses: [{}]}}]
",
        address.port(),
        address.ip()
    )
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn follow_access_log(stdout: impl Read + Send + 'static, reasons: Arc<Mutex<HashMap<String, &'static str>>>) {
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let (Some(id), Some(reason)) = (line["requestId"].as_str(), line["reason"].as_str()) {
                // A few words, for as long as the test lasts.
                reasons.lock().unwrap().insert(id.to_owned(), Box::leak(reason.to_owned().into_boxed_str()));
            }
        }
    });
}

/// Reads on, so that the program is never held up by its log.
fn listening(stderr: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<SocketAddr> {
    let (found, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["message"] == "listening" {
                let _ = found.send(line["address"].as_str().unwrap().parse().unwrap());
            }
        }
    });
    address
}
