//! Numbers of bytes, as Kubernetes writes quantities: `10Mi`, `500k`, `1048576`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A number of bytes as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a number of bytes, such as 10Mi, 500k or 1048576")]
pub enum Quantity {
    Number(u64),
    Text(String),
}

/// Why a text is no number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of bytes, at least 1: up to 12 digits, with k, M, G, T, Ki, Mi, Gi or Ti behind or not, such as 10Mi")]
pub struct QuantityError(());

/// A number without a unit is no larger: a petabyte.
const MOST: u64 = 1_000_000_000_000_000;

const UNITS: [(&str, u64); 9] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("", 1),
];

// === impl Quantity ===

impl Quantity {
    /// # Errors
    /// It is 0, or does not have the form above.
    pub fn bytes(&self) -> Result<u64, QuantityError> {
        let bytes = match self {
            Self::Number(bytes) => Some(*bytes).filter(|bytes| *bytes <= MOST).ok_or(QuantityError(()))?,
            Self::Text(text) => parse(text).ok_or(QuantityError(()))?,
        };
        Some(bytes).filter(|bytes| *bytes > 0).ok_or(QuantityError(()))
    }
}

/// More than there are bytes is as good as none.
fn parse(text: &str) -> Option<u64> {
    let (digits, size) = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))?;
    let sound = (1..=12).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| sound)?;
    Some(number.saturating_mul(size))
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `type(self)` would say it shorter, but kube's CEL, which `check` uses, does not know it.
        let text = "string(self).matches('^0*[1-9][0-9]*([kMGT]|[KMGT]i)?$') && string(self).matches('^[0-9]{1,12}[A-Za-z]*$')";
        json_schema!({
            "x-kubernetes-int-or-string": true, "maxLength": 15,
            "x-kubernetes-validations": [{
                "rule": format!("self == string(self) ? {text} : self >= 1 && self <= {MOST}"),
                "message": "must be a number of bytes, at least 1, such as 10Mi, 500k or 1048576 (k, M, G, T, Ki, Mi, Gi or Ti)",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_kubernetes_writes_them() {
        for (text, bytes) in [("1", 1), ("500k", 500_000), ("10Mi", 10 << 20), ("2G", 2_000_000_000), ("1Ti", 1 << 40), ("007Ki", 7 << 10)]
        {
            assert_eq!(Quantity::Text(text.to_owned()).bytes(), Ok(bytes), "{text}");
        }
        assert_eq!(Quantity::Number(5).bytes(), Ok(5));
        assert_eq!(Quantity::Text("999999999999Ti".to_owned()).bytes(), Ok(u64::MAX));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "0", "0Mi", "Mi", "-1", "+1", "1.5Mi", "1 Mi", "1m", "1Ei", "1mi", "1KI", "1kB", "1e3", "1000000000000000", "١"] {
            assert!(Quantity::Text(text.to_owned()).bytes().is_err(), "{text}");
        }
        assert!(Quantity::Number(0).bytes().is_err());
        assert!(Quantity::Number(MOST + 1).bytes().is_err());
    }
}
