//! The CustomResourceDefinition: what the derives give, and what they cannot say.

use super::ProtectedEndpoint;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceValidation, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::json;

/// What `kubectl get pe` shows: heading, where it stands, and whether only `-o wide` shows it.
const COLUMNS: [(&str, &str, bool); 10] = [
    ("HOSTS", ".spec.hosts[*]", false),
    ("DOMAIN", ".spec.auth0.domain", false),
    ("READY", r#".status.conditions[?(@.type=="Ready")].status"#, false),
    ("REASON", r#".status.conditions[?(@.type=="Ready")].reason"#, false),
    ("ADDRESS", ".status.addresses[*]", false),
    ("AUDIENCE", ".spec.auth0.audience[*]", true),
    ("ALG", ".spec.auth0.alg", true),
    ("KEYS", r#".status.conditions[?(@.type=="KeysReady")].reason"#, true),
    ("PROGRAMMED", r#".status.conditions[?(@.type=="Programmed")].status"#, true),
    ("AGE", ".metadata.creationTimestamp", false),
];

/// The definition that clusters get. Equal on every call.
pub fn custom_resource_definition() -> CustomResourceDefinition {
    let mut crd = ProtectedEndpoint::crd();
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(COLUMNS.map(column).to_vec());
        if let Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }) = &mut version.schema {
            tidy(schema);
            start_pending(schema);
        }
    }
    crd
}

fn column((name, path, wide): (&str, &str, bool)) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        json_path: path.to_owned(),
        type_: if name == "AGE" { "date" } else { "string" }.to_owned(),
        priority: wide.then_some(1),
        ..CustomResourceColumnDefinition::default()
    }
}

/// Null is refused: a field that was left out has a meaning, one that a template left at null is a mistake, above all in
/// `require`. Descriptions lose the line breaks of this source, since `kubectl explain` breaks lines itself.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));
    schema.properties.iter_mut().flatten().for_each(|(_, property)| tidy(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// What a resource says of itself until an installation has seen it: that nobody has.
fn start_pending(schema: &mut JSONSchemaProps) {
    let properties = schema.properties.as_mut();
    if let Some(status) = properties.and_then(|properties| properties.get_mut("status")) {
        status.default = Some(JSON(json!({"conditions": [{
            "type": "Accepted", "status": "Unknown", "reason": "Pending", "lastTransitionTime": "1970-01-01T00:00:00Z",
            "message": "waiting for a Portcullis of the class in spec.className: see that one runs, with that --class",
        }]})));
    }
}
