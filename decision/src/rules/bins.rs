//! Account ranges as numbers.
//!
//! A card number stands for its first 11 digits, the longest account range there is. A value of fewer digits is all the
//! numbers that begin with it, and so is a BIN that is known of a payment: the payment has the value when all numbers
//! of the BIN lie within it. So eight known digits never match a part of their range, whose other part may be another
//! issuer's.

use super::spans::Spans;
use crate::payment::Bin;

/// Digits of a value, at most.
pub const DIGITS_MAX: usize = Bin::LEN_MAX;

/// How many numbers begin with so many digits.
fn width(digits: usize) -> u64 {
    let missing = u32::try_from(DIGITS_MAX.saturating_sub(digits)).unwrap_or(0);
    10_u64.saturating_pow(missing)
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n: u64, d| n.saturating_mul(10).saturating_add(u64::from(d.saturating_sub(b'0'))))
}

/// The numbers that a BIN leaves open, from and (excluded) to.
pub(super) fn span(bin: &Bin) -> (u64, u64) {
    prefix(bin.digits())
}

fn prefix(digits: &[u8]) -> (u64, u64) {
    let (width, number) = (width(digits.len()), number(digits));
    (number.saturating_mul(width), number.saturating_add(1).saturating_mul(width))
}

fn are_digits(text: &str, count: std::ops::RangeInclusive<usize>) -> bool {
    count.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// All numbers that begin with 1 to 11 digits.
pub fn of_prefix(text: &str) -> Option<(u64, u64)> {
    are_digits(text, 1..=DIGITS_MAX).then(|| prefix(text.as_bytes()))
}

/// A BIN of 6 to 11 digits, or a range `from-to` of two that are equally long (1 to 11 digits), both included.
pub fn of_text(text: &str) -> Option<(u64, u64)> {
    let Some((from, to)) = text.split_once('-') else {
        return are_digits(text, Bin::LEN_MIN..=DIGITS_MAX).then(|| prefix(text.as_bytes()));
    };
    let (first, last) = (of_prefix(from)?, of_prefix(to)?);
    (from.len() == to.len() && first.0 <= last.0).then_some((first.0, last.1))
}

/// The digits of the known BINs for which an index is kept, by what the values can tell apart: an index of so many
/// digits answers all longer BINs when no value has a finer edge.
pub(super) fn lengths<'a>(all: impl Iterator<Item = &'a Spans<u64>> + Clone) -> Vec<usize> {
    let fine = |digits: usize| {
        let width = width(digits);
        all.clone().any(|spans| spans.iter().any(|(from, to)| !from.is_multiple_of(width) || !to.is_multiple_of(width)))
    };
    let mut lengths = vec![Bin::LEN_MIN];
    while let Some(last) = lengths.last().copied() {
        if last == DIGITS_MAX || !fine(last) {
            break;
        }
        lengths.push(last.saturating_add(1));
    }
    lengths
}

/// The BINs of so many digits of which every number is held.
pub(super) fn whole(spans: &Spans<u64>, digits: usize) -> Vec<(u64, u64)> {
    let width = width(digits);
    let whole = spans.iter().map(|(from, to)| (from.div_ceil(width), to.checked_div(width).unwrap_or(0)));
    whole.filter(|(from, to)| from < to).collect()
}

/// A BIN cut to at most so many digits, as a number.
pub(super) fn cut(bin: &Bin, digits: usize) -> u64 {
    number(bin.digits().get(..digits).unwrap_or(bin.digits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ranges_of_eleven_digits() {
        for (text, want) in [
            ("424242", Some((42_424_200_000, 42_424_300_000))),
            ("42424242424", Some((42_424_242_424, 42_424_242_425))),
            ("4242-4243", Some((42_420_000_000, 42_440_000_000))),
            ("51000000000-51999999999", Some((51_000_000_000, 52_000_000_000))),
            ("0-9", Some((0, 100_000_000_000))),
            ("424242-424242", Some((42_424_200_000, 42_424_300_000))),
            ("42424", None),
            ("424242424242", None),
            ("4243-4242", None),
            ("4242-424", None),
            ("-4242", None),
            ("4242-", None),
            ("4-5-6", None),
            ("", None),
            ("42424x", None),
        ] {
            assert_eq!(of_text(text), want, "{text}");
        }
        assert_eq!(of_prefix("4"), Some((40_000_000_000, 50_000_000_000)));
        assert_eq!(of_prefix(""), None);
    }

    #[test]
    fn an_index_is_as_fine_as_its_finest_value() {
        for (text, want) in [("4242-4243", 6), ("42424242", 8), ("510000000-510000001", 9), ("42424242424", 11)] {
            let spans = Spans::new(vec![of_text(text).unwrap()]);
            assert_eq!(lengths([&spans].into_iter()).last(), Some(&want), "{text}");
        }
    }
}
