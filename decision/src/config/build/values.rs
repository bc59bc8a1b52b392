//! Single values: names, numbers within their range, pointers.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Result, wrong};
use crate::config::{ConfigError, Presence, defaults};
use crate::lookup::{MalformedNamespace, Namespace};
use crate::payment::{Currency, MalformedCurrency, Pointer};

pub(super) fn pointers(path: &str, raw: &[String], presence: Presence) -> Result<Vec<Pointer>> {
    if presence == Presence::Required {
        some(path, raw)?;
    }
    raw.iter().enumerate().map(|(i, text)| pointer(&format!("{path}[{i}]"), text)).collect()
}

pub(super) fn pointer(path: &str, text: &str) -> Result<Pointer> {
    Pointer::parse(text).map_err(|message| ConfigError { path: path.to_owned(), message: message.to_owned() })
}

pub(super) fn some<T>(path: &str, list: &[T]) -> Result<()> {
    if list.is_empty() { wrong(path, "at least one value") } else { Ok(()) }
}

pub(super) fn name(path: &str, text: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if (1..=defaults::NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(plain) {
        Ok(())
    } else {
        wrong(path, format!("a name is 1 to {} letters, digits, - and _", defaults::NAME_LEN_MAX))
    }
}

pub(super) fn header_name(path: &str, text: &str) -> Result<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=defaults::NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(token) {
        Ok(text.to_ascii_lowercase())
    } else {
        wrong(path, "a header name")
    }
}

pub(super) fn namespace(path: &str, text: &str) -> Result<Namespace> {
    text.parse().map_err(|e: MalformedNamespace| ConfigError { path: path.to_owned(), message: e.to_string() })
}

pub(super) fn currency(path: &str, text: &str) -> Result<Currency> {
    text.parse().map_err(|e: MalformedCurrency| ConfigError { path: path.to_owned(), message: e.to_string() })
}

pub(super) fn number(path: &str, given: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<u64> {
    let value = given.unwrap_or(default);
    if range.contains(&value) {
        Ok(value)
    } else {
        wrong(path, format!("{value} is not within {} to {}", range.start(), range.end()))
    }
}

/// A number whose range ends well below 2^32.
pub(super) fn small(path: &str, given: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<u32> {
    let value = number(path, given, default, range)?;
    u32::try_from(value).or_else(|_| wrong(path, format!("{value} is too much")))
}

pub(super) fn size(path: &str, given: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<usize> {
    let value = number(path, given, default, range)?;
    usize::try_from(value).or_else(|_| wrong(path, format!("{value} does not fit this machine")))
}

pub(super) fn millis(value: u64) -> Duration {
    Duration::from_millis(value)
}
