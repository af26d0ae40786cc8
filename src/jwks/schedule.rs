//! When the next fetch is due: pure, the randomness is an argument.

use std::time::Duration;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Whatever the interval says: an issuer is not a thing to poll without a pause.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// What came of the newest fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    /// `in_row`: how many failures in a row, this one included. `retry_after`: what the issuer asked for.
    Failed {
        in_row: u32,
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// From the end of the newest fetch to the start of the next. `random` is in `0.0..1.0`.
    ///
    /// After a success 75 to 90 % of `interval`: even of the shortest that a resource may ask for, a minute, that leaves the
    /// next fetch its five seconds, and a key that its issuer removed is gone in time (J49). After a failure one second,
    /// doubling to sixty, less up to half at random; not before `Retry-After`, believed up to one `interval` (J42).
    pub(super) fn delay(self, interval: Duration, random: f64) -> Duration {
        let interval = interval.max(SHORTEST_INTERVAL);
        match self {
            Self::Succeeded => interval.mul_f64(0.75 + 0.15 * random),
            Self::Failed { in_row, retry_after } => {
                let doubled = FIRST_RETRY.saturating_mul(1 << in_row.saturating_sub(1).min(6));
                let backoff = doubled.min(LAST_RETRY).mul_f64(1.0 - 0.5 * random);
                backoff.max(retry_after.unwrap_or_default().min(interval))
            }
        }
    }
}
