//! The walk-through: told as commands to paste, or played and judged step by step.

use super::{AUDIENCE, CLIENT_ID, CLIENT_SECRET, DOMAIN};
use crate::demo::TOKEN_PATH;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use std::{
    error::Error,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Who plays, and where.
pub(super) struct WalkThrough {
    pub(super) gateway: SocketAddr,
    pub(super) tenant: SocketAddr,
    pub(super) ca_file: PathBuf,
    pub(super) ca: String,
}

/// An answer as it came over the wire.
struct Answer {
    head: String,
    body: String,
}

/// A request to the gateway, and the answer that is right.
struct Step {
    title: &'static str,
    request: String,
    status: &'static str,
    /// Each must be in the answer.
    holds: Vec<String>,
}

type Failure = Box<dyn Error + Send + Sync>;

const HEALTHY: &str = r#"{"status":"ok"}"#;
const STEP_LIMIT: Duration = Duration::from_secs(5);

impl WalkThrough {
    /// Three commands, and where to look further.
    pub(super) fn script(&self, dir: &Path) -> String {
        let Self { gateway, tenant, ca_file, .. } = self;
        let body = token_request();
        let curl = format!("curl --silent --cacert {} --connect-to {DOMAIN}:443:{tenant}", ca_file.display());
        format!(
            r#"
Portcullis is listening on http://{gateway}, a tenant like Auth0's stands at https://{DOMAIN}/. In another terminal:

1. The gateway is alive.
   curl -iG http://{gateway}/__health

2. Without a token there is no way in.
   curl -iG http://{gateway}/auth0-protected

3. Get a token from the tenant, and pass.
   TOKEN=$({curl} --request POST --url https://{DOMAIN}{TOKEN_PATH} --header 'content-type: application/json' --data '{body}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
   curl --request GET --url http://{gateway}/auth0-protected --header "authorization: Bearer $TOKEN"

More: a backend that shows what it was sent. Reading needs the scope read:orders, which the token has; writing needs another.
   curl -i http://{gateway}/orders/1 --header "authorization: Bearer $TOKEN"
   curl -i http://{gateway}/orders/1 --header "authorization: Bearer $TOKEN" --request POST --data 42

The manifests are in {}: change them, and what is served changes with them. Ctrl-C ends everything."#,
            dir.display()
        )
    }

    /// Plays every step and prints it with its answer. Returns whether all were right.
    pub(super) async fn play(&self) -> bool {
        let mut passed = true;
        for step in self.before_token() {
            passed &= self.show(&step).await;
        }
        println!("# A token from the tenant: POST https://{DOMAIN}{TOKEN_PATH}");
        match self.token().await {
            Ok(token) => {
                for step in self.with_token(&token) {
                    passed &= self.show(&step).await;
                }
            }
            Err(error) => {
                println!("FAILED: {error}\n");
                passed = false;
            }
        }
        println!("{}", if passed { "Every step answered as it should." } else { "Some steps did not answer as they should." });
        passed
    }

    fn before_token(&self) -> [Step; 2] {
        let length = |n: usize| format!("Content-Length: {n}");
        let json = "Content-Type: application/json; charset=utf-8".to_owned();
        [
            Step::get("The gateway is alive", "/__health", "", "200 OK", vec![json, length(HEALTHY.len()), HEALTHY.to_owned()]),
            Step::get("No token", "/auth0-protected", "", "401 Unauthorized", vec![length(0)]),
        ]
    }

    fn with_token(&self, token: &str) -> Vec<Step> {
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let cookie = format!("Cookie: access_token={token}\r\n");
        let ok = || vec![HEALTHY.to_owned()];
        let broken = format!("Authorization: Bearer {}x\r\n", token.get(..token.len() - 1).unwrap_or_default());
        let claims = vec![format!("\"x-client\":\"{CLIENT_ID}\""), "\"x-roles\":\"reader\"".to_owned()];
        let scope = vec!["error=\"insufficient_scope\", scope=\"write:orders\"".to_owned()];
        vec![
            Step::get("The token in a header", "/auth0-protected", &bearer, "200 OK", ok()),
            Step::get("The token in a cookie", "/auth0-protected", &cookie, "200 OK", ok()),
            Step::get(
                "A token with one letter changed",
                "/auth0-protected",
                &broken,
                "401 Unauthorized",
                vec!["error=\"invalid_token\"".to_owned()],
            ),
            Step::get("Claims reach the backend", "/orders/1", &bearer, "200 OK", claims),
            Step::new("A scope that the token lacks", "POST", "/orders/1", &bearer, "403 Forbidden", scope),
            Step::get("A public path", "/orders/status", "", "200 OK", vec![]),
        ]
    }

    async fn show(&self, step: &Step) -> bool {
        println!("# {}: {}", step.title, step.request.lines().next().unwrap_or_default());
        // A rule answers 503 until its keys have come: a moment after the start.
        let mut judged = self.judge(step).await;
        for _ in 0..50 {
            if !matches!(&judged, Ok((answer, _)) if answer.head.starts_with("HTTP/1.1 503")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            judged = self.judge(step).await;
        }
        match judged {
            Ok((answer, right)) => {
                println!("{}\n\n{}{}\n", answer.head, answer.body, if right { "" } else { "\nFAILED: not the answer that is right" });
                right
            }
            Err(error) => {
                println!("FAILED: {error}\n");
                false
            }
        }
    }

    async fn judge(&self, step: &Step) -> Result<(Answer, bool), Failure> {
        let request = step.request.replace("HOST", &self.gateway.to_string());
        let answer = exchange(TcpStream::connect(self.gateway).await?, &request).await?;
        let status = answer.head.starts_with(&format!("HTTP/1.1 {}", step.status));
        let holds = |text: &String| answer.head.contains(text.as_str()) || answer.body.contains(text.as_str());
        let right = status && step.holds.iter().all(holds);
        Ok((answer, right))
    }

    async fn token(&self) -> Result<String, Failure> {
        let body = token_request().to_string();
        let head =
            format!("POST {TOKEN_PATH} HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let socket = TcpStream::connect(self.tenant).await?;
        let tls = TlsConnector::from(Arc::new(self.tls()?)).connect(ServerName::try_from(DOMAIN)?, socket).await?;
        let answer = exchange(tls, &format!("{head}Connection: close\r\n\r\n{body}")).await?;
        let granted: Value = serde_json::from_str(&answer.body)?;
        let token = granted.get("access_token").and_then(Value::as_str).ok_or("no access_token in the tenant's answer")?;
        println!("{}\n", answer.body.replace(token.get(20..).unwrap_or_default(), "…"));
        Ok(token.to_owned())
    }

    fn tls(&self) -> Result<ClientConfig, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes())?)?;
        Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }
}

// === impl Step ===

impl Step {
    fn get(title: &'static str, path: &str, headers: &str, status: &'static str, holds: Vec<String>) -> Self {
        Self::new(title, "GET", path, headers, status, holds)
    }

    fn new(title: &'static str, method: &str, path: &str, headers: &str, status: &'static str, holds: Vec<String>) -> Self {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: HOST\r\n{headers}Connection: close\r\n\r\n");
        Self { title, request, status, holds }
    }
}

fn token_request() -> Value {
    json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "audience": AUDIENCE, "grant_type": "client_credentials" })
}

/// One request on a connection that ends with its answer.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<Answer, Failure> {
    let work = async {
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").ok_or("an answer without an end to its head")?;
        Ok(Answer { head: head.replace("\r\n", "\n"), body: body.to_owned() })
    };
    tokio::time::timeout(STEP_LIMIT, work).await?
}
