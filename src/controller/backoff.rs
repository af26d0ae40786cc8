//! How long a failed watch waits before it tries again.

use kube::runtime::utils::Backoff;
use std::time::Duration;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(200);
const CAP: Duration = Duration::from_secs(5);
/// Without a failure for this long, the next one counts as the first.
const CALM: Duration = Duration::from_secs(15);

/// Doubles from 200 ms to 5 s, with a quarter of jitter either way, and never ends (K08).
///
/// Time alone resets it. kube resets a backoff at every event, and a list that fails sends one first: a missing CRD would be
/// asked for five times a second for ever; kube's own default pays its 30 s cap twice after an API server restart.
#[derive(Debug)]
pub(super) struct Capped {
    next: Duration,
    last: Option<Instant>,
    random: u64,
}

// === impl Capped ===

impl Capped {
    /// `seed` spreads replicas apart; it need not be secret.
    pub(super) fn new(seed: u64) -> Self {
        Self { next: FIRST, last: None, random: seed }
    }

    /// A factor of 0.75 to 1.25 from a linear congruential step: jitter, not cryptography.
    fn jitter(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = f64::from(u32::try_from(self.random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        0.75 + 0.5 * unit
    }
}

impl Iterator for Capped {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last > CALM) {
            self.next = FIRST;
        }
        self.last = Some(now);
        let wait = self.next;
        self.next = CAP.min(wait * 2);
        Some(wait.mul_f64(self.jitter()))
    }
}

impl Backoff for Capped {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn doubles_to_five_seconds_and_is_reset_by_calm_alone_k08() {
        let mut backoff = Capped::new(7);
        let mut want = FIRST;
        for _ in 0..8 {
            let wait = backoff.next().unwrap();
            assert!(wait >= want.mul_f64(0.75) && wait <= want.mul_f64(1.25), "{wait:?} is not about {want:?}");
            backoff.reset();
            tokio::time::advance(wait).await;
            want = CAP.min(want * 2);
        }
        tokio::time::advance(CALM + Duration::from_millis(1)).await;
        assert!(backoff.next().unwrap() <= FIRST.mul_f64(1.25));
    }

    #[test]
    fn two_replicas_do_not_wait_alike() {
        let (mut a, mut b) = (Capped::new(1), Capped::new(2));
        assert_ne!(a.next(), b.next());
    }
}
