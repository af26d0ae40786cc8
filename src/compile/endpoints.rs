//! The addresses behind one port of a Service, out of all its EndpointSlices (K20).

use crate::routing::EndpointSet;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The label by which an EndpointSlice names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Whether a loopback address may be an endpoint. An API server refuses them; manifests in a directory may hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    Allow,
    Refuse,
}

/// How much an endpoint is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Ready,
    /// Shutting down, but it still answers: used only when nothing else is left (KEP-1672).
    Draining,
}

/// The ready endpoints of all slices under the port of that name ("" is the unnamed one); when there are none, those that are
/// shutting down and still serve. Slices of names (FQDN), other protocols and addresses that no pod can have are left out (P67).
pub fn endpoints<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>, port_name: &str, loopback: Loopback) -> EndpointSet {
    let found: Vec<_> = slices.into_iter().flat_map(|slice| slice_endpoints(slice, port_name, loopback)).collect();
    let of = |wanted| found.iter().filter(move |(health, _)| *health == wanted).map(|(_, address)| *address);
    match of(Health::Ready).next() {
        Some(_) => of(Health::Ready).collect(),
        None => of(Health::Draining).collect(),
    }
}

fn slice_endpoints(slice: &EndpointSlice, port_name: &str, loopback: Loopback) -> Vec<(Health, SocketAddr)> {
    let ports: Vec<u16> = slice.ports.iter().flatten().filter_map(|port| port_number(port, port_name)).collect();
    let address = |endpoint| Some((health(endpoint)?, address(slice, endpoint, loopback)?));
    let addresses = slice.endpoints.iter().filter_map(address);
    addresses.flat_map(|(health, ip)| ports.iter().map(move |port| (health, SocketAddr::new(ip, *port)))).collect()
}

fn port_number(port: &EndpointPort, wanted: &str) -> Option<u16> {
    let tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    let number = port.port.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0);
    number.filter(|_| tcp && port.name.as_deref().unwrap_or_default() == wanted)
}

/// `None`: neither ready nor draining. An absent condition means ready; an absent `serving` follows `ready`.
fn health(endpoint: &Endpoint) -> Option<Health> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let draining = conditions.serving.unwrap_or(ready) && conditions.terminating.unwrap_or(false);
    match (ready, draining) {
        (true, _) => Some(Health::Ready),
        (false, true) => Some(Health::Draining),
        (false, false) => None,
    }
}

/// The first address alone has a meaning (EndpointSlice API).
fn address(slice: &EndpointSlice, endpoint: &Endpoint, loopback: Loopback) -> Option<IpAddr> {
    let text = endpoint.addresses.first()?;
    let address = match slice.address_type.as_str() {
        "IPv4" => IpAddr::from(text.parse::<Ipv4Addr>().ok()?),
        "IPv6" => IpAddr::from(text.parse::<Ipv6Addr>().ok()?).to_canonical(),
        _ => return None,
    };
    is_usable(address, loopback).then_some(address)
}

