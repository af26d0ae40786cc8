//! Backends that the files name and do not hold, as though they were there: for who asks about tokens alone.

use crate::compile::{EndpointObject, SERVICE_NAME, ServiceObject, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Documentation's own (RFC 5737): nobody answers there.
const NOBODY: &str = "192.0.2.1";

/// One port of a Service, as a resource names it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    namespace: String,
    service: String,
    /// A name, or a number.
    port: String,
}

/// Adds the Services and the ready endpoints that are missing; returns a line about each. A port that a Service lacks is wrong, and
/// stays so.
pub(super) fn backends<'a>(
    objects: impl Iterator<Item = &'a EndpointObject>,
    services: &mut Vec<ServiceObject>,
    slices: &mut Vec<EndpointSlice>,
) -> Vec<String> {
    let (mut notes, there, reached) = (Vec::new(), services.clone(), slices.clone());
    for named in objects.flat_map(named).collect::<BTreeSet<_>>() {
        let known = there.iter().any(|service| named.is(&service.namespace, &service.name));
        if !known {
            named.add_to(services);
        }
        if reached.iter().any(|slice| named.is_behind(slice)) {
            continue;
        }
        if let Some(port) = named.find_in(services) {
            slices.extend(named.slice(&port));
            let what = if known { "a ready endpoint of Service" } else { "Service" };
            notes.push(format!("assumed: {what} {}/{} with port {}", named.namespace, named.service, named.port));
        }
    }
    notes
}

fn named(object: &EndpointObject) -> Vec<Named> {
    let rules = object.spec.get("rules").and_then(Value::as_array).into_iter().flatten();
    let blocks = std::iter::once(&object.spec).chain(rules).filter_map(|level| level.get("backend"));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let named = |block: &Value| {
        let (service, port) = (text(block.get("service")?), text(block.get("port")?));
        Some(Named { namespace: object.namespace.clone(), service, port })
    };
    blocks.filter_map(named).collect()
}

// === impl Named ===

impl Named {
    fn is(&self, namespace: &str, service: &str) -> bool {
        (self.namespace.as_str(), self.service.as_str()) == (namespace, service)
    }

    fn is_behind(&self, slice: &EndpointSlice) -> bool {
        let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        self.is(slice.metadata.namespace.as_deref().unwrap_or_default(), service.map_or("", String::as_str))
    }

    fn add_to(&self, services: &mut Vec<ServiceObject>) {
        let port = match self.port.parse() {
            Ok(number) => ServicePort { name: String::new(), number, app_protocol: None },
            Err(_) => ServicePort { name: self.port.clone(), number: 80, app_protocol: None },
        };
        match services.iter_mut().find(|service| self.is(&service.namespace, &service.name)) {
            Some(service) => service.ports.push(port),
            None => {
                let (namespace, name) = (self.namespace.clone(), self.service.clone());
                services.push(ServiceObject { namespace, name, external_name: false, ports: vec![port] });
            }
        }
    }

    /// The port's name, which its endpoints carry.
    fn find_in(&self, services: &[ServiceObject]) -> Option<String> {
        let service = services.iter().find(|service| self.is(&service.namespace, &service.name))?;
        let is_it = |port: &&ServicePort| port.name == self.port || port.number.to_string() == self.port;
        service.ports.iter().find(is_it).map(|port| port.name.clone())
    }

    fn slice(&self, port: &str) -> Option<EndpointSlice> {
        let slice = json!({
            "metadata": {"namespace": self.namespace, "labels": {SERVICE_NAME: self.service}},
            "addressType": "IPv4",
            "ports": [{"name": port, "port": 80}],
            "endpoints": [{"addresses": [NOBODY]}],
        });
        serde_json::from_value(slice).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    #[test]
    fn what_is_there_stays_and_what_is_missing_is_added() {
        let metadata = ObjectMeta { namespace: Some("n".to_owned()), ..ObjectMeta::default() };
        let spec = json!({
            "backend": {"service": "a", "port": 80},
            "rules": [
                {"backend": {"service": "a", "port": "web"}}, {"backend": {"service": "there", "port": 8080}},
                {"backend": {"service": "there", "port": 9}}, {"backend": {"service": "ready", "port": 80}}, {"backend": 5}, {},
            ],
        });
        let object = EndpointObject::from_parts(&metadata, &json!({ "spec": spec }));
        let service = |name: &str, number| ServiceObject {
            namespace: "n".to_owned(),
            name: name.to_owned(),
            external_name: false,
            ports: vec![ServicePort { name: "http".to_owned(), number, app_protocol: None }],
        };
        let ready = Named { namespace: "n".to_owned(), service: "ready".to_owned(), port: String::new() };
        let (mut services, mut slices) = (vec![service("there", 8080), service("ready", 80)], vec![ready.slice("http").unwrap()]);
        let notes = backends([&object].into_iter(), &mut services, &mut slices);
        let want = [
            "assumed: Service n/a with port 80",
            "assumed: Service n/a with port web",
            "assumed: a ready endpoint of Service n/there with port 8080",
        ];
        assert_eq!(notes, want);
        assert_eq!((services.len(), services[2].ports.len(), slices.len()), (3, 2, 4));
        assert!(backends([&object].into_iter(), &mut services, &mut slices).is_empty(), "all is there now");
    }
}
