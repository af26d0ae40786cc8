//! When to compile: once changes have been quiet, or when the first of them has waited long enough.

use std::time::Duration;
use tokio::time::Instant;

const QUIET: Duration = Duration::from_millis(50);
const AT_MOST: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// The first and the newest change that wait.
    waiting: Option<(Instant, Instant)>,
}

// === impl Debounce ===

impl Debounce {
    pub(super) fn poke(&mut self, now: Instant) {
        let first = self.waiting.map_or(now, |(first, _)| first);
        self.waiting = Some((first, now));
    }

    /// When the waiting changes are due; `None` when nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.map(|(first, newest)| (newest + QUIET).min(first + AT_MOST))
    }

    pub(super) fn clear(&mut self) {
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_quiet_but_never_longer_than_half_a_second() {
        let (start, mut debounce) = (Instant::now(), Debounce::default());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(debounce.due(), None);
        for (poke, due) in [(0, 50), (40, 90), (80, 130), (460, 500), (499, 500)] {
            debounce.poke(at(poke));
            assert_eq!(debounce.due(), Some(at(due)), "after a change at {poke} ms");
        }
        debounce.clear();
        assert_eq!(debounce.due(), None);
    }
}
