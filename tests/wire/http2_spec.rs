//! h2spec, the protocol's conformance suite, against the real listener. `tests/cluster/cluster build h2spec` compiles it.

use crate::{
    gateway::{Setup, manifest},
    origin::Origin,
};
use std::{env, net::SocketAddr, path::PathBuf, process::Command};

const RULES: &str = "  rules:\n  - {path: /, access: Public}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\ntwenty bytes of text";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2spec_finds_nothing_in_strict_mode() {
    let origin = Origin::saying(OK).await;
    let gateway = Setup::new(&manifest(RULES)).behind("web", &[origin.address]).start();
    let report = h2spec(gateway.h2c).await;
    assert!(report.contains(" 0 skipped, 0 failed"), "{report}");
    let count: usize = report.lines().rev().find_map(|line| line.split_once(" tests, ")?.0.parse().ok()).unwrap();
    assert!(count >= 90, "{report}");
}

async fn h2spec(address: SocketAddr) -> String {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let run = move || Command::new(binary()).args(["--strict", "--timeout", "5", "--host", &host, "--port", &port]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test's own tools, not the program's settings")]
fn binary() -> PathBuf {
    let cache = env::var("CLUSTER_CACHE").map(PathBuf::from).unwrap_or_else(|_| {
        let base = env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{}/.cache", env::var("HOME").unwrap()));
        PathBuf::from(base).join("portcullis-cluster")
    });
    let binary = cache.join("bin/h2spec");
    assert!(binary.exists(), "{} is missing: run `tests/cluster/cluster build h2spec`", binary.display());
    binary
}
