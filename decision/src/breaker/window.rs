//! How many calls failed or were slow lately: ten buckets over a stretch of time or a number of calls.
//!
//! Why not a decayed average: one that weights by arrival cannot say over how many calls it speaks, and a minimum
//! volume is what keeps three payments at night from tripping anything. Buckets are numbered by the clock that all
//! workers of a proxy share, so what several workers saw adds up in any order.

use std::time::Duration;

use crate::time::Mono;

/// Buckets of a window: an old call leaves within a tenth of it.
pub(super) const BUCKETS: usize = 10;
const BUCKETS_U32: u32 = 10;
const BUCKETS_U64: u64 = 10;

/// How far back a window reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The last stretch of time; at least ten microseconds.
    Time(Duration),
    /// The last calls, to a tenth of their number; at least ten.
    Calls(u32),
}

/// What was counted in one bucket, or in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Calls that ended and say something of the processor.
    pub(super) calls: u32,
    /// Those that failed.
    pub(super) failures: u32,
    /// Those that took too long.
    pub(super) slow: u32,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

/// The buckets; `head` is the number of the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) head: u64,
    pub(super) buckets: [Tally; BUCKETS],
}

impl Window {
    /// Counts one call, or several that are alike, that ended at `at`.
    pub(super) fn count(&mut self, alike: Tally, span: Span, at: Mono, now: Mono) {
        let Span::Calls(calls) = span else {
            let newest = number_at(span, now);
            if self.is_of_another_span(newest) {
                *self = Self { head: newest, ..Self::default() };
            }
            return self.put(alike, number_at(span, at));
        };
        let size = (calls / BUCKETS_U32).max(1);
        let mut left = alike.calls;
        // More than the whole window pushes everything else out; what is beyond that says nothing more.
        for _ in 0..=BUCKETS {
            let room = size.saturating_sub(self.bucket(self.head).calls);
            let part = left.min(room);
            let of = |count: u32| if count > 0 { part } else { 0 };
            self.put(Tally { calls: part, failures: of(alike.failures), slow: of(alike.slow) }, self.head);
            left = left.saturating_sub(part);
            if left == 0 {
                return;
            }
            self.advance(self.head.saturating_add(1));
        }
    }

    fn put(&mut self, one: Tally, number: u64) {
        self.advance(number);
        // A straggler of a bucket that is gone has nothing to say any more.
        if self.head.saturating_sub(number) < BUCKETS_U64
            && let Some(bucket) = self.buckets.get_mut(place(number))
        {
            bucket.add(one);
        }
    }

    /// Everything within the span.
    pub(super) fn tally(&self, span: Span, now: Mono) -> Tally {
        let newest = match span {
            Span::Time(_) if self.is_of_another_span(number_at(span, now)) => return Tally::default(),
            Span::Time(_) => number_at(span, now).max(self.head),
            Span::Calls(_) => self.head,
        };
        let mut all = Tally::default();
        for back in 0..BUCKETS_U64 {
            // Buckets newer than the head hold what is ten buckets old.
            match newest.checked_sub(back) {
                Some(number) if number <= self.head => all.add(self.bucket(number)),
                _ => {}
            }
        }
        all
    }

    /// Was it numbered by a shorter span, before the configuration changed? Clocks of workers are one: nobody is ahead
    /// of now.
    fn is_of_another_span(&self, number: u64) -> bool {
        self.head > number.saturating_add(BUCKETS_U64)
    }

    fn bucket(&self, number: u64) -> Tally {
        self.buckets.get(place(number)).copied().unwrap_or_default()
    }

    fn advance(&mut self, number: u64) {
        let steps = number.saturating_sub(self.head).min(BUCKETS_U64);
        for back in 0..steps {
            if let Some(bucket) = self.buckets.get_mut(place(number.saturating_sub(back))) {
                *bucket = Tally::default();
            }
        }
        self.head = self.head.max(number);
    }
}

fn number_at(span: Span, now: Mono) -> u64 {
    match span {
        Span::Time(whole) => {
            let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
            now.0.checked_div((micros / BUCKETS_U64).max(1)).unwrap_or(0)
        }
        Span::Calls(_) => 0,
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS_U64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: Tally = Tally { calls: 1, failures: 0, slow: 0 };
    const BAD: Tally = Tally { calls: 1, failures: 1, slow: 0 };

    #[test]
    fn a_window_of_calls_forgets_the_oldest_tenth() {
        let span = Span::Calls(100);
        let mut window = Window::default();
        for _ in 0..100 {
            window.count(BAD, span, Mono(0), Mono(0));
        }
        assert_eq!(window.tally(span, Mono(0)), Tally { calls: 100, failures: 100, slow: 0 });
        window.count(GOOD, span, Mono(0), Mono(0));
        assert_eq!(window.tally(span, Mono(0)), Tally { calls: 91, failures: 90, slow: 0 });
    }

    proptest! {
        /// Never fewer than the calls of nine tenths of the span, never one older than the span.
        #[test]
        fn a_window_of_time_holds_what_is_young_and_nothing_old(
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..300),
        ) {
            let span = Span::Time(Duration::from_micros(1_000));
            let (mut window, mut now, mut all) = (Window::default(), 5_000_u64, Vec::new());
            for (wait, failed) in steps {
                now += wait;
                window.count(if failed { BAD } else { GOOD }, span, Mono(now), Mono(now));
                all.push((now, failed));
                let later = now + wait / 2;
                let got = window.tally(span, Mono(later));
                let within = |age: u64| all.iter().filter(|(at, _)| later - at < age).count();
                prop_assert!(usize::try_from(got.calls).unwrap() >= within(900));
                prop_assert!(usize::try_from(got.calls).unwrap() <= within(1_000));
                prop_assert!(got.failures <= got.calls);
            }
        }

        /// Workers whose clocks agree may add what they saw in any order.
        #[test]
        fn the_order_of_additions_does_not_matter(mut times in prop::collection::vec(0_u64..3_000, 1..60)) {
            let span = Span::Time(Duration::from_micros(1_000));
            let fill = |times: &[u64]| {
                let mut window = Window::default();
                times.iter().for_each(|at| window.count(BAD, span, Mono(*at), Mono(3_000)));
                window.tally(span, Mono(3_000))
            };
            let forward = fill(&times);
            times.sort_unstable();
            let sorted = fill(&times);
            times.reverse();
            prop_assert_eq!(fill(&times), sorted);
            prop_assert_eq!(forward, sorted);
        }
    }
}
