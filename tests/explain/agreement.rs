//! What `explain` says is what the gateway does: random requests, over a socket and by question, get one verdict.

use crate::client::Answer;
use crate::gateway::{AUDIENCE, DOMAIN, Gateway, Setup, TENANT, start_echo, token_with};
use clap::Parser;
use portcullis::{
    args::{Args, Explain, Verb},
    cli::explain::{Question, Report, Served},
    clock,
    jwt::KeySet,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;
use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf};

/// A table: documents without Services and endpoints.
const TABLES: &[&str] = &[
    "hosts: [a.example, '*.b.example']
  token: {cookie: t, query: q}
  claimHeaders: [{header: X-User, claim: sub}]
  rules:
  - path: /
  - {path: /a, methods: [GET]}
  - {path: /a/b, pathType: Exact, access: Public}
  - {path: /a/b, require: {scopes: [read:messages]}}
  - {path: /a/b/c, require: {scopes: ['no:such']}, rewrite: /}
  - {path: /c, methods: [POST, PUT], require: {claims: [{claim: sub, values: [x]}]}}
  - {path: /e, backend: {service: empty, port: 80}}
  - {path: /n, backend: {service: nowhere, port: 80}}
  - {path: /p, access: Public}",
    "token: {header: X-Token, cookie: t, forward: Strip, crossOrigin: Allow}
  require: {permissions: [p]}
  rules:
  - {path: /a, pathType: Exact}
  - {path: /a/b, methods: [GET, DELETE]}
  - {path: /c, access: Public, methods: [GET]}
  - {path: /e}
  - {path: /p}",
];

/// One request.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    host: &'static str,
    target: String,
    token: usize,
    place: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

fn asked(tokens: usize) -> impl Strategy<Value = Asked> {
    let methods = ["GET", "GET", "GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "DELETE", "PUT", "get", "TRACE"];
    let hosts = ["a.example", "a.example", "a.example", "x.b.example", "A.Example.:80", "x.y.b.example", "a.example:x", "[::1]"];
    let paths = ["/a", "/a/b", "/a/b/x", "/a/b/c/d", "/c", "/e", "/n", "/p", "/__health", "/", "/zz"];
    let rest = "(/(x|p;v|a;x|%61|%2f|%2B|\\+|\\.\\.|\\.)?){0,2}(\\?(x=1)?)?(&q=z)?";
    let (method, host) = (prop::sample::select(methods.to_vec()), prop::sample::select(hosts.to_vec()));
    let (path, rest) = (prop::sample::select(paths.to_vec()), prop_oneof![3 => Just(String::new()), 1 => rest.prop_map(|rest| rest)]);
    let target = (path, rest).prop_map(|(path, rest)| path.to_owned() + &rest);
    let place = prop::sample::select(vec!["header", "header", "header:X-Token", "cookie:t", "query:q", "none"]);
    let header = prop::sample::select(vec![
        ("Accept", "application/json"),
        ("Authorization", "Bearer"),
        ("Authorization", "Basic dTpw"),
        ("Cookie", "t=a.b.c"),
        ("Expect", "other"),
        ("Origin", "http://a.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("X-User", "forged"),
    ]);
    let headers = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(header, 0..3)];
    (method, host, target, 0..tokens, place, headers).prop_map(|(method, host, target, token, place, headers)| Asked {
        method,
        host,
        target,
        token,
        place,
        headers,
    })
}

/// Good ones most often.
fn tokens() -> Vec<String> {
    let now = clock::unix_now().as_secs();
    let good = token_with(&json!({}));
    let mut tokens = vec![good.clone(); 8];
    let changes = [
        json!({"scope": ""}),
        json!({"permissions": ["p"]}),
        json!({"sub": "x"}),
        json!({"sub": "l".repeat(9000)}),
        json!({"exp": now - 60}),
        json!({"exp": "soon"}),
        json!({"nbf": now + 600}),
        json!({"iss": "https://evil.example/"}),
        json!({"aud": ["x"]}),
        json!({"aud": [1]}),
        json!({"cnf": {}}),
    ];
    tokens.extend(changes.iter().map(token_with));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    tokens.extend([forged, format!("{message}."), "a.b.c".to_owned(), "opaque".to_owned(), format!("{good}.x")]);
    tokens
}

fn documents(table: &str, echo: SocketAddr) -> String {
    let spec = format!("auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}]}}\n  backend: {{service: web, port: 80}}\n  {table}");
    let service = |name: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}");
    let slice = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nports: [{{port: {}}}]\nendpoints: [{{addresses: [{}]}}]",
        echo.port(),
        echo.ip(),
    );
    [crate::gateway::endpoint("messages", &spec), service("web"), service("empty"), slice].join("\n---\n")
}

/// Status, reason, rule, and the headers that say why.
type Verdict = (Option<u16>, String, String, Vec<(String, String)>);

const TELLING: [&str; 5] = ["allow", "content-type", "retry-after", "www-authenticate", "connection"];

fn explained(report: &Report) -> Verdict {
    let rule = report.rule.as_ref().map_or_else(|| "-".to_owned(), |rule| format!("{}/{}/{}", rule.namespace, rule.name, rule.rule));
    let told = |name: &&str| Some(((*name).to_owned(), report.answer.headers.get(*name)?.clone()));
    (report.answer.status, report.answer.reason.clone(), rule, TELLING.iter().filter_map(told).collect())
}

