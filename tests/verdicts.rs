//! The corpus through the program as it is shipped: what is refused reaches no backend and causes no fetch.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "support/client.rs"]
mod client;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/issuer.rs"]
mod issuer;
#[path = "support/origin.rs"]
mod origin;
#[path = "support/program.rs"]
mod program;
#[path = "support/tokens.rs"]
mod tokens;

use client::Client;
use corpus::{Case, Corpus, Endpoint, LIFETIME, ORGANIZATION, Results, SECRET};
use issuer::Issuer;
use origin::{Conversation, Origin};
use portcullis::clock;
use program::Program;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Write},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

const DOMAIN: &str = "tenant.example.com";
const AUDIENCE: &str = "https://api.example.com";
/// A head may have so many bytes; a longer one is refused before anybody looks for a token.
const MAX_HEAD: usize = 64 << 10;
const COOL_DOWN: Duration = Duration::from_secs(30);

/// What the answer to one case must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Forwarded,
    /// 401, and this reason in the log.
    Refused(&'static str),
    /// The request itself is none, or its credentials are not one token.
    BadRequest,
    TooLarge,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_corpus_gets_its_verdicts_from_the_program() {
    let lure = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let corpus = Corpus::luring(
        &format!("https://{DOMAIN}/"),
        AUDIENCE,
        clock::unix_now().as_secs(),
        &format!("https://{}", lure.local_addr().unwrap()),
    );
    let issuer = Issuer::serving(DOMAIN, corpus.jwks()).await;
    let origin = Origin::start(answer).await;
    let program = Program::serve("verdicts", &manifests(&corpus, &issuer, &origin), &[&issuer.connect_to()]).await;
    program.ready().await;
    assert_eq!(issuer.connections(), 1, "one fetch of the keys");

    let start = Instant::now();
    let sent: Vec<(String, &Case, Expected)> = (0..2).flat_map(|round| cases(&corpus, round)).collect();
    let mut statuses = Vec::new();
    for (id, case, expected) in &sent {
        let before = (origin.bytes().len(), issuer.connections());
        statuses.push(send(&program, id, case).await);
        let forwarded = *expected == Expected::Forwarded;
        let may_refresh = *expected == Expected::Refused("unknown_key");
        assert!(forwarded || origin.bytes().len() == before.0, "{}: {} was forwarded", case.category, case.name);
        assert!(may_refresh || issuer.connections() == before.1, "{}: {} caused a fetch", case.category, case.name);
    }
    let refreshes = 1 + usize::try_from(start.elapsed().as_secs() / COOL_DOWN.as_secs()).unwrap();
    let fetches = issuer.connections();
    assert!(fetches <= 1 + refreshes, "{fetches} fetches in {:?}", start.elapsed());
    assert!(tokio::time::timeout(Duration::from_millis(50), lure.accept()).await.is_err(), "J18: somebody followed `jku` or `x5u`");

    let (results, stray) = judge(&program, &sent, &statuses, &origin).await;
    let unsent = corpus.cases.len() - sent.len() / 2;
    let line = format!(
        "{results}\n{stray} bytes forwarded of refused ones, {fetches} fetches of keys; {unsent} cannot be sent or are not offered"
    );
    writeln!(io::stdout(), "corpus, through the program: {} tokens, each twice\n{line}", sent.len() / 2).unwrap();
    writeln!(io::stdout(), "{}", results.row("corpus, through the program", &stray.to_string())).unwrap();
    assert!(results.wrong.is_empty(), "{}", results.wrong.join("\n"));
    assert_eq!(stray, 0);
    assert!(sent.len() / 2 >= 300);
}

/// Answers every request at once.
async fn answer(mut conversation: Conversation) {
    while conversation.head().await.is_some() {
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    }
}

/// The cases that can be sent, each with the id of its request. Bytes that end a line would make another request of it, and no other token.
fn cases(corpus: &Corpus, round: usize) -> impl Iterator<Item = (String, &Case, Expected)> {
    let sendable = corpus.cases.iter().enumerate().filter(|(_, case)| is_offered(case.endpoint) && !case.token.contains(['\r', '\n']));
    sendable.map(move |(number, case)| (format!("case-{round}-{number}"), case, expected(case)))
}

/// No resource can ask for HS256 by published keys.
fn is_offered(endpoint: Endpoint) -> bool {
    endpoint != Endpoint::Algorithm("HS256")
}

fn expected(case: &Case) -> Expected {
    // What stands around a field's value is not a part of it (RFC 9110 §5.5).
    let token = case.token.trim_matches([' ', '\t']);
    if token.len() > MAX_HEAD - 1024 {
        return Expected::TooLarge;
    }
    if token.is_empty() || token.contains([' ', '\t', ',', '\0']) {
        return Expected::BadRequest;
    }
    match case.expected {
        Ok(()) => Expected::Forwarded,
        Err(_) if token != case.token => Expected::Forwarded,
        Err(reason) => Expected::Refused(reason),
    }
}

/// The status; `None` when the gateway closed before it could be read.
async fn send(program: &Program, id: &str, case: &Case) -> Option<u16> {
    let mut client = Client::connect(program.address).await;
    let (host, token) = (host(case.endpoint), &case.token);
    client
        .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: {id}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"))
        .await;
    let answer = client.rest().await;
    answer.get(9..12).and_then(|status| status.parse().ok())
}

/// By status, and by the reason in the log; and how many bytes the origin got that belong to no accepted request.
async fn judge(program: &Program, sent: &[(String, &Case, Expected)], statuses: &[Option<u16>], origin: &Origin) -> (Results, usize) {
    let mut results = Results::default();
    for ((id, case, expected), status) in sent.iter().zip(statuses) {
        let verdict = match (expected, status) {
            (Expected::Forwarded, Some(200)) => Some(Ok(())),
            (Expected::BadRequest, Some(400)) | (Expected::TooLarge, Some(431) | None) => Some(Err("bad request")),
            (Expected::Refused(_), Some(401)) => Some(Err(program.reason(id).await)),
            (_, status) => Some(Err(Box::leak(format!("status {status:?}").into_boxed_str()) as &str)),
        };
        let wanted = match expected {
            Expected::Forwarded => Ok(()),
            Expected::Refused(reason) => Err(*reason),
            Expected::BadRequest | Expected::TooLarge => Err("bad request"),
        };
        results.count(&Case { expected: wanted, ..(*case).clone() }, id, verdict);
    }
    (results, stray_bytes(sent, origin))
}

fn stray_bytes(sent: &[(String, &Case, Expected)], origin: &Origin) -> usize {
    let accepted: BTreeSet<_> =
        sent.iter().filter(|(_, _, expected)| *expected == Expected::Forwarded).map(|(id, ..)| id.as_str()).collect();
    let text = origin.text();
    let heads: Vec<_> = text.split_inclusive("\r\n\r\n").collect();
    let id_of = |head: &str| head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
    let is_stray = |head: &&&str| !id_of(head).is_some_and(|id| accepted.contains(id.as_str()));
    heads.iter().filter(is_stray).map(|head| head.len()).sum()
}

fn host(endpoint: Endpoint) -> String {
    let name = match endpoint {
        Endpoint::Algorithm(algorithm) => algorithm,
        Endpoint::AtJwt => "at-jwt",
        Endpoint::Lifetime => "lifetime",
        Endpoint::Organization => "organization",
        Endpoint::Secret => "secret",
    };
    format!("{}.example.com", name.to_lowercase())
}

/// One resource for each endpoint that the corpus asks for, the key source of all of them, and the origin behind them.
fn manifests(corpus: &Corpus, issuer: &Issuer, origin: &Origin) -> String {
    let endpoints: BTreeSet<_> = corpus.cases.iter().map(|case| case.endpoint).filter(|endpoint| is_offered(*endpoint)).collect();
    let secret = std::str::from_utf8(SECRET).unwrap();
    let mut text = program::service("web", origin.address);
    write!(text, "---\n{{apiVersion: v1, kind: Secret, metadata: {{name: tenant}}, stringData: {{secret: {secret:?}}}}}\n").unwrap();
    for endpoint in endpoints {
        let more = match endpoint {
            Endpoint::Algorithm(_) => String::new(),
            Endpoint::Secret => "secretRef: {name: tenant}".to_owned(),
            Endpoint::AtJwt => "requireAtJwt: true".to_owned(),
            Endpoint::Lifetime => format!("maxTokenLifetime: {LIFETIME}s"),
            Endpoint::Organization => format!("organizations: [{ORGANIZATION}]"),
        };
        let host = host(endpoint);
        let auth = format!("domain: {DOMAIN}\n    audience: [{AUDIENCE:?}]\n    alg: {}\n    {more}", endpoint.algorithm());
        let name = host.split('.').next().unwrap();
        write!(text, "---\n{}", program::endpoint(name, &host, &auth, &issuer.ca)).unwrap();
    }
    text
}
