//! The same resources before a real API server and before `portcullis check`: the same verdict, the same fields, our words.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of a test may panic as the test itself may")]

#[path = "support/apiserver.rs"]
mod apiserver;

use apiserver::ApiServer;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use portcullis::{
    api::{FORBIDDEN_CLAIM_HEADERS, ProtectedEndpoint, custom_resource_definition},
    compile::{EndpointObject, Inputs, SecretRef, Secrets, ServiceObject, ServicePort, compile},
    secret::SecretBytes,
    source::schema::Schema,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

const RESOURCE: &str = "/apis/portcullis.dev/v1alpha1/namespaces/default/protectedendpoints";

/// One resource, as a JSON merge patch of [`base`].
#[derive(Clone, Debug, Deserialize)]
struct Case {
    name: String,
    change: Value,
    /// Refused for this field …
    #[serde(default)]
    field: String,
    /// … with these words by both …
    #[serde(default)]
    says: String,
    /// … or, where the server speaks for itself, with these by the server.
    #[serde(default)]
    server: Option<String>,
}

/// What one side said: the fields it named, and all its words. Nothing when it accepts.
#[derive(Debug, Default)]
struct Answer {
    fields: BTreeSet<String>,
    words: String,
}

fn base() -> Value {
    json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint",
        "metadata": {"name": "messages", "namespace": "default"},
        "spec": {
            "hosts": ["api.example.com"],
            "auth0": {"domain": "tenant.eu.auth0.com", "audience": ["https://api.example.com"]},
            "backend": {"service": "messages", "port": 8080},
            "rules": [{"path": "/api"}],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_and_check_agree() {
    let server = ApiServer::start().await.unwrap();
    let client = install(&server).await;
    let schema = Schema::new();

    let (good, bad) = (read("good.yaml"), read("bad.yaml"));
    assert!(good.len() >= 30 && bad.len() >= 30);
    let mut disagreements = Vec::new();
    for case in &good {
        let object = changed(&case.change);
        disagreements.extend(refusals(case, &create(&client, &object).await, &check(&schema, &object)));
    }
    // The budget is the server's alone, and these take seconds here.
    for case in &largest() {
        disagreements.extend(refusals(case, &create(&client, &changed(&case.change)).await, &Answer::default()));
    }
    for case in bad.iter().chain(&p63_domains()).chain(&j109_claim_headers()).chain(&p71_limits()) {
        let object = changed(&case.change);
        disagreements.extend(unlike(case, &create(&client, &object).await, &check(&schema, &object)));
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    nulls(&client, &schema).await;
    parked_in_another_class(&client).await;
}

/// A claim to a host is as old as its stamp, and a stamp would outlive a stay in another class, where nobody looks at hosts.
async fn parked_in_another_class(client: &Client) {
    let api: Api<ProtectedEndpoint> = Api::default_namespaced(client.clone());
    let settings = PatchParams::apply("a-team");
    api.patch("messages", &settings, &Patch::Apply(base())).await.unwrap();
    for spec in [json!({"className": "portcullis"}), json!({"timeout": "1s"})] {
        let harmless = api.patch("messages", &settings.clone().force(), &Patch::Apply(changed(&json!({"spec": spec})))).await;
        assert!(harmless.is_ok(), "{spec}: {harmless:?}");
    }
    let flipped = api.patch("messages", &settings.force(), &Patch::Apply(changed(&json!({"spec": {"className": "another"}})))).await;
    let refusal = flipped.expect_err("a class for a stay").to_string();
    assert!(refusal.contains("className cannot change: delete this endpoint and create it anew"), "{refusal}");
}

/// What the definition refuses and `compile` takes: it is told to nobody else, and opens nothing.
const COMPILE_TAKES: [&str; 14] = [
    // Another installation's.
    "a class in capitals",
    // Read as what was meant.
    "a host in capitals",
    "a host with a trailing dot",
    "a host that is an address",
    "a star for every host",
    "an escaped letter in a path",
    "an escaped semicolon in a path",
    "an escaped star in a path",
    // A fetch of it is all that can fail.
    "keys at an IPv6 address",
    "keys behind half an escape",
    // No token holds it.
    "two scopes in one",
    // Outside of spec, which is all that it reads.
    "a field beside spec",
    "a name in capitals",
    "P71, an annotation of 1 MB",
];

/// A second line of defence: `serve` has no API server before it, and an older definition may have let an object in.
#[test]
fn compile_agrees_with_the_definition() {
    let mut disagreements = Vec::new();
    for case in read("good.yaml").iter().chain(&largest()) {
        let refusal = refused(&changed(&case.change));
        disagreements.extend(refusal.map(|message| format!("{}: compile refuses it: {message}", case.name)));
    }
    for case in read("bad.yaml").iter().chain(&p63_domains()).chain(&j109_claim_headers()).chain(&p71_limits()) {
        let as_expected = refused(&changed(&case.change)).is_none() == COMPILE_TAKES.contains(&case.name.as_str());
        disagreements.extend((!as_expected).then(|| format!("{}: compile decides otherwise", case.name)));
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

/// What the installation of this object's class has against it; every Service and Secret that a case names exists.
fn refused(object: &Value) -> Option<String> {
    let metadata = serde_json::from_value(object["metadata"].clone()).unwrap();
    let endpoint = EndpointObject::from_parts(&metadata, object);
    let class = object.pointer("/spec/className").and_then(Value::as_str).unwrap_or("portcullis").to_owned();
    let services = ["messages", "portcullis", "2messages", "a", "b", "writer"].map(service).to_vec();
    let compiled = compile(&Inputs { class, endpoints: vec![endpoint], services, secrets: secrets(), ..Inputs::default() });
    let verdicts = compiled.outcomes.into_values().flat_map(|outcome| outcome.verdicts);
    verdicts.filter(|verdict| !verdict.good).map(|verdict| verdict.message).reduce(|first, second| first + "; " + &second)
}

fn secrets() -> Secrets {
    let mut secrets = Secrets::complete();
    for name in ["tenant", "tenant.key", "key"] {
        let value = |key: &str| (key.to_owned(), SecretBytes::from(vec![b'x'; 32]));
        let data = ["secret", "hs256", "client_id", "client_secret"].map(value).into_iter().collect();
        secrets.insert(SecretRef { namespace: "default".into(), name: name.into() }, data);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let chain = rcgen::CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let data =
        [("tls.crt", chain), ("tls.key", key.serialize_pem())].map(|(key, pem)| (key.to_owned(), SecretBytes::from(pem.into_bytes())));
    secrets.insert(SecretRef { namespace: "default".into(), name: "web.tls".into() }, data.into_iter().collect());
    secrets
}

fn service(name: &str) -> ServiceObject {
    let ports = [("", 1), ("", 80), ("", 8080), ("", 65535), ("http", 81), ("http-8080", 82)];
    let ports = ports.map(|(name, number)| ServicePort { name: name.to_owned(), number, app_protocol: None }).to_vec();
    ServiceObject { namespace: "default".to_owned(), name: name.to_owned(), external_name: false, ports }
}

/// A field at null is a field left out, on both sides; one that is required is then missing.
async fn nulls(client: &Client, schema: &Schema) {
    for (pointer, refused_for) in [
        ("/spec/hosts", None),
        ("/spec/require", None),
        ("/spec/rules/0/access", None),
        ("/spec/rules/0/methods", None),
        ("/spec/timeout", None),
        ("/spec/token", None),
        ("/spec/auth0/alg", None),
        ("/spec/auth0/audience", Some("spec.auth0.audience")),
        ("/spec/auth0/audience/0", Some("spec.auth0.audience[0]")),
        ("/spec/auth0/domain", Some("spec.auth0.domain")),
        ("/spec/backend", Some("spec.backend")),
        ("/spec/backend/port", Some("spec.backend.port")),
        ("/spec/rules", Some("spec.rules")),
        ("/spec/rules/0", Some("spec.rules[0]")),
        ("/spec/rules/0/unknown", Some("spec.rules[0].unknown")),
    ] {
        let mut object = base();
        set_null(&mut object, pointer);
        for (side, answer) in [("API server", create(client, &object).await), ("check", check(schema, &object))] {
            let as_expected = match refused_for {
                None => answer.words.is_empty(),
                Some(field) => answer.words.contains(field),
            };
            assert!(as_expected, "{side}, {pointer} null: {}", answer.words);
        }
    }
}

fn set_null(object: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match object.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = Value::Null,
        fields => fields[name] = Value::Null,
    }
}

/// Who refuses what should pass.
fn refusals(case: &Case, server: &Answer, offline: &Answer) -> Vec<String> {
    let sides = [("the API server", server), ("check", offline)].into_iter().filter(|(_, answer)| !answer.words.is_empty());
    sides.map(|(side, answer)| format!("{}: {side} refuses it: {}", case.name, answer.words)).collect()
}

/// How the two refusals differ from the case and from each other.
fn unlike(case: &Case, server: &Answer, offline: &Answer) -> Vec<String> {
    let Case { name, field, says, .. } = case;
    let same_fields = match server.fields.is_empty() {
        true => server.words.contains(field),
        false => server.fields == offline.fields,
    };
    let expectations = [
        ("check names the field", offline.fields.contains(field)),
        ("check says the words", offline.words.contains(says)),
        ("the API server says the words", server.words.contains(case.server.as_ref().unwrap_or(says))),
        ("both name the same fields", same_fields),
    ];
    let failed = expectations.into_iter().filter(|(_, holds)| !holds);
    failed.map(|(what, _)| format!("{name}: expected that {what}\n  server: {server:.600?}\n  check: {offline:.600?}")).collect()
}

/// What an attacker, or a mistake, would have the gateway fetch keys from.
fn p63_domains() -> Vec<Case> {
    let long = format!("{}.com", "a".repeat(300));
    let domains = [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "[::ffff:169.254.169.254]",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "localhost",
        "a.localhost",
        "metadata.google.internal",
        "METADATA.GOOGLE.INTERNAL",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "printer.local",
        "a.com:6443",
        "https://a.com",
        "a.com/x?",
        "a.com/",
        "a.com#",
        "a.com?x",
        "u@a.com",
        "a.com.",
        ".a.com",
        "a..com",
        "-a.com",
        "a-.com",
        "a.com\n",
        "a b.com",
        "bücher.example",
        "a。com",
        "*.auth0.com",
        "tenant",
        "",
        "a234567890123456789012345678901234567890123456789012345678901234.com",
        &long,
    ];
    let refuse = |domain: &&str| {
        let (says, server) = match domain.chars().count() {
            0 => ("must not be empty", Some("at least 1 chars long".to_owned())),
            254.. => ("at most 253 characters", Some("Too long".to_owned())),
            _ => ("must be the tenant's DNS name", None),
        };
        let change = json!({"spec": {"auth0": {"domain": domain}}});
        Case { name: format!("P63, the domain {domain:?}"), change, field: "spec.auth0.domain".into(), says: says.into(), server }
    };
    domains.iter().map(refuse).collect()
}

/// Headers that no claim may be written to, in any case.
fn j109_claim_headers() -> Vec<Case> {
    let upper = FORBIDDEN_CLAIM_HEADERS.map(str::to_uppercase);
    let named = ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Authorization", ":authority", "Cookie"].map(str::to_owned);
    let refuse = |header: &String| Case {
        name: format!("J109, the claim header {header}"),
        change: json!({"spec": {"rules": [{"path": "/", "claimHeaders": [{"header": header, "claim": "x"}]}]}}),
        field: "spec.rules[0].claimHeaders[0].header".into(),
        says: "none that HTTP or the gateway uses itself".into(),
        server: None,
    };
    FORBIDDEN_CLAIM_HEADERS.map(str::to_owned).iter().chain(&upper).chain(&named).map(refuse).collect()
}

/// P71: as much as there may be. The server spends a budget on the rules of each object; everything within the bounds must fit.
fn largest() -> [Case; 3] {
    let texts = |count: usize, length: usize| (0..count).map(|n| format!("{n:a<length$}")).collect::<Vec<_>>();
    let values = || texts(64, 256);
    let header = |n: usize| json!({"header": format!("X-{n:0>46}"), "claimPath": texts(8, 256), "arrays": "Repeat"});
    let small_header = |n: usize| json!({"header": format!("X-{n:0>46}"), "claim": "a"});
    let methods: Vec<_> = (0..16).map(|n| format!("{}{n:0>16}", "A".repeat(16))).collect();
    let path = |n: usize| format!("/{}", "a".repeat(1023 - n));
    let rule = |n: usize| json!({"name": format!("a{n:0>62}"), "path": path(n), "methods": methods, "rewrite": path(n), "timeout": "1m1s"});
    let headed = |n: usize| json!({"path": format!("/{n}"), "claimHeaders": (0..32).map(small_header).collect::<Vec<_>>()});
    let claim = json!({"claimPath": texts(8, 256), "values": values()});
    let require =
        json!({"scopes": values(), "permissions": values(), "roles": values(), "rolesClaim": "a".repeat(256), "claims": vec![claim; 16]});
    let case = |name: &str, spec: Value| Case {
        name: format!("P71, {name}"),
        change: json!({"spec": spec}),
        field: String::new(),
        says: String::new(),
        server: None,
    };
    [
        case("the most of rules, with the longest paths", json!({"rules": (0..128).map(rule).collect::<Vec<_>>()})),
        case("the most of claim headers in the most of rules", json!({"rules": (0..128).map(headed).collect::<Vec<_>>()})),
        case(
            "the most of all else",
            json!({
                "hosts": (0..64).map(|n| format!("{n}.{}", "a.".repeat(124) + "aa")).collect::<Vec<_>>(),
                "auth0": {"audience": texts(16, 512), "domain": format!("{}aa", "a.".repeat(125)), "issuer": format!("https://a/{}", "a".repeat(502))},
                "claimHeaders": (0..32).map(header).collect::<Vec<_>>(),
                "require": require,
            }),
        ),
    ]
}

/// Too much of anything.
fn p71_limits() -> Vec<Case> {
    let many = |count: usize, item: fn(usize) -> Value| (0..count).map(item).collect::<Vec<_>>();
    let long = "a".repeat(64 * 1024);
    let rows = [
        ("129 rules", json!({"rules": many(129, |n| json!({"path": format!("/{n}")}))}), "spec.rules", "at most 128 items"),
        ("10,000 paths", json!({"rules": many(10_000, |n| json!({"path": format!("/{n}")}))}), "spec.rules", "at most 128 items"),
        (
            "10,000 audiences",
            json!({"auth0": {"audience": many(10_000, |n| json!(n.to_string()))}}),
            "spec.auth0.audience",
            "at most 16 items",
        ),
        ("65 hosts", json!({"hosts": many(65, |n| json!(format!("h{n}.example")))}), "spec.hosts", "at most 64 items"),
        ("65 scopes", json!({"require": {"scopes": many(65, |n| json!(n.to_string()))}}), "spec.require.scopes", "at most 64 items"),
        (
            "17 claims",
            json!({"require": {"claims": many(17, |_| json!({"claim": "a", "values": ["b"]}))}}),
            "spec.require.claims",
            "at most 16 items",
        ),
        (
            "33 claim headers",
            json!({"claimHeaders": many(33, |n| json!({"header": format!("X-{n}"), "claim": "a"}))}),
            "spec.claimHeaders",
            "at most 32 items",
        ),
        (
            "17 methods",
            json!({"rules": [{"path": "/", "methods": many(17, |n| json!(format!("A{n}")))}]}),
            "spec.rules[0].methods",
            "at most 16 items",
        ),
        ("a path of 64 KiB", json!({"rules": [{"path": format!("/{long}")}]}), "spec.rules[0].path", "at most 1024 characters"),
        ("an audience of 64 KiB", json!({"auth0": {"audience": [long]}}), "spec.auth0.audience[0]", "at most 512 characters"),
        ("an issuer of 64 KiB", json!({"auth0": {"issuer": format!("https://{long}")}}), "spec.auth0.issuer", "at most 512 characters"),
        ("a bundle of 64 KiB", json!({"auth0": {"caBundle": long}}), "spec.auth0.caBundle", "at most 32768 characters"),
        (
            "a claim of 64 KiB",
            json!({"require": {"roles": ["a"], "rolesClaim": long}}),
            "spec.require.rolesClaim",
            "at most 256 characters",
        ),
    ];
    let refuse = |(name, spec, field, says): (&str, Value, &str, &str)| {
        let server = if says.contains("items") { "Too many" } else { "Too long" };
        Case {
            name: format!("P71, {name}"),
            change: json!({"spec": spec}),
            field: field.into(),
            says: says.into(),
            server: Some(server.into()),
        }
    };
    let annotation = Case {
        name: "P71, an annotation of 1 MB".into(),
        change: json!({"metadata": {"annotations": {"a": "a".repeat(1_000_000)}}}),
        field: "metadata.annotations".into(),
        says: "at most 262144".into(),
        server: Some("Too long".into()),
    };
    rows.into_iter().map(refuse).chain([annotation]).collect()
}

async fn install(server: &ApiServer) -> Client {
    let client = server.client().await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let created = definitions.create(&PostParams::default(), &custom_resource_definition()).await;
    created.expect("the API server accepts the definition, its schema, its rules and what they cost");
    await_condition(definitions, "protectedendpoints.portcullis.dev", is_crd_established()).await.unwrap();
    client
}

/// Asks the server as `kubectl apply --dry-run=server --validate=strict` does.
async fn create(client: &Client, object: &Value) -> Answer {
    let uri = format!("{RESOURCE}?dryRun=All&fieldValidation=Strict");
    let request = http::Request::post(uri).header("content-type", "application/json");
    let request = request.body(serde_json::to_vec(object).unwrap()).unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => Answer::default(),
        Err(kube::Error::Api(status)) => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let fields = causes.map(|cause| cause.field.clone()).filter(|field| !field.is_empty() && field != "<nil>").collect();
            Answer { fields, words: status.message.clone() }
        }
        Err(error) => panic!("no answer of the API server: {error}"),
    }
}

fn check(schema: &Schema, object: &Value) -> Answer {
    let problems = schema.problems(object);
    let words = problems.iter().map(|problem| format!("{}: {}\n", problem.path, problem.message)).collect();
    Answer { fields: problems.into_iter().map(|problem| problem.path).collect(), words }
}

fn read(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission").join(name);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn changed(change: &Value) -> Value {
    let mut object = base();
    merge(&mut object, change);
    object
}

/// RFC 7396.
fn merge(target: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        *target = change.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in change {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(name)),
            value => merge(&mut target[name], value),
        }
    }
}
