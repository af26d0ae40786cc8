//! The CustomResourceDefinition: what the derives give, and what they cannot say.

use super::ProtectedEndpoint;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::json;

/// The definition that clusters get. Equal on every call.
pub fn custom_resource_definition() -> CustomResourceDefinition {
    let mut crd = ProtectedEndpoint::crd();
    for version in &mut crd.spec.versions {
        if let Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }) = &mut version.schema {
            refuse_null(schema);
            start_pending(schema);
        }
    }
    crd
}

/// A field that was left out has a meaning; one that a template left at null is a mistake, above all in `require`.
fn refuse_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.properties.iter_mut().flatten().for_each(|(_, property)| refuse_null(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        refuse_null(items);
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
