//! Tools: one file a verb.

pub mod crd;
pub mod offline;
