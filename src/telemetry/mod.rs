//! What operators see: logs and metrics. Never a token, a cookie or a secret.

mod access;
mod log;
mod metrics;
mod series;

pub use self::{
    access::{AccessLine, AccessLog, Format, MAX_METHOD, MAX_PATH, cut},
    log::init,
    metrics::{Counted, Metrics, protocol},
};

/// The client went away before there was an answer: not a status that was sent.
pub const CLIENT_CLOSED: u16 = 499;
