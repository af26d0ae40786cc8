//! What the definition lets through, `compile` can read: on texts made to stand close to the border, not on examples.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of a test may panic as the test itself may")]

use portcullis::{
    api::Duration,
    compile::{EndpointObject, Inputs, ServiceObject, ServicePort, compile},
    source::schema::Schema,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::new);

fn object(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "metadata": {"name": "a"},
        "spec": {
            "auth0": {"domain": "t.auth0.com", "audience": ["a"]},
            "backend": {"service": "a", "port": 80},
            "rules": [{"path": "/"}],
        },
    });
    change(&mut object["spec"]);
    object
}

/// `Accepted` of an installation that knows Service `a` with port 80.
fn refused(object: &Value) -> Option<String> {
    let metadata = serde_json::from_value(object["metadata"].clone()).unwrap();
    let port = ServicePort { name: String::new(), number: 80, app_protocol: None };
    let service = ServiceObject { namespace: String::new(), name: "a".to_owned(), external_name: false, ports: vec![port] };
    let endpoints = vec![EndpointObject::from_parts(&metadata, object)];
    let class = object["spec"]["className"].as_str().unwrap_or("portcullis").to_owned();
    let compiled = compile(&Inputs { class, endpoints, services: vec![service], ..Inputs::default() });
    let accepted = compiled.outcomes.into_values().flat_map(|outcome| outcome.verdicts).next().unwrap();
    (!accepted.good).then_some(accepted.message)
}

/// Fails when the definition takes what compile refuses.
fn agree(object: &Value) -> Result<(), TestCaseError> {
    if SCHEMA.problems(object).is_empty() {
        prop_assert_eq!(refused(object), None, "{}", object);
    }
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

/// Every field there is, each with values of every kind: both give an answer, and never the wrong way round.
#[test]
fn any_value_anywhere() {
    let full = full();
    let sound = object(|spec| {
        *spec = json!({
            "auth0": {"domain": "t.auth0.com", "audience": ["a"]}, "backend": {"service": "a", "port": 80, "scheme": "https"},
            "rules": [{"path": "/"}], "token": {}, "require": {"scopes": ["a"]}, "claimHeaders": [{"header": "X-B", "claim": "a"}], "hosts": ["a.example"],
        })
    });
    let values = [
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("a"),
        json!("/"),
        json!([]),
        json!(["a"]),
        json!([{}]),
        json!({}),
        json!({"a": [1]}),
    ];
    let mut accepted = 0;
    for (pointer, value) in pointers(&full, "").iter().flat_map(|pointer| values.iter().map(move |value| (pointer, value))) {
        let mut changed = sound.clone();
        if set(&mut changed, pointer, value) && SCHEMA.problems(&changed).is_empty() {
            assert_eq!(refused(&changed), None, "{changed}");
            accepted += 1;
        }
    }
    assert!(accepted > 20, "{accepted} of these changes are harmless: too few to say anything");
}

/// Every field there is, whether they go together or not.
fn full() -> Value {
    object(|spec| {
        *spec = json!({
            "className": "portcullis", "hosts": ["a.example"], "timeout": "1s",
            "auth0": {
                "domain": "t.auth0.com", "issuer": "https://a/", "jwksUrl": "https://a/", "audience": ["a"], "audienceMatch": "Any", "alg": "RS256",
                "jwksCacheDuration": "1m", "jwksMaxStaleness": "1m", "caBundle": "x", "leeway": "1s", "secretRef": {"name": "a", "key": "a"},
                "organizations": ["a"], "requireAtJwt": true, "maxTokenLifetime": "1h",
            },
            "token": {
                "header": "X-A", "cookie": "a", "query": "a", "forward": "Keep", "forwardAs": "X-C", "keepAuthorization": true,
                "crossOrigin": "Allow", "streamsAtExpiry": "Keep",
            },
            "maxRequestBody": "1Mi", "tls": {"secretRef": {"name": "a"}, "redirect": "Never", "hsts": "1h"},
            "cors": {
                "allowOrigins": ["https://a.example"], "allowMethods": ["GET"], "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"],
                "allowCredentials": true, "maxAge": "1h",
            },
            "backend": {"service": "a", "port": 80, "scheme": "https", "tls": {"caBundle": "x", "serverName": "a.example"}},
            "require": {
                "scopes": ["a"], "scopesMatch": "Any", "permissions": ["a"], "roles": ["a"], "rolesClaim": "a", "rolesClaimPath": ["a"],
                "claims": [{"claim": "a", "claimPath": ["a"], "values": ["a"]}],
            },
            "claimHeaders": [{"header": "X-B", "claim": "a", "claimPath": ["a"], "arrays": "Join"}],
            "rules": [{
                "name": "a", "path": "/", "pathType": "Exact", "methods": ["GET"], "access": "Token", "rewrite": "/", "require": {}, "backend": {}, "escapedSlashes": "Keep",
                "timeout": "1s", "claimHeaders": [],
            }],
        });
    })
}

