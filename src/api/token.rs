//! `spec.token`: where the token is looked for, and who sees it.

use super::schema;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Where the token is looked for, and whether the backend sees it.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The header that carries the token. In Authorization it follows the word Bearer (in any case). Another header, such as
    /// X-Access-Token, holds the bare token or `Bearer TOKEN`, and the client's Authorization is then removed. Default:
    /// Authorization.
    #[serde(default = "default_header")]
    #[schemars(schema_with = "header")]
    pub header: String,

    /// A cookie that carries the token when no such header is sent, such as access_token. See crossOrigin. Default: no cookie is
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "cookie")]
    pub cookie: Option<String>,

    /// Keep: the backend gets the verified token too. Strip: it is removed. Every other place named here is removed either way.
    /// Default: Keep.
    #[serde(default)]
    pub forward: Forward,

    /// What becomes of a token from the cookie when another site may have caused the request (a method other than GET, HEAD and
    /// OPTIONS, or an upgrade). Refuse: 403 unless Sec-Fetch-Site or Origin show that it comes from this host. Allow: it passes.
    /// Default: Refuse.
    #[serde(default)]
    pub cross_origin: CrossOrigin,
}

/// Whether the backend gets the verified token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum Forward {
    #[default]
    Keep,
    Strip,
}

/// What becomes of a cookie's token on a request that another site may have caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum CrossOrigin {
    Allow,
    #[default]
    Refuse,
}

// === impl Token ===

impl Default for Token {
    fn default() -> Self {
        Self { header: default_header(), cookie: None, forward: Forward::default(), cross_origin: CrossOrigin::default() }
    }
}

fn default_header() -> String {
    "Authorization".to_owned()
}

fn header(_: &mut SchemaGenerator) -> Schema {
    let taken = "connection|content-.*|cookie|expect|forwarded|host|keep-alive|origin|proxy-.*|sec-.*|te|trailer|transfer-encoding|upgrade|via|x-forwarded-.*|x-request-id";
    let rule = format!("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$') && !self.lowerAscii().matches('^({taken})$')");
    schema::text(
        64,
        &rule,
        "must be the name of a header that may carry a token, such as Authorization or X-Access-Token: letters, digits, - and _, and none \
         that HTTP or the gateway uses itself; for a cookie, use token.cookie",
    )
}

fn cookie(_: &mut SchemaGenerator) -> Schema {
    let rule = r#"self.matches("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")"#;
    schema::text(128, rule, "must be the name of a cookie, such as access_token, without =, ;, comma, quote or space")
}
