//! From Kubernetes' objects to the parts that matter. Total: what is absent or unreadable becomes empty.

use super::{
    inputs::{EndpointObject, HostClaim, ServiceObject, ServicePort},
    secrets::{SecretData, SecretRef},
};
use crate::secret::SecretBytes;
use k8s_openapi::{
    api::core::v1::{self, Secret, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::Timestamp,
};
use serde_json::Value;

// === impl EndpointObject ===

impl EndpointObject {
    /// `data` is the object without its metadata: `spec` and `status` are looked at.
    pub fn from_parts(metadata: &ObjectMeta, data: &Value) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()).unwrap_or_default(),
            spec: data.get("spec").cloned().unwrap_or_default(),
            claims: claims(data),
            problems: vec![],
        }
    }
}

fn claims(data: &Value) -> Vec<HostClaim> {
    let hosts = data.pointer("/status/hosts").and_then(Value::as_array);
    hosts.into_iter().flatten().filter_map(claim).collect()
}

fn claim(entry: &Value) -> Option<HostClaim> {
    let since: Timestamp = entry.get("since")?.as_str()?.parse().ok()?;
    Some(HostClaim { host: entry.get("host")?.as_str()?.to_owned(), since: since.as_second() })
}

// === impl ServiceObject ===

impl From<&Service> for ServiceObject {
    fn from(service: &Service) -> Self {
        let spec = service.spec.clone().unwrap_or_default();
        Self {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            name: service.metadata.name.clone().unwrap_or_default(),
            external_name: spec.type_.as_deref() == Some("ExternalName"),
            ports: spec.ports.iter().flatten().filter_map(service_port).collect(),
        }
    }
}

/// `None` for what no HTTP request can reach.
fn service_port(port: &v1::ServicePort) -> Option<ServicePort> {
    let tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    let number = u16::try_from(port.port).ok().filter(|number| tcp && *number != 0)?;
    Some(ServicePort { name: port.name.clone().unwrap_or_default(), number, app_protocol: port.app_protocol.clone() })
}

// === impl SecretRef ===

impl From<&Secret> for SecretRef {
    fn from(secret: &Secret) -> Self {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        Self { namespace: text(&secret.metadata.namespace), name: text(&secret.metadata.name) }
    }
}

// === impl SecretData ===

/// `stringData` wins, as an API server stores it.
impl From<&Secret> for SecretData {
    fn from(secret: &Secret) -> Self {
        let bytes = secret.data.iter().flatten().map(|(key, value)| (key, value.0.clone()));
        let texts = secret.string_data.iter().flatten().map(|(key, text)| (key, text.clone().into_bytes()));
        bytes.chain(texts).map(|(key, value)| (key.clone(), SecretBytes::from(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_keeps_its_spec_unread_and_its_readable_claims() {
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "name": "pe", "namespace": "shop", "uid": "u", "generation": 3, "creationTimestamp": "1970-01-01T00:01:40Z",
        }))
        .unwrap();
        let hosts = json!([{"host": "a.example", "since": "1970-01-01T00:02:00Z"}, {"host": "b"}, {"host": 5, "since": ""}, 7]);
        let object = EndpointObject::from_parts(&metadata, &json!({"spec": {"anything": [1]}, "status": {"hosts": hosts}}));
        assert_eq!((object.namespace.as_str(), object.name.as_str(), object.generation, object.created), ("shop", "pe", 3, 100));
        assert_eq!(object.spec, json!({"anything": [1]}));
        assert_eq!(object.claims, [HostClaim { host: "a.example".into(), since: 120 }]);
    }

    #[test]
    fn an_endpoint_of_nothing_is_an_empty_object() {
        for data in [json!(null), json!({"spec": null, "status": {"hosts": {}}}), json!([])] {
            let object = EndpointObject::from_parts(&ObjectMeta::default(), &data);
            assert_eq!((object.spec, object.claims), (Value::Null, vec![]), "{data}");
        }
    }

    #[test]
    fn a_service_keeps_the_ports_that_http_can_reach() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"ports": [
                {"name": "http", "port": 80, "appProtocol": "http"}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"port": 70000}, {"port": 81},
            ]},
        }))
        .unwrap();
        let port = |name: &str, number, app_protocol: Option<&str>| ServicePort {
            name: name.into(),
            number,
            app_protocol: app_protocol.map(str::to_owned),
        };
        let object = ServiceObject::from(&service);
        assert_eq!(object.ports, [port("http", 80, Some("http")), port("", 81, None)]);
        assert!(!object.external_name);
        assert!(ServiceObject::from(&Service::default()).ports.is_empty());
    }

    #[test]
    fn a_secret_is_read_as_a_server_would_store_it() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "key", "namespace": "shop"}, "data": {"a": "b25l", "b": "AAE="}, "stringData": {"a": "two"},
        }))
        .unwrap();
        assert_eq!(SecretRef::from(&secret).to_string(), "shop/key");
        let values = [("a", b"two".to_vec()), ("b", vec![0, 1])].map(|(key, value)| (key.to_owned(), SecretBytes::from(value)));
        assert_eq!(SecretData::from(&secret), values.into_iter().collect());
        assert_eq!(SecretData::from(&Secret::default()), SecretData::default());
    }

    #[test]
    fn p66_an_external_name_is_known_as_one() {
        let service: Service =
            serde_json::from_value(json!({"metadata": {}, "spec": {"type": "ExternalName", "externalName": "x.example"}})).unwrap();
        assert!(ServiceObject::from(&service).external_name);
    }
}
