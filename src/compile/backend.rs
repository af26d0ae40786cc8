//! From a backend reference to the Service port it names.

use super::{
    field::quote,
    inputs::{ServiceObject, ServicePort},
    report::Problem,
    transport,
    verdict::Reason,
};
use crate::{
    api::{Backend, Port},
    routing::{BackendId, Transport},
};
use std::{collections::HashMap, fmt::Display, sync::Arc};

/// Services by namespace and name.
#[derive(Debug)]
pub(super) struct Services<'a>(HashMap<(&'a str, &'a str), &'a ServiceObject>);

/// Where a rule's requests go, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) backend: BackendId,
    pub(super) transport: Transport,
}

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
    pub(super) fn resolve(&self, namespace: &Arc<str>, field: &dyn Display, backend: &Backend) -> Result<Target, Problem> {
        let name = backend.service.as_str();
        let at = &format_args!("{field}.service");
        let missing =
            || Problem::new(Reason::BackendNotFound, at, format_args!("there is no Service {namespace}/{name}; create it or name another"));
        let service = self.0.get(&(&**namespace, name)).ok_or_else(missing)?;
        if service.external_name {
            let what =
                format_args!("Service {namespace}/{name} is of type ExternalName, which may point anywhere; name a Service with endpoints");
            return Err(Problem::new(Reason::BackendNotPermitted, at, what));
        }
        let port = find_port(service, &backend.port).ok_or_else(|| no_port(field, service, &backend.port))?;
        let transport = transport::compile(field, namespace, backend, port)?;
        let backend = BackendId { namespace: Arc::clone(namespace), service: name.into(), port: port.name.as_str().into() };
        Ok(Target { backend, transport })
    }
}

fn find_port<'a>(service: &'a ServiceObject, wanted: &Port) -> Option<&'a ServicePort> {
    service.ports.iter().find(|port| match wanted {
        Port::Number(number) => port.number == *number,
        Port::Name(name) => !name.is_empty() && port.name == *name,
    })
}

fn no_port(field: &dyn Display, service: &ServiceObject, wanted: &Port) -> Problem {
    let wanted = match wanted {
        Port::Number(number) => number.to_string(),
        Port::Name(name) => quote(name),
    };
    let known: Vec<_> = service.ports.iter().map(|port| format!("{} {}", port.number, port.name).trim_end().to_owned()).collect();
    let what = format!("Service {}/{} has no TCP port {wanted}; it has: {}", service.namespace, service.name, known.join(", "));
    Problem::new(Reason::PortNotFound, &format_args!("{field}.port"), what)
}
