//! What time it is, for records that must not be freed early.
//!
//! A wall clock that jumps ahead makes every record look expired, and a freed claim is a payment made twice. So the
//! highest time seen is kept in the file, and a clock more than [`STEP_MAX`] ahead of it, less what this process knows to
//! have passed, is doubted: records are judged by the time before, and none is swept. After [`DOUBT`] in which it ran
//! evenly it is believed, since a service that was off for long sees the same. A clock set back only lets records live
//! longer.

use std::time::{Duration, Instant};

/// How far the clock may step ahead at once: a day.
const STEP_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How long a doubted clock must run evenly.
const DOUBT: Duration = Duration::from_secs(3_600);
/// How far it may be off while it does.
const UNEVEN_MAX: Duration = Duration::from_secs(60);

/// What the clock says, as far as it is believed. Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// What has expired is judged by this: never later than it is.
    pub(super) judged_by: u64,
    /// A new record's life begins here: never earlier than it is.
    pub(super) begins: u64,
    /// The highest time believed, to be kept.
    pub(super) seen: u64,
    /// Whether what expired long ago may be removed.
    pub(super) may_sweep: bool,
}

/// The clock of one record file.
pub(super) struct Clock {
    /// The highest time believed, and when it was.
    seen: u64,
    at: Instant,
    doubted: Option<Doubt>,
}

struct Doubt {
    wall: u64,
    since: Instant,
}

impl Clock {
    /// Goes on from the time kept in the file; `None` where none was kept.
    pub(super) fn from(seen: Option<u64>, wall: u64, now: Instant) -> Self {
        Self { seen: seen.unwrap_or(wall), at: now, doubted: None }
    }

    /// The time, when the wall clock says `wall`.
    pub(super) fn tell(&mut self, wall: u64, now: Instant) -> Time {
        let due = self.seen.saturating_add(millis(now.saturating_duration_since(self.at)));
        if wall > due.saturating_add(millis(STEP_MAX)) && !self.believes(wall, now) {
            return Time { judged_by: due, begins: wall, seen: self.seen, may_sweep: false };
        }
        self.doubted = None;
        if wall > self.seen {
            (self.seen, self.at) = (wall, now);
        }
        Time { judged_by: wall, begins: wall.max(due), seen: self.seen, may_sweep: true }
    }

    /// Whether a clock so far ahead has run evenly for long enough.
    fn believes(&mut self, wall: u64, now: Instant) -> bool {
        if let Some(doubt) = &self.doubted {
            let passed = now.saturating_duration_since(doubt.since);
            if wall.abs_diff(doubt.wall.saturating_add(millis(passed))) <= millis(UNEVEN_MAX) {
                return passed >= DOUBT;
            }
        }
        tracing::warn!("the clock stepped ahead by more than a day: for an hour no record is taken for expired by it");
        self.doubted = Some(Doubt { wall, since: now });
        false
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn time_that_passed_is_no_jump() {
        let now = Instant::now();
        let mut clock = Clock::from(None, 1_000, now);
        let later = clock.tell(1_000 + 30 * DAY, now + Duration::from_millis(30 * DAY));
        let at = 1_000 + 30 * DAY;
        assert_eq!(later, Time { judged_by: at, begins: at, seen: at, may_sweep: true });
    }

    #[test]
    fn a_jump_is_believed_after_an_hour_of_even_running() {
        let now = Instant::now();
        // Between writes, and at a start.
        for mut clock in [Clock::from(None, 0, now), Clock::from(Some(0), 400 * DAY, now)] {
            let at = |minutes: u64| (400 * DAY + minutes * 60_000, now + Duration::from_secs(minutes * 60));
            for minutes in [0, 30, 59] {
                let (wall, now) = at(minutes);
                let doubted = Time { judged_by: minutes * 60_000, begins: wall, seen: 0, may_sweep: false };
                assert_eq!(clock.tell(wall, now), doubted);
            }
            let (wall, now) = at(60);
            assert_eq!(clock.tell(wall, now), Time { judged_by: wall, begins: wall, seen: wall, may_sweep: true });
        }
    }

    #[test]
    fn another_jump_begins_the_hour_again_and_a_mended_clock_ends_it() {
        let now = Instant::now();
        let mut clock = Clock::from(None, 0, now);
        let later = |minutes: u64| now + Duration::from_secs(minutes * 60);
        assert!(!clock.tell(400 * DAY, now).may_sweep);
        assert!(!clock.tell(500 * DAY, later(59)).may_sweep);
        assert!(!clock.tell(500 * DAY + 2 * 60_000, later(61)).may_sweep);
        let mended = clock.tell(62 * 60_000, later(62));
        assert_eq!((mended.judged_by, mended.may_sweep), (62 * 60_000, true));
    }

    #[test]
    fn a_clock_set_back_shortens_no_life() {
        let now = Instant::now();
        let mut clock = Clock::from(Some(10 * DAY), DAY, now);
        let time = clock.tell(DAY, now);
        assert_eq!((time.judged_by, time.begins, time.seen), (DAY, 10 * DAY, 10 * DAY));
    }
}
