//! The chart's objects on a real API server: who may write a status, and whether its pods may run where nothing risky may.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "support/apiserver.rs"]
mod apiserver;
mod chart {
    pub(crate) mod render;
}

use apiserver::ApiServer;
use chart::render::{documents, named, rendered};
use serde_json::{Value, json};
use std::{fs, io::Write, process::Stdio, time::Duration};

const OURS: &str = "system:serviceaccount:portcullis-system:portcullis";
const INTERNAL: &str = "system:serviceaccount:internal:internal-gate";
/// Of the group system:masters.
const ADMIN: &str = "admin";

/// A namespace whose admin has given himself every right in it, with one endpoint of each class.
const NAMESPACE: &str = r"
{apiVersion: v1, kind: Namespace, metadata: {name: internal}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: web}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: everything, namespace: shop}
rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: everything, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: everything}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}]
";

#[tokio::test(flavor = "multi_thread")]
async fn only_the_installation_writes_the_status_of_its_class() {
    let server = ApiServer::start().await.unwrap();
    install_two_classes(&server);
    until_the_policies_are_active(&server).await;
    let rows = [
        ("a namespace's admin", "mallory", "default-class", false),
        ("a namespace's admin, class of another installation", "mallory", "internal-class", false),
        ("a namespace's admin, class of nobody", "mallory", "no-class", false),
        ("a cluster's admin", ADMIN, "default-class", false),
        ("our account", OURS, "default-class", true),
        ("the other installation's account, on ours", INTERNAL, "default-class", false),
        ("the other installation's account, on its own", INTERNAL, "internal-class", true),
        ("our account, on the other's", OURS, "internal-class", false),
    ];
    for (row, user, endpoint, allowed) in rows {
        let answer = forge(&server, user, endpoint);
        assert_eq!(answer.is_ok(), allowed, "{row}: {answer:?}");
        assert!(allowed || answer.unwrap_err().contains("is written by Portcullis alone"), "{row}: refused for another reason");
    }
}

/// Leaving the class, forging and coming back would leave a forged claim behind.
#[tokio::test(flavor = "multi_thread")]
async fn no_detour_leads_to_a_status() {
    let server = ApiServer::start().await.unwrap();
    install_two_classes(&server);
    until_the_policies_are_active(&server).await;
    let endpoint = ["-n", "shop", "--as", "mallory"];
    let change_class = r#"{"spec": {"className": "nobody"}}"#;
    let both = r#"{"spec": {"className": "nobody"}, "status": {"hosts": []}}"#;
    let leaving = kubectl(&server, &[&endpoint[..], &["patch", "pe", "default-class", "--type=merge", "-p", change_class]].concat(), "");
    assert!(leaving.unwrap_err().contains("className cannot change"));
    let detours = [
        (
            "leaving it in the same request",
            vec!["patch", "pe", "default-class", "--subresource=status", "--type=merge", "-p", both],
            String::new(),
        ),
        ("replacing it", vec!["replace", "--subresource=status", "-f", "-"], stored_with_forged_status(&server)),
        ("applying it", APPLY_STATUS.to_vec(), forged_apply("default-class")),
    ];
    for (row, arguments, input) in &detours {
        let error = kubectl(&server, &[&endpoint[..], arguments].concat(), input).expect_err(row);
        assert!(error.contains("is written by Portcullis alone"), "{row}: {error}");
    }
    kubectl(&server, &[&endpoint[..], &["replace", "-f", "-"]].concat(), &stored_with_forged_status(&server)).unwrap();
    assert!(!stored(&server)["status"].to_string().contains("stolen"), "a status got in through the resource itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_may_run_under_the_restricted_pod_security_level() {
    let server = ApiServer::start().await.unwrap();
    kubectl(&server, &["apply", "--server-side", "-f", "manifests/portcullis.yaml"], "").unwrap();
    let deployment = named(&documents(&fs::read_to_string("manifests/portcullis.yaml").unwrap()), "Deployment", "portcullis");
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "portcullis-system"}});
    pod["spec"] = deployment["spec"]["template"]["spec"].clone();
    let create = ["create", "--dry-run=server", "-f", "-"];
    kubectl(&server, &create, &pod.to_string()).unwrap();
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
    let refused = kubectl(&server, &create, &pod.to_string()).expect_err("the level is not enforced here: this test shows nothing");
    assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
}

const APPLY_STATUS: [&str; 6] = ["apply", "--server-side", "--force-conflicts", "--subresource=status", "-f", "-"];
const FORGED: &str = r#"{"status": {"hosts": [{"host": "stolen.example.com", "since": "2020-01-01T00:00:00Z"}]}}"#;

fn install_two_classes(server: &ApiServer) {
    kubectl(server, &["apply", "--server-side", "-f", "manifests/portcullis.yaml"], "").unwrap();
    kubectl(server, &["apply", "--server-side", "-f", "-"], NAMESPACE).unwrap();
    let second = rendered(&["--namespace", "internal", "--values", "tests/golden/chart/tenants.values.yaml"]);
    kubectl(server, &["apply", "--server-side", "-f", "-"], &second).unwrap();
    kubectl(server, &["wait", "--for=condition=Established", "crd/protectedendpoints.portcullis.dev"], "").unwrap();
    for class in ["default", "internal", "no"] {
        kubectl(server, &["create", "-f", "-"], &endpoint(class).to_string()).unwrap();
    }
}

fn endpoint(class: &str) -> Value {
    let mut endpoint = json!({
        "apiVersion": "portcullis.dev/v1alpha1",
        "kind": "ProtectedEndpoint",
        "metadata": {"name": format!("{class}-class"), "namespace": "shop"},
        "spec": {
            "auth0": {"domain": "tenant.eu.auth0.com", "audience": ["https://api.example.com"]},
            "backend": {"service": "messages", "port": 80},
            "rules": [{"path": "/"}],
        }
    });
    if class != "default" {
        endpoint["spec"]["className"] = json!(class);
    }
    endpoint
}

/// An API server takes a moment to see a new policy.
async fn until_the_policies_are_active(server: &ApiServer) {
    for _ in 0..150 {
        let refused = |user, class| forge(server, user, class).is_err_and(|error| error.contains("written by Portcullis alone"));
        if refused(INTERNAL, "default-class") && refused(OURS, "internal-class") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let last = [forge(server, INTERNAL, "default-class"), forge(server, OURS, "internal-class")];
    panic!("the admission policies were not active after 30 s: {last:?}");
}

/// As Portcullis itself writes: server-side apply, which reads nothing first.
fn forge(server: &ApiServer, user: &str, endpoint: &str) -> Result<String, String> {
    let identity = if user == ADMIN { vec![] } else { vec!["--as", user] };
    kubectl(server, &[&identity[..], &APPLY_STATUS].concat(), &forged_apply(endpoint))
}

fn stored(server: &ApiServer) -> Value {
    serde_json::from_str(&kubectl(server, &["-n", "shop", "get", "pe", "default-class", "-o", "json"], "").unwrap()).unwrap()
}

fn stored_with_forged_status(server: &ApiServer) -> String {
    let mut object = stored(server);
    object["status"] = serde_json::from_str::<Value>(FORGED).unwrap()["status"].clone();
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    object.to_string()
}

fn forged_apply(name: &str) -> String {
    let mut object = endpoint("default");
    object["metadata"]["name"] = json!(name);
    object.as_object_mut().unwrap().remove("spec");
    object["status"] = serde_json::from_str::<Value>(FORGED).unwrap()["status"].clone();
    object.to_string()
}

fn kubectl(server: &ApiServer, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = server.kubectl();
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