/// As they would be typed.
fn arguments(rest: &[&str]) -> Explain {
    match Args::try_parse_from(["portcullis", "explain"].iter().chain(rest)).unwrap().verb {
        Verb::Explain(explain) => *explain,
        verb => panic!("{verb:?}"),
    }
}

fn question(asked: &Asked, id: &str) -> Explain {
    let url = format!("http://{}{}", asked.host, asked.target);
    let mut line = vec!["-f", "-", "--token-in", if asked.place == "none" { "header" } else { asked.place }];
    let headers = asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).chain([format!("X-Request-Id: {id}")]);
    let headers: Vec<_> = headers.collect();
    headers.iter().for_each(|header| line.extend(["-H", header]));
    line.extend(["--", asked.method, &url]);
    arguments(&line)
}

/// What `explain` says; `None` for what is no URL.
async fn explain(served: &Served, asked: &Asked, token: &str, id: &str) -> Option<Report> {
    let token = (asked.place != "none").then(|| token.to_owned());
    let question = Question::new(served, &question(asked, id), token, clock::unix_now()).ok()?;
    let (keys, _) = KeySet::from_jwks(TENANT.jwks().to_string().as_bytes()).unwrap();
    let keys = question.wanted_keys().await.map(|id| (id, keys));
    Some(question.answer(keys, vec![]).await)
}

/// What the gateway answers.
async fn served(gateway: &Gateway, asked: &Asked, token: &str, id: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Host", asked.host.to_owned())];
    headers.extend(asked.headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    headers.push(("X-Request-Id", id.to_owned()));
    let mut target = asked.target.clone();
    match asked.place {
        "header" => headers.push(("Authorization", bearer)),
        "header:X-Token" => headers.push(("X-Token", token.to_owned())),
        "cookie:t" => {
            let others: String = headers.iter().filter(|(name, _)| *name == "Cookie").map(|(_, value)| format!("{value}; ")).collect();
            headers.retain(|(name, _)| *name != "Cookie");
            headers.push(("Cookie", format!("{others}t={token}")));
        }
        "query:q" => target += &format!("{}q={token}", if target.contains('?') { '&' } else { '?' }),
        _ => {}
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    gateway.request(asked.method, &target, &headers).await
}

/// And what it says in its log.
fn done(answer: &Answer, log: &BTreeMap<String, String>, id: &str) -> Verdict {
    let words: Vec<_> = log[id].split(' ').collect();
    let (reason, rule) = (words[6].to_owned(), words[7].to_owned());
    let forwarded = reason == "forwarded";
    let told = |name: &&str| Some(((*name).to_owned(), answer.header(name)?.to_owned())).filter(|_| !forwarded);
    ((!forwarded).then_some(answer.status), reason, rule, TELLING.iter().filter_map(told).collect())
}

/// Every line by the id of its request.
fn log(gateways: &[Gateway]) -> BTreeMap<String, String> {
    let lines = gateways.iter().flat_map(Gateway::log_lines);
    lines.map(|line| (line.split(' ').nth(11).unwrap_or_default().to_owned(), line)).collect()
}

/// A directory with the documents of every table.
struct Files(PathBuf);

impl Files {
    fn write(documents: &[String]) -> Self {
        let dir = std::env::temp_dir().join(format!("portcullis-agreement-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        documents.iter().enumerate().for_each(|(index, text)| fs::write(dir.join(format!("{index}.yaml")), text).unwrap());
        Self(dir)
    }

    fn name(&self, index: usize) -> String {
        self.0.join(format!("{index}.yaml")).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_says_what_the_gateway_does() {
    let (tokens, (_, echo)) = (tokens(), start_echo().await);
    let documents: Vec<_> = TABLES.iter().map(|table| documents(table, echo)).collect();
    let files = Files::write(&documents);
    let ask = |index| Served::new(&arguments(&["-f", &files.name(index), "GET", "http://a.example/"]), None).unwrap();
    let tables: Vec<_> = (0..TABLES.len()).map(ask).collect();
    let without_slice = |text: &String| text.rsplit_once("\n---\n").unwrap().0.to_owned();
    let gateways: Vec<_> = documents.iter().map(|text| Setup::new(&without_slice(text)).behind("web", &[echo]).start()).collect();
    let (mut runner, strategy) = (TestRunner::deterministic(), (0..TABLES.len(), asked(tokens.len())));
    let mut asked_so_far = Vec::new();
    for number in 0..CASES {
        let (table, asked) = strategy.new_tree(&mut runner).unwrap().current();
        let (token, id) = (&tokens[asked.token], format!("q{number}"));
        let Some(report) = explain(&tables[table], &asked, token, &id).await else { continue };
        let answer = served(&gateways[table], &asked, token, &id).await;
        asked_so_far.push((table, asked, id, report, answer));
    }
    for (table, _, id, ..) in asked_so_far.iter().rev().take(10) {
        gateways[*table].logged(&format!(" {id}")).await;
    }
    let (log, mut seen, mut allowed) = (log(&gateways), BTreeMap::<String, usize>::new(), 0);
    for (table, asked, id, report, answer) in &asked_so_far {
        let said = explained(report);
        assert_eq!(said, done(answer, &log, id), "table {table}, {asked:?}\n{report}");
        allowed += usize::from(report.answer.allowed);
        *seen.entry(said.1).or_default() += 1;
    }
    // Else the requests say nothing.
    assert!(seen.len() >= 15 && allowed > CASES / 20, "{allowed} allowed, {seen:?}");
}

const CASES: usize = 2000;
