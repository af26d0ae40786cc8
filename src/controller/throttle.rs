//! A token bucket: so many at once, then so many a second.

use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Throttle {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

// === impl Throttle ===

impl Throttle {
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { per_second: per_second.into(), burst: burst.into(), tokens: burst.into(), at: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.burst);
        self.at = now;
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let start = Instant::now();
        let mut throttle = Throttle::new(20, 200, start);
        let taken = |throttle: &mut Throttle, at| (0..1000).filter(|_| throttle.take(at)).count();
        assert_eq!(taken(&mut throttle, start), 200);
        assert_eq!(taken(&mut throttle, start + Duration::from_secs(1)), 20);
        assert_eq!(taken(&mut throttle, start + Duration::from_secs(3600)), 200, "no more than the burst is saved up");
    }
}
