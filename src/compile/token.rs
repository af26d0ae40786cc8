//! From `spec.token` to where a rule looks for its token.

use super::{
    field,
    report::{Problem, Report},
};
use crate::{
    api::{self, Forward, Token},
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
    let cross_origin = match token.cross_origin {
        api::CrossOrigin::Allow => CrossOrigin::Allow,
        api::CrossOrigin::Refuse => CrossOrigin::Refuse,
    };
    Some(Credentials { header: header?, cookie: cookie?, strip: token.forward == Forward::Strip, cross_origin })
}

fn header(text: &str) -> Result<HeaderName, Problem> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|name| text.len() <= 64 && !is_taken(name.as_str()));
    let want = "must be a header that may carry a token, such as Authorization or X-Access-Token";
    name.ok_or_else(|| Problem::invalid("spec.token.header", format_args!("{want}, not {}", field::quote(text))))
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
            "spec.token.cookie",
            format_args!("must be the name of a cookie, such as access_token, not {}", field::quote(text)),
        )),
    }
}
