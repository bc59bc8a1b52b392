//! Finds what looks like a card number. A value that holds one is refused: no card number is ever stored.
//!
//! The rule errs towards refusing. A refused value costs one more request to the processor; a stored card number costs an
//! audit. It still lets pass what payment answers are full of: times, amounts, UUIDs and long identifiers.

/// The shortest and longest card number, in digits (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether the bytes hold 13 to 19 digits that begin with 2 to 6 and satisfy Luhn.
///
/// A card number is one run of digits, or several runs joined by single spaces or hyphens. A run is never cut: 20 digits
/// in a row are an identifier. Joined runs beside a letter are not taken: that is a UUID.
pub fn holds_card_number(bytes: &[u8]) -> bool {
    let mut joined: Vec<Run> = Vec::new();
    let mut at = 0;
    while let Some(run) = next_run(bytes, at) {
        at = run.end;
        let follows = joined.last().is_some_and(|last| last.end + 1 == run.start && is_joint(bytes.get(last.end)));
        if !follows {
            joined.clear();
        }
        joined.push(run);
        if ends_card_number(bytes, &joined) {
            return true;
        }
    }
    false
}

/// A maximal run of digits, as byte offsets.
struct Run {
    start: usize,
    end: usize,
}

fn next_run(bytes: &[u8], from: usize) -> Option<Run> {
    let start = from + bytes.get(from..)?.iter().position(u8::is_ascii_digit)?;
    let len = bytes.get(start..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    Some(Run { start, end: start + len })
}

fn is_joint(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b' ' | b'-'))
}

/// Whether a card number ends with the last of these runs.
fn ends_card_number(bytes: &[u8], joined: &[Run]) -> bool {
    let Some(last) = joined.last() else {
        return false;
    };
    let mut digits = 0;
    for (back, first) in joined.iter().rev().enumerate() {
        digits += first.end - first.start;
        if digits > *DIGITS.end() {
            return false;
        }
        let alone = back == 0;
        let beside_letter = || {
            let before = first.start.checked_sub(1).and_then(|i| bytes.get(i));
            [before, bytes.get(last.end)].into_iter().flatten().any(u8::is_ascii_alphabetic)
        };
        let candidate = bytes.get(first.start..last.end).unwrap_or_default();
        if DIGITS.contains(&digits) && is_issued(candidate) && luhn(candidate) && (alone || !beside_letter()) {
            return true;
        }
    }
    false
}

/// Payment networks issue numbers that begin with 2 to 6.
fn is_issued(candidate: &[u8]) -> bool {
    matches!(candidate.first(), Some(b'2'..=b'6'))
}

fn luhn(candidate: &[u8]) -> bool {
    let digits = candidate.iter().rev().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(i, d)| match (i % 2, d) {
            (0, d) => d,
            (_, d) if d > 4 => d * 2 - 9,
            (_, d) => d * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::holds_card_number;

    #[track_caller]
    fn check(expected: bool, text: &str) {
        assert_eq!(holds_card_number(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4111111111111111",
            r#"{"number":"5555555555554444"}"#,
            r#"{"number":378282246310005}"#,
            "4111 1111 1111 1111",
            "4111-1111-1111-1111 exp 12/30",
            "4111 1111 1111 1111 12 30",
            "ref 2024 4111111111111111",
            "12 4111 1111 1111 1111 99",
            "%B4111111111111111^DOE/JANE^",
            "6011000990139424",
            "2223003122003222",
            "4222222222222",
            "6304000000000000000",
            "411111111111111 4111111111111111",
        ] {
            check(true, text);
        }
    }

    #[test]
    fn what_answers_are_full_of_is_let_pass() {
        for text in [
            "",
            "411111",
            "4111111111111112",
            "411111******1111",
            "4111 11** **** 1111",
            // 20 and more digits in a row: an identifier, even where a window of it would fit.
            "41111111111111110000",
            "004111111111111111999999",
            // A time in microseconds and a number that begins with 1.
            "1700000000000000",
            "0000000000000000",
            "7992739871300000",
            // Two separators in a row, or others than space and hyphen.
            "4111  1111  1111  1111",
            "4111.1111.1111.1111",
            "[4111,1111,1111,1111]",
            // UUIDs, also such whose digits would satisfy Luhn.
            "550e8400-e29b-41d4-a716-446655440000",
            "abc4111-1111-1111-1111",
            "4111-1111-1111-1111f",
        ] {
            check(false, text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_matter() {
        assert!(!holds_card_number(&[0xff, 0x00, b'4', 0xfe]));
        assert!(holds_card_number(b"\xff\x004111111111111111\xff"));
        assert!(!holds_card_number(&b"4 ".repeat(5)));
    }

    #[test]
    fn a_large_value_of_digits_takes_no_long_time() {
        // Single digits joined by spaces are the worst case: every window of 13 to 19 is looked at.
        assert!(!holds_card_number(&b"1 ".repeat(500_000)));
    }
}
