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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays() {
        let seconds = Duration::from_secs;
        let failed = |in_row, retry_after: Option<u64>| Outcome::Failed { in_row, retry_after: retry_after.map(seconds) };
        let rows = [
            ("success, least random", Outcome::Succeeded, 900, 0.0, 675_000),
            ("success, most random", Outcome::Succeeded, 900, 1.0, 810_000),
            ("no interval at all", Outcome::Succeeded, 0, 0.0, 750),
            ("first failure", failed(1, None), 900, 0.0, 1_000),
            ("first failure, most random", failed(1, None), 900, 1.0, 500),
            ("fourth failure", failed(4, None), 900, 0.0, 8_000),
            ("seventh failure", failed(7, None), 900, 0.0, 60_000),
            ("many failures", failed(u32::MAX, None), 900, 0.0, 60_000),
            ("retry-after", failed(1, Some(100)), 900, 0.0, 100_000),
            ("retry-after sooner than the backoff", failed(7, Some(1)), 900, 0.0, 60_000),
            ("retry-after beyond the interval", failed(1, Some(u64::MAX)), 900, 0.0, 900_000),
        ];
        for (name, outcome, interval, random, expected) in rows {
            assert_eq!(outcome.delay(seconds(interval), random).as_millis(), expected, "{name}");
        }
    }

    proptest! {
        /// J49: with five seconds for the fetch itself a refresh ends within its interval, for every interval a resource may ask for.
        #[test]
        fn a_refresh_ends_within_its_interval(interval in 60u64..=86_400, random in 0.0..1.0) {
            let interval = Duration::from_secs(interval);
            prop_assert!(Outcome::Succeeded.delay(interval, random) + Duration::from_secs(5) <= interval);
        }
    }
}
