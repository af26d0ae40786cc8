//! Tokens of issuers that nobody of this project wrote, through the program as it is shipped: npm's certified oidc-provider and
//! oauth2-mock-server, over TLS. `make setup` installs them; without Node or without them this test fails and says so.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "support/client.rs"]
mod client;
#[path = "support/origin.rs"]
mod origin;
#[path = "support/program.rs"]
mod program;

use client::Client;
use origin::Origin;
use program::Program;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Signer, KeyPair};
use serde::Deserialize;
use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/issuers.mjs");
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/node_modules/oidc-provider");
const NAMES: [&str; 2] = ["op.example.com", "mock.example.com"];

/// Both issuers in one process, which ends with its standard input.
struct Issuers {
    child: Child,
    dir: PathBuf,
    ca: String,
    all: Vec<Issuer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issuer {
    issuer: String,
    jwks_url: String,
    host: String,
    port: u16,
    tokens: Vec<Token>,
}

#[derive(Debug, Deserialize)]
struct Token {
    name: String,
    alg: String,
    audience: String,
    token: String,
}

// === impl Issuers ===

impl Issuers {
    fn start() -> Self {
        assert!(Path::new(MODULES).exists(), "tests/interop/node_modules is missing: `make interop` (or `make setup`) installs it");
        let dir = std::env::temp_dir().join(format!("portcullis-interop-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let ca = certificates(&dir);
        let files = ["key.pem", "cert.pem", "ca.pem"].map(|name| dir.join(name));
        let command = Command::new("node").arg(SCRIPT).args(files).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            command.unwrap_or_else(|error| panic!("`node` does not start ({error}): Node 20 or newer is needed, see `make setup`"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let all = serde_json::from_str(&line).unwrap_or_else(|error| panic!("the issuers did not start ({error}): {line}"));
        Self { child, dir, ca, all }
    }
}

impl Drop for Issuers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A key, a certificate for both names, and who signed it. Returns the latter.
fn certificates(dir: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "interop authority");
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let signer = Signer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
    params.distinguished_name.push(DnType::CommonName, "interop issuers");
    let leaf = params.signed_by(&key, &signer).unwrap();
    for (name, pem) in [("key.pem", key.serialize_pem()), ("cert.pem", leaf.pem()), ("ca.pem", ca.clone())] {
        fs::write(dir.join(name), pem).unwrap();
    }
    ca
}

fn host(issuer: usize, token: usize) -> String {
    format!("i{issuer}-t{token}.example.com")
}

/// One resource for each token: its issuer, audience and algorithm, and the scope that it was given.
fn manifests(issuers: &Issuers, origin: &Origin) -> String {
    let mut text = program::service("web", origin.address);
    for (i, issuer) in issuers.all.iter().enumerate() {
        for (t, Token { alg, audience, .. }) in issuer.tokens.iter().enumerate() {
            let Issuer { issuer, jwks_url, .. } = issuer;
            let auth = format!("issuer: {issuer}\n    jwksUrl: {jwks_url}\n    audience: [{audience:?}]\n    alg: {alg}");
            let endpoint = program::endpoint(&format!("i{i}-t{t}"), &host(i, t), &auth, &issuers.ca);
            let scoped = endpoint.replace(
                "rules: [{path: /}]",
                "rules: [{path: /}, {path: /other, require: {scopes: [write:messages]}}]\n  require: {scopes: [\"read:messages\"]}",
            );
            // Only oidc-provider says `typ: at+jwt` (RFC 9068).
            let strict = if i == 0 { scoped.replace("    alg:", "    requireAtJwt: true\n    alg:") } else { scoped };
            write!(text, "---\n{strict}").unwrap();
        }
    }
    text
}

async fn get(program: &Program, host: &str, path: &str, token: &str) -> u16 {
    let mut client = Client::connect(program.address).await;
    client.request("GET", path, &[("Host", host), ("Authorization", &format!("Bearer {token}")), ("Connection", "close")]).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_other_peoples_issuers_pass_where_they_are_meant_and_nowhere_else() {
    let issuers = tokio::task::spawn_blocking(Issuers::start).await.unwrap();
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let flags: Vec<_> = issuers.all.iter().map(|issuer| format!("--connect-to={}:443:127.0.0.1:{}", issuer.host, issuer.port)).collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let program = Program::serve("interop", &manifests(&issuers, &origin), &flags).await;
    program.ready().await;
    let tokens =
        || issuers.all.iter().enumerate().flat_map(|(i, issuer)| issuer.tokens.iter().enumerate().map(move |(t, token)| (i, t, token)));
    for (i, t, Token { name, token, .. }) in tokens() {
        let issuer = &issuers.all[i].issuer;
        assert_eq!(get(&program, &host(i, t), "/", token).await, 200, "{issuer}: {name}");
        assert_eq!(get(&program, &host(i, t), "/other", token).await, 403, "{issuer}: {name}, where another scope is asked for");
        for (other_i, other_t, other) in tokens() {
            let alike =
                i == other_i && (&other.alg, &other.audience) == (&issuers.all[i].tokens[t].alg, &issuers.all[i].tokens[t].audience);
            if !alike {
                let status = get(&program, &host(other_i, other_t), "/", token).await;
                assert_eq!(status, 401, "{issuer}: {name}, at the endpoint for {}", other.name);
            }
        }
        writeln!(io::stdout(), "interop: {issuer}: {name}").unwrap();
    }
    assert_eq!(tokens().count(), 9);
    let forwarded = origin.text().matches("\r\n\r\n").count();
    assert_eq!(forwarded, tokens().count(), "every token once");
}
