//! How long a breaker stays open: exponential, with a jitter that keeps proxies from probing in step.

use std::time::Duration;

use crate::rng::Rng;

/// `base * 2^trips`, at most `max`, of which the upper half is random ("equal jitter": never shorter than half, so a
/// broken processor is never hammered, and never all at once).
pub fn wait(base: Duration, max: Duration, trips: u32, rng: &mut Rng) -> Duration {
    let factor = 1_u32.checked_shl(trips.min(31)).unwrap_or(u32::MAX);
    let whole = base.saturating_mul(factor).min(max);
    let half = u64::try_from(whole.as_micros() / 2).unwrap_or(u64::MAX);
    Duration::from_micros(half.saturating_add(rng.below(half.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_never_below_half() {
        let mut rng = Rng::new(1);
        let (base, max) = (Duration::from_secs(5), Duration::from_secs(60));
        for (trips, whole) in [(0, 5), (1, 10), (2, 20), (3, 40), (4, 60), (40, 60), (u32::MAX, 60)] {
            for _ in 0..200 {
                let got = wait(base, max, trips, &mut rng);
                assert!(got >= Duration::from_secs(whole) / 2, "{trips}: {got:?}");
                assert!(got <= Duration::from_secs(whole), "{trips}: {got:?}");
            }
        }
    }
}
