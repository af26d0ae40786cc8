//! The last readable content of every file.

use super::{
    document::{self, Objects},
    listing::Listing,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    panic::catch_unwind,
    path::Path,
};

const LONGEST_FILE: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Files {
    files: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// As last read, good or bad: what has not changed is neither parsed nor complained about again.
    content: Option<Vec<u8>>,
    /// Of the last content that could be parsed.
    objects: Objects,
}

// === impl Files ===

impl Files {
    /// Reads the listed files. Returns whether anything may have changed.
    pub(super) fn update(&mut self, dir: &Path, listing: &Listing) -> bool {
        let before = self.files.len();
        self.files.retain(|name, _| listing.0.contains_key(name));
        let mut changed = self.files.len() != before;
        for name in listing.0.keys() {
            let read = read(&dir.join(name));
            changed |= self.files.entry(name.clone()).or_default().update(name, read);
        }
        changed || before == 0
    }

    pub(super) fn objects(&self) -> Objects {
        let mut all = Objects::default();
        self.files.values().for_each(|file| all.extend(&file.objects));
        all.report_duplicates();
        all
    }

    /// Where an object is written, for messages.
    pub(super) fn file_of(&self, namespace: &str, name: &str) -> Option<&str> {
        let holds = |file: &Known| file.objects.endpoints.iter().any(|object| object.namespace == namespace && object.name == name);
        self.files.iter().find(|(_, file)| holds(file)).map(|(file, _)| file.as_str())
    }
}

// === impl Known ===

impl Known {
    fn update(&mut self, file: &str, read: io::Result<Vec<u8>>) -> bool {
        let content = read.inspect_err(|error| self.complain(file, error)).ok();
        if content.is_none() || self.content == content {
            return false;
        }
        self.content = content;
        match catch_unwind(|| document::parse(file, self.content.as_deref().unwrap_or_default())) {
            Ok(Ok(objects)) => self.objects = objects,
            Ok(Err(error)) => self.complain(file, &error),
            Err(_) => self.complain(file, &"the parser panicked"),
        }
        true
    }

    fn complain(&self, file: &str, error: &dyn std::fmt::Display) {
        let kept = if self.objects.is_empty() { "nothing of it is served" } else { "its last readable content stays in service" };
        tracing::error!(file, %error, "this file cannot be read: {kept}");
    }
}

/// At most [`LONGEST_FILE`], whatever the listing said.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB; split it"));
    }
    Ok(content)
}
