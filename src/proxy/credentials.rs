//! Which token a request brings (RFC 6750 §2), and which of its credentials the backend may see.

use super::{Rejection, cors, query};
use crate::{
    jwt::TokenError,
    routing::{Cors, Credentials, CrossOrigin, folded},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, COOKIE, ORIGIN, UPGRADE},
    request::Parts,
};

/// A token, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) token: String,
    pub(super) place: Place,
}

/// Where a token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Cookie,
    Header,
    Query,
}

/// Finds the one token. A Bearer header, or the query, wins over the cookie, which browsers send always.
///
/// # Errors
/// 401 when there is none, or the header holds another scheme; 400 when there are two, or `Bearer` without exactly one token
/// (J85-J95).
pub(super) fn find(places: &Credentials, headers: &HeaderMap, query: Option<&str>) -> Result<Presented, Rejection> {
    let cookie = places.cookie.as_deref().map(|name| find_cookie(name, headers)).transpose()?.flatten();
    let parameter = places.query.as_deref().map(|name| query::find(name, query)).transpose()?.flatten();
    match (find_header(&places.header, headers)?, parameter) {
        (Some(_), Some(_)) => Err(Rejection::InvalidRequest("two_credentials")),
        (Some(token), None) => Ok(Presented { token, place: Place::Header }),
        (None, Some(token)) => Ok(Presented { token, place: Place::Query }),
        (None, None) => cookie.map(|token| Presented { token, place: Place::Cookie }).ok_or(Rejection::MissingToken),
    }
}

/// Another site may make a browser send our cookie, but not read our answers: such a request must not change anything.
///
/// # Errors
/// 403 when the request is not plainly the user's own or this host's.
pub(super) fn check_origin(
    places: &Credentials,
    place: Place,
    parts: &Parts,
    authority: &str,
    cors: Option<&Cors>,
) -> Result<(), Rejection> {
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) && !parts.headers.contains_key(UPGRADE);
    if place != Place::Cookie || places.cross_origin == CrossOrigin::Allow || safe {
        return Ok(());
    }
    let own = match parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(site) => matches!(site, b"same-origin" | b"none"),
        None => is_own_origin(&parts.headers, authority) || is_named_origin(&parts.headers, cors),
    };
    own.then_some(()).ok_or(Rejection::CrossOrigin)
}

/// Removes what the backend must not see: every configured place that was not verified, and with Strip the verified one too.
/// With a header of its own, the client's Authorization goes as well, unless it is to be kept.
pub(super) fn remove(places: &Credentials, verified: Option<Place>, headers: &mut HeaderMap) {
    let keep = |place| verified == Some(place) && !places.strip;
    if !keep(Place::Header) {
        headers.remove(&places.header);
    }
    remove_look_alikes(&places.header, headers);
    if places.header != AUTHORIZATION && !places.keep_authorization {
        headers.remove(AUTHORIZATION);
    }
    if let Some(name) = places.cookie.as_deref().filter(|_| !keep(Place::Cookie)) {
        remove_cookie(name, headers);
    }
}

/// `X_Token` is `X-Token` to a CGI-like backend, which would then read another token than the one that was verified (J86, J106).
fn remove_look_alikes(name: &HeaderName, headers: &mut HeaderMap) {
    let own = folded(name);
    let alike: Vec<_> = headers.keys().filter(|other| *other != name && folded(other) == own).cloned().collect();
    alike.into_iter().for_each(|other| drop(headers.remove(other)));
}

/// The query as the backend gets it: a token in it is never passed on, verified or not, as queries end up in logs (RFC 6750 §5.3).
pub(super) fn remove_from_query(places: &Credentials, query: Option<&str>) -> Option<String> {
    match &places.query {
        Some(name) => query::without(name, query?),
        None => query.map(str::to_owned),
    }
}

