//! The report for people.

use super::{
    checks::Row,
    report::{Answer, Backend, Report, Told},
};
use crate::cli::text::one_line;
use std::fmt::{self, Display};

// === impl Report ===

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "", &format!("{} {} at {}", self.request.method, self.request.url, self.time))?;
        writeln!(f)?;
        self.checks.iter().try_for_each(|row| line(f, "", &row.to_string()))?;
        writeln!(f)?;
        line(f, "", &self.answer.to_string())?;
        self.answer.headers.iter().try_for_each(|(name, value)| line(f, "  ", &format!("{name}: {value}")))?;
        self.backend.iter().flat_map(Backend::lines).try_for_each(|text| line(f, "  ", &text))?;
        self.notes.iter().try_for_each(|note| line(f, "note: ", note))
    }
}

fn line(f: &mut fmt::Formatter<'_>, indent: &str, text: &str) -> fmt::Result {
    writeln!(f, "{indent}{}", one_line(text.trim_end()))
}

// === impl Row ===

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcome, member) = (if self.passed { "ok" } else { "FAIL" }, self.member.as_ref().map(|member| format!("{member}: ")));
        write!(f, "{outcome:<5} {:<14} {}", self.check, member.unwrap_or_default())?;
        match (&self.detail, &self.expected, &self.found) {
            (Some(detail), ..) => f.write_str(detail),
            (None, Some(expected), Some(found)) => write!(f, "expected {expected}; found {found}"),
            (None, Some(expected), None) if self.member.is_some() => write!(f, "expected {expected}; found nothing"),
            (None, Some(expected), None) => write!(f, "expected {expected}"),
            (None, None, _) => Ok(()),
        }
    }
}

// === impl Answer ===

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.status else { return f.write_str("allowed: the backend answers") };
        let name = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        write!(f, "{status} {name}, reason {}", self.reason)?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

// === impl Backend ===

impl Backend {
    fn lines(&self) -> Vec<String> {
        let asked = format!("{} {} at {}, one of {}", self.method, self.target, self.backend, self.endpoints.join(" "));
        let forward = self.forward_as.iter().map(|header| format!("{header}: the token"));
        std::iter::once(asked).chain(self.claim_headers.iter().map(ToString::to_string)).chain(forward).collect()
    }
}

// === impl Told ===

impl Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absent = if self.set { "" } else { ", which the token does not have: no such header" };
        write!(f, "{}: the claim {}{absent}", self.header, self.claim)
    }
}
