//! The chart, rendered: what it may do, how its pods are confined, and that nothing checked in has drifted from it.
//!
//! `make manifests` writes the golden files and manifests/portcullis.yaml anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod chart {
    pub(crate) mod render;
}

use chart::render::{self, documents, helm_template, kind, named, rendered};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const SETS: [&str; 6] = ["nodeport", "loadbalancer", "private-issuer", "tenants", "single", "subchart"];

#[test]
fn rendered_value_sets_match_their_golden_files() {
    for set in SETS {
        let values = format!("tests/golden/chart/{set}.values.yaml");
        render::assert_golden(&format!("tests/golden/chart/{set}.yaml"), &rendered(&["--values", &values]));
    }
}

#[test]
fn the_manifest_is_the_chart_with_default_values() {
    let namespace = "# The chart rendered with its default values: `make manifests`.\napiVersion: v1\nkind: Namespace\nmetadata:\n  \
                     name: portcullis-system\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n";
    render::assert_golden("manifests/portcullis.yaml", &format!("{namespace}{}", rendered(&[])));
}

#[test]
fn the_chart_carries_the_crd_unchanged_but_kept() {
    let original = fs::read_to_string("crds/protectedendpoints.yaml").unwrap();
    assert_eq!(fs::read_to_string("charts/portcullis/files/protectedendpoints.yaml").unwrap(), original, "run `make crds`");
    let mut shipped = named(&documents(&rendered(&[])), "CustomResourceDefinition", "protectedendpoints.portcullis.dev");
    let annotations = shipped["metadata"].as_object_mut().unwrap().remove("annotations").unwrap();
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    assert_eq!(shipped, serde_yaml::from_str::<Value>(&original).unwrap());
}

#[test]
fn the_crd_is_left_out_on_request() {
    assert!(kind(&documents(&rendered(&["--set", "crds.install=false"])), "CustomResourceDefinition").is_empty());
}

/// The table of rights, whole: what is not here must not be granted.
#[test]
fn the_service_account_has_exactly_these_rights() {
    let documents = documents(&rendered(&[]));
    let cluster = json!([
        {"apiGroups": ["portcullis.dev"], "resources": ["protectedendpoints"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["portcullis.dev"], "resources": ["protectedendpoints/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]);
    let own_namespace = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
        "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}]);
    assert_eq!(named(&documents, "ClusterRole", "portcullis")["rules"], cluster);
    let secrets = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]);
    assert_eq!(named(&documents, "ClusterRole", "portcullis-secrets")["rules"], secrets);
    assert_eq!(named(&documents, "Role", "portcullis")["rules"], own_namespace);
    assert_eq!(named(&documents, "Role", "portcullis")["metadata"]["namespace"], "portcullis-system");
}

#[test]
fn every_binding_binds_our_account_to_our_role_and_nothing_else() {
    let documents = documents(&rendered(&[]));
    for (binding, role) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
        let bindings = kind(&documents, binding);
        assert_eq!(bindings.len(), 1, "{binding}");
        let account = json!([{"kind": "ServiceAccount", "name": "portcullis", "namespace": "portcullis-system"}]);
        assert_eq!(bindings[0]["subjects"], account, "{binding}");
        assert_eq!(bindings[0]["roleRef"], json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": "portcullis"}));
    }
}

/// The right to read Secrets is bound where the values say, and never in the whole cluster.
#[test]
fn secrets_may_be_read_only_in_namespaces_that_bind_the_role() {
    let bound = |set: &[&str]| -> Vec<_> {
        let documents = documents(&rendered(set));
        let all = [kind(&documents, "ClusterRoleBinding"), kind(&documents, "RoleBinding")].concat();
        let of_secrets = all.into_iter().filter(|binding| binding["roleRef"]["name"] == "portcullis-secrets");
        of_secrets.map(|binding| (binding["kind"].clone(), binding["metadata"]["namespace"].clone(), binding["subjects"].clone())).collect()
    };
    assert!(bound(&[]).is_empty());
    let account = json!([{"kind": "ServiceAccount", "name": "portcullis", "namespace": "portcullis-system"}]);
    let binding = |namespace: &str| (json!("RoleBinding"), json!(namespace), account.clone());
    assert_eq!(bound(&["--set", "secretNamespaces={shop,web}"]), [binding("shop"), binding("web")]);
    let deployment = named(&documents(&rendered(&[])), "Deployment", "portcullis");
    let environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(environment.contains(&json!({"name": "PORTCULLIS_SECRETS_ROLE", "value": "portcullis-secrets"})));
}

#[test]
fn no_role_names_a_wildcard_a_secret_or_a_status_for_people() {
    let documents = documents(&rendered(&[]));
    for role in kind(&documents, "ClusterRole").iter().chain(&kind(&documents, "Role")) {
        if role["metadata"]["name"] == "portcullis-secrets" {
            continue;
        }
        let text = role["rules"].to_string();
        for never in ["\"*\"", "secrets", "configmaps", "pods", "nodes", "webhook", "impersonate", "bind", "escalate", "customresource"] {
            assert!(!text.contains(never), "{}: {never}", role["metadata"]["name"]);
        }
        let aggregated = role["metadata"]["labels"].to_string().contains("aggregate-to");
        assert!(!(aggregated && text.contains("/status")), "{}: a status for people", role["metadata"]["name"]);
    }
}

#[test]
fn the_pod_is_confined() {
    let deployment = named(&documents(&rendered(&[])), "Deployment", "portcullis");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let confined = json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(pod["securityContext"], confined);
    let closed = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    assert_eq!(container["securityContext"], closed);
    assert_eq!(container["resources"]["limits"], json!({"memory": "512Mi"}), "a CPU limit is latency");
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz"), ("startupProbe", "/livez")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "admin"}), "{probe}");
    }
    for never in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
        assert!(pod.get(never).is_none(), "{never}");
    }
}

#[test]
fn the_account_token_is_mounted_in_our_pods_only() {
    let documents = documents(&rendered(&[]));
    assert_eq!(named(&documents, "ServiceAccount", "portcullis")["automountServiceAccountToken"], false);
    assert_eq!(named(&documents, "Deployment", "portcullis")["spec"]["template"]["spec"]["automountServiceAccountToken"], true);
}

/// K21: a pod that is killed before it has drained drops requests.
#[test]
fn the_grace_period_covers_the_whole_drain() {
    for (delay, timeout) in [(5, 60), (0, 1), (30, 600)] {
        let sets = format!("drain.preStop=7,drain.delay={delay},drain.timeout={timeout}");
        let deployment = named(&documents(&rendered(&["--set", &sets])), "Deployment", "portcullis");
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["lifecycle"], json!({"preStop": {"sleep": {"seconds": 7}}}));
        assert!(pod["terminationGracePeriodSeconds"].as_i64() > Some(7 + delay + timeout), "{sets}");
    }
}

