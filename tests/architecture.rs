//! Which module may name which, and the names that one file alone may use. A text scan: it tells file, line and reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails should say where")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A module, names that must not appear in its code, and why. Each wall holds for every file under the module.
const WALLS: &[(&str, &[&str], &str)] = &[
    (
        "jwt",
        &["routing::", "authz::", "proxy::", "jwks::", "http::", "hyper::", "kube::", "tokio::", "clock::", "async fn"],
        "a token knows nothing of routes, requests or the time",
    ),
    (
        "authz",
        &["routing::", "proxy::", "jwks::", "http::", "hyper::", "kube::", "tokio::", "clock::", "async fn"],
        "a decision is a pure function of claims",
    ),
    (
        "routing",
        &["proxy::", "compile::", "api::", "jwks::", "hyper::", "kube::", "k8s_openapi::", "tokio::", "async fn"],
        "a table is data",
    ),
    ("jwks", &["routing::", "authz::", "proxy::", "compile::", "controller::", "kube::", "k8s_openapi::"], "keys know nothing of routes"),
    (
        "proxy",
        &["api::", "compile::", "controller::", "source::", "publish::", "demo::", "kube::", "k8s_openapi::", "clock::"],
        "the data plane runs without a cluster",
    ),
    (
        "compile",
        &["proxy::", "controller::", "jwks::", "kube::Client", "kube::Api", "kube::runtime", "tokio::", "clock::", "async fn"],
        "compiling is pure",
    ),
    ("controller", &["proxy::", "hyper::", "hyper_util::"], "the control plane never touches a request"),
    ("telemetry", &["proxy::", "compile::", "controller::", "kube::", "k8s_openapi::"], "what is told about a request decides nothing"),
    ("source", &["proxy::", "controller::", "kube::Client", "hyper::"], "a directory is not a cluster"),
    ("admin", &["proxy::", "compile::", "kube::"], "the operator's ports decide nothing"),
];

/// A name, the files that may use it, and why.
const KEEPERS: &[(&str, &[&str], &str)] = &[
    ("Public::declared", &["compile/route.rs"], "only compile opens a rule, and only where its owner said so"),
    ("SystemTime::now", &["clock.rs"], "time is an argument"),
    ("env::var", &["args/explain.rs"], "the environment is read in one place"),
    ("env = \"", &["args.rs"], "the environment is read in one place"),
    ("Permit(())", &["authz/mod.rs"], "a permit is made by authz alone"),
    ("process::exit", &[], "main alone ends the process"),
    ("unsafe ", &[], "none"),
];

#[test]
fn walls_hold() {
    let mut breaches = Vec::new();
    for (module, banned, why) in WALLS {
        for file in rust_files(module) {
            breaches.extend(uses(&file, banned).map(|(line, name)| format!("{}:{line}: `{name}` ({why})", file.display())));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn what_one_file_may_say_no_other_says() {
    let all = files_under(&source());
    for (name, keepers, why) in KEEPERS {
        let users: Vec<_> = all.iter().filter(|file| uses(file, &[name]).next().is_some()).collect();
        let is_keeper = |file: &Path| keepers.iter().any(|keeper| file == source().join(keeper));
        let strangers: Vec<_> = users.iter().filter(|file| !is_keeper(file)).collect();
        assert!(strangers.is_empty(), "`{name}` in {strangers:?}: {why}");
        assert_eq!(users.len(), keepers.len(), "`{name}` is no longer used in {keepers:?}: the guard has lost what it guards");
    }
}

/// The scan itself can fail: it sees code, and not comments or tests.
#[test]
fn the_scan_sees_what_it_looks_for() {
    let file = source().join("authz/mod.rs");
    assert_eq!(uses(&file, &["Claims"]).count(), uses(&file, &["Claims", "no such name"]).count());
    assert!(uses(&file, &["Claims"]).count() > 1);
    let text = "//! tokio::\nuse a; // tokio::\n    /// tokio::\nuse tokio::x;\n#[cfg(test)]\nmod tests {\n    use tokio::y;\n}\n";
    assert_eq!(code(text).filter(|(_, line)| line.contains("tokio::")).map(|(n, _)| n).collect::<Vec<_>>(), [4]);
}

/// The lines that use one of `names` as a whole word, numbered from 1.
fn uses<'a>(file: &Path, names: &'a [&str]) -> impl Iterator<Item = (usize, &'a str)> {
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<_> = code(&text).map(|(n, line)| (n, line.to_owned())).collect();
    lines.into_iter().flat_map(|(n, line)| names.iter().filter(move |name| holds(&line, name)).map(move |name| (n, *name)))
}

/// `http::` is not in `my_http::`.
fn holds(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| !line[..at].ends_with(is_word))
}

/// Code without comments, up to the tests, which stand last in a file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate();
    lines.map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
}

/// `src/MODULE.rs` and everything under `src/MODULE/`. A module without a file is a stale wall.
fn rust_files(module: &str) -> Vec<PathBuf> {
    let single = source().join(module).with_extension("rs");
    let found: Vec<_> = files_under(&source().join(module)).into_iter().chain(Some(single).filter(|file| file.exists())).collect();
    assert!(!found.is_empty(), "no source for module `{module}`: it moved, and its wall must move with it");
    found
}

/// Files of tests are left out: they may use what they like.
fn files_under(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for path in entries {
        match (path.is_dir(), path.file_stem().is_some_and(|stem| stem == "tests")) {
            (_, true) => {}
            (true, false) => found.extend(files_under(&path)),
            (false, false) => found.extend(Some(path).filter(|path| path.extension().is_some_and(|ext| ext == "rs"))),
        }
    }
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
