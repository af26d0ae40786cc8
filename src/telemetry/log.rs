//! The process's own log, on standard error.

use super::Format;
use std::io;
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

/// Starts logging. `filter` is a list of `target=level`, as in `info,portcullis=debug`.
///
/// # Errors
/// When the filter cannot be read.
pub fn init(format: Format, filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let log = fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // A second start in one process (tests) keeps the first.
    let _ = match format {
        Format::Json => log.json().flatten_event(true).try_init().is_ok(),
        Format::Text => log.try_init().is_ok(),
    };
    Ok(())
}
