//! Averages that forget: what was seen long ago counts for little, and nothing has to be thrown away on a tick.

use std::time::Duration;

use crate::time::Mono;

/// What is left of a value after `waited`, when it falls to 1/e in `tau`.
fn left_after(waited: Duration, tau: Duration) -> f64 {
    if waited.is_zero() {
        return 1.0;
    }
    libm::exp(-(waited.as_secs_f64() / tau.as_secs_f64()))
}

/// Two sums that fade alike, such as approved and declined: together, as they are read together and the exponential
/// is what costs.
#[derive(Clone, Copy, Debug)]
pub struct Decayed {
    sums: [f64; 2],
    at: Mono,
}

impl Default for Decayed {
    fn default() -> Self {
        Self { sums: [0.0; 2], at: Mono(0) }
    }
}

impl Decayed {
    /// Adds to each sum.
    pub fn add(&mut self, amounts: [f64; 2], now: Mono, tau: Duration) {
        let [first, second] = self.read(now, tau);
        let [more, also] = amounts;
        self.sums = [first + more, second + also];
        self.at = self.at.max(now);
    }

    /// What is left of all that was added.
    pub fn read(&self, now: Mono, tau: Duration) -> [f64; 2] {
        if self.sums == [0.0; 2] {
            return self.sums;
        }
        let left = left_after(now.since(self.at), tau);
        self.sums.map(|sum| sum * left)
    }
}

/// The peak EWMA of Finagle and tower (`tower/src/load/peak_ewma.rs`): `E = r` when a sample `r` is above it, else
/// `E * e^(-dt/tau) + r * (1 - e^(-dt/tau))`. It rises at once and falls slowly; unread, it falls to zero, so that who
/// was slow is tried again.
#[derive(Clone, Copy, Debug)]
pub struct PeakEwma {
    average: f64,
    at: Mono,
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self { average: 0.0, at: Mono(0) }
    }
}

impl PeakEwma {
    /// Counts a sample.
    pub fn observe(&mut self, sample: f64, now: Mono, tau: Duration) {
        let left = left_after(now.since(self.at), tau);
        self.average = if sample > self.average { sample } else { self.average * left + sample * (1.0 - left) };
        self.at = self.at.max(now);
    }

    /// Raises it to `sample`; one below what is left of the average changes nothing, not even its age.
    pub fn raise(&mut self, sample: f64, now: Mono, tau: Duration) {
        if sample > self.read(now, tau) {
            self.average = sample;
            self.at = self.at.max(now);
        }
    }

    /// What is left of it.
    pub fn read(&self, now: Mono, tau: Duration) -> f64 {
        if self.average == 0.0 { 0.0 } else { self.average * left_after(now.since(self.at), tau) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAU: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Mono {
        Mono(millis * 1_000)
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let mut average = PeakEwma::default();
        average.observe(0.1, at(0), TAU);
        average.observe(2.0, at(10), TAU);
        assert_eq!(average.read(at(10), TAU), 2.0);
        average.observe(0.1, at(10_010), TAU);
        let want = 2.0 * libm::exp(-1.0) + 0.1 * (1.0 - libm::exp(-1.0));
        assert!((average.read(at(10_010), TAU) - want).abs() < 1e-12);
        assert!(average.read(at(200_000), TAU) < 1e-6, "idle, it is forgotten");
        let before = average.read(at(20_000), TAU);
        average.raise(before / 2.0, at(20_000), TAU);
        assert_eq!(average.read(at(20_000), TAU), before);
    }

    #[test]
    fn a_sum_falls_to_1_over_e_in_tau_and_never_grows_by_an_early_clock() {
        let mut sums = Decayed::default();
        sums.add([1.0, 0.0], at(10_000), TAU);
        sums.add([1.0, 3.0], at(5_000), TAU);
        assert_eq!(sums.read(at(0), TAU), [2.0, 3.0]);
        let [first, second] = sums.read(at(20_000), TAU);
        assert!((first - 2.0 * libm::exp(-1.0)).abs() < 1e-12 && (second - 3.0 * libm::exp(-1.0)).abs() < 1e-12);
    }
}
