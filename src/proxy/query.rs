//! One parameter of a query: read, and taken out without touching the others.

use super::Rejection;
use crate::jwt::TokenError;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The value of the parameter `name`, decoded; an empty one is none.
///
/// # Errors
/// 400 when it is there twice, 401 when it is no text.
pub(super) fn find(name: &str, query: Option<&str>) -> Result<Option<String>, Rejection> {
    let mut found = query.into_iter().flat_map(parameters).filter(|pair| is_named(pair, name));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Rejection::InvalidRequest("doubled_parameter")),
        (Some(pair), None) => {
            let value = pair.split_once('=').map_or("", |(_, value)| value);
            let token = percent_decode_str(value).decode_utf8().map_err(|_| Rejection::InvalidToken(TokenError::Malformed))?;
            Ok(Some(token.into_owned()).filter(|token| !token.is_empty()))
        }
    }
}

/// `query` without the parameter `name`, however its name is escaped; `None` when nothing is left. Also without one that stands
/// behind a `;`: some backends end a parameter there, and would find a token that nobody has verified.
pub(super) fn without(name: &str, query: &str) -> Option<String> {
    let kept: Vec<_> = parameters(query).filter_map(|pair| without_part(name, pair)).collect();
    Some(kept.join("&")).filter(|kept| !kept.is_empty() || query.is_empty())
}

fn without_part<'a>(name: &str, pair: &'a str) -> Option<Cow<'a, str>> {
    if !pair.split(';').any(|part| is_named(part, name)) {
        return Some(Cow::Borrowed(pair));
    }
    let kept: Vec<_> = pair.split(';').filter(|part| !is_named(part, name)).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join(";")))
}

fn parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

/// As a backend would read the name: decoded, `+` for a space.
fn is_named(pair: &str, name: &str) -> bool {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    key == name || (key.contains('%') && percent_decode_str(key).eq(name.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j93_j94_one_parameter_is_read_and_taken_out() {
        let doubled = || Err(Rejection::InvalidRequest("doubled_parameter"));
        let cases = [
            ("none", None, Ok(None), None),
            ("another", Some("a=b"), Ok(None), Some("a=b")),
            ("alone", Some("t=abc"), Ok(Some("abc")), None),
            ("among others", Some("a=b%20c&t=abc&&d"), Ok(Some("abc")), Some("a=b%20c&&d")),
            ("escaped name", Some("%74=abc&a"), Ok(Some("abc")), Some("a")),
            ("escaped value", Some("t=a%2Eb"), Ok(Some("a.b")), None),
            ("twice", Some("t=a&t=b"), doubled(), None),
            ("twice, once escaped", Some("t=a&%74=b"), doubled(), None),
            ("empty", Some("t=&a=b"), Ok(None), Some("a=b")),
            ("without a value", Some("t"), Ok(None), None),
            ("a longer name", Some("tt=abc&T=abc"), Ok(None), Some("tt=abc&T=abc")),
            ("behind a semicolon", Some("a=b;t=abc&t=def"), Ok(Some("def")), Some("a=b")),
            ("before one", Some("t=abc;a=b"), Ok(Some("abc;a=b")), Some("a=b")),
            ("no text", Some("t=%FF"), Err(Rejection::InvalidToken(TokenError::Malformed)), None),
        ];
        for (row, query, token, left) in cases {
            assert_eq!(find("t", query), token.map(|token| token.map(str::to_owned)), "{row}");
            assert_eq!(query.and_then(|query| without("t", query)).as_deref(), left, "{row}");
        }
    }
}
