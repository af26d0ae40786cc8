//! What of a Service and an EndpointSlice is kept: a store of whole objects would hold ten times the memory.

use k8s_openapi::{
    api::{
        core::v1::{Service, ServiceSpec},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// The label by which an EndpointSlice names its Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Keeps identity, type and ports; `whole` (the installation's own Service) also its addresses.
pub(super) fn service(service: &mut Service, whole: bool) {
    service.metadata = identity(&service.metadata);
    let spec = service.spec.take().unwrap_or_default();
    let addresses = if whole {
        ServiceSpec { cluster_ips: spec.cluster_ips, external_ips: spec.external_ips, ..ServiceSpec::default() }
    } else {
        service.status = None;
        ServiceSpec::default()
    };
    service.spec = Some(ServiceSpec { type_: spec.type_, ports: spec.ports, ..addresses });
}

/// Keeps identity, the Service's name, ports, and of each endpoint its addresses and conditions.
pub(super) fn slice(slice: &mut EndpointSlice) {
    let service = slice.metadata.labels.take().and_then(|labels| labels.into_iter().find(|(label, _)| label == SERVICE_NAME));
    slice.metadata = identity(&slice.metadata);
    slice.metadata.labels = service.map(|label| [label].into());
    for endpoint in &mut slice.endpoints {
        (endpoint.target_ref, endpoint.node_name, endpoint.zone) = (None, None, None);
        (endpoint.hints, endpoint.hostname, endpoint.deprecated_topology) = (None, None, None);
    }
}

fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta { name: metadata.name.clone(), namespace: metadata.namespace.clone(), ..ObjectMeta::default() }
}
