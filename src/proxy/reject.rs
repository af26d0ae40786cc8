//! The one place that turns a failure into an answer. Each failure knows its status, its bounded reason and whose fault it is.

use super::{body::AnswerBody, grpc, websocket};
use crate::{authz::Denied, jwt::TokenError, routing::Refusal};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Cannot be read in one way only; the reason says which part.
    BadRequest(&'static str),
    /// The rule takes no body of this length.
    BodyTooLarge,
    /// A claim that the backend is to be told does not fit into a header.
    ClaimTooLong,
    CrossOrigin,
    Denied(Denied),
    ExpectationFailed,
    /// Too many header lines, or too long ones. The server library answers this itself.
    HeadTooLarge,
    /// Two credentials, or `Bearer` without exactly one token; the reason says which.
    InvalidRequest(&'static str),
    InvalidToken(TokenError),
    /// The issuer's keys were never fetched or are too old.
    KeysUnavailable,
    /// This installation has seen the request twice already.
    Loop,
    /// Holds the value of `Allow`.
    MethodNotAllowed(HeaderValue),
    /// For a host that has another certificate than this connection was made with (P41).
    Misdirected,
    MissingToken,
    NoEndpoint,
    NoRoute,
    /// No table was compiled yet.
    NotReady,
    /// More requests at once than this process can carry.
    Overloaded,
    /// The rule is broken and refuses in place.
    Refused(Refusal),
    /// The backend refused or broke the connection before it answered; the reason says which.
    Upstream(&'static str),
    /// As many connections to backends are in use as may be.
    UpstreamLimit,
    UpstreamTimeout,
    UriTooLong,
    /// A WebSocket of another version than 13.
    WebSocketVersion,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Client,
    Gateway,
    Upstream,
}

/// What an error answer may mention.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// What it accepts, and a content type when it is a gRPC call.
    pub(super) request: &'a HeaderMap,
    /// The protection space: the host asked for, when it could be read.
    pub(super) realm: &'a str,
    pub(super) request_id: &'a str,
}

/// How long a client should wait before it asks again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

// === impl Rejection ===

impl Rejection {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Self::MissingToken | Self::InvalidToken(_) => StatusCode::UNAUTHORIZED,
            Self::ClaimTooLong | Self::CrossOrigin | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::KeysUnavailable | Self::NoEndpoint | Self::NotReady | Self::Overloaded | Self::Refused(_) | Self::UpstreamLimit => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    /// A bounded label for metrics and logs: what exactly was wrong.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(part) | Self::InvalidRequest(part) => part,
            Self::BodyTooLarge => "body_too_large",
            Self::ClaimTooLong => "claim_too_long",
            Self::CrossOrigin => "cross_origin",
            Self::Denied(denied) => denied.reason,
            Self::ExpectationFailed => "expectation",
            Self::HeadTooLarge => "head_too_large",
            Self::InvalidToken(error) => error.as_str(),
            Self::KeysUnavailable => "keys_unavailable",
            Self::Loop => "loop",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Misdirected => "misdirected",
            Self::MissingToken => "missing_token",
            Self::NoEndpoint => "no_endpoint",
            Self::NoRoute => "no_route",
            Self::NotReady => "not_ready",
            Self::Overloaded => "overloaded",
            Self::Refused(refusal) => refusal.as_str(),
            Self::Upstream(what) => what,
            Self::UpstreamLimit => "upstream_limit",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UriTooLong => "uri_too_long",
            Self::WebSocketVersion => "websocket_version",
        }
    }

    pub fn blame(&self) -> Blame {
        match self {
            Self::Upstream(_) | Self::UpstreamTimeout | Self::NoEndpoint => Blame::Upstream,
            Self::KeysUnavailable | Self::Loop | Self::NotReady | Self::Overloaded | Self::Refused(_) | Self::UpstreamLimit => {
                Blame::Gateway
            }
            _ => Blame::Client,
        }
    }

    /// A sentence for the log, and nowhere else. It never holds a part of the token.
    pub fn message(&self) -> String {
        match self {
            Self::MissingToken => "Token not found".to_owned(),
            Self::InvalidToken(error) => format!("Token refused: {error}"),
            Self::Denied(denied) if denied.scope.is_empty() => format!("Token lacks a {}", denied.reason),
            Self::Denied(denied) => format!("Token lacks a {}: {}", denied.reason, denied.scope.join(" ")),
            _ => self.title().to_owned(),
        }
    }

    /// What the client may know: constant per status and error code, the same for every cause of 401 `invalid_token`.
    fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidToken(_) => "invalid_token",
            Self::Denied(_) => "insufficient_scope",
            Self::Refused(_) | Self::NotReady | Self::Overloaded | Self::KeysUnavailable | Self::NoEndpoint | Self::UpstreamLimit => {
                "unavailable"
            }
            Self::Upstream(_) => "bad_gateway",
            _ => self.reason(),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "The request can be read in more than one way",
            Self::BodyTooLarge => "The request's body is too long",
            Self::ClaimTooLong => "A claim of the token is too long to pass on",
            Self::CrossOrigin => "A request from another site may not use this cookie",
            Self::Denied(_) => "The token does not allow this",
            Self::ExpectationFailed => "Only 100-continue can be expected",
            Self::HeadTooLarge => "The request's head is too long",
            Self::InvalidRequest(_) => "The request must carry exactly one token",
            Self::InvalidToken(_) => "The token was refused",
            Self::KeysUnavailable | Self::NotReady | Self::Overloaded | Self::NoEndpoint | Self::Refused(_) | Self::UpstreamLimit => {
                "Not available now"
            }
            Self::Loop => "The request runs in a loop",
            Self::MethodNotAllowed(_) => "This path does not take this method",
            Self::Misdirected => "This host has a connection of its own",
            Self::MissingToken => "A token is needed",
            Self::NoRoute => "Nothing is served here",
            Self::Upstream(_) => "The backend did not answer",
            Self::UpstreamTimeout => "The backend did not answer in time",
            Self::WebSocketVersion => "WebSockets are of version 13",
            Self::UriTooLong => "The path and query are longer than 16 KiB",
        }
    }

    /// The answer: an empty body, or a problem document (RFC 9457) where the client asked for JSON; to a gRPC call, a gRPC status.
    pub(super) fn answer(&self, context: &Context<'_>) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::Empty);
        *response.status_mut() = self.status();
        if let Some(kind) = context.request.get(header::CONTENT_TYPE) {
            grpc::translate(&mut response, kind, self.title());
        } else if wants_problem(context.request) {
            *response.body_mut() = AnswerBody::text(self.problem(context.request_id));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        }
        self.add_headers(context.realm, response.headers_mut());
        response
    }

    fn add_headers(&self, realm: &str, headers: &mut HeaderMap) {
        match self {
            Self::MethodNotAllowed(allow) => drop(headers.insert(header::ALLOW, allow.clone())),
            Self::KeysUnavailable | Self::NotReady | Self::Overloaded | Self::NoEndpoint | Self::Refused(_) | Self::UpstreamLimit => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            Self::WebSocketVersion => {
                websocket::switch(headers);
                headers.insert(header::SEC_WEBSOCKET_VERSION, websocket::VERSION);
            }
            // What follows such a request on its connection cannot be trusted to be a request (P16).
            Self::BadRequest(_) | Self::UriTooLong => drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close"))),
            _ => {}
        }
        if let Some(challenge) = self.challenge(realm).and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
    }

    /// RFC 6750 §3: no error code when no credentials were given.
    fn challenge(&self, realm: &str) -> Option<String> {
        let error = match self {
            Self::MissingToken => String::new(),
            Self::InvalidToken(_) => ", error=\"invalid_token\"".to_owned(),
            Self::InvalidRequest(_) => ", error=\"invalid_request\"".to_owned(),
            Self::Denied(denied) if denied.scope.is_empty() => ", error=\"insufficient_scope\"".to_owned(),
            Self::Denied(denied) => format!(", error=\"insufficient_scope\", scope=\"{}\"", scope_parameter(&denied.scope)),
            _ => return None,
        };
        Some(format!("Bearer realm=\"{realm}\"{error}"))
    }

    fn problem(&self, request_id: &str) -> String {
        let problem = json!({
            "type": format!("https://portcullis.dev/problems/{}", self.code()),
            "title": self.title(),
            "status": self.status().as_u16(),
            "reason": self.code(),
            "requestId": request_id,
        });
        problem.to_string()
    }
}

