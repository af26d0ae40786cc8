//! For operators and probes, on ports of their own: never reachable through the data port (P74).

mod inspect;
mod metrics;
mod serve;
mod tokens;

#[cfg(feature = "controller")]
pub use self::metrics::ControlMetrics;
pub use self::{
    inspect::Inspect,
    metrics::KeyMetrics,
    serve::{Admin, Answer, serve},
    tokens::TokenMetrics,
};

#[cfg(test)]
mod tests;
