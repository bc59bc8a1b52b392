//! Virtual time and drawn numbers, as one VM reads them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::Clock;

/// The wall clock when a world begins: 2026-01-01, in nanoseconds.
const EPOCH: u64 = 1_767_225_600 * 1_000_000_000;

/// The one clock of a world. It stands still until it is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, now: Duration) {
        self.0.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What one VM reads: the world's clock, and a drawn word where its `random_get` armed it.
pub(crate) struct VmClock {
    time: Time,
    armed: AtomicBool,
    draws: Mutex<fastrand::Rng>,
}

impl VmClock {
    pub(crate) fn new(time: Time, seed: u64) -> Self {
        Self { time, armed: AtomicBool::new(false), draws: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// The next reading of the wall clock is a draw.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }

    fn nanos(&self) -> u64 {
        self.time.0.load(Ordering::Relaxed)
    }
}

impl Clock for VmClock {
    fn realtime_nanos(&self) -> u64 {
        if self.armed.swap(false, Ordering::Relaxed) {
            return self.draws.lock().unwrap_or_else(PoisonError::into_inner).u64(..);
        }
        EPOCH + self.nanos()
    }

    fn monotonic_nanos(&self) -> u64 {
        self.nanos()
    }
}
