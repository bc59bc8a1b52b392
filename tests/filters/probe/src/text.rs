//! How bytes are written in programs and in recordings.

use std::fmt::Write as _;

/// Longer values are recorded by their length, a digest and their beginning.
const WHOLE_MAX: usize = 120;
/// How much of a long value is shown.
const SHOWN: usize = 16;

/// The bytes that an argument of an operation stands for: `\s` is a space, `\e` nothing, `\n`, `\r`, `\0` and `\xHH` are
/// bytes, and `TEXT*COUNT` is the text so many times.
pub(crate) fn bytes(argument: &str) -> Vec<u8> {
    if let Some((text, count)) = argument.rsplit_once('*')
        && let Ok(count) = count.parse()
    {
        return plain(text).repeat(count);
    }
    plain(argument)
}

fn plain(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            out.extend(next.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next() {
            Some('s') => out.push(b' '),
            Some('n') => out.push(b'\n'),
            Some('r') => out.push(b'\r'),
            Some('0') => out.push(0),
            Some('e') => {}
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                out.extend(u8::from_str_radix(&digits, 16));
            }
            Some(other) => out.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.push(b'\\'),
        }
    }
    out
}

/// A value in quotes, what is not printable as `\xHH`; a long one by its length and digest.
pub(crate) fn shown(value: &[u8]) -> String {
    if value.len() <= WHOLE_MAX {
        return format!("\"{}\"", escaped(value));
    }
    // FNV-1a: enough to tell two bodies apart, and written in three lines.
    let digest = value
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("len={} digest={digest:016x} \"{}\"..", value.len(), escaped(&value[..SHOWN]))
}

/// Printable text as it is, all else as `\xHH`.
pub(crate) fn escaped(value: &[u8]) -> String {
    let mut out = String::new();
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{other:02x}");
            }
        }
    }
    out
}

/// A property: eight bytes that are no text are a number, a map has an order of its own each time and is shown sorted.
pub(crate) fn property(value: &[u8]) -> String {
    if let Some(mut pairs) = from_pairs(value).filter(|pairs| !pairs.is_empty()) {
        pairs.sort();
        let lines = pairs.iter().map(|(key, value)| format!("{}={}", escaped(key), shown(value)));
        return format!("map {}", lines.collect::<Vec<_>>().join("; "));
    }
    match <[u8; 8]>::try_from(value) {
        Ok(number) if !value.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
            format!("int {}", i64::from_le_bytes(number))
        }
        _ => shown(value),
    }
}

/// Pairs in the ABI's map format.
pub(crate) fn to_pairs<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let (mut sizes, mut data, mut count) = (Vec::new(), Vec::new(), 0_u32);
    for (key, value) in pairs {
        for part in [key, value] {
            sizes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            data.extend_from_slice(part);
            data.push(0);
        }
        count += 1;
    }
    let mut out = count.to_le_bytes().to_vec();
    out.extend(sizes);
    out.extend(data);
    out
}

/// What stands in the map format; none if it is not of that format to the last byte.
pub(crate) fn from_pairs(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let word = |at: usize| {
        let word = bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(word.try_into().ok()?)).ok()
    };
    let count = word(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut pairs = Vec::new();
    for index in 0..count {
        let mut part = |offset: usize| {
            let len = word(4 + index * 8 + offset)?;
            let part = bytes.get(at..at.checked_add(len)?)?.to_vec();
            at = at.checked_add(len)?;
            (bytes.get(at) == Some(&0)).then_some(())?;
            at += 1;
            Some(part)
        };
        pairs.push((part(0)?, part(4)?));
    }
    (at == bytes.len()).then_some(pairs)
}
