//! Times of day and dates of a rule.

use super::super::values::some;
use super::super::{Result, wrong};
use super::Builder;
use crate::config::raw;
use crate::rules::window::{self, DAYS, SECONDS_OF_DAY};
use crate::rules::{Attribute, Condition, Spans, Values};

impl Builder<'_> {
    /// One of the windows is open.
    pub(super) fn times(&mut self, path: &str, windows: &[raw::TimeWindow]) -> Result<Condition> {
        some(path, windows)?;
        let mut any = Vec::new();
        for (i, window) in windows.iter().enumerate() {
            let path = if windows.len() > 1 { format!("{path}[{i}]") } else { path.to_owned() };
            any.push(self.window(&path, window)?);
        }
        Ok(Condition::Any(any))
    }

    fn window(&mut self, path: &str, raw: &raw::TimeWindow) -> Result<Condition> {
        let raw::TimeWindow { days, from, to, offset, not_before, not_after } = raw;
        let ahead = match offset.as_deref().map(window::offset) {
            Some(None) => return wrong(format!("{path}.offset"), "Z, +05:30 or -03:00, within 14 hours"),
            Some(Some(ahead)) => ahead,
            None => 0,
        };
        let mut all = Vec::new();
        if days.is_some() || from.is_some() || to.is_some() {
            let time = |field: &str, given: &Option<String>, default| match given.as_deref().map(window::time_of_day) {
                Some(None) => wrong(format!("{path}.{field}"), "a time of day such as 22:00"),
                Some(Some(time)) => Ok(time),
                None => Ok(default),
            };
            let (from, to) = (time("from", from, 0)?, time("to", to, SECONDS_OF_DAY)?);
            if from == to || from == SECONDS_OF_DAY {
                return wrong(path, "from and to are the same: leave both out for the whole day");
            }
            let mut numbers = Vec::new();
            if let Some(days) = days {
                some(&format!("{path}.days"), days)?;
                for (i, day) in days.iter().enumerate() {
                    match (0..).zip(DAYS).find(|(_, known)| known == day) {
                        Some((number, _)) => numbers.push(number),
                        None => {
                            let message = format!("{day:?} is none of {}", DAYS.join(", "));
                            return wrong(format!("{path}.days[{i}]"), message);
                        }
                    }
                }
            } else {
                numbers.extend(0..7);
            }
            let values = self.intern(Values::Numbers(window::week(&numbers, from, to, ahead)));
            all.push(Condition::Is(Attribute::Week, values));
        }
        if not_before.is_some() || not_after.is_some() {
            let date = |field: &str, given: &Option<String>| match given.as_deref().map(|t| window::date(t, ahead)) {
                Some(None) => wrong(format!("{path}.{field}"), "a date such as 2026-01-31 or 2026-01-31T22:00"),
                Some(found) => Ok(found),
                None => Ok(None),
            };
            let after = date("not_after", not_after)?;
            // The last day, or the last minute, belongs to it.
            let last = if not_after.as_ref().is_some_and(|text| text.contains('T')) { 60 } else { SECONDS_OF_DAY };
            let from = date("not_before", not_before)?.unwrap_or(0);
            let to = after.map_or(u64::MAX, |after| after.saturating_add(last));
            if from >= to {
                return wrong(path, "not_after is before not_before: no time fits");
            }
            let values = self.intern(Values::Numbers(Spans::new(vec![(from, to)])));
            all.push(Condition::Is(Attribute::Date, values));
        }
        if all.is_empty() {
            return wrong(path, "at least one of days, from, to, not_before and not_after");
        }
        Ok(Condition::All(all))
    }
}
