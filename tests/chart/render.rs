//! Runs helm and takes its output apart.

use serde_json::Value;
use std::{env, fs, path::PathBuf, process::Command};

/// The directory of the binaries that `tests/cluster/cluster build` compiles.
#[expect(clippy::disallowed_methods, reason = "a test's own tools, not the program's settings")]
fn helm() -> PathBuf {
    let cache = env::var("CLUSTER_CACHE").map(PathBuf::from).unwrap_or_else(|_| {
        let base = env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{}/.cache", env::var("HOME").unwrap()));
        PathBuf::from(base).join("portcullis-cluster")
    });
    let helm = cache.join("bin/helm");
    assert!(helm.exists(), "{} is missing: run `tests/cluster/cluster build`", helm.display());
    helm
}

/// `helm template` of the chart: its output, or what it complained about.
pub(crate) fn helm_template(arguments: &[&str]) -> Result<String, String> {
    let fixed = ["template", "portcullis", "charts/portcullis", "--namespace", "portcullis-system", "--kube-version", "1.36.0"];
    let output = Command::new(helm()).args(fixed).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub(crate) fn rendered(arguments: &[&str]) -> String {
    helm_template(arguments).unwrap()
}

pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_yaml::from_multiple(text).unwrap()
}

pub(crate) fn kind(documents: &[Value], kind: &str) -> Vec<Value> {
    documents.iter().filter(|document| document["kind"] == kind).cloned().collect()
}

pub(crate) fn named(documents: &[Value], of: &str, name: &str) -> Value {
    let found = kind(documents, of).into_iter().find(|document| document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {of} {name} in the chart"))
}

/// Compares with the checked-in file; with BLESS set, writes it instead.
#[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the program")]
#[allow(dead_code, reason = "not every test compares files")]
pub(crate) fn assert_golden(path: &str, text: &str) {
    if env::var("BLESS").is_ok() {
        fs::write(path, text).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).position(|(old, new)| old != new).unwrap_or(0) + 1;
    assert!(golden == text, "{path} differs from the chart at line {differs}: look at it, then `make manifests`");
}
