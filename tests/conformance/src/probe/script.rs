//! The short language of what a client sends and an upstream answers: one piece a line, `WAIT VERB ARGUMENT..`.
//!
//! ```text
//! 0 head POST /x k=v cl        a request's head; `cl` is a right content-length, without one a body goes in chunks
//! 0 head 200 k=v cl            an answer's head
//! 30 body text*1000            some body: the text a thousand times, `\s` a space, `\n` a line's end
//! 0 end                        an empty last piece of body: the end comes apart from the last bytes
//! 0 trailers k=v               trailers, which end it
//! 0 reset | 0 leave | 0 hang   the connection is reset, is closed (clients only), stays silent
//! ```
//!
//! The wait is in milliseconds since the piece before it. What follows nothing is the end of the message.

use std::time::Duration;

use world::http::Headers;
use world::upstream::{Piece, Reply};

/// What a client does, and when: each that long after the one before it.
pub type Sending = Vec<(Duration, Sent)>;

/// One thing that a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It sends a piece of its request; `Piece::Reset` resets the connection.
    Piece(Piece),
    /// It closes the connection.
    Leave,
}

/// A line that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{line:?}: {why}")]
pub struct ScriptError {
    line: String,
    why: &'static str,
}

/// The pieces of a request. `own` are header lines that every request of its stream has, behind its own.
pub fn sending(lines: &[String], own: &[(String, String)]) -> Result<Sending, ScriptError> {
    let mut pieces = parse(lines, Kind::Request)?;
    for (_, sent) in &mut pieces {
        if let Sent::Piece(Piece::Head { headers, .. }) = sent {
            for (name, value) in own {
                if !headers.iter().any(|(known, _)| known == name.as_bytes()) {
                    headers.push((name.clone().into_bytes(), value.clone().into_bytes()));
                }
            }
        }
    }
    Ok(pieces)
}

/// The pieces of an answer.
pub fn reply(lines: &[String]) -> Result<Reply, ScriptError> {
    let pieces = parse(lines, Kind::Answer)?;
    let piece = |(wait, sent)| match sent {
        Sent::Piece(piece) => Some((wait, piece)),
        Sent::Leave => None,
    };
    Ok(Reply(pieces.into_iter().filter_map(piece).collect()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Answer,
}

fn parse(lines: &[String], kind: Kind) -> Result<Sending, ScriptError> {
    let mut pieces = Vec::new();
    let (mut ends, mut counted, mut length) = (true, false, 0);
    for line in lines {
        let error = |why| ScriptError { line: line.clone(), why };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [wait, verb, rest @ ..] = words.as_slice() else { return Err(error("WAIT VERB ARGUMENT..")) };
        let wait = wait.parse().map(Duration::from_millis).map_err(|_| error("a wait in milliseconds"))?;
        let sent = match *verb {
            "head" => {
                counted = rest.contains(&"cl");
                Sent::Piece(Piece::Head { headers: head(rest, kind).ok_or_else(|| error("a head"))?, end: false })
            }
            "body" => {
                let bytes = bytes(rest.first().copied().unwrap_or_default());
                length += bytes.len();
                Sent::Piece(Piece::Body { bytes, end: false })
            }
            "end" => Sent::Piece(Piece::Body { bytes: Vec::new(), end: false }),
            "trailers" => Sent::Piece(Piece::Trailers(fields(rest))),
            "reset" => Sent::Piece(Piece::Reset),
            "leave" if kind == Kind::Request => Sent::Leave,
            "hang" => {
                ends = false;
                continue;
            }
            _ => return Err(error("head, body, end, trailers, reset, hang or, for clients, leave")),
        };
        pieces.push((wait, sent));
    }
    // An answer without a body must say so, or the connection would have to end; where there can be none it must not.
    counted |= kind == Kind::Answer && ends && pieces.len() == 1 && !bodiless(&pieces);
    frame(&mut pieces, counted, length);
    mark_end(&mut pieces, ends);
    Ok(pieces)
}

/// The value of a header of the head.
fn header<'a>(pieces: &'a Sending, name: &str) -> Option<&'a [u8]> {
    let Some((_, Sent::Piece(Piece::Head { headers, .. }))) = pieces.first() else { return None };
    headers.iter().find(|(held, _)| held == name.as_bytes()).map(|(_, value)| value.as_slice())
}

