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

/// Nothing is nullable, so the API server takes a field at null for one that was left out, and never stores it. Descriptions
/// lose the line breaks of this source, since `kubectl explain` breaks lines itself.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field at and below `schema`, with its path.
    fn fields(schema: &JSONSchemaProps, path: &str) -> Vec<(String, JSONSchemaProps)> {
        let mut found = vec![(path.to_owned(), schema.clone())];
        for (name, property) in schema.properties.iter().flatten() {
            found.extend(fields(property, &format!("{path}.{name}")));
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            found.extend(fields(items, &format!("{path}[]")));
        }
        found
    }

    fn all_fields() -> Vec<(String, JSONSchemaProps)> {
        let crd = custom_resource_definition();
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        fields(&schema, "")
    }

    fn spec_fields() -> Vec<(String, JSONSchemaProps)> {
        all_fields().into_iter().filter(|(path, _)| path.starts_with(".spec")).collect()
    }

    #[test]
    fn kubectl_explain_has_something_to_say_on_every_field() {
        for (path, field) in all_fields().iter().filter(|(path, _)| !path.ends_with("[]")) {
            let description = field.description.as_deref().unwrap_or_default();
            assert!(description.len() >= 20, "{path} has no description");
            assert!(!description.contains(['\n', '[']) || !description.contains("[`"), "{path}: rustdoc's links mean nothing to kubectl");
        }
    }

    #[test]
    fn explanations_of_optional_fields_name_the_default() {
        let required = |path: &str| {
            ["auth0", "audience", "rules", "service", "port", "path", "header", "values", "allowOrigins", "secretRef.name"]
                .iter()
                .any(|name| path.ends_with(name))
        };
        let no_default = [
            "hosts",
            "domain",
            "backend",
            "claim",
            "claimPath",
            "rolesClaim",
            "rolesClaimPath",
            "scopes",
            "permissions",
            "roles",
            "claims",
            "require",
        ];
        for (path, field) in spec_fields().iter().filter(|(path, _)| path.contains('.') && !path.ends_with("[]") && path != ".spec") {
            let last = path.rsplit('.').next().unwrap();
            if !required(path) && !no_default.contains(&last) && last != "claimHeaders" {
                assert!(field.description.as_ref().unwrap().contains("Default: "), "{path} does not say what happens without it");
            }
        }
    }

    /// P71: what has no bound makes the API server refuse the definition for its cost, or an object too big for us.
    #[test]
    fn p71_every_list_and_text_has_a_bound() {
        for (path, field) in spec_fields() {
            match field.type_.as_deref() {
                Some("array") => assert!(field.max_items.is_some(), "{path}"),
                Some("string") => assert!(field.max_length.is_some() || field.enum_.is_some(), "{path}"),
                Some("object") => assert!(field.properties.is_some(), "{path}"),
                Some("boolean") => {}
                _ => assert!(field.x_kubernetes_int_or_string.is_some(), "{path}"),
            }
        }
    }

    /// A default that the server wrote into a rule would hide the spec's own value.
    #[test]
    fn what_a_rule_inherits_has_no_default_in_the_definition() {
        for (path, field) in spec_fields() {
            let last = path.rsplit('.').next().unwrap();
            let inherited = ["backend", "timeout", "require", "claimHeaders", "scheme", "issuer", "jwksUrl"].contains(&last);
            assert!(!inherited || field.default.is_none(), "{path}");
        }
    }

    #[test]
    fn null_is_never_stored() {
        assert!(all_fields().iter().all(|(_, field)| field.nullable.is_none()));
    }
}
