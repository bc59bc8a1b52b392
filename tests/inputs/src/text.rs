//! Messages as text: a first line, header lines, an empty line, a body. So a corpus can be read and written by hand.

use std::fmt::Write as _;

use decision::exchange::{Edit, Step};
use decision::lookup::Question;
use decision::reason::LocalReply;

/// Header lines as the proxy hands them over.
pub(crate) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// A message.
pub(crate) struct Message<'a> {
    /// The words of its first line.
    pub(crate) first: Vec<&'a [u8]>,
    /// Its headers, lower-case names.
    pub(crate) headers: Lines,
    /// What follows the empty line; none: there was none.
    pub(crate) body: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads any bytes; what is missing is empty.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let mut rest = bytes;
        let mut line = || {
            let at = rest.iter().position(|byte| *byte == b'\n')?;
            let (line, after) = rest.split_at(at);
            rest = &after[1..];
            Some(line)
        };
        let first = line();
        let mut headers = Lines::new();
        let mut ended = first.is_none();
        while !ended {
            match line() {
                Some([]) => break,
                Some(line) => {
                    let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                    let (name, value) = line.split_at(at);
                    let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
                    headers.push((name.to_ascii_lowercase(), value.to_vec()));
                }
                None => ended = true,
            }
        }
        let body = (!ended).then_some(rest);
        let first = first.unwrap_or(if ended { bytes } else { b"" });
        Self { first: first.split(|byte| *byte == b' ').collect(), headers, body }
    }

    /// A word of the first line, or nothing.
    pub(crate) fn word(&self, at: usize) -> &'a [u8] {
        self.first.get(at).copied().unwrap_or_default()
    }

    /// A word of the first line that is a number.
    pub(crate) fn number(&self, at: usize) -> Option<u16> {
        std::str::from_utf8(self.word(at)).ok()?.parse().ok()
    }
}

/// Bytes in ASCII.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// All that a step says, in ASCII.
pub(crate) fn step(step: &Step) -> String {
    match step {
        Step::Pass(list) => format!("pass{}", edits(list)),
        Step::ReadBody => "read_body".to_owned(),
        Step::Ask(question) => format!("ask {}", self::question(question)),
        Step::Forward(list) => format!("forward{}", edits(list)),
        Step::HoldResponse => "hold_response".to_owned(),
        Step::Reply(LocalReply { status, headers, body, details }) => {
            let mut text = format!("reply {status} {details}");
            for (name, value) in headers {
                let _ = write!(text, " [{}: {}]", shown(name.as_bytes()), shown(value));
            }
            format!("{text} {}", shown(body))
        }
    }
}

/// All that a question says, as it would go over the wire.
pub(crate) fn question(question: &Question) -> String {
    let request = question.request();
    let mut text = format!("{} {}", request.method, request.path);
    for (name, value) in &request.headers {
        let _ = write!(text, " [{name}: {}]", shown(value.as_bytes()));
    }
    format!("{text} {}", shown(&request.body))
}

fn edits(list: &[Edit]) -> String {
    let mut text = String::new();
    for edit in list {
        let _ = match edit {
            Edit::Set(name, value) => write!(text, " [{}: {}]", shown(name.as_bytes()), shown(value)),
            Edit::Remove(name) => write!(text, " [no {}]", shown(name)),
        };
    }
    text
}
