//! One line of the answer, and where the object it speaks of stands.

use crate::{
    cli::text::one_line,
    source::objects::{self, Document},
};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What is said about one object, or about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) place: Place,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Ends with exit code 1.
    Problem,
    Note,
    Good,
}

/// Where an object stands. Findings are told in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which file of the command line, and which document in it.
    order: (usize, usize),
    pub(super) file: PathBuf,
    /// Kind, namespace and name, or what else tells the object from others in its file; empty when it is about the file.
    object: String,
}

// === impl Place ===

impl Place {
    pub(super) fn of_file(index: usize, file: &Path) -> Self {
        Self { order: (index, 0), file: file.to_owned(), object: String::new() }
    }

    /// About all files, and told last.
    pub(super) fn everywhere() -> Self {
        Self { order: (usize::MAX, 0), file: PathBuf::new(), object: String::new() }
    }

    pub(super) fn of_document(&self, document: &Document) -> Self {
        Self { order: (self.order.0, document.number), file: self.file.clone(), object: document.name.clone() }
    }
}

// === impl Severity ===

impl From<objects::Severity> for Severity {
    fn from(severity: objects::Severity) -> Self {
        match severity {
            objects::Severity::Problem => Self::Problem,
            objects::Severity::Note => Self::Note,
        }
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Problem => "problem",
            Severity::Note => "note",
            Severity::Good => "ok",
        };
        let file = self.place.file.display().to_string();
        let parts = [severity, &file, &self.place.object, &self.text].into_iter().filter(|part| !part.is_empty());
        f.write_str(&one_line(&parts.collect::<Vec<_>>().join(": ")))
    }
}
