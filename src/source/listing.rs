//! What lies in the directory: names and what tells a changed file from an unchanged one.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt, path::Path, time::SystemTime};

pub(super) const MOST_FILES: usize = 1000;

/// Every manifest by name, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listing(pub(super) BTreeMap<String, Stamp>);

/// What changes when a file does. A mounted ConfigMap changes its inodes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    pub(super) length: u64,
    inode: (u64, u64),
}

// === impl Listing ===

impl Listing {
    /// `None`: more than [`MOST_FILES`].
    pub(super) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !is_manifest(&name) {
                continue;
            }
            // A link may point nowhere, a file may have gone since: not there.
            let Ok(metadata) = fs::metadata(dir.join(&name)) else { continue };
            if metadata.is_file() {
                files.insert(name, Stamp::of(&metadata));
            }
            if files.len() > MOST_FILES {
                return Ok(None);
            }
        }
        Ok(Some(Self(files)))
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode: (metadata.dev(), metadata.ino()) }
    }
}

fn is_manifest(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml" | "json"))
}
