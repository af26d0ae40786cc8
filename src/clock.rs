//! The wall clock: the one place that reads it. Everything else takes the time as an argument.

use std::time::{Duration, SystemTime};

/// The time since the Unix epoch; zero while the clock stands before 1970, so that every token is "not yet valid" then
/// rather than the process down (J103).
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
