//! Durations as the Gateway API writes them (GEP-2257): `1h30m`, `15m`, `500ms`.

use serde::{Deserialize, Serialize};
use std::time;

/// A duration as its author wrote it: one to four of `[0-9]{1,5}(h|m|s|ms)`, added up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration: one to four of a number (up to 5 digits) with h, m, s or ms, such as 500ms, 30s or 1m30s")]
pub struct DurationError(());

// === impl Duration ===

impl Duration {
    /// # Errors
    /// The text does not have the form above. Ranges are the caller's.
    pub fn parse(&self) -> Result<time::Duration, DurationError> {
        let (mut total, mut rest) = (time::Duration::ZERO, self.0.as_str());
        for _ in 0..4 {
            let (part, after) = first_part(rest).ok_or(DurationError(()))?;
            total = total.saturating_add(part);
            rest = after;
            if rest.is_empty() {
                return Ok(total);
            }
        }
        Err(DurationError(()))
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Splits the first number and unit off. `ms` is tried before `m`.
fn first_part(text: &str) -> Option<(time::Duration, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits).filter(|_| (1..=5).contains(&digits))?;
    let number: u64 = number.parse().ok()?;
    let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let (rest, millis) = units.into_iter().find_map(|(unit, millis)| Some((rest.strip_prefix(unit)?, millis)))?;
    Some((time::Duration::from_millis(number * millis), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_gep_2257_allows() {
        for (text, millis) in
            [("0s", 0), ("500ms", 500), ("1m30s", 90_000), ("1h1m1s1ms", 3_661_001), ("99999h", 359_996_400_000), ("1s1s", 2000)]
        {
            assert_eq!(Duration::from(text).parse(), Ok(time::Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "5", "s", "-5s", "+5s", "1.5s", "1 s", "5 minutes", "100000s", "1s1s1s1s1s", "1d", "1us", "1S", "١s", "1s-1s"] {
            assert!(Duration::from(text).parse().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in ".*") {
            let _ = Duration(text).parse();
        }

        #[test]
        fn parts_add_up(parts in prop::collection::vec((0u64..100_000, prop::sample::select(vec![("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)])), 1..5)) {
            let text: String = parts.iter().map(|(number, (unit, _))| format!("{number}{unit}")).collect();
            let millis = parts.iter().map(|(number, (_, millis))| number * millis).sum();
            prop_assert_eq!(Duration(text).parse(), Ok(time::Duration::from_millis(millis)));
        }
    }
}
