//! `require` and `claimHeaders`: what claims must hold, and which the backend is told.

use super::schema;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// What a valid token must hold besides: every line of it. A claim is named by one literal key or by a path; nothing is ever
/// split on dots.
#[derive(Clone, Debug, Default, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.scopes), has(self.permissions), has(self.roles), has(self.rolesClaim), has(self.rolesClaimPath), has(self.claims)].exists(x, x)")
    .message("require must ask for something: name scopes, permissions, roles or claims"))]
#[x_kube(validation = Rule::new("!has(self.roles) || has(self.rolesClaim) != has(self.rolesClaimPath)")
    .message("roles needs exactly one of rolesClaim, such as https://my.app/roles (the claim your Auth0 Action sets), or rolesClaimPath").field_path(".roles"))]
#[x_kube(validation = Rule::new("has(self.roles) || !(has(self.rolesClaim) || has(self.rolesClaimPath))")
    .message("rolesClaim and rolesClaimPath ask for nothing without roles: list the roles, one of which is needed").field_path(".roles"))]
pub struct Require {
    /// Scopes, 1 to 64, such as read:messages, looked for in the claim `scope`. See scopesMatch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "scopes")]
    pub scopes: Vec<String>,

    /// All: each of the scopes is needed. Any: one of them. Default: All.
    #[serde(default)]
    pub scopes_match: ScopesMatch,

    /// Permissions of Auth0's role-based access control, 1 to 64, such as read:messages: each is needed in the claim
    /// `permissions`, which must be an array (turn on "Add Permissions in the Access Token" for the API).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "words")]
    pub permissions: Vec<String>,

    /// Roles, 1 to 64, such as admin: one of them is needed in the claim that rolesClaim or rolesClaimPath names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "words")]
    pub roles: Vec<String>,

    /// The claim that holds the roles, one literal key such as https://my.app/roles: an array, or a string of words. There is no
    /// default: Auth0 puts roles where your Action says. Exactly one of rolesClaim and rolesClaimPath goes with roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "claim")]
    pub roles_claim: Option<String>,

    /// The claim that holds the roles, as a path of 1 to 8 keys such as [realm_access, roles].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "claim_path")]
    pub roles_claim_path: Option<Vec<String>>,

    /// Other claims, 1 to 16; each is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub claims: Vec<ClaimValues>,
}

/// How many of the scopes a token must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum ScopesMatch {
    #[default]
    All,
    Any,
}

/// One claim and the values that will do.
#[derive(Clone, Debug, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.claim) != has(self.claimPath)")
    .message("exactly one of claim (one literal key) or claimPath (a list of keys) is required").field_path(".claim"))]
pub struct ClaimValues {
    /// The claim, one literal key such as https://my.app/tenant; dots do not split it. Exactly one of claim and claimPath.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "claim")]
    pub claim: Option<String>,

    /// The claim as a path of 1 to 8 keys, such as [address, country].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "claim_path")]
    pub claim_path: Option<Vec<String>>,

    /// The values that will do, 1 to 64. A string must equal one of them whole, an array must hold one; true, false and integers
    /// compare as JSON writes them. Nothing else matches.
    #[schemars(schema_with = "words")]
    pub values: Vec<String>,
}

/// One claim that the backend gets as a header.
#[derive(Clone, Debug, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.claim) != has(self.claimPath)")
    .message("exactly one of claim (one literal key) or claimPath (a list of keys) is required").field_path(".claim"))]
pub struct ClaimHeader {
    /// The header, such as X-User: at most 48 letters, digits and -, and none that HTTP or the gateway uses itself (Host, Content-Length,
    /// Authorization, Cookie, Connection and the like).
    #[schemars(schema_with = "header")]
    pub header: String,

    /// The claim, one literal key such as sub or https://my.app/tenant; dots do not split it. Exactly one of claim and claimPath.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "claim")]
    pub claim: Option<String>,

    /// The claim as a path of 1 to 8 keys, such as [address, country].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "claim_path")]
    pub claim_path: Option<Vec<String>>,

    /// Join: an array becomes one header, its values separated by commas. Repeat: one header a value. Default: Join.
    #[serde(default)]
    pub arrays: Arrays,
}

/// How an array becomes a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum Arrays {
    #[default]
    Join,
    Repeat,
}

/// Headers that no claim may be written to (J109), in lower case: they frame the message, carry credentials, or are the
/// gateway's own.
pub const FORBIDDEN_CLAIM_HEADERS: [&str; 27] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

pub(super) fn header(_: &mut SchemaGenerator) -> Schema {
    let forbidden = FORBIDDEN_CLAIM_HEADERS.join("', '");
    let rule = format!("self.matches('^[A-Za-z0-9][A-Za-z0-9-]*$') && !(self.lowerAscii() in ['{forbidden}'])");
    let message = "must be a header name of letters, digits and -, such as X-User, and none that HTTP or the gateway uses itself (Host, \
                   Content-Length, Authorization, Cookie, Connection, X-Forwarded-For and the like)";
    schema::text(48, &rule, message)
}

/// 0 to 32 of them, each header once whatever its case.
pub(super) fn claim_headers(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Vec<ClaimHeader>>();
    let rule = "self.all(a, self.exists_one(b, b.header.lowerAscii() == a.header.lowerAscii()))";
    schema.insert("maxItems".to_owned(), 32.into());
    schema.insert("x-kubernetes-list-type".to_owned(), "map".into());
    schema.insert("x-kubernetes-list-map-keys".to_owned(), ["header"].as_slice().into());
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        serde_json::json!([{"rule": rule, "message": "each header once, whatever its case"}]),
    );
    schema
}

fn claim(_: &mut SchemaGenerator) -> Schema {
    schema::plain(256)
}

fn claim_path(_: &mut SchemaGenerator) -> Schema {
    schema::list(8, &schema::plain(256))
}

fn words(_: &mut SchemaGenerator) -> Schema {
    schema::list(64, &schema::plain(256))
}

fn scopes(_: &mut SchemaGenerator) -> Schema {
    let message = "must be one scope, such as read:messages: no spaces, one item each";
    schema::list(64, &schema::text(256, r#"self.matches('^[!#-\\[\\]-~]+$')"#, message))
}
