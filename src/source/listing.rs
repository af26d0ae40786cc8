//! What lies in the directory: names and what tells a changed file from an unchanged one.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(super) const MOST_FILES: usize = 1000;

/// Two equal listings, one before and one after all files were read, mean that they belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listing {
    /// Every manifest by name. `None`: it is there, and cannot be looked at.
    pub(super) files: BTreeMap<OsString, Option<Stamp>>,
    /// Where a mounted ConfigMap's `..data` points: all its files change at once, with this link.
    version: Option<PathBuf>,
}

/// What changes when a file does, but for two writes within one tick of the file system's clock.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds; unlike `modified` nobody can set it.
    changed: (i64, i64),
    length: u64,
    inode: (u64, u64),
}

// === impl Listing ===

impl Listing {
    /// `None`: more than [`MOST_FILES`].
    pub(super) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let (mut files, version) = (BTreeMap::new(), fs::read_link(dir.join("..data")).ok());
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            if is_manifest(&name) {
                files.extend(Stamp::read(&dir.join(&name)).map(|stamp| (name, stamp)));
            }
            if files.len() > MOST_FILES {
                return Ok(None);
            }
        }
        Ok(Some(Self { files, version }))
    }
}

impl Stamp {
    /// `None`: not there, for its link points nowhere or it has gone since; or it is no file.
    fn read(path: &Path) -> Option<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => metadata.is_file().then(|| Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(None),
        }
    }

    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}

fn is_manifest(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    !name.as_encoded_bytes().starts_with(b".") && matches!(extension, Some("yaml" | "yml" | "json"))
}
