//! From a backend's `scheme` and `tls`, and its port's appProtocol, to how it is spoken to.

use super::{auth, field, inputs::ServicePort, report::Problem, verdict::Reason};
use crate::{
    api::{Backend, BackendTls, Scheme},
    routing::{Tls, Transport},
};
use rustls::pki_types::DnsName;
use std::{fmt::Display, sync::Arc};

/// Protocols of a Service port that leave open what is meant, and the scheme that probably is.
const UNCLEAR: [(&str, &str); 2] = [("grpc", "h2c, or https"), ("kubernetes.io/wss", "https")];

/// How `backend`, found at `field`, is spoken to when its Service's port is this one.
pub(super) fn compile(field: &dyn Display, namespace: &str, backend: &Backend, port: &ServicePort) -> Result<Transport, Problem> {
    match (scheme(field, backend, port)?, backend.tls.as_ref()) {
        (Scheme::Https, tls) => Ok(Transport::Https(Arc::new(verified(field, namespace, backend, tls)?))),
        // Never in the clear, where somebody thought of TLS.
        (_, Some(_)) => Err(Problem::invalid(&format_args!("{field}.tls"), "goes with scheme https; set scheme: https, or leave tls out")),
        (Scheme::Http, None) => Ok(Transport::Http),
        (Scheme::H2c, None) => Ok(Transport::H2c),
    }
}

/// An explicit `scheme` overrides what the Service says.
fn scheme(field: &dyn Display, backend: &Backend, port: &ServicePort) -> Result<Scheme, Problem> {
    let protocol = port.app_protocol.as_deref().unwrap_or_default();
    match (backend.scheme, protocol) {
        (Some(scheme), _) => Ok(scheme),
        (None, "https") => Ok(Scheme::Https),
        (None, "kubernetes.io/h2c") => Ok(Scheme::H2c),
        (None, protocol) => match UNCLEAR.iter().find(|(unclear, _)| *unclear == protocol) {
            Some((_, likely)) => {
                let what = format_args!("the port's appProtocol {protocol} does not say how to reach it; set scheme: {likely}");
                Err(Problem::new(Reason::UnsupportedProtocol, &format_args!("{field}.port"), what))
            }
            None => Ok(Scheme::Http),
        },
    }
}

fn verified(field: &dyn Display, namespace: &str, backend: &Backend, tls: Option<&BackendTls>) -> Result<Tls, Problem> {
    let server_name = match tls.and_then(|tls| tls.server_name.as_deref()) {
        Some(name) => server_name(&format_args!("{field}.tls.serverName"), name)?,
        None => format!("{}.{namespace}.svc", backend.service).into(),
    };
    let ca_bundle = auth::ca_bundle(&format_args!("{field}.tls.caBundle"), tls.and_then(|tls| tls.ca_bundle.as_deref()))?;
    Ok(Tls { server_name, ca_bundle })
}

fn server_name(field: &dyn Display, name: &str) -> Result<Arc<str>, Problem> {
    let is_name = DnsName::try_from(name).is_ok() && !name.ends_with('.') && name.parse::<std::net::IpAddr>().is_err();
    let want = "must be a DNS name such as messages.shop.svc, without port, IP address or trailing dot";
    is_name.then(|| name.into()).ok_or_else(|| Problem::invalid(field, format_args!("{want}, not {}", field::quote(name))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn compiled(app_protocol: Option<&str>, rest: &Value) -> Result<Transport, String> {
        let mut backend = json!({"service": "web", "port": 80});
        backend.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let port = ServicePort { name: String::new(), number: 80, app_protocol: app_protocol.map(str::to_owned) };
        compile(&"f", "shop", &serde_json::from_value(backend).unwrap(), &port).map_err(|problem| problem.message)
    }

    fn https(server_name: &str) -> Result<Transport, String> {
        Ok(Transport::Https(Arc::new(Tls { server_name: server_name.into(), ca_bundle: None })))
    }

    #[test]
    fn the_scheme_is_what_the_author_says_or_else_the_service() {
        let unclear = |protocol: &str, likely: &str| {
            Err(format!("f.port: the port's appProtocol {protocol} does not say how to reach it; set scheme: {likely}"))
        };
        #[rustfmt::skip]
        let rows = [
            ("nobody says anything", None, json!({}), Ok(Transport::Http)),
            ("http", Some("http"), json!({}), Ok(Transport::Http)),
            ("a protocol nobody knows", Some("example.com/x"), json!({}), Ok(Transport::Http)),
            ("ws", Some("kubernetes.io/ws"), json!({}), Ok(Transport::Http)),
            ("h2c", Some("kubernetes.io/h2c"), json!({}), Ok(Transport::H2c)),
            ("https", Some("https"), json!({}), https("web.shop.svc")),
            ("wss", Some("kubernetes.io/wss"), json!({}), unclear("kubernetes.io/wss", "https")),
            ("grpc", Some("grpc"), json!({}), unclear("grpc", "h2c, or https")),
            ("the author wins over https", Some("https"), json!({"scheme": "http"}), Ok(Transport::Http)),
            ("the author wins over wss", Some("kubernetes.io/wss"), json!({"scheme": "https"}), https("web.shop.svc")),
            ("the author wins over grpc", Some("grpc"), json!({"scheme": "h2c"}), Ok(Transport::H2c)),
            ("a name of its own", None, json!({"scheme": "https", "tls": {"serverName": "a.example"}}), https("a.example")),
            ("a name for the Service's https", Some("https"), json!({"tls": {"serverName": "a.example"}}), https("a.example")),
        ];
        for (name, app_protocol, rest, want) in rows {
            assert_eq!(compiled(app_protocol, &rest), want, "{name}");
        }
    }

    #[test]
    fn who_thinks_of_tls_never_gets_a_connection_in_the_clear() {
        let rows = [
            ("no scheme", None, json!({"tls": {}}), "f.tls: goes with scheme https"),
            ("http", Some("https"), json!({"scheme": "http", "tls": {}}), "f.tls: goes with scheme https"),
            ("h2c", None, json!({"scheme": "h2c", "tls": {}}), "f.tls: goes with scheme https"),
            ("an address", None, json!({"scheme": "https", "tls": {"serverName": "10.0.0.1"}}), "f.tls.serverName: must be a DNS name"),
            ("a port", None, json!({"scheme": "https", "tls": {"serverName": "a:1"}}), "f.tls.serverName: must be a DNS name"),
            ("a dot behind", None, json!({"scheme": "https", "tls": {"serverName": "a."}}), "f.tls.serverName: must be a DNS name"),
            ("nothing", None, json!({"scheme": "https", "tls": {"serverName": ""}}), "f.tls.serverName: must be a DNS name"),
            ("no certificate", None, json!({"scheme": "https", "tls": {"caBundle": "x"}}), "f.tls.caBundle: must hold PEM"),
        ];
        for (name, app_protocol, rest, want) in rows {
            let problem = compiled(app_protocol, &rest).unwrap_err();
            assert!(problem.starts_with(want), "{name}: {problem}");
        }
    }
}