// === impl Blame ===

impl Blame {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// A scope token never holds `"` or `\` (RFC 6749 §3.3); whatever a resource names, the challenge stays one well-formed line.
fn scope_parameter(scopes: &[String]) -> String {
    let allowed = |c: &char| matches!(c, '!' | '#'..='[' | ']'..='~' | ' ');
    scopes.join(" ").chars().filter(allowed).collect()
}

/// Only on request by name: `*/*` gets the empty body that the walk-through shows.
fn wants_problem(headers: &HeaderMap) -> bool {
    let named = |range: &str| {
        let name = range.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("application/json") || name.eq_ignore_ascii_case("application/problem+json")
    };
    let mut lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.any(|line| line.split(',').any(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rejection: &Rejection, accept: Option<&'static str>) -> (u16, Vec<String>) {
        let mut request = HeaderMap::new();
        accept.map(|accept| request.insert(header::ACCEPT, HeaderValue::from_static(accept)));
        let context = Context { request: &request, realm: "api.example.com", request_id: "id-1" };
        let response = rejection.answer(&context);
        let lines = response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        (response.status().as_u16(), lines)
    }

    fn denied(reason: &'static str, scope: &[&str]) -> Rejection {
        Rejection::Denied(Denied { reason, scope: scope.iter().map(|s| (*s).to_owned()).collect() })
    }

    #[test]
    fn answers_are_those_of_the_contract() {
        let bearer = |error: &str| format!("www-authenticate: Bearer realm=\"api.example.com\"{error}");
        let retry = || vec!["retry-after: 5".to_owned()];
        let cases = [
            (Rejection::NoRoute, 404, vec![]),
            (Rejection::MethodNotAllowed(HeaderValue::from_static("GET, HEAD")), 405, vec!["allow: GET, HEAD".to_owned()]),
            (Rejection::MissingToken, 401, vec![bearer("")]),
            (Rejection::InvalidToken(TokenError::Expired), 401, vec![bearer(", error=\"invalid_token\"")]),
            (Rejection::InvalidToken(TokenError::Malformed), 401, vec![bearer(", error=\"invalid_token\"")]),
            (Rejection::InvalidRequest("doubled_header"), 400, vec![bearer(", error=\"invalid_request\"")]),
            (denied("scope", &["read:a", "read:b"]), 403, vec![bearer(", error=\"insufficient_scope\", scope=\"read:a read:b\"")]),
            (denied("scope", &["a\"\\\r\nx"]), 403, vec![bearer(", error=\"insufficient_scope\", scope=\"ax\"")]),
            (denied("role", &[]), 403, vec![bearer(", error=\"insufficient_scope\"")]),
            (Rejection::CrossOrigin, 403, vec![]),
            (Rejection::KeysUnavailable, 503, retry()),
            (Rejection::Refused(Refusal::UnsupportedField), 503, retry()),
            (Rejection::NotReady, 503, retry()),
            (Rejection::Overloaded, 503, retry()),
            (Rejection::NoEndpoint, 503, retry()),
            (Rejection::Upstream("connect"), 502, vec![]),
            (Rejection::UpstreamLimit, 503, retry()),
            (Rejection::UpstreamTimeout, 504, vec![]),
            (Rejection::Loop, 508, vec![]),
            (Rejection::Misdirected, 421, vec![]),
            (Rejection::BadRequest("path"), 400, vec!["connection: close".to_owned()]),
            (Rejection::BodyTooLarge, 413, vec![]),
            (Rejection::ExpectationFailed, 417, vec![]),
            (Rejection::ClaimTooLong, 403, vec![]),
            (
                Rejection::WebSocketVersion,
                426,
                ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13"].map(str::to_owned).to_vec(),
            ),
            (Rejection::UriTooLong, 414, vec!["connection: close".to_owned()]),
        ];
        for (rejection, status, headers) in cases {
            assert_eq!(answer(&rejection, None), (status, headers), "{rejection:?}");
        }
    }

    #[test]
    fn a_grpc_call_is_refused_in_its_own_words() {
        let rows = [
            (Rejection::MissingToken, "16"),
            (Rejection::InvalidToken(TokenError::Expired), "16"),
            (Rejection::InvalidRequest("doubled_header"), "3"),
            (denied("scope", &["read:a"]), "7"),
            (Rejection::NoRoute, "12"),
            (Rejection::MethodNotAllowed(HeaderValue::from_static("GET")), "12"),
            (Rejection::KeysUnavailable, "14"),
            (Rejection::NoEndpoint, "14"),
            (Rejection::Refused(Refusal::InvalidAuth), "14"),
            (Rejection::Upstream("connect_refused"), "14"),
            (Rejection::UpstreamTimeout, "4"),
            (Rejection::BodyTooLarge, "8"),
        ];
        let kind = HeaderValue::from_static("application/grpc+proto");
        let request =
            HeaderMap::from_iter([(header::CONTENT_TYPE, kind.clone()), (header::ACCEPT, HeaderValue::from_static("application/json"))]);
        for (rejection, want) in rows {
            let context = Context { request: &request, realm: "api.example.com", request_id: "id-1" };
            let response = rejection.answer(&context);
            assert_eq!((response.status().as_u16(), &response.headers()[header::CONTENT_TYPE]), (200, &kind), "{rejection:?}");
            assert_eq!(
                (&response.headers()["grpc-status"], &response.headers()["grpc-message"]),
                (&want.parse().unwrap(), &rejection.title().parse().unwrap())
            );
            assert!(matches!(response.body(), AnswerBody::Empty), "{rejection:?}");
        }
    }

    #[test]
    fn every_cause_of_401_is_one_problem() {
        let expired = Rejection::InvalidToken(TokenError::Expired).problem("id-1");
        assert_eq!(expired, Rejection::InvalidToken(TokenError::Signature).problem("id-1"));
        let want = r#"{"reason":"invalid_token","requestId":"id-1","status":401,"title":"The token was refused","type":"https://portcullis.dev/problems/invalid_token"}"#;
        assert_eq!(expired, want);
    }

    #[test]
    fn problems_only_for_those_who_ask() {
        let cases = [
            (None, false),
            (Some("*/*"), false),
            (Some("text/html, application/json;q=0.5"), true),
            (Some("application/problem+json"), true),
            (Some("application/*"), false),
            (Some("application/jsonp"), false),
        ];
        for (accept, want) in cases {
            let (_, headers) = answer(&Rejection::NoRoute, accept);
            assert_eq!(headers.contains(&"content-type: application/problem+json".to_owned()), want, "{accept:?}");
        }
    }
}
