//! `spec.cors`: which other sites' scripts may use the API.

use super::{Duration, schema};
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Which other sites' scripts may use the API from a browser.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.allowCredentials) || !self.allowCredentials || (!('*' in self.allowOrigins) && (!has(self.allowMethods) || !('*' in self.allowMethods)) && (!has(self.allowHeaders) || !('*' in self.allowHeaders)) && (!has(self.exposeHeaders) || !('*' in self.exposeHeaders)))")
    .message("allowCredentials does not go with *, which browsers then take literally: name each origin, method and header").field_path(".allowCredentials"))]
pub struct Cors {
    /// The origins whose scripts may ask, 1 to 32, such as https://app.example.com: scheme and host in lower case, a port only
    /// where it is not the scheme's own, no path. Compared exactly. A * allows every origin, and stands alone.
    #[schemars(schema_with = "origins")]
    pub allow_origins: Vec<String>,

    /// The methods that a preflight is told, such as [GET, PUT]. Default: the one it asks for, where a rule serves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "methods")]
    pub allow_methods: Vec<String>,

    /// The request headers that a preflight is told, such as [Authorization, X-Trace]. Default: the token's header and
    /// Content-Type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "headers")]
    pub allow_headers: Vec<String>,

    /// The headers of an answer that scripts may read, beside the few that they always may, such as [X-Request-Id]. Default: no
    /// more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "headers")]
    pub expose_headers: Vec<String>,

    /// Whether browsers may send cookies along: for a token in a cookie. Not with *. Default: false.
    #[serde(default, skip_serializing_if = "super::token::is_false")]
    pub allow_credentials: bool,

    /// How long a browser may remember a preflight's answer (0s to 24h), such as 10m. Default: what the browser decides, mostly 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "max_age")]
    pub max_age: Option<Duration>,
}

fn origins(_: &mut SchemaGenerator) -> Schema {
    let host = r"([a-z0-9_-]+[.])*[a-z0-9_-]+|\\[[0-9a-f:.]+\\]";
    let rule = format!(
        "self == '*' || self.matches('^[a-z][a-z0-9+.-]*://({host})(:[1-9][0-9]{{0,4}})?$') && !self.matches('^(http://.*:80|https://.*:443)$')"
    );
    let message = "must be an origin as browsers send it, such as https://app.example.com or http://localhost:3000: scheme and host in \
                   lower case, no path and no / at the end, a port only where it is not the scheme's own; or * alone for every origin";
    let list = schema::list(32, &schema::text(256, &rule, message));
    schema::with_rule(list, "!('*' in self) || size(self) == 1", "* allows every origin already: leave the others out, or leave * out")
}

fn methods(_: &mut SchemaGenerator) -> Schema {
    let rule = "self == '*' || self.matches('^[A-Z][A-Z0-9_-]*$')";
    schema::list(32, &schema::text(32, rule, "must be a method in capitals, such as GET or POST"))
}

fn headers(_: &mut SchemaGenerator) -> Schema {
    let rule = "self == '*' || self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')";
    schema::list(32, &schema::text(256, rule, "must be a header name, such as X-Trace: letters, digits, - and _"))
}

fn max_age(_: &mut SchemaGenerator) -> Schema {
    schema::duration("0s", "24h")
}