/// A field that is not among them would be swept by nobody.
#[test]
fn the_sweep_knows_every_field() {
    let definition = serde_json::to_value(portcullis::api::custom_resource_definition()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let full = full()["spec"].clone();
    let missing: Vec<_> = fields(schema, "", 0).into_iter().filter(|pointer| full.pointer(pointer).is_none()).collect();
    assert!(missing.is_empty(), "not in full(): {missing:?}");
}

/// Of everything below `schema`, as pointers into a value. What a rule has as the endpoint has it is swept there.
fn fields(schema: &Value, at: &str, depth: usize) -> Vec<String> {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let items = schema.get("items").map(|items| fields(items, &format!("{at}/0"), depth + 1)).unwrap_or_default();
    let below = properties.iter().flat_map(|(name, schema)| {
        let at = format!("{at}/{name}");
        let shared = depth > 0 && ["require", "backend", "claimHeaders"].contains(&name.as_str());
        let below = if shared { vec![] } else { fields(schema, &at, depth) };
        std::iter::once(at).chain(below)
    });
    below.chain(items).collect()
}

/// Of everything below `spec`.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<_> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (format!("{at}/{index}"), value)).collect(),
        _ => vec![],
    };
    let nested = below.iter().flat_map(|(at, value)| pointers(value, at));
    below.iter().map(|(at, _)| at.clone()).chain(nested).filter(|at| at.starts_with("/spec")).collect()
}

/// False when nothing stands where the value would go.
fn set(object: &mut Value, pointer: &str, value: &Value) -> bool {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(name.to_owned(), value.clone());
            true
        }
        Some(Value::Array(items)) => items.get_mut(name.parse::<usize>().unwrap()).map(|item| *item = value.clone()).is_some(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn paths(path in r"/(a|[.]{1,3}|/|~|%[0-9a-fA-F]{2}|[!$&'()*+,;=:@_-]|[ -~]|é){0,6}", rewrite in r"/(a|[.]{1,2}|/|%[2-7][0-9a-fA-F]){0,5}") {
        agree(&object(|spec| spec["rules"][0] = json!({"path": path})))?;
        agree(&object(|spec| spec["rules"][0] = json!({"path": "/", "rewrite": rewrite})))?;
    }

    #[test]
    fn hosts(host in r"([*]\.)?([a-z0-9-]{1,3}\.){0,3}([a-z0-9*-]{1,3}|[0-9]{1,3})\.?") {
        agree(&object(|spec| spec["hosts"] = json!([host])))?;
    }

    #[test]
    fn domains(domain in r"([a-zA-Z0-9-]{1,3}\.){1,3}([a-z]{1,2}[a-z0-9-]{0,2}|svc|local|com)") {
        agree(&object(|spec| spec["auth0"]["domain"] = json!(domain)))?;
    }

    #[test]
    fn urls(url in r"https://([a-z0-9.-]{1,6}|\[[0-9a-f:.]{2,8}\])(:[0-9]{1,5})?([/?][ -~]{0,4})?") {
        agree(&object(|spec| spec["auth0"]["issuer"] = json!(url)))?;
        agree(&object(|spec| spec["auth0"]["jwksUrl"] = json!(url)))?;
    }

    #[test]
    fn names(name in r"([A-Za-z0-9!#$%&'*+.^_`|~ ;:-]{1,4}|X-[A-Za-z0-9_-]{1,3})", method in r"[A-Z]{1,3}[A-Za-z0-9_-]{0,2}") {
        agree(&object(|spec| spec["token"] = json!({"header": name})))?;
        agree(&object(|spec| spec["token"] = json!({"cookie": name})))?;
        agree(&object(|spec| spec["claimHeaders"] = json!([{"header": name, "claim": name}])))?;
        agree(&object(|spec| spec["require"] = json!({"scopes": [name], "roles": [name], "rolesClaim": name})))?;
        agree(&object(|spec| spec["rules"][0]["methods"] = json!([method])))?;
    }

    /// Here both directions are known: the form, and the range.
    #[test]
    fn durations(text in r"([0-9]{1,6}(h|m|s|ms|us)?){1,5}|[0-9]{1,2}[hms]", field in 0..2usize) {
        let (pointer, least, most) = [("timeout", 1, 3_600_000), ("leeway", 0, 60_000)][field];
        let object = object(|spec| match pointer {
            "leeway" => spec["auth0"]["leeway"] = json!(text),
            _ => spec["timeout"] = json!(text),
        });
        let millis = Duration(text).parse().ok().map(|duration| duration.as_millis());
        let fits = millis.is_some_and(|millis| (least..=most).contains(&millis));
        prop_assert_eq!(SCHEMA.problems(&object).is_empty(), fits, "{}", object);
        prop_assert_eq!(refused(&object).is_none(), fits, "{}", object);
    }
}
