//! Times of day and dates, as seconds.
//!
//! No time zone rules: an offset is fixed, as a daylight saving law is data that would have to be kept up to date.

use super::probe::{DAY, WEEK};
use super::spans::Spans;

/// The days, in the order of ISO 8601.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes since midnight of `22:00`.
fn minutes(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str, max: u64| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|n| plain && *n <= max)
    };
    Some(two(hours, 23)?.saturating_mul(60).saturating_add(two(minutes, 59)?))
}

/// Seconds since midnight of `22:00`, or of `24:00`.
pub fn time_of_day(text: &str) -> Option<u64> {
    if text == "24:00" { Some(DAY) } else { minutes(text).map(|minutes| minutes.saturating_mul(60)) }
}

/// How many seconds a local clock is ahead of UTC: `Z`, `+05:30`, `-03:00`, within 14 hours.
pub fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return None,
    };
    let minutes = i64::try_from(minutes(rest)?).ok().filter(|minutes| *minutes <= 14 * 60)?;
    Some(minutes.saturating_mul(60).saturating_mul(sign))
}

/// Seconds since 1970 of a local `2026-01-31` (its first) or `2026-01-31T22:00`; the years 1970 to 9999.
pub fn date(text: &str, offset: i64) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, minutes(time)?),
        None => (text, 0),
    };
    let mut parts = date.split('-');
    let mut part = |len: usize| {
        let text = parts.next().filter(|text| text.len() == len && text.bytes().all(|b| b.is_ascii_digit()))?;
        text.parse::<i64>().ok()
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || year < 1970 || !(1..=longest).contains(&day) {
        return None;
    }
    // Days since 1970-01-01 of the proleptic Gregorian calendar, with years that begin in March: the leap day is last.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month = if month <= 2 { month.checked_add(9)? } else { month.checked_sub(3)? };
    let leaps = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let days = year.checked_mul(365)?.checked_add(leaps)?.checked_add((month.checked_mul(153)?.checked_add(2)?) / 5)?;
    let days = days.checked_add(day)?.checked_sub(719_469)?;
    let local = days.checked_mul(86_400)?.checked_add(i64::try_from(time).ok()?.checked_mul(60)?)?;
    Some(u64::try_from(local.checked_sub(offset)?).unwrap_or(0))
}

/// The seconds of a week that lie between two local times of day on these days (0 is Monday). What ends at or before its
/// beginning ends on the next day.
pub fn week(days: &[u64], from: u64, to: u64, offset: i64) -> Spans<u64> {
    let mut spans = Vec::new();
    let ahead = u64::try_from(offset.rem_euclid(i64::try_from(WEEK).unwrap_or(i64::MAX))).unwrap_or(0);
    for day in days {
        let length = if to > from { to.saturating_sub(from) } else { to.saturating_add(DAY).saturating_sub(from) };
        let begin = day.saturating_mul(DAY).saturating_add(from).saturating_add(WEEK).saturating_sub(ahead) % WEEK;
        let end = begin.saturating_add(length);
        spans.push((begin, end.min(WEEK)));
        spans.push((0, end.saturating_sub(WEEK)));
    }
    Spans::new(spans)
}

/// A day, in seconds.
pub const SECONDS_OF_DAY: u64 = DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds_since_1970() {
        for (text, offset, want) in [
            ("1970-01-01", 0, Some(0)),
            ("1970-01-01T00:01", 0, Some(60)),
            ("2000-02-29", 0, Some(951_782_400)),
            ("2026-11-21T15:16", 0, Some(1_795_274_160)),
            ("2026-11-21T20:46", 19_800, Some(1_795_274_160)),
            ("2026-11-21T12:16", -10_800, Some(1_795_274_160)),
            ("9999-12-31", 0, Some(253_402_214_400)),
            ("2026-02-29", 0, None),
            ("2100-02-29", 0, None),
            ("2026-13-01", 0, None),
            ("2026-00-01", 0, None),
            ("2026-04-31", 0, None),
            ("2026-4-30", 0, None),
            ("2026-04-30-01", 0, None),
            ("2026-04-30T24:00", 0, None),
            ("1969-12-31", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(date(text, offset), want, "{text}");
        }
    }

    #[test]
    fn times_and_offsets() {
        for (text, want) in [("00:00", Some(0)), ("23:59", Some(86_340)), ("24:00", Some(DAY)), ("24:01", None)] {
            assert_eq!(time_of_day(text), want, "{text}");
        }
        for bad in ["", "9:00", "09:60", "0900", "+9:00", "09:00:00"] {
            assert_eq!(time_of_day(bad), None, "{bad}");
        }
        for (text, want) in [
            ("Z", Some(0)),
            ("+00:00", Some(0)),
            ("+05:30", Some(19_800)),
            ("-03:00", Some(-10_800)),
            ("+14:00", Some(50_400)),
            ("+14:01", None),
            ("05:30", None),
            ("UTC", None),
        ] {
            assert_eq!(offset(text), want, "{text}");
        }
    }

    #[test]
    fn windows_cross_midnight_and_the_end_of_the_week() {
        let hour = 3_600;
        for (days, from, to, offset, want) in [
            (&[0][..], 9, 17, 0, vec![(9, 17)]),
            (&[6], 22, 6, 0, vec![(0, 6), (166, 168)]),
            (&[0], 9, 17, 10, vec![(0, 7), (167, 168)]),
            (&[0, 1], 0, 24, 0, vec![(0, 48)]),
            (&[0], 9, 9, 0, vec![(9, 33)]),
        ] {
            let want = want.into_iter().map(|(from, to)| (from * hour, to * hour)).collect();
            assert_eq!(week(days, from * hour, to * hour, offset * 3_600), Spans::new(want));
        }
    }
}
