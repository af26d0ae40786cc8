//! `POST /oauth/token`: the client-credentials grant (RFC 6749 §4.4) with the answers Auth0 gives.

use super::tenant::{Api, Client};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What a client asks for: body parameters, and a Basic header in place of `client_id` and `client_secret` (RFC 6749 §2.3.1).
#[derive(Debug, Default)]
pub(super) struct Grant {
    parameters: HashMap<String, String>,
}

/// An error answer of RFC 6749 §5.2 with Auth0's words.
#[derive(Debug)]
pub(super) struct GrantError {
    pub(super) status: StatusCode,
    code: &'static str,
    description: String,
}

// === impl Grant ===

impl Grant {
    /// Reads a JSON or a form body.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, GrantError> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut parameters = match content_type.split(';').next().map(str::trim) {
            Some("application/json") => parse_json(body).ok_or_else(|| GrantError::invalid("The body is not a JSON object"))?,
            Some("application/x-www-form-urlencoded") => parse_form(body),
            _ => return Err(GrantError::invalid("Send application/json or application/x-www-form-urlencoded")),
        };
        parameters.extend(basic_credentials(headers));
        Ok(Self { parameters })
    }

    /// The client and the API it may have a token for.
    pub(super) fn authorize<'a>(&self, clients: &'a [Client], apis: &'a [Api]) -> Result<(&'a Client, &'a Api), GrantError> {
        match self.required("grant_type")? {
            "client_credentials" => {}
            other => return Err(GrantError::unsupported(other)),
        }
        let (id, secret) = (self.required("client_id")?, self.required("client_secret")?);
        let client = clients.iter().find(|client| client.id == id && client.secret == secret).ok_or_else(GrantError::unauthorized)?;
        let audience = self.required("audience")?;
        let api = apis.iter().find(|api| api.audience == audience).ok_or_else(|| GrantError::no_service(audience))?;
        Ok((client, api))
    }

    fn required(&self, name: &str) -> Result<&str, GrantError> {
        let value = self.parameters.get(name).filter(|value| !value.is_empty());
        value.map(String::as_str).ok_or_else(|| GrantError::invalid(&format!("Missing required parameter: {name}")))
    }
}

// === impl GrantError ===

impl GrantError {
    pub(super) fn body(&self) -> Value {
        json!({"error": self.code, "error_description": self.description})
    }

    fn invalid(description: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_request", description: description.to_owned() }
    }

    fn unsupported(grant: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "unsupported_grant_type", description: format!("Unsupported grant type: {grant}") }
    }

    fn unauthorized() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, code: "access_denied", description: "Unauthorized".to_owned() }
    }

    fn no_service(audience: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "access_denied", description: format!("Service not found: {audience}") }
    }
}

fn parse_json(body: &[u8]) -> Option<HashMap<String, String>> {
    let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
    Some(object.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
}

fn parse_form(body: &[u8]) -> HashMap<String, String> {
    let pairs = body.split(|byte| *byte == b'&').map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=').map(decode);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    });
    pairs.collect()
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte; anything else stands for itself.
fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = if *first == b'%' { tail.split_at_checked(2).and_then(|(hex, tail)| Some((hex_byte(hex)?, tail))) } else { None };
        let (byte, tail) = escaped.unwrap_or((if *first == b'+' { b' ' } else { *first }, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(hex: &[u8]) -> Option<u8> {
    hex.iter().try_fold(0, |byte: u8, digit| Some(byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

fn basic_credentials(headers: &HeaderMap) -> Vec<(String, String)> {
    let decoded = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| String::from_utf8(BASE64.decode(text.trim()).ok()?).ok());
    let Some((id, secret)) = decoded.as_deref().and_then(|text| text.split_once(':')) else { return Vec::new() };
    vec![("client_id".to_owned(), decode(id.as_bytes())), ("client_secret".to_owned(), decode(secret.as_bytes()))]
}
