//! From a backend reference to the Service port it names.

use super::{
    field::quote,
    inputs::{ServiceObject, ServicePort},
    report::Problem,
    verdict::Reason,
};
use crate::{
    api::{Backend, Port},
    routing::BackendId,
};
use std::{collections::HashMap, sync::Arc};

/// Services by namespace and name.
#[derive(Debug)]
pub(super) struct Services<'a>(HashMap<(&'a str, &'a str), &'a ServiceObject>);

/// Protocols of a Service port that this version cannot speak: a plain HTTP/1.1 request there would be wrong.
const UNSUPPORTED: [&str; 4] = ["https", "kubernetes.io/h2c", "kubernetes.io/wss", "grpc"];

// === impl Services ===

impl<'a> Services<'a> {
    /// Of two with one name the smaller counts, whatever their order.
    pub(super) fn new(services: &'a [ServiceObject]) -> Self {
        let mut by_name: HashMap<_, &'a ServiceObject> = HashMap::with_capacity(services.len());
        for service in services {
            let entry = by_name.entry((service.namespace.as_str(), service.name.as_str())).or_insert(service);
            *entry = service.min(entry);
        }
        Self(by_name)
    }

    /// The Service port that `backend`, found at `field`, names in `namespace` (P68: no other can be named).
    pub(super) fn resolve(&self, namespace: &Arc<str>, field: &str, backend: &Backend) -> Result<BackendId, Problem> {
        let name = backend.service.as_str();
        let at = format!("{field}.service");
        let missing = || {
            Problem::new(Reason::BackendNotFound, &at, format_args!("there is no Service {namespace}/{name}; create it or name another"))
        };
        let service = self.0.get(&(&**namespace, name)).ok_or_else(missing)?;
        if service.external_name {
            let what =
                format_args!("Service {namespace}/{name} is of type ExternalName, which may point anywhere; name a Service with endpoints");
            return Err(Problem::new(Reason::BackendNotPermitted, &at, what));
        }
        let port = find_port(service, &backend.port).ok_or_else(|| no_port(field, service, &backend.port))?;
        check_protocol(field, backend, port)?;
        Ok(BackendId { namespace: Arc::clone(namespace), service: name.into(), port: port.name.as_str().into() })
    }
}

fn find_port<'a>(service: &'a ServiceObject, wanted: &Port) -> Option<&'a ServicePort> {
    service.ports.iter().find(|port| match wanted {
        Port::Number(number) => port.number == *number,
        Port::Name(name) => !name.is_empty() && port.name == *name,
    })
}

fn no_port(field: &str, service: &ServiceObject, wanted: &Port) -> Problem {
    let wanted = match wanted {
        Port::Number(number) => number.to_string(),
        Port::Name(name) => quote(name),
    };
    let known: Vec<_> = service.ports.iter().map(|port| format!("{} {}", port.number, port.name).trim_end().to_owned()).collect();
    let what = format!("Service {}/{} has no TCP port {wanted}; it has: {}", service.namespace, service.name, known.join(", "));
    Problem::new(Reason::PortNotFound, &format!("{field}.port"), what)
}

/// An explicit `scheme` overrides what the Service says.
fn check_protocol(field: &str, backend: &Backend, port: &ServicePort) -> Result<(), Problem> {
    let protocol = port.app_protocol.as_deref().filter(|protocol| UNSUPPORTED.contains(protocol));
    match (backend.scheme, protocol) {
        (None, Some(protocol)) => {
            let what = format_args!("the port's appProtocol {protocol} is not supported; if it speaks plain HTTP/1.1, set scheme: http");
            Err(Problem::new(Reason::UnsupportedProtocol, &format!("{field}.port"), what))
        }
        (Some(_), _) | (None, None) => Ok(()),
    }
}
