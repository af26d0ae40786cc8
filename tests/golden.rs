//! Golden cases of `compile`: each YAML file of tests/golden shows, on one page, the objects that go in, the table that comes out,
//! and what is said about each object. `UPDATE_GOLDEN=1 cargo test --test golden` writes the second half anew; read the diff.

#![cfg(feature = "controller")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its page is wrong")]

use http::HeaderValue;
use k8s_openapi::{
    api::core::v1::{Secret, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portcullis::{
    authz::Line,
    compile::{
        Compiled, DEFAULT_ISSUERS, EndpointObject, HostBinding, Inputs, Keys, ObjectRef, Outcome, Ownership, SecretData, SecretRef,
        Secrets, ServiceObject, Verdict, compile,
    },
    jwt::{AudienceMatch, ClaimName},
    routing::{
        self, Access, Cors, Credentials, HostPattern, KeySource, ManagedHeaders, Origins, Plan, Rewrite, Serve, TokenPolicy, Transport,
    },
};
use serde_json::Value;
use std::{fmt::Write as _, fs, path::Path, time::Duration};

#[test]
fn every_golden_case_compiles_as_written() {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    assert!(names.len() >= 15, "the golden cases are gone: {names:?}");
    let wrong: Vec<_> = names.iter().filter_map(|name| check(name).err()).collect();
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew", wrong.join("\n"));
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

#[expect(clippy::disallowed_methods, reason = "the switch that writes the files anew is the test's own")]
fn update() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok()
}

fn check(name: &str) -> Result<(), String> {
    let path = folder().join(name);
    let page = fs::read_to_string(&path).unwrap();
    let objects = page.split("\n# Table\n").next().unwrap().trim_end();
    let want = format!("{objects}\n{}", render(&compile(&inputs(name, objects))));
    match page == want {
        true => Ok(()),
        false if update() => fs::write(&path, want).map_err(|error| error.to_string()),
        false => Err(format!("--- {name} is\n{page}\n+++ but compiles to\n{want}")),
    }
}

// === Objects ===

fn inputs(name: &str, page: &str) -> Inputs {
    let mut inputs = Inputs { class: "portcullis".into(), secrets: Secrets::complete(), ..Inputs::default() };
    for document in page.split("\n---\n") {
        let object: Value = serde_yaml::from_str(document).unwrap_or_else(|error| panic!("{name}: {error}"));
        match object.get("kind").and_then(Value::as_str) {
            Some("ProtectedEndpoint") => inputs.endpoints.push(endpoint(name, &object)),
            Some("Service") => inputs.services.push(ServiceObject::from(&serde_json::from_value::<Service>(object).unwrap())),
            Some("Secret") => take_secret(&mut inputs.secrets, &object),
            Some("Installation") => inputs.ownership = ownership(&object),
            kind => panic!("{name}: a document of kind {kind:?}"),
        }
    }
    inputs
}

fn take_secret(secrets: &mut Secrets, object: &Value) {
    let secret: Secret = serde_json::from_value(object.clone()).unwrap();
    secrets.insert(SecretRef::from(&secret), SecretData::from(&secret));
}

fn endpoint(name: &str, object: &Value) -> EndpointObject {
    let metadata: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    EndpointObject::from_parts(&metadata, object)
}

/// What the chart's values say, as a document of its own.
fn ownership(object: &Value) -> Ownership {
    let texts =
        |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect() };
    let hosts = |value: &Value| texts(value).iter().map(|host| HostPattern::parse(host).unwrap()).collect();
    let binding = |value: &Value| HostBinding { namespaces: texts(&value["namespaces"]), hosts: hosts(&value["hosts"]) };
    Ownership {
        catch_all_namespaces: texts(&object["catchAllNamespaces"]),
        bindings: object["hostBindings"].as_array().into_iter().flatten().map(binding).collect(),
        issuers_per_namespace: object["issuersPerNamespace"].as_u64().map_or(DEFAULT_ISSUERS, |most| usize::try_from(most).unwrap()),
        default_certificate: None,
    }
}

// === The page's second half ===

fn render(compiled: &Compiled) -> String {
    let mut page = String::from("# Table\n");
    for line in compiled.snapshot.lines() {
        writeln!(page, "#   {}", table_line(&line)).unwrap();
    }
    for provider in &compiled.providers {
        let ca = if provider.id.ca_bundle.is_some() { ", private CA" } else { "" };
        writeln!(page, "#   keys of {} every {:?}{ca}", provider.id, provider.refresh).unwrap();
    }
    page.push_str("# Verdicts\n");
    for (object, outcome) in &compiled.outcomes {
        page.push_str(&verdicts(object, outcome));
    }
    page
}

fn table_line(line: &routing::Line<'_>) -> String {
    let methods = match line.methods.is_empty() {
        true => "any method".to_owned(),
        false => line.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(","),
    };
    let plan = match &line.route.plan {
        Plan::Refuse(refusal) => format!("503 {}", refusal.as_str()),
        Plan::Serve(serve) => serve_line(serve),
    };
    let (route, cors) = (line.route, line.route.cors.as_ref().map(|cors| browsers(cors)).unwrap_or_default());
    format!("{} {:?} {} {methods} | {} | {plan}{cors}{}", line.host, line.kind, line.path, route.id, managed(&route.managed))
}

fn browsers(cors: &Cors) -> String {
    let text = |value: &Option<HeaderValue>| value.as_ref().map_or("-", |value| value.to_str().unwrap()).to_owned();
    let origins = match &cors.origins {
        Origins::Any => "*".to_owned(),
        Origins::Named(names) => names.iter().map(|name| &**name).collect::<Vec<_>>().join(" "),
    };
    let (methods, headers, exposed, age) = (text(&cors.methods), cors.headers.to_str().unwrap(), text(&cors.exposed), text(&cors.max_age));
    let cookies = if cors.credentials { " with cookies" } else { "" };
    format!(" | cors {origins}{cookies}, methods {methods}, headers {headers}, shows {exposed}, for {age}s")
}

fn serve_line(serve: &Serve) -> String {
    let access = match &serve.access {
        Access::Public(_) => "Public".to_owned(),
        Access::Token(policy) => token(policy),
    };
    let rewrite = match &serve.upstream.rewrite {
        None => String::new(),
        Some(Rewrite::Replace(with)) => format!(" as {with}"),
        Some(Rewrite::ReplacePrefix { matched, with }) => format!(" with its first {matched} bytes as {with}"),
    };
    let (upstream, over) = (&serve.upstream, transport(&serve.upstream.transport));
    let slashes = if serve.keep_escaped_slashes { ", escaped slashes kept" } else { "" };
    let body = serve.max_request_body.map(|most| format!(", bodies of up to {most} bytes")).unwrap_or_default();
    format!("{access}{} -> {}{over} in {:?}{rewrite}{slashes}{body}", credentials(&serve.credentials), upstream.backend, upstream.timeout)
}

/// Nothing for plain HTTP/1.1.
fn transport(transport: &Transport) -> String {
    match transport {
        Transport::Http => String::new(),
        Transport::H2c => " over h2c".to_owned(),
        Transport::Https(tls) => {
            let authority = if tls.ca_bundle.is_some() { " of a private CA" } else { "" };
            format!(" over https as {}{authority}", tls.server_name)
        }
    }
}

/// Nothing when all of it is as it is by default.
fn credentials(credentials: &Credentials) -> String {
    let header = if credentials.header == "authorization" { String::new() } else { format!(" from {}", credentials.header) };
    let origin = credentials.cross_origin;
    let cookie = credentials.cookie.as_ref().map(|cookie| format!(" or cookie {cookie}, cross-origin {origin:?}")).unwrap_or_default();
    let query = credentials.query.as_ref().map(|query| format!(" or query {query}")).unwrap_or_default();
    let forwarded = credentials.forward_as.as_ref().map(|header| format!(", passed on as {header}")).unwrap_or_default();
    let own = if credentials.keep_authorization { ", Authorization kept" } else { "" };
    let stripped = if credentials.strip { ", stripped" } else { "" };
    let streams = if credentials.end_with_token { "" } else { ", streams outlive the token" };
    format!("{header}{cookie}{query}{stripped}{forwarded}{own}{streams}")
}

fn token(policy: &TokenPolicy) -> String {
    let checks = &policy.checks;
    let matched = if checks.audience_match == AudienceMatch::All { "all of " } else { "" };
    let mut text = format!("Token {} of {} for {matched}{}", checks.algorithm, checks.issuer, checks.audience.join(" "));
    policy.requirement.lines.iter().for_each(|line| write!(text, ", {}", requirement(line)).unwrap());
    for header in &policy.claim_headers {
        let repeat = if header.repeat { " repeated" } else { "" };
        write!(text, ", {}={}{repeat}", header.header, claim(&header.claim)).unwrap();
    }
    if checks.leeway != Duration::from_secs(5) {
        write!(text, ", leeway {:?}", checks.leeway).unwrap();
    }
    if !checks.organizations.is_empty() {
        write!(text, ", of {}", checks.organizations.join("/")).unwrap();
    }
    if checks.require_at_jwt {
        text.push_str(", as at+jwt");
    }
    if let Some(longest) = checks.max_token_lifetime {
        write!(text, ", for at most {longest:?}").unwrap();
    }
    write!(text, ", keys {}", policy.keys).unwrap();
    if let KeySource::Published { max_staleness, .. } = &policy.keys
        && *max_staleness != Duration::from_secs(24 * 3600)
    {
        write!(text, " up to {max_staleness:?}").unwrap();
    }
    text
}

fn requirement(line: &Line) -> String {
    match line {
        Line::AllScopes(scopes) => format!("scopes {}", scopes.join("+")),
        Line::AnyScope(scopes) => format!("scopes {}", scopes.join("/")),
        Line::Permissions(permissions) => format!("permissions {}", permissions.join("+")),
        Line::Roles { claim: name, any_of } => format!("roles {} in {}", any_of.join("/"), claim(name)),
        Line::Claim { claim: name, any_of } => format!("{} is {}", claim(name), any_of.join("/")),
    }
}

fn claim(name: &ClaimName) -> String {
    match name {
        ClaimName::Key(key) => key.to_string(),
        ClaimName::Path(path) => format!("[{}]", path.join(", ")),
    }
}

fn managed(headers: &ManagedHeaders) -> String {
    let names = format!("{headers:?}");
    match headers.is_empty() {
        true => String::new(),
        false => format!(" | managed {}", names.split(['{', '}']).nth(2).unwrap_or(&names)),
    }
}

fn verdicts(object: &ObjectRef, outcome: &Outcome) -> String {
    let keys = match &outcome.keys {
        Keys::NotNeeded => "no keys".to_owned(),
        Keys::Published(id) => format!("keys of {id}"),
        Keys::Secret { usable } => format!("a Secret's key: {usable}"),
    };
    let head =
        format!("#   {}/{} at generation {}: hosts {:?}, {keys}\n", object.namespace, object.name, outcome.generation, outcome.hosts);
    let line = |verdict: &Verdict| {
        format!("#     {}={} {}: {}\n", verdict.condition.as_str(), verdict.good, verdict.reason.as_str(), verdict.message)
    };
    outcome.verdicts.iter().fold(head, |page, verdict| page + &line(verdict))
}