/// Whether this is an answer that never has a body.
fn bodiless(pieces: &Sending) -> bool {
    matches!(header(pieces, ":status"), Some(b"204" | b"304"))
}

/// Says in the head how long the body is, or that it goes in chunks: the wire needs one of them.
fn frame(pieces: &mut Sending, counted: bool, length: usize) {
    let framed = |piece: &Sent| matches!(piece, Sent::Piece(Piece::Body { .. } | Piece::Trailers(_)));
    let has_body = pieces.iter().any(|(_, piece)| framed(piece));
    let Some((_, Sent::Piece(Piece::Head { headers, .. }))) = pieces.first_mut() else { return };
    let said = headers.iter().any(|(name, _)| name == b"content-length");
    if counted && !said {
        headers.push((b"content-length".to_vec(), length.to_string().into_bytes()));
    } else if has_body && !said {
        headers.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
    }
}

/// Marks where the message ends: where its length is reached, or with the last piece if it goes in chunks. `ends`: the
/// script does not say that it hangs.
fn mark_end(pieces: &mut Sending, ends: bool) {
    let length =
        header(pieces, "content-length").and_then(|text| std::str::from_utf8(text).ok()?.parse::<usize>().ok());
    let chunked = header(pieces, "transfer-encoding").is_some();
    // Trailers are an end of their own.
    let cut = |sent: &Sent| matches!(sent, Sent::Leave | Sent::Piece(Piece::Reset | Piece::Trailers(_)));
    let ends = ends && !pieces.iter().any(|(_, sent)| cut(sent));
    let last =
        pieces.iter().rposition(|(_, sent)| matches!(sent, Sent::Piece(Piece::Head { .. } | Piece::Body { .. })));
    let mut came = 0_usize;
    for (at, (_, sent)) in pieces.iter_mut().enumerate() {
        let (size, end) = match sent {
            Sent::Piece(Piece::Head { end, .. }) => (0, end),
            Sent::Piece(Piece::Body { bytes, end }) => (bytes.len(), end),
            Sent::Piece(Piece::Trailers(_) | Piece::Reset) | Sent::Leave => continue,
        };
        came += size;
        *end = match length {
            Some(length) => came == length,
            None if chunked => ends && Some(at) == last,
            None => true,
        };
    }
}

fn head(words: &[&str], kind: Kind) -> Option<Headers> {
    let pseudo = match kind {
        Kind::Request => vec![(":method", *words.first()?), (":path", *words.get(1)?), (":authority", "probe.test")],
        Kind::Answer => vec![(":status", *words.first()?)],
    };
    let own = words.get(if kind == Kind::Request { 2 } else { 1 }..)?;
    let mut headers = world::http::lines(pseudo);
    for (name, value) in fields(own) {
        headers.retain(|(known, _)| !(known.starts_with(b":") && *known == name));
        headers.push((name, value));
    }
    Some(headers)
}

fn fields(words: &[&str]) -> Headers {
    let field = |word: &&str| word.split_once('=').map(|(name, value)| (bytes(name), bytes(value)));
    words.iter().filter_map(field).collect()
}

/// The bytes of an argument, as the probe filter reads them.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    if let Some((text, count)) = text.rsplit_once('*')
        && let Ok(count) = count.parse()
    {
        return bytes(text).repeat(count);
    }
    let (mut out, mut rest) = (Vec::new(), text.chars());
    while let Some(next) = rest.next() {
        match (next, if next == '\\' { rest.next() } else { None }) {
            ('\\', Some('s')) => out.push(b' '),
            ('\\', Some('n')) => out.push(b'\n'),
            ('\\', Some('r')) => out.push(b'\r'),
            ('\\', Some('0')) => out.push(0),
            ('\\', Some('e')) => {}
            ('\\', Some('x')) => {
                let digits: String = rest.by_ref().take(2).collect();
                out.extend(u8::from_str_radix(&digits, 16));
            }
            (_, Some(other)) | (other, None) => out.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}
