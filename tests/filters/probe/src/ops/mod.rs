//! Runs the operations of a program, one line each, and writes down what came of each.
//!
//! `VERB ARGUMENT..`; the arguments are separated by spaces, and [`crate::text::bytes`] says how one holds a space. What a
//! verb does not know is written down as such: a program with a slip must not look like a host that did nothing.

mod http;
mod shared;
mod stream;
mod vm;

use crate::host;

/// The level of every line: info.
const LEVEL: u32 = 2;

/// Writes one line down. The marker tells it from whatever else a host logs.
pub(crate) fn say(label: &str, text: &str) {
    host::log(LEVEL, &format!("probe|{label}|{text}"));
}

/// What an operation runs as.
pub(crate) struct Here<'a> {
    /// The context whose callback it is.
    pub(crate) id: u32,
    /// Its name.
    pub(crate) label: &'a str,
}

/// What came of an operation.
pub(crate) enum Came {
    /// This is to be written down.
    Of(String),
    /// The callback returns this.
    Return(u32),
    /// The operation is none of this family.
    Unknown,
}

impl Came {
    /// A bare status.
    pub(crate) fn status(status: u32) -> Self {
        Self::Of(status.to_string())
    }

    /// A status and, if all went well, a value. A value with another status would be a surprise, so it is shown too.
    pub(crate) fn value(status: u32, value: impl Into<String>, empty: bool) -> Self {
        if status != 0 && empty { Self::status(status) } else { Self::Of(format!("{status} {}", value.into())) }
    }
}

/// Runs them in order; what the last `return` said.
pub(crate) fn run(id: u32, label: &str, operations: &[String]) -> Option<u32> {
    let here = Here { id, label };
    let mut answer = None;
    for operation in operations {
        let mut words = operation.split_whitespace();
        let Some(verb) = words.next() else { continue };
        let arguments: Vec<&str> = words.collect();
        let families = [stream::run, http::run, shared::run, vm::run];
        let came = families.iter().map(|family| family(&here, verb, &arguments));
        match came.into_iter().find(|came| !matches!(came, Came::Unknown)) {
            Some(Came::Return(value)) => answer = Some(value),
            Some(Came::Of(text)) => say(label, &format!("  {operation} = {text}")),
            Some(Came::Unknown) | None => say(label, &format!("  {operation} = NO SUCH OPERATION")),
        }
    }
    answer
}

/// The `index`th argument, or nothing.
pub(crate) fn word<'a>(arguments: &[&'a str], index: usize) -> &'a str {
    arguments.get(index).copied().unwrap_or_default()
}

/// The `index`th argument as a number, or zero; `max` is the largest there is.
pub(crate) fn number<N: std::str::FromStr + Default>(arguments: &[&str], index: usize) -> N {
    word(arguments, index).parse().unwrap_or_default()
}

/// A size, or `max` for the largest.
pub(crate) fn size(arguments: &[&str], index: usize) -> usize {
    if word(arguments, index) == "max" { usize::MAX } else { number(arguments, index) }
}

/// The number of a name in a list, or the number itself.
pub(crate) fn named(names: &[&str], text: &str) -> u32 {
    let index = names.iter().position(|name| *name == text).and_then(|index| u32::try_from(index).ok());
    index.or_else(|| text.parse().ok()).unwrap_or(u32::MAX)
}

/// `KEY=VALUE` arguments. A pseudo header keeps its colon; the first `=` separates.
pub(crate) fn fields(arguments: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let field = |argument: &&str| {
        let (key, value) = argument.split_once('=')?;
        Some((crate::text::bytes(key), crate::text::bytes(value)))
    };
    arguments.iter().filter_map(field).collect()
}

/// Those in the map format.
pub(crate) fn encoded(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    crate::text::to_pairs(fields.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))
}

/// Bytes written as hexadecimal digits.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
