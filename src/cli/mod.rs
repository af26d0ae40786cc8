//! Tools: one file a verb.

pub mod check;
pub mod crd;
pub mod explain;
mod text;
