//! What the gateway says to browsers on behalf of a rule with `cors`: preflights are answered here, before any token is asked
//! for, and every answer carries what this rule allows instead of what the backend may have said (J97).

use super::body::AnswerBody;
use crate::routing::{Cors, Origins};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
    request::Parts,
};

/// What a preflight's answer depends on.
const PREFLIGHT_VARY: HeaderValue = HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// The one origin that a request names.
pub(super) fn origin(headers: &HeaderMap) -> Option<HeaderValue> {
    only(headers, &ORIGIN).cloned()
}

/// The method that a preflight asks for; `None`: this is no preflight.
pub(super) fn asked_method(parts: &Parts) -> Option<Method> {
    let preflight = parts.method == Method::OPTIONS && only(&parts.headers, &ORIGIN).is_some();
    let method = only(&parts.headers, &ACCESS_CONTROL_REQUEST_METHOD).filter(|_| preflight)?;
    Method::from_bytes(method.as_bytes()).ok()
}

/// The answer to a preflight for `method`; which origin may read it is said by [`grant`].
pub(super) fn preflight(cors: &Cors, origin: Option<&HeaderValue>, method: &Method) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(VARY, PREFLIGHT_VARY);
    if origin.is_some_and(|origin| cors.origins.allow(origin)) {
        let asked = || HeaderValue::from_str(method.as_str()).ok();
        set(headers, &ACCESS_CONTROL_ALLOW_METHODS, cors.methods.clone().or_else(asked));
        set(headers, &ACCESS_CONTROL_ALLOW_HEADERS, Some(cors.headers.clone()));
        set(headers, &ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
    }
    response
}

/// Removes what a backend said to browsers: the rule speaks for it.
pub(super) fn silence(headers: &mut HeaderMap) {
    let said = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let said: Vec<_> = headers.keys().filter(said).cloned().collect();
    said.into_iter().for_each(|name| drop(headers.remove(name)));
}

/// Says on any answer what `origin` may do with it.
pub(super) fn grant(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let Some(origin) = origin.filter(|origin| cors.origins.allow(origin)) {
        let named = if cors.origins == Origins::Any { HeaderValue::from_static("*") } else { origin.clone() };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, named);
        set(headers, &ACCESS_CONTROL_ALLOW_CREDENTIALS, cors.credentials.then_some(HeaderValue::from_static("true")));
        set(headers, &ACCESS_CONTROL_EXPOSE_HEADERS, cors.exposed.clone());
    }
    if !varies_by_origin(headers) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(VARY).iter().filter_map(|line| line.to_str().ok());
    lines.any(|line| line.split(',').any(|name| name.trim() == "*" || name.trim().eq_ignore_ascii_case("origin")))
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    value.into_iter().for_each(|value| drop(headers.insert(name, value)));
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}
