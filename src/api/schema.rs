//! The pieces that field schemas are made of: bounded text, and CEL rules whose messages say what would be right.
//!
//! A CEL rule answers in our words, where a `pattern` or `enum` would only be quoted back. Every text has a maximum length: it
//! is what the API server multiplies a rule's cost with.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Text of 1 to `max` characters that holds `rule`; otherwise the server answers `message`.
pub(super) fn text(max: u32, rule: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": max,
        "x-kubernetes-validations": [{"rule": rule, "message": message}],
    })
}

/// `schema`, which has a rule already, with one more.
pub(super) fn and(mut schema: Schema, rule: &str, message: &str) -> Schema {
    if let Some(Value::Array(rules)) = schema.get_mut("x-kubernetes-validations") {
        rules.push(json!({"rule": rule, "message": message}));
    }
    schema
}

/// Any text of 1 to `max` characters.
pub(super) fn plain(max: u32) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": max})
}

/// 1 to `max` of `items`. An empty list is refused: one that a template left empty must not widen what it was to narrow.
pub(super) fn list(max: u32, items: &Schema) -> Schema {
    json_schema!({"type": "array", "minItems": 1, "maxItems": max, "items": items})
}

/// `schema`, which has no rule yet, with one.
pub(super) fn with_rule(mut schema: Schema, rule: &str, message: &str) -> Schema {
    schema.insert("x-kubernetes-validations".to_owned(), json!([{"rule": rule, "message": message}]));
    schema
}

/// A duration from `least` to `most`.
pub(super) fn duration(least: &str, most: &str) -> Schema {
    let shape = "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')";
    let rule = format!("{shape} && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')");
    text(32, &rule, &format!("must be a duration from {least} to {most}, written like 500ms, 30s or 1m30s"))
}

/// A name in lower case, as Kubernetes and DNS want it: RFC 1123 label.
pub(super) fn label(_: &mut SchemaGenerator) -> Schema {
    let rule = "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')";
    text(63, rule, "must be a DNS label: lower-case letters, digits and -, beginning and ending with a letter or digit")
}

/// Certificates of authorities, inline: they are public.
pub(super) fn ca_bundle(_: &mut SchemaGenerator) -> Schema {
    let rule = "self.contains('-----BEGIN CERTIFICATE-----') && !self.contains('PRIVATE KEY-----')";
    text(32 * 1024, rule, "must hold PEM certificates (-----BEGIN CERTIFICATE-----) and no private key")
}

/// An absolute path in the one form that routing compares: no escape of what needs none, none of a slash, a control, or what
/// is not UTF-8.
pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    let ascii = "%(2[0235]|3[CcEeFf]|5[BbDdEe]|60|7[BbCcDd])";
    let next = "%[89AaBb][0-9A-Fa-f]";
    let two = "%([Cc][2-9A-Fa-f]|[Dd][0-9A-Fa-f])";
    let three = format!("(%[Ee]0%[AaBb][0-9A-Fa-f]|%[Ee][Dd]%[89][0-9A-Fa-f]|%[Ee][1-9A-Ca-cEeFf]{next})");
    let four = format!("(%[Ff]0%[9AaBb][0-9A-Fa-f]|%[Ff][1-3]{next}|%[Ff]4%8[0-9A-Fa-f]){next}");
    let escapes = format!("{ascii}|({two}|{three}|{four}){next}");
    let rule = format!(r#"self.matches("^/([!$&-)+-:=@A-Z_a-z~]|{escapes})*$") && !(self + '/').matches('//.|/[.][.]?/')"#);
    text(
        1024,
        &rule,
        "must be an absolute, canonical path such as /api/v1: begins with /, no * (a Prefix holds everything below it), no //, /./, /../, \
         %2f, %5c, ;, ? or #, and percent-encoded (as UTF-8) where, and only where, a character cannot stand for itself",
    )
}
