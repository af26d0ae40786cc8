//! From `spec.cors` to what browsers are told.

use super::{
    field,
    report::{Problem, Report},
};
use crate::{
    api,
    routing::{Cors, Origins},
};
use http::{HeaderName, HeaderValue, Method};
use std::{fmt::Display, sync::Arc, time::Duration};

const MAX_ENTRIES: usize = 32;
const MAX_LENGTH: usize = 256;
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// `None` when it is not sound; nothing at all when there is none.
pub(super) fn compile(cors: Option<&api::Cors>, token_header: &str, report: &mut Report) -> Option<Option<Arc<Cors>>> {
    let Some(cors) = cors else { return Some(None) };
    let origins = report.keep(origins(&cors.allow_origins));
    let methods = report.keep(list(&"spec.cors.allowMethods", &cors.allow_methods, is_method));
    let headers = report.keep(list(&"spec.cors.allowHeaders", &cors.allow_headers, is_header));
    let exposed = report.keep(list(&"spec.cors.exposeHeaders", &cors.expose_headers, is_header));
    let credentials = report.keep(credentials(cors));
    let max_age = report.keep(max_age(cors.max_age.as_ref()));
    let usual = || HeaderValue::from_str(&format!("{token_header}, Content-Type")).ok();
    Some(Some(Arc::new(Cors {
        origins: origins?,
        methods: methods?,
        headers: headers?.or_else(usual)?,
        exposed: exposed?,
        credentials: credentials?,
        max_age: max_age?,
    })))
}

fn origins(list: &[String]) -> Result<Origins, Problem> {
    let at = "spec.cors.allowOrigins";
    field::texts(&at, list, MAX_ENTRIES, MAX_LENGTH)?;
    if matches!(list, [one] if one == "*") {
        return Ok(Origins::Any);
    }
    match list.iter().position(|origin| !is_origin(origin)) {
        Some(index) => Err(Problem::invalid(
            &format_args!("{at}[{index}]"),
            "must be an origin as browsers send it, such as https://app.example.com, without / at the end; * stands alone",
        )),
        None if list.is_empty() => Err(Problem::invalid(&at, "must name at least one origin, such as https://app.example.com")),
        None => Ok(Origins::Named(list.iter().map(|origin| Arc::from(origin.as_str())).collect())),
    }
}

/// A browser serialises an origin in one way only (RFC 6454 §6.2); any other text would match none.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    is_scheme(scheme) && is_host(host) && port.is_none_or(|port| is_port(scheme, port))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b))
}

fn is_host(host: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.')),
        None => host.split('.').all(label),
    }
}

/// A scheme's own port is never written.
fn is_port(scheme: &str, port: &str) -> bool {
    let number = port.parse::<u16>().ok().filter(|number| *number > 0 && number.to_string() == port);
    number.is_some_and(|number| !matches!((scheme, number), ("http", 80) | ("https", 443)))
}

/// One line of all of them; `None` when there is none.
fn list(at: &dyn Display, list: &[String], is_sound: fn(&str) -> bool) -> Result<Option<HeaderValue>, Problem> {
    field::texts(at, list, MAX_ENTRIES, MAX_LENGTH)?;
    if let Some(index) = list.iter().position(|text| text != "*" && !is_sound(text)) {
        return Err(Problem::invalid(&format_args!("{at}[{index}]"), "must be a name as HTTP writes it, such as X-Trace or PUT"));
    }
    Ok(HeaderValue::from_str(&list.join(", ")).ok().filter(|_| !list.is_empty()))
}

fn is_method(text: &str) -> bool {
    Method::from_bytes(text.as_bytes()).is_ok_and(|method| !method.as_str().bytes().any(|b| b.is_ascii_lowercase()))
}

fn is_header(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok()
}

fn credentials(cors: &api::Cors) -> Result<bool, Problem> {
    let lists = [&cors.allow_origins, &cors.allow_methods, &cors.allow_headers, &cors.expose_headers];
    let star = lists.into_iter().flatten().any(|text| text == "*");
    match cors.allow_credentials && star {
        true => Err(Problem::invalid(&"spec.cors.allowCredentials", "does not go with *: name each origin, method and header")),
        false => Ok(cors.allow_credentials),
    }
}

/// Whole seconds.
fn max_age(value: Option<&api::Duration>) -> Result<Option<HeaderValue>, Problem> {
    let Some(value) = value else { return Ok(None) };
    let age = field::duration(&"spec.cors.maxAge", Some(value), Duration::ZERO, Duration::ZERO..=MAX_AGE)?;
    Ok(Some(age.as_secs().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for origin in
            ["https://app.example.com", "http://localhost:3000", "capacitor://localhost", "http://[::1]:8080", "https://a_b.example"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        let wrong = [
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://*.example.com",
            "https://a.example:443",
            "http://a.example:80",
            "https://a.example:",
            "https://a.example:08443",
            "https://a.example:99999",
            "https://u@a.example",
            "https://a..example",
            "https://",
            "://a",
            "https://a.example, https://b.example",
        ];
        for origin in wrong {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
