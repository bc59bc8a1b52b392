//! One thing that is measured.

use std::time::{Duration, Instant};

/// One thing that is measured, of one size.
pub struct Case {
    group: &'static str,
    what: String,
    size: String,
    run: Box<dyn FnMut(u32)>,
    /// How often it is run between two readings of the clock: as often as it took to be long enough.
    times: u32,
}

impl Case {
    /// `once` is what is measured; none of these names may hold a tab.
    pub(crate) fn new(
        group: &'static str,
        what: impl Into<String>,
        size: impl Into<String>,
        mut once: impl FnMut() + 'static,
    ) -> Self {
        let run = move |times| (0..times).for_each(|_| once());
        Self { group, what: what.into(), size: size.into(), run: Box::new(run), times: 1 }
    }

    /// Its group, what it is and its size, with tabs between them.
    pub fn line(&self) -> String {
        format!("{}\t{}\t{}", self.group, self.what, self.size)
    }

    /// Nanoseconds of one run, as the mean of so many that the clock shows `least` or more.
    pub fn measure(&mut self, least: Duration) -> f64 {
        loop {
            let began = Instant::now();
            (self.run)(self.times);
            let took = began.elapsed();
            if took >= least || self.times >= u32::MAX / 2 {
                return took.as_secs_f64() * 1e9 / f64::from(self.times);
            }
            self.times *= 2;
        }
    }
}
