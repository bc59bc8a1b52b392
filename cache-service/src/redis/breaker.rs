//! A breaker: after [`FAILURES_MAX`] failures in a row nothing more is asked, until the watchdog closes it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Failures in a row after which Redis is not asked.
const FAILURES_MAX: u32 = 8;

/// One for each kind of call: a slow look-up fails its short deadline where a record meets its long one.
pub(super) struct Breaker {
    /// What is said in the log when it opens.
    opened: &'static str,
    failures: AtomicU32,
    open: AtomicBool,
}

impl Breaker {
    pub(super) fn new(opened: &'static str) -> Self {
        Self { opened, failures: AtomicU32::new(0), open: AtomicBool::new(false) }
    }

    /// Whether nothing is to be asked.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// A call was answered. It does not close the breaker: it may have begun before the breaker opened.
    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A call failed.
    pub(super) fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX {
            self.open();
        }
    }

    /// Lets nothing through from now on.
    pub(super) fn open(&self) {
        if !self.open.swap(true, Ordering::Relaxed) {
            tracing::warn!("{}", self.opened);
        }
    }

    /// Lets everything through again.
    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        if self.open.swap(false, Ordering::Relaxed) {
            tracing::info!("over: {}", self.opened);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_only_closing_ends_that() {
        let breaker = Breaker::new("test");
        for _ in 0..3 {
            (1..FAILURES_MAX).for_each(|_| breaker.failed());
            assert!(!breaker.is_open());
            breaker.succeeded();
        }
        (0..FAILURES_MAX).for_each(|_| breaker.failed());
        assert!(breaker.is_open());
        breaker.succeeded();
        assert!(breaker.is_open());
        breaker.close();
        assert!(!breaker.is_open());
    }
}