fn is_usable(address: IpAddr, loopback: Loopback) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets().starts_with(&[0]),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let allowed = !address.is_loopback() || loopback == Loopback::Allow;
    allowed && !special && !address.is_unspecified() && !address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn set(slices: &Value, port: &str, loopback: Loopback) -> Vec<String> {
        let read = |slice: &Value| serde_json::from_value::<EndpointSlice>(slice.clone()).unwrap();
        let slices: Vec<_> = slices.as_array().unwrap().iter().map(read).collect();
        endpoints(&slices, port, loopback).addresses().iter().map(ToString::to_string).collect()
    }

    /// One slice: address type, ports, and endpoints of (address, conditions).
    fn slice(kind: &str, ports: &Value, endpoints: &[(&str, Value)]) -> Value {
        let endpoints: Vec<_> = endpoints.iter().map(|(a, c)| json!({"addresses": [a], "conditions": c})).collect();
        json!({"metadata": {"name": "s"}, "addressType": kind, "ports": ports, "endpoints": endpoints})
    }

    #[test]
    fn k20_slices_become_one_set() {
        let http = json!([{"name": "http", "port": 8080}]);
        let (ready, dead) = (json!({"ready": true}), json!({"ready": false, "serving": false}));
        let draining = json!({"ready": false, "serving": true, "terminating": true});
        let v4 = |endpoints: &[(&str, Value)]| slice("IPv4", &http, endpoints);
        let cases = [
            (
                "several slices, sorted, no duplicates",
                json!([v4(&[("10.0.0.2", ready.clone())]), v4(&[("10.0.0.1", ready.clone()), ("10.0.0.2", ready.clone())])]),
                vec!["10.0.0.1:8080", "10.0.0.2:8080"],
            ),
            (
                "dual stack",
                json!([v4(&[("10.0.0.1", ready.clone())]), slice("IPv6", &http, &[("fd00::1", ready.clone())])]),
                vec!["10.0.0.1:8080", "[fd00::1]:8080"],
            ),
            ("names are ignored", json!([slice("FQDN", &http, &[("a.example", ready.clone())])]), vec![]),
            ("a type of tomorrow is ignored", json!([slice("IPv9", &http, &[("10.0.0.1", ready.clone())])]), vec![]),
            ("an address of the wrong family", json!([slice("IPv6", &http, &[("10.0.0.1", ready.clone())])]), vec![]),
            ("no conditions mean ready", json!([v4(&[("10.0.0.1", Value::Null)])]), vec!["10.0.0.1:8080"]),
            ("empty conditions mean ready", json!([v4(&[("10.0.0.1", json!({}))])]), vec!["10.0.0.1:8080"]),
            ("not ready is left out", json!([v4(&[("10.0.0.1", dead.clone()), ("10.0.0.2", ready.clone())])]), vec!["10.0.0.2:8080"]),
            (
                "K17 draining only when nothing else is left",
                json!([v4(&[("10.0.0.1", draining.clone()), ("10.0.0.2", ready.clone())])]),
                vec!["10.0.0.2:8080"],
            ),
            ("K17 draining when nothing else is left", json!([v4(&[("10.0.0.1", draining), ("10.0.0.2", dead)])]), vec!["10.0.0.1:8080"]),
            ("terminating and not serving", json!([v4(&[("10.0.0.1", json!({"ready": false, "terminating": true}))])]), vec![]),
            ("serving is not ready", json!([v4(&[("10.0.0.1", json!({"ready": false, "serving": true}))])]), vec![]),
            ("another port's name", json!([slice("IPv4", &json!([{"name": "grpc", "port": 9}]), &[("10.0.0.1", ready.clone())])]), vec![]),
            (
                "the right one of two ports",
                json!([slice("IPv4", &json!([{"name": "grpc", "port": 9}, {"name": "http", "port": 10}]), &[("10.0.0.1", ready.clone())])]),
                vec!["10.0.0.1:10"],
            ),
            ("no number", json!([slice("IPv4", &json!([{"name": "http"}]), &[("10.0.0.1", ready.clone())])]), vec![]),
            ("no ports", json!([slice("IPv4", &Value::Null, &[("10.0.0.1", ready.clone())])]), vec![]),
            (
                "a number no port has",
                json!([slice(
                    "IPv4",
                    &json!([{"name": "http", "port": 70000}, {"name": "http", "port": 0}]),
                    &[("10.0.0.1", ready.clone())]
                )]),
                vec![],
            ),
            (
                "UDP",
                json!([slice("IPv4", &json!([{"name": "http", "port": 1, "protocol": "UDP"}]), &[("10.0.0.1", ready.clone())])]),
                vec![],
            ),
            ("nonsense", json!([v4(&[("10.0.0.256", ready.clone()), ("", ready)])]), vec![]),
            ("no slices", json!([]), vec![]),
        ];
        for (name, slices, want) in cases {
            assert_eq!(set(&slices, "http", Loopback::Refuse), want, "{name}");
        }
        let unnamed = json!([slice("IPv4", &json!([{"port": 80}]), &[("10.0.0.1", Value::Null)])]);
        assert_eq!(set(&unnamed, "", Loopback::Refuse), ["10.0.0.1:80"], "the unnamed port");
    }

    #[test]
    fn k20_an_endpoint_without_addresses_or_port_name_harms_nobody() {
        let slices = json!([{"metadata": {}, "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": []}, {"addresses": ["10.0.0.1", "10.0.0.9"]}]}]);
        assert_eq!(set(&slices, "", Loopback::Refuse), ["10.0.0.1:80"], "only the first address has a meaning");
    }

    #[test]
    fn p67_addresses_that_no_pod_has_are_refused() {
        let port = json!([{"port": 80}]);
        let cases = [
            ("IPv4", "127.0.0.1", "127.0.0.1:80"),
            ("IPv4", "127.255.0.1", "127.255.0.1:80"),
            ("IPv6", "::1", "[::1]:80"),
            ("IPv6", "::ffff:127.0.0.1", "127.0.0.1:80"),
            ("IPv4", "169.254.169.254", ""),
            ("IPv6", "::ffff:169.254.169.254", ""),
            ("IPv6", "fe80::1", ""),
            ("IPv4", "0.0.0.0", ""),
            ("IPv4", "0.1.2.3", ""),
            ("IPv6", "::", ""),
            ("IPv4", "224.0.0.1", ""),
            ("IPv6", "ff02::1", ""),
            ("IPv4", "255.255.255.255", ""),
        ];
        for (kind, address, allowed) in cases {
            let slices = json!([slice(kind, &port, &[(address, Value::Null)])]);
            assert!(set(&slices, "", Loopback::Refuse).is_empty(), "{address}");
            assert_eq!(set(&slices, "", Loopback::Allow).concat(), allowed, "{address}, loopback allowed");
        }
    }
}
