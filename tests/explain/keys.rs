//! Keys come from the issuer by the data plane's own fetcher, and without them the answer is the data plane's: 503.

use crate::gateway::{AUDIENCE, DOMAIN, SERVICE, endpoint, new_tenant};
use portcullis::demo::Tenant;
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    process::{Command, Output, Stdio},
    sync::Arc,
};
use tokio::{net::TcpListener, task::spawn_blocking};

async fn start(tenant: &Arc<Tenant>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(tenant).serve(listener));
    address
}

/// What it prints, and its exit code.
async fn explain(manifest: &str, args: &[&str], token: &str) -> (String, i32) {
    let file = std::env::temp_dir().join(format!("portcullis-explain-keys-{}-{}.yaml", std::process::id(), args.len()));
    fs::write(&file, manifest).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["explain", "--assume-backends", "--token", "-", "-f"]).arg(&file).args(args).arg("GET").arg("http://a.example/");
    let token = token.to_owned();
    let output = spawn_blocking(move || run(&mut command, &token)).await.unwrap();
    fs::remove_file(&file).unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

fn run(command: &mut Command, token: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn keys_are_fetched_from_the_issuer_and_without_them_the_answer_is_503() {
    let tenant = Arc::new(new_tenant());
    let issuer = start(&tenant).await;
    let token = tenant.mint(&tenant.claims("client", AUDIENCE));
    let ca = tenant.ca_pem().replace('\n', "\n      ");
    let auth = format!("auth0:\n    domain: {DOMAIN}\n    audience: [{AUDIENCE:?}]\n    caBundle: |\n      {ca}");
    let manifest =
        format!("{}\n---\n{SERVICE}", endpoint("a", &format!("{auth}\n  backend: {{service: web, port: 80}}\n  rules: [{{path: /}}]")));
    let there = format!("{DOMAIN}:443:{issuer}");
    let nobody = format!("{DOMAIN}:443:127.0.0.1:1");
    let (text, code) = explain(&manifest, &["--connect-to", &there], &token).await;
    assert!(code == 0 && text.contains("ok    signature") && text.contains("allowed"), "{text}");
    let (text, code) = explain(&manifest, &["--at=0", "--connect-to", &nobody], &token).await;
    assert!(code == 1 && text.contains("FAIL  keys") && text.contains("503 Service Unavailable, reason keys_unavailable"), "{text}");
    assert!(text.contains("could not be fetched: Connect"), "{text}");
}
