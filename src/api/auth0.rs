//! `spec.auth0`: whose tokens pass.

use super::{Duration, SecretKeyRef, schema};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Which issuer's tokens pass, meant for whom, signed how.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.domain) || (has(self.issuer) && (has(self.jwksUrl) || self.alg == 'HS256'))")
    .message("domain is required, such as TENANT.eu.auth0.com; or, for an issuer other than Auth0, both issuer and jwksUrl").field_path(".domain"))]
#[x_kube(validation = Rule::new("(self.alg == 'HS256') == has(self.secretRef)")
    .message("secretRef names the Secret with the key of HS256: it is required with alg HS256, and must be left out with any other").field_path(".secretRef"))]
#[x_kube(validation = Rule::new("self.alg != 'HS256' || !(has(self.jwksUrl) || has(self.jwksCacheDuration) || has(self.jwksMaxStaleness))")
    .message("the key of HS256 comes from secretRef and never from a key set: leave out jwksUrl, jwksCacheDuration and jwksMaxStaleness").field_path(".alg"))]
pub struct Auth0 {
    /// Domain of the Auth0 tenant, such as TENANT.eu.auth0.com: a DNS name with at least one dot, without scheme, port or path.
    /// Upper case is read as lower case. Tokens must then come from the issuer https://DOMAIN/ and keys are fetched from
    /// https://DOMAIN/.well-known/jwks.json, unless issuer or jwksUrl say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "domain")]
    pub domain: Option<String>,

    /// The `iss` that tokens must carry, character for character, such as https://login.example.com/ (an Auth0 custom domain;
    /// mind the slash). An https URL without user and fragment. Default: https://DOMAIN/.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "https_url")]
    pub issuer: Option<String>,

    /// Where the issuer publishes its keys, such as https://login.example.com/.well-known/jwks.json. An https URL without user
    /// and fragment. Default: https://DOMAIN/.well-known/jwks.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "https_url")]
    pub jwks_url: Option<String>,

    /// Identifiers of the API in Auth0, 1 to 16, such as https://api.example.com, character for character: the token's `aud`
    /// must hold one of them (see audienceMatch).
    #[schemars(schema_with = "audience")]
    pub audience: Vec<String>,

    /// Any: the token's `aud` must hold one of the audiences. All: it must hold each of them. Default: Any.
    #[serde(default)]
    pub audience_match: AudienceMatch,

    /// The signature algorithm, exactly this one: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA, or HS256 with
    /// secretRef. The token's own `alg` never chooses. Default: RS256.
    #[serde(default)]
    pub alg: Alg,

    /// How often the keys are fetched anew (1m to 24h, such as 15m). Endpoints that share an issuer fetch at the shortest of
    /// theirs. A token that names an unknown key causes a fetch at once, at most every 30 s. Default: 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "cache_duration")]
    pub jwks_cache_duration: Option<Duration>,

    /// How long the last good keys serve while fetching fails (1m to 168h, such as 24h); after that, 503. Default: 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "max_staleness")]
    pub jwks_max_staleness: Option<Duration>,

    /// PEM certificates of the authority that signs the issuer's certificate, at most 32 KiB, in place of the system's roots.
    /// For issuers with a private authority. Default: the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ca_bundle")]
    pub ca_bundle: Option<String>,

    /// The Secret with the key of alg HS256, such as {name: tenant, key: secret}: at least 32 bytes, exactly as they are (mind a
    /// newline at the end). Required with HS256, for which nothing is fetched; left out with every other alg. A new value is in
    /// use at once. Prefer RS256: whoever can verify with this key can sign with it too. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,

    /// Tolerance for clocks that differ, on the token's `exp`, `nbf` and `iat` (0s to 60s). Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "leeway")]
    pub leeway: Option<Duration>,

    /// Organizations of the tenant, 1 to 32, such as org_9ybsU1dN2dKfDkBi: the token's `org_id` must be one of them. Default: a
    /// token of any organization, or of none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "organizations")]
    pub organizations: Vec<String>,

    /// Whether a token's `typ` must say at+jwt (RFC 9068), as with the profile "RFC 9068" of an API in Auth0; ID tokens and
    /// whatever else the tenant signs are then refused by their type. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_at_jwt: bool,

    /// The longest life of a token, from its `iat` to its `exp` (1m to 8760h, such as 24h); one without `iat` is refused too.
    /// Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "token_lifetime")]
    pub max_token_lifetime: Option<Duration>,
}

/// How many of the audiences a token must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum AudienceMatch {
    #[default]
    Any,
    All,
}

/// A signature algorithm, spelled as in RFC 7518.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alg {
    #[default]
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
    HS256,
}

// === impl Alg ===

/// Not an `enum` in the schema: the server would list the values, but not say that RSA256 is spelled RS256.
impl JsonSchema for Alg {
    fn schema_name() -> Cow<'static, str> {
        "Alg".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let rule = "self in ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA', 'HS256']";
        let message = "must be RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA or HS256; for RSA256 write RS256";
        schema::text(16, rule, message)
    }
}

/// P63: nothing that names an address, this machine or the inside of the cluster. The last label begins with a letter, which no
/// spelling of an IPv4 address does.
fn domain(_: &mut SchemaGenerator) -> Schema {
    let label = "[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?";
    let last = "[A-Za-z]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?";
    let inside = "!self.lowerAscii().matches('[.](svc|local|internal|localhost)$')";
    let message = "must be the tenant's DNS name, such as TENANT.eu.auth0.com: no scheme, port, path, user, IP address or trailing dot, \
                   and not under .svc, .local, .internal or .localhost";
    schema::text(253, &format!("self.matches('^({label}[.])+{last}$') && {inside}"), message)
}

fn https_url(_: &mut SchemaGenerator) -> Schema {
    let port = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]";
    let host = "[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?";
    let rest = "[/?]([A-Za-z0-9!$&'()*+,./:;=?@_~-]|%[0-9A-Fa-f][0-9A-Fa-f])*";
    let rule = format!(r#"self.matches("^https://{host}(:({port}))?({rest})?$")"#);
    schema::text(512, &rule, "must be an https URL with a host name, without user and fragment, such as https://login.example.com/")
}

fn audience(_: &mut SchemaGenerator) -> Schema {
    schema::list(16, &schema::plain(512))
}

fn cache_duration(_: &mut SchemaGenerator) -> Schema {
    schema::duration("1m", "24h")
}

fn max_staleness(_: &mut SchemaGenerator) -> Schema {
    schema::duration("1m", "168h")
}

fn leeway(_: &mut SchemaGenerator) -> Schema {
    schema::duration("0s", "60s")
}

fn organizations(_: &mut SchemaGenerator) -> Schema {
    schema::list(32, &schema::plain(256))
}

fn token_lifetime(_: &mut SchemaGenerator) -> Schema {
    schema::duration("1m", "8760h")
}

/// What is at its default stays unsaid.
fn is_false(value: &bool) -> bool {
    !value
}