#[test]
fn a_rollout_never_has_fewer_pods() {
    let deployment = named(&documents(&rendered(&[])), "Deployment", "portcullis");
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"], json!({"maxUnavailable": 0, "maxSurge": 1}));
}

/// A request of 0 would read as no worker at all.
#[test]
fn workers_follow_a_request_that_is_above_zero() {
    for (cpu, told) in [("500m", true), ("2", true), ("0", false), ("0m", false), ("0.0", false), ("null", false)] {
        let deployment = named(&documents(&rendered(&["--set", &format!("resources.requests.cpu={cpu}")])), "Deployment", "portcullis");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let variables = container["env"].as_array().unwrap();
        assert_eq!(variables.iter().any(|variable| variable["name"] == "PORTCULLIS_WORKERS"), told, "{cpu}");
    }
}

#[test]
fn refused_values_are_named() {
    let rows = [
        ("a misspelt value", "clasName=x", "clasName"),
        ("a misspelt nested value", "service.typ=NodePort", "typ"),
        ("an unknown service type", "service.type=ExternalName", "/service/type"),
        ("a class that is no label", "className=My Class", "/className"),
        ("a class that is an expression", "className=a' || true || 'a", "/className"),
        ("a proxy that is no CIDR", "trustedProxies={10.0.0.1}", "/trustedProxies/0"),
        ("a proxy that is no address", "trustedProxies={10.0.0.256/8}", "/trustedProxies/0"),
        ("a proxy's prefix that is too long", "trustedProxies={10.0.0.0/33}", "/trustedProxies/0"),
        ("a proxy's IPv6 prefix that is too long", "trustedProxies={fd00::/129}", "/trustedProxies/0"),
        ("a class behind the admission policy's back", "extraArgs={--class=other}", "/extraArgs/0"),
        ("a flag's value on its own", "extraArgs={off}", "/extraArgs/0"),
        ("a cluster network that is none", "clusterCidrs={10.96.0.0}", "/clusterCidrs/0"),
        ("a proxy over https", "egressProxy.url=https://proxy:3128", "/egressProxy/url"),
        ("no issuer at all", "issuersPerNamespace=0", "/issuersPerNamespace"),
        ("a unit that is none", "tokenCache=64MB", "/tokenCache"),
        ("half a connect-to", "connectTo={tenant.eu.auth0.com:443}", "/connectTo/0"),
        ("a host binding of nobody", "hostBindings[0].hosts={a.example.com}", "namespaces"),
        ("an upper-case host", "hostBindings[0].namespaces={a},hostBindings[0].hosts={A.example.com}", "/hostBindings/0/hosts/0"),
        ("no pre-stop sleep", "drain.preStop=0", "/drain/preStop"),
        ("a log format", "log.format=xml", "/log/format"),
        ("a half digest", "image.digest=sha256:12", "/image/digest"),
    ];
    for (row, set, naming) in rows {
        let error = helm_template(&["--set", set]).expect_err(row);
        assert!(error.contains(naming), "{row}: {error}");
    }
}

#[test]
fn the_readme_lists_every_value() {
    let values: Value = serde_yaml::from_str(&fs::read_to_string("charts/portcullis/values.yaml").unwrap()).unwrap();
    let readme = fs::read_to_string("charts/portcullis/README.md").unwrap();
    let listed: BTreeSet<_> = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    let mut given = BTreeSet::new();
    leaves("", &values, &mut given);
    assert_eq!(listed, given);
}

fn leaves(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        None => drop(into.insert(prefix.to_owned())),
        Some(map) => {
            for (key, value) in map {
                leaves(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, into);
            }
        }
    }
}
