//! From `spec.token` to where a rule looks for its token.

use super::{
    field, headers,
    report::{Problem, Report},
};
use crate::{
    api::{self, Forward, StreamsAtExpiry, Token},
    routing::{Credentials, CrossOrigin},
};
use http::HeaderName;
use std::sync::Arc;

/// Headers that frame the message, are the gateway's own, or say where a request comes from: none carries a token.
const TAKEN: [&str; 15] = [
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
    "set-cookie",
    "www-authenticate",
];
const TAKEN_PREFIXES: [&str; 4] = ["content-", "proxy-", "sec-", "x-forwarded-"];

pub(super) fn compile(token: &Token, report: &mut Report) -> Option<Credentials> {
    let header = report.keep(header(&token.header));
    let cookie = report.keep(cookie(token.cookie.as_deref()));
    let query = report.keep(query(token.query.as_deref()));
    let forward_as = report.keep(forward_as(token));
    let keep_authorization = report.keep(keep_authorization(token));
    let cross_origin = match token.cross_origin {
        api::CrossOrigin::Allow => CrossOrigin::Allow,
        api::CrossOrigin::Refuse => CrossOrigin::Refuse,
    };
    Some(Credentials {
        header: header?,
        cookie: cookie?,
        query: query?,
        strip: token.forward == Forward::Strip,
        forward_as: forward_as?,
        keep_authorization: keep_authorization?,
        end_with_token: token.streams_at_expiry == StreamsAtExpiry::Close,
        cross_origin,
    })
}

fn header(text: &str) -> Result<HeaderName, Problem> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|name| text.len() <= 64 && !is_taken(name.as_str()));
    let want = "must be a header that may carry a token, such as Authorization or X-Access-Token";
    name.ok_or_else(|| Problem::invalid(&"spec.token.header", format_args!("{want}, not {}", field::quote(text))))
}

fn is_taken(name: &str) -> bool {
    let folded = name.replace('_', "-");
    TAKEN.contains(&folded.as_str()) || TAKEN_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

/// A cookie's name is a token (RFC 6265 §4.1.1).
fn cookie(text: Option<&str>) -> Result<Option<Arc<str>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(Some(text.into())),
        false => Err(Problem::invalid(
            &"spec.token.cookie",
            format_args!("must be the name of a cookie, such as access_token, not {}", field::quote(text)),
        )),
    }
}

/// Unreserved characters, which need no escape in a query (RFC 3986 §2.3).
fn query(text: Option<&str>) -> Result<Option<Arc<str>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    match (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(Some(text.into())),
        false => Err(Problem::invalid(
            &"spec.token.query",
            format_args!("must be the name of a query parameter, such as access_token, not {}", field::quote(text)),
        )),
    }
}

fn forward_as(token: &Token) -> Result<Option<HeaderName>, Problem> {
    let Some(text) = token.forward_as.as_deref() else { return Ok(None) };
    let header = headers::target(text).ok_or_else(|| headers::no_target(&"spec.token.forwardAs", text))?;
    match header.as_str().eq_ignore_ascii_case(&token.header) {
        true => {
            Err(Problem::invalid(&"spec.token.forwardAs", "must be another header than spec.token.header; forward: Keep passes that on"))
        }
        false => Ok(Some(header)),
    }
}

fn keep_authorization(token: &Token) -> Result<bool, Problem> {
    let what = "is for a token in a header other than Authorization: set spec.token.header, or use forward: Keep";
    match token.keep_authorization && token.header.eq_ignore_ascii_case("authorization") {
        true => Err(Problem::invalid(&"spec.token.keepAuthorization", what)),
        false => Ok(token.keep_authorization),
    }
}
