use super::*;
use crate::{
    compile::ObjectRef,
    controller::raw::{API_VERSION, KIND},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

fn status(generation: i64) -> ProtectedEndpointStatus {
    let condition = Condition {
        type_: "Accepted".to_owned(),
        status: "True".to_owned(),
        observed_generation: Some(generation),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        reason: String::new(),
        message: String::new(),
    };
    ProtectedEndpointStatus { conditions: vec![condition], ..ProtectedEndpointStatus::default() }
}

fn write(name: &str, before: ProtectedEndpointStatus, after: ProtectedEndpointStatus) -> Write {
    let object = ObjectRef { namespace: "n".to_owned(), name: name.to_owned(), uid: format!("uid-{name}") };
    Write { object, version: Some("42".to_owned()), before, after }
}

#[test]
fn generation_changes_go_first() {
    let mut writes = vec![
        write("a-key-came", status(2), status(2)),
        write("changed", status(1), status(2)),
        write("b-key-came", status(2), status(2)),
        write("brand-new", ProtectedEndpointStatus::default(), status(1)),
    ];
    sort_by_urgency(&mut writes);
    let names: Vec<_> = writes.iter().map(|write| write.object.name.as_str()).collect();
    assert_eq!(names, ["brand-new", "changed", "a-key-came", "b-key-came"]);
}

#[test]
fn a_patch_carries_the_version_it_was_derived_from_k23() {
    let patch = write("pe", status(1), status(2)).patch();
    assert_eq!(patch["metadata"], json!({"namespace": "n", "name": "pe", "resourceVersion": "42"}));
    assert_eq!((patch["apiVersion"].as_str(), patch["kind"].as_str()), (Some(API_VERSION), Some(KIND)));
    assert_eq!(patch["status"]["conditions"][0]["observedGeneration"], 2);
}

#[test]
fn addresses_are_those_that_users_of_ingress_expect() {
    let cases = [
        (
            "a load balancer's names and addresses",
            json!({"clusterIPs": ["10.0.0.1"]}),
            json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "hostname": "lb.example"}]}}),
            vec!["192.0.2.1", "lb.example"],
        ),
        (
            "external addresses before cluster ones",
            json!({"externalIPs": ["192.0.2.9"], "clusterIPs": ["10.0.0.1"]}),
            json!({}),
            vec!["192.0.2.9"],
        ),
        (
            "both families of a cluster address",
            json!({"clusterIPs": ["10.0.0.1", "fd00::1"]}),
            json!({"loadBalancer": {}}),
            vec!["10.0.0.1", "fd00::1"],
        ),
        ("headless", json!({"clusterIPs": ["None"]}), json!({}), vec![]),
        ("nothing", json!({}), json!({}), vec![]),
    ];
    for (name, spec, status, want) in cases {
        let service = serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status})).unwrap();
        assert_eq!(addresses(&service), want, "{name}");
    }
}
