//! Bytes that are shown to nobody: what a Secret holds, on its way to the one place that uses it.

use std::{fmt, sync::Arc};

/// Cheap to clone, and compared whole. Its `Debug` shows nothing, and it has no `Display` and no `Serialize`, so that whatever
/// holds it may be logged.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretBytes(Arc<[u8]>);

// === impl SecretBytes ===

impl SecretBytes {
    /// The bytes, for the code that needs them and passes them on to nobody.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// Not even the length: it narrows a guess.
impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j53_a_secret_is_not_shown() {
        let secret = SecretBytes::from(b"hunter2".to_vec());
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!(format!("{secret:?} {:?} {:#?}", Some(&secret), [&secret]), "SecretBytes Some(SecretBytes) [\n    SecretBytes,\n]");
    }
}
