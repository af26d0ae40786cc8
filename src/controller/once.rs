//! One look at the cluster, for tools: what the watches would have listed.

use super::raw::RawEndpoint;
use crate::compile::{EndpointObject, ServiceObject};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{Api, Client, api::ListParams, core::DeserializeGuard};

/// All that a table is made of.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub endpoints: Vec<EndpointObject>,
    pub services: Vec<ServiceObject>,
    pub slices: Vec<EndpointSlice>,
}

/// Lists them once, of all namespaces.
///
/// # Errors
/// Those of the API server: it cannot be reached, does not know ProtectedEndpoints, or allows no list.
pub async fn list(client: Client) -> Result<Listed, kube::Error> {
    let (all, client) = (ListParams::default(), || client.clone());
    let (endpoints, services, slices) = (Api::all(client()), Api::<Service>::all(client()), Api::all(client()));
    let (endpoints, services, slices) = futures::try_join!(endpoints.list(&all), services.list(&all), slices.list(&all))?;
    Ok(Listed {
        endpoints: endpoints.items.into_iter().map(endpoint).collect(),
        services: services.items.iter().map(ServiceObject::from).collect(),
        slices: slices.items,
    })
}

fn endpoint(guard: DeserializeGuard<RawEndpoint>) -> EndpointObject {
    let raw = RawEndpoint::from_guard(guard);
    EndpointObject::from_parts(&raw.metadata, &raw.data)
}
