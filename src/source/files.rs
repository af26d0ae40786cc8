//! The last readable content of every file.

use super::{
    documents,
    listing::Listing,
    objects::{Objects, Severity},
    schema::Schema,
};
use crate::secret::SecretBytes;
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

/// One reading of the directory. Cheap to clone: a file that has not changed is shared with the reading before.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(BTreeMap<OsString, Arc<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// As last read, good or bad, perhaps with Secrets in it: what has not changed is not parsed again. `None`: it could not be read at all.
    content: Option<SecretBytes>,
    /// Of the last content that could be parsed; `None` until one could.
    objects: Option<Arc<Objects>>,
    /// What is wrong with the file as it is now.
    trouble: Option<String>,
}

// === impl Files ===

impl Files {
    /// The listed files as they are now. What cannot be read or parsed keeps what this reading has of it.
    pub(super) fn read(&self, dir: &Path, listing: &Listing, schema: &Schema) -> Self {
        let next = |name: &OsString| (name.clone(), Known::next(self.0.get(name), name, dir, schema));
        Self(listing.files.keys().map(next).collect())
    }

    /// A file that could not be read even once: what it says is not known, so nobody knows what the others may serve.
    pub(super) fn unread(&self) -> Option<&OsStr> {
        self.0.iter().find(|(_, known)| known.objects.is_none()).map(|(name, _)| name.as_os_str())
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Arc<Objects>> {
        self.0.values().filter_map(|known| known.objects.as_ref())
    }

    /// Whether the same files hold the very same objects.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let same = |a: &Known, b: &Known| a.objects.as_ref().map(Arc::as_ptr) == b.objects.as_ref().map(Arc::as_ptr);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
    }

    /// Says what is wrong with files that are not as they were in `before`.
    pub(super) fn tell(&self, before: &Self) {
        for (name, known) in &self.0 {
            if !before.0.get(name).is_some_and(|before| Arc::ptr_eq(before, known)) {
                known.tell(&name.to_string_lossy());
            }
        }
    }

    /// Where an object is written, for messages.
    pub(super) fn file_of(&self, namespace: &str, name: &str) -> Option<&str> {
        let holds = |objects: &Objects| objects.endpoints.iter().any(|it| it.object.namespace == namespace && it.object.name == name);
        let holds = |known: &Known| known.objects.as_ref().is_some_and(|objects| holds(objects));
        self.0.iter().find(|(_, known)| holds(known)).and_then(|(file, _)| file.to_str())
    }
}

// === impl Known ===

impl Known {
    fn next(before: Option<&Arc<Self>>, name: &OsStr, dir: &Path, schema: &Schema) -> Arc<Self> {
        match (documents::read(&dir.join(name)).map(SecretBytes::from), before) {
            (Ok(content), Some(before)) if before.content.as_ref() == Some(&content) => Arc::clone(before),
            (Ok(content), _) => Self::parse(&name.to_string_lossy(), content, schema).after(before),
            (Err(error), _) => Self { content: None, objects: None, trouble: Some(error.to_string()) }.after(before),
        }
    }

    fn parse(file: &str, content: SecretBytes, schema: &Schema) -> Self {
        match parse(file, content.expose(), schema) {
            Ok(objects) => Self { content: Some(content), objects: Some(Arc::new(objects)), trouble: None },
            Err(trouble) => Self { content: Some(content), objects: None, trouble: Some(trouble) },
        }
    }

    /// In trouble it keeps the objects of `before`; the same trouble again is the same.
    fn after(mut self, before: Option<&Arc<Self>>) -> Arc<Self> {
        let Some(before) = before.filter(|_| self.trouble.is_some()) else { return Arc::new(self) };
        if (&self.content, &self.trouble) == (&before.content, &before.trouble) {
            return Arc::clone(before);
        }
        self.objects.clone_from(&before.objects);
        Arc::new(self)
    }

    fn tell(&self, file: &str) {
        let kept = match self.objects {
            Some(_) => "its last readable content stays in service",
            None => "nothing of the directory is put in service until it can, or is removed",
        };
        if let Some(error) = &self.trouble {
            tracing::error!(file, "this file {error}: {kept}");
            return;
        }
        for remark in self.objects.iter().flat_map(|objects| &objects.remarks) {
            let document = &remark.at.name;
            match remark.severity {
                Severity::Problem => tracing::error!(file, document, "{}: this document is left out", remark.text),
                Severity::Note => tracing::warn!(file, document, "{}", remark.text),
            }
        }
    }
}

fn parse(file: &str, content: &[u8], schema: &Schema) -> Result<Objects, String> {
    let parse = || documents::parse(content).map(|documents| Objects::read(file, &documents, schema));
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(parsed) => parsed.map_err(|error| error.to_string()),
        Err(_) => Err("cannot be parsed: the parser panicked, which is a fault of Portcullis; please report it".to_owned()),
    }
}
