//! Checks that many fields share. The schema makes them first; a stored object may have escaped it.

use super::report::Problem;
use crate::{api, routing::CanonicalPath};
use serde_json::Value;
use std::{ops::RangeInclusive, time::Duration};

const MAX_PATH: usize = 1024;

/// A duration within bounds, or the default.
pub(super) fn duration(
    field: &str,
    value: Option<&api::Duration>,
    default: Duration,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, Problem> {
    let Some(value) = value else { return Ok(default) };
    let parsed = value.parse().map_err(|error| Problem::invalid(field, error))?;
    match bounds.contains(&parsed) {
        true => Ok(parsed),
        false => Err(Problem::invalid(
            field,
            format_args!("must be from {} to {}, not {}", human(*bounds.start()), human(*bounds.end()), quote(&value.0)),
        )),
    }
}

/// A list of at most `max` texts, each of 1 to `max_length` bytes.
pub(super) fn texts(field: &str, list: &[String], max: usize, max_length: usize) -> Result<(), Problem> {
    if list.len() > max {
        return Err(Problem::invalid(field, format_args!("must have at most {max} entries, not {}", list.len())));
    }
    match list.iter().position(|text| !(1..=max_length).contains(&text.len())) {
        Some(index) => Err(Problem::invalid(&format!("{field}[{index}]"), format_args!("must have 1 to {max_length} characters"))),
        None => Ok(()),
    }
}

/// A path in the one form that routing compares. Escapes may be spelled otherwise; nothing else may.
pub(super) fn path(field: &str, text: &str) -> Result<CanonicalPath<'static>, Problem> {
    readable_path(text).ok_or_else(|| {
        let want =
            "must be an absolute, canonical path such as /api/v1, without *, //, /./, /../, %2f, ;, ? and #, of at most 1024 characters";
        Problem::invalid(field, want)
    })
}

pub(super) fn readable_path(text: &str) -> Option<CanonicalPath<'static>> {
    let dots = |segment: &str| matches!(segment, "." | "..");
    if text.len() > MAX_PATH || text.contains("//") || text.contains([';', '*', '?', '#']) || text.split('/').any(dots) {
        return None;
    }
    let path = CanonicalPath::parse(text).ok()?;
    // `/%2e%2e/x` says one thing and means another.
    let shape = |path: &str| (path.matches('/').count(), path.ends_with('/'));
    (shape(path.as_str()) == shape(text)).then(|| path.into_owned())
}

/// Whether `name` is a DNS label in lower case.
pub(super) fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// How a wrong text is quoted: short.
pub(super) fn quote(text: &str) -> String {
    shorten(format!("{text:?}"))
}

/// How any wrong value is shown.
pub(super) fn show(value: &Value) -> String {
    shorten(value.to_string())
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A bound as its author would write it.
fn human(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (0, millis) if millis > 0 => format!("{millis}ms"),
        (seconds, _) if seconds >= 3600 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, _) if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, _) => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_one_form_only() {
        let cases = [
            ("/", Some("/")),
            ("/api/v1/", Some("/api/v1/")),
            ("/a%20b", Some("/a%20b")),
            ("/%41", Some("/A")),
            ("/a%c3%a9", Some("/a%C3%A9")),
            ("", None),
            ("api", None),
            ("/a//b", None),
            ("/a/./b", None),
            ("/a/../b", None),
            ("/a/..", None),
            ("/a/%2e%2e/b", None),
            ("/a/%2e", None),
            ("/a%2fb", None),
            ("/a%5cb", None),
            ("/a;b", None),
            ("/a*", None),
            ("/a?b", None),
            ("/a#b", None),
            ("/a b", None),
            ("/é", None),
            ("/a%zz", None),
        ];
        for (text, want) in cases {
            assert_eq!(readable_path(text).as_ref().map(CanonicalPath::as_str), want, "{text}");
        }
        assert!(readable_path(&format!("/{}", "a".repeat(1024))).is_none());
    }

    #[test]
    fn durations_have_bounds() {
        let read = |text: Option<&str>| {
            let text = text.map(api::Duration::from);
            duration("spec.timeout", text.as_ref(), Duration::from_secs(30), Duration::from_millis(1)..=Duration::from_secs(3600))
        };
        assert_eq!(read(None), Ok(Duration::from_secs(30)));
        assert_eq!(read(Some("3s")), Ok(Duration::from_secs(3)));
        assert_eq!(read(Some("0s")).unwrap_err().message, "spec.timeout: must be from 1ms to 1h, not \"0s\"");
        for wrong in ["", "3", "-3s", "2h", "1s-1s", "99999999999999999999h"] {
            assert!(read(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