/// Passes the verified token on in the header that is set aside for it.
///
/// # Errors
/// None in practice: what was verified is printable.
pub(super) fn pass_on(places: &Credentials, token: &str, headers: &mut HeaderMap) -> Result<(), Rejection> {
    if let Some(name) = &places.forward_as {
        let mut value = HeaderValue::from_str(token).map_err(|_| Rejection::InvalidToken(TokenError::Malformed))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(())
}

/// On a Public rule no credential is read: Strip strips, Keep keeps.
pub(super) fn remove_on_public(places: &Credentials, headers: &mut HeaderMap) {
    if places.strip {
        remove(places, None, headers);
    }
}

fn find_header(name: &HeaderName, headers: &HeaderMap) -> Result<Option<String>, Rejection> {
    let mut lines = headers.get_all(name).iter();
    let (Some(line), second) = (lines.next(), lines.next()) else { return Ok(None) };
    if second.is_some() {
        return Err(Rejection::InvalidRequest("doubled_header"));
    }
    // No token holds a byte beyond ASCII (J64).
    let value = line.to_str().map_err(|_| Rejection::InvalidToken(TokenError::Malformed))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => one_token(token.trim_start_matches(' ')).map(Some),
        _ if value.eq_ignore_ascii_case("bearer") => Err(Rejection::InvalidRequest("empty_bearer")),
        _ if lists_bearer(value) => Err(Rejection::InvalidRequest("two_credentials")),
        _ if *name == AUTHORIZATION => Ok(None),
        _ => one_token(value).map(Some),
    }
}

fn one_token(token: &str) -> Result<String, Rejection> {
    match token.is_empty() || token.contains([' ', '\t', ',']) {
        true => Err(Rejection::InvalidRequest("not_one_token")),
        false => Ok(token.to_owned()),
    }
}

/// `Basic x, Bearer y` (J87).
fn lists_bearer(value: &str) -> bool {
    let bearer = |part: &str| part.trim_start().get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "));
    value.split(',').skip(1).any(bearer)
}

fn find_cookie(name: &str, headers: &HeaderMap) -> Result<Option<String>, Rejection> {
    let mut found = headers.get_all(COOKIE).iter().flat_map(cookies).filter(|pair| is_named(pair, name));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Rejection::InvalidRequest("doubled_cookie")),
        (Some(pair), None) => {
            let value = pair.get(pair.iter().position(|b| *b == b'=').map_or(pair.len(), |i| i + 1)..).unwrap_or_default();
            let token = std::str::from_utf8(value).map_err(|_| Rejection::InvalidToken(TokenError::Malformed))?;
            Ok(Some(token.trim_matches([' ', '\t']).to_owned()).filter(|token| !token.is_empty()))
        }
    }
}

/// Removes one cookie and leaves the others as they are, byte for byte.
fn remove_cookie(name: &str, headers: &mut HeaderMap) {
    if !headers.get_all(COOKIE).iter().flat_map(cookies).any(|pair| is_named(pair, name)) {
        return;
    }
    let kept: Vec<_> = headers.get_all(COOKIE).iter().filter_map(|line| without(line, name)).collect();
    headers.remove(COOKIE);
    for line in kept {
        headers.append(COOKIE, line);
    }
}

fn without(line: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let kept: Vec<_> = line.as_bytes().split(|b| *b == b';').filter(|pair| !is_named(pair, name)).collect();
    let joined = kept.join(&b';');
    HeaderValue::from_bytes(joined.trim_ascii()).ok().filter(|line| !line.is_empty())
}

fn cookies(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|b| *b == b';')
}

fn is_named(pair: &[u8], name: &str) -> bool {
    pair.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii() == name.as_bytes()
}

/// Origin is one that the rule trusts by name.
fn is_named_origin(headers: &HeaderMap, cors: Option<&Cors>) -> bool {
    let origin = cors::origin(headers);
    cors.zip(origin).is_some_and(|(cors, origin)| cors.origins.name(&origin))
}

/// Origin names this host: the same authority, whatever the scheme.
fn is_own_origin(headers: &HeaderMap, authority: &str) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next().and_then(|origin| origin.to_str().ok()), origins.next()) {
        (Some(origin), None) => origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(authority)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
