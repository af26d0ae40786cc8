//! The checked-in demo manifests, with what only a running demo knows: its certificate authority and its ports.

use super::Error;
use serde_json::{Value, json};

const FILES: [(&str, &str); 2] = [
    ("orders", include_str!("../../../manifests/demo/orders.yaml")),
    ("walk-through", include_str!("../../../manifests/demo/walk-through.yaml")),
];
/// As the manifests have them.
const GATEWAY_PORT: u16 = 8080;
const ECHO_PORT: u16 = 8081;

/// File names and contents.
pub(super) fn render(ca: &str, gateway: u16, echo: u16) -> Result<Vec<(String, String)>, Error> {
    FILES.iter().map(|(name, text)| Ok((format!("{name}.json"), fill(text, ca, gateway, echo)?))).collect()
}

fn fill(text: &str, ca: &str, gateway: u16, echo: u16) -> Result<String, Error> {
    let mut items: Vec<Value> = serde_yaml::from_multiple(text).map_err(|error| Error::Other(error.to_string()))?;
    for item in &mut items {
        if let Some(auth0) = item.pointer_mut("/spec/auth0") {
            auth0["caBundle"] = json!(ca);
        }
        match item.pointer_mut("/ports/0/port") {
            Some(port) if *port == json!(GATEWAY_PORT) => *port = json!(gateway),
            Some(port) if *port == json!(ECHO_PORT) => *port = json!(echo),
            _ => {}
        }
    }
    Ok(format!("{:#}\n", json!({ "apiVersion": "v1", "kind": "List", "items": items })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_get_what_only_a_running_demo_knows() {
        let files = render("-----BEGIN CERTIFICATE-----", 18080, 18081).unwrap();
        let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(all.matches("-----BEGIN CERTIFICATE-----").count(), 2);
        assert!(all.contains("18080") && all.contains("18081"), "{all}");
        assert!(!all.contains(": 8080") && !all.contains(": 8081"), "{all}");
    }
}
