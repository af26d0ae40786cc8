//! `spec.token`: where the token is looked for, and who sees it.

use super::{require, schema};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Where the token is looked for, and whether the backend sees it.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.keepAuthorization) || !self.keepAuthorization || self.header.lowerAscii() != 'authorization'")
    .message("keepAuthorization is for a token in a header other than Authorization: set token.header, or, to pass the token on, forward: Keep").field_path(".keepAuthorization"))]
#[x_kube(validation = Rule::new("!has(self.forwardAs) || self.forwardAs.lowerAscii() != self.header.lowerAscii()")
    .message("forwardAs must be another header than token.header; to pass the token on where it came, use forward: Keep").field_path(".forwardAs"))]
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

    /// A parameter of the query that carries the token, such as access_token, for clients that can set no header. It is never
    /// passed on: queries end up in logs (RFC 6750 §5.3). A token in the header too is refused with 400. Default: no
    /// parameter is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "query")]
    pub query: Option<String>,

    /// Keep: the backend gets the verified token too, where it came from. Strip: it is removed. Every other place named here is
    /// removed either way. Default: Keep.
    #[serde(default)]
    pub forward: Forward,

    /// A header that passes the verified token on, bare, wherever it came from: for backends that expect it elsewhere, or whose
    /// Authorization is the gateway's own. Clients cannot set it, as with claimHeaders. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "require::header")]
    pub forward_as: Option<String>,

    /// Whether the client's own Authorization is passed on when the token comes in another header. Default: false, it is
    /// removed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_authorization: bool,

    /// What becomes of a token from the cookie when another site may have caused the request (a method other than GET, HEAD and
    /// OPTIONS, or an upgrade). Refuse: 403 unless Sec-Fetch-Site or, without it, Origin show that it comes from this host; an
    /// Origin in cors.allowOrigins will do. Allow: it passes.
    /// Default: Refuse.
    #[serde(default)]
    pub cross_origin: CrossOrigin,

    /// What becomes of an answer that is still under way when its token expires, such as server-sent events or a WebSocket. Close:
    /// it is cut off then (see auth0.leeway); a WebSocket is closed with 1008 where a frame has just ended. Keep: it may go on, a
    /// WebSocket until its rule no longer lets it in. Default: Close.
    #[serde(default)]
    pub streams_at_expiry: StreamsAtExpiry,
}

/// What becomes of an answer that is still under way when its token expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum StreamsAtExpiry {
    #[default]
    Close,
    Keep,
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
        Self {
            header: default_header(),
            cookie: None,
            query: None,
            forward: Forward::default(),
            forward_as: None,
            keep_authorization: false,
            cross_origin: CrossOrigin::default(),
            streams_at_expiry: StreamsAtExpiry::default(),
        }
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

fn query(_: &mut SchemaGenerator) -> Schema {
    let rule = "self.matches('^[A-Za-z0-9._~-]+$')";
    schema::text(128, rule, "must be the name of a query parameter, such as access_token: letters, digits, . _ ~ and -")
}

/// What is at its default stays unsaid.
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

fn cookie(_: &mut SchemaGenerator) -> Schema {
    let rule = r#"self.matches("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")"#;
    schema::text(128, rule, "must be the name of a cookie, such as access_token, without =, ;, comma, quote or space")
}
