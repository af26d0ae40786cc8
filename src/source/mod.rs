//! The same manifests from a directory: standalone use, demo, tests.
