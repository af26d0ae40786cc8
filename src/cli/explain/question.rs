//! From the arguments to the request that a worker would read off a socket.

use super::Usage;
use crate::args::{Explain, TokenPlace};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, COOKIE, HOST},
    request::Parts,
    uri::PathAndQuery,
};

/// The request, and the token that it carries.
///
/// # Errors
/// What cannot be asked: no HTTP URL, method or header, or a token on the command line.
pub(super) fn request(args: &Explain, token: Option<&str>) -> Result<Parts, Usage> {
    if std::iter::once(&args.url).chain(&args.headers).any(|text| holds_token(text)) {
        return Err(Usage::new(
            "that holds a token, which everybody on this machine can read on a command line: give it with --token, and say where it stands with --token-in",
        ));
    }
    let (authority, target) = split(&args.url)?;
    let method: Method = args.method.parse().map_err(|_| Usage::new("METHOD: want an HTTP method such as GET"))?;
    let request = Request::builder().method(method).uri(target).header(HOST, authority).body(());
    let (mut parts, ()) = request.map_err(|_| Usage::new("URL: its host cannot stand in a request"))?.into_parts();
    args.headers.iter().try_for_each(|line| add_header(line, &mut parts))?;
    token.map_or(Ok(()), |token| place(&args.token_in, token, &mut parts))?;
    Ok(parts)
}

/// Authority, and path with query. No part is normalised: that is the gateway's to do.
fn split(url: &str) -> Result<(String, Uri), Usage> {
    let wrong = || Usage::new("URL: want http:// or https://, a host and a path, such as https://api.example.com/messages");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https"))).ok_or_else(wrong)?;
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((authority.to_string(), format!("{slash}{target}").parse().map_err(|_| wrong())?))
}

/// A Host takes the place of the URL's, as curl does it.
fn add_header(line: &str, parts: &mut Parts) -> Result<(), Usage> {
    let wrong = || Usage::new("-H: want a header such as 'Origin: https://app.example.com'");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
    let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes()).map_err(|_| wrong())?;
    match name {
        HOST => drop(parts.headers.insert(HOST, value)),
        name => drop(parts.headers.append(name, value)),
    }
    Ok(())
}

fn place(place: &TokenPlace, token: &str, parts: &mut Parts) -> Result<(), Usage> {
    match place {
        TokenPlace::Header(None) => add_secret(AUTHORIZATION, &format!("Bearer {token}"), parts),
        TokenPlace::Header(Some(name)) => {
            let name = name.parse().map_err(|_| Usage::new("--token-in: that is no name of a header"))?;
            add_secret(name, token, parts)
        }
        TokenPlace::Cookie(name) => {
            let others = parts.headers.remove(COOKIE).and_then(|line| Some(format!("{}; ", line.to_str().ok()?)));
            add_secret(COOKIE, &format!("{}{name}={token}", others.unwrap_or_default()), parts)
        }
        TokenPlace::Query(name) => add_parameter(name, token, parts),
    }
}

fn add_secret(name: HeaderName, value: &str, parts: &mut Parts) -> Result<(), Usage> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Usage::new("--token: holds a byte that no header can carry"))?;
    value.set_sensitive(true);
    parts.headers.append(name, value);
    Ok(())
}

fn add_parameter(name: &str, token: &str, parts: &mut Parts) -> Result<(), Usage> {
    let divider = if parts.uri.query().is_some() { '&' } else { '?' };
    let target = format!("{}{divider}{name}={token}", parts.uri);
    parts.uri = target.parse().map_err(|_| Usage::new("--token: holds a byte that no query can carry"))?;
    Ok(())
}

/// Whether a compact JWS stands anywhere in the text: two dots between base64url, of which the first part is a JSON object.
pub(super) fn holds_token(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.split(|c| !is_part(c)).any(|word| {
        let mut parts = word.split('.');
        let header = parts.next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
        header.is_some_and(|header| header.trim_ascii_start().starts_with(b"{")) && parts.count() >= 2
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_wherever_it_stands() {
        let rows = [
            ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln", true),
            ("https://a.example/?t=eyJhbGciOiJub25lIn0.eyJhIjoxfQ.", true),
            ("Cookie: a=b; t=ewogImFsZyI6Im5vbmUifQ.e30.c2ln", true),
            ("https://eyj.example.com/a.b.c", false),
            ("If-Match: \"a.b.c\"", false),
            ("Origin: https://app.example.com", false),
            ("", false),
        ];
        for (text, want) in rows {
            assert_eq!(holds_token(text), want, "{text}");
        }
    }
}
