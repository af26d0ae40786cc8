//! What an installation finds in its cluster: the CRD, its namespace, its Service, its rights.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at the first surprise")]
#![allow(dead_code, unreachable_pub, reason = "every test includes this file and uses a part of it")]

use super::gate::NAMESPACE;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "system:serviceaccount:portcullis:portcullis";

/// The namespace and the Service of the installation.
pub async fn prepare(client: &Client) {
    create_namespace(client, NAMESPACE).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "portcullis"},
        "spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.7"]},
    });
    create(client, Some(NAMESPACE), service, "services").await;
}

pub async fn create_namespace(client: &Client, name: &str) {
    create(client, None, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}), "namespaces").await;
}

/// The CRD as it ships.
pub async fn install_crd(client: &Client) {
    let crd = serde_json::to_value(portcullis::api::custom_resource_definition()).unwrap();
    create(client, None, with_kind(crd), "customresourcedefinitions").await;
}

/// A CRD of another version of us: it lets everything through.
pub async fn install_loose_crd(client: &Client) {
    let mut crd = with_kind(serde_json::to_value(portcullis::api::custom_resource_definition()).unwrap());
    crd["spec"]["versions"][0]["schema"] = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    create(client, None, crd, "customresourcedefinitions").await;
}

fn with_kind(mut crd: Value) -> Value {
    crd["apiVersion"] = json!("apiextensions.k8s.io/v1");
    crd["kind"] = json!("CustomResourceDefinition");
    crd
}

/// Until objects of the kind can be written.
pub async fn until_crd_works(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    super::gate::eventually("the CRD is established", 20, async || {
        let status = crds.get("protectedendpoints.portcullis.dev").await.ok().and_then(|crd| crd.status);
        let established = |c: &_| {
            let c: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionCondition = c;
            c.type_ == "Established" && c.status == "True"
        };
        status.is_some_and(|s| s.conditions.iter().flatten().any(established))
            && super::gate::endpoints_api(client).list(&Default::default()).await.is_ok()
    })
    .await;
}

/// Exactly the rights of the installation's ServiceAccount, as the rendered chart gives them.
pub async fn grant(client: &Client) {
    bind(client, None, "ClusterRole", "clusterroles", shipped_rules("ClusterRole")).await;
    bind(client, Some(NAMESPACE), "Role", "roles", shipped_rules("Role")).await;
}

/// The rules of the shipped role that its binding binds.
fn shipped_rules(kind: &str) -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/portcullis.yaml")).unwrap();
    let shipped: Vec<Value> = serde_yaml::from_multiple(&text).unwrap();
    let named =
        |kind: &str, name: &str| shipped.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name).unwrap();
    let role = named(&format!("{kind}Binding"), "portcullis")["roleRef"]["name"].as_str().unwrap();
    named(kind, role)["rules"].clone()
}

/// The ClusterRole of the chart that lets Secrets be read; it is bound nowhere.
pub async fn create_secrets_role(client: &Client) {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "portcullis-secrets"}, "rules": rules,
    });
    create(client, None, role, "clusterroles").await;
}

/// What the condition says to create: a RoleBinding of that role in `default`.
pub async fn bind_secrets_role(client: &Client) {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "portcullis-secrets"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "portcullis-secrets"},
        "subjects": [{"kind": "ServiceAccount", "name": "portcullis", "namespace": NAMESPACE}],
    });
    create(client, Some("default"), binding, "rolebindings").await;
}

async fn bind(client: &Client, namespace: Option<&str>, kind: &str, plural: &str, rules: Value) {
    let group = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "portcullis"}, "rules": rules});
    create(client, namespace, role, plural).await;
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": format!("{kind}Binding"), "metadata": {"name": "portcullis"},
        "roleRef": {"apiGroup": group, "kind": kind, "name": "portcullis"},
        "subjects": [{"kind": "ServiceAccount", "name": "portcullis", "namespace": NAMESPACE}],
    });
    create(client, namespace, binding, &plural.replace("roles", "rolebindings")).await;
}

async fn create(client: &Client, namespace: Option<&str>, object: Value, plural: &str) {
    let (group, version) = object["apiVersion"].as_str().unwrap().rsplit_once('/').unwrap_or(("", "v1"));
    let kind = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    api.patch(name, &PatchParams::apply("tests"), &Patch::Apply(&object)).await.unwrap();
}
