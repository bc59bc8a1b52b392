//! Scripted servers behind a cluster, in virtual time.

use std::time::Duration;

use crate::http::{Headers, Message, lines};

/// A server behind one cluster. It never waits: it says what comes back, and when.
pub trait Upstream {
    /// How a connection fares that is opened `now` (since the world began).
    fn door(&mut self, now: Duration) -> Door {
        let _ = now;
        Door::Open
    }

    /// A request has arrived whole.
    fn request(&mut self, now: Duration, request: &Message) -> Reply;

    /// A request broke off before it was whole; this much had come.
    fn abandoned(&mut self, now: Duration, request: &Message) {
        let _ = (now, request);
    }
}

/// How a connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// It is accepted.
    Open,
    /// It is refused at once.
    Refused,
    /// Nobody answers: the cluster's connect time-out ends it.
    Silent,
}

/// What goes back: pieces, each that long after the one before it, the first that long after the request arrived. One
/// that stops before its end hangs there for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply(pub Vec<(Duration, Piece)>);

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The head; `end` if nothing follows.
    Head {
        /// The header lines, `:status` among them.
        headers: Headers,
        /// Whether the answer ends here.
        end: bool,
    },
    /// Some of the body; `end` if nothing follows.
    Body {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether the answer ends here.
        end: bool,
    },
    /// The trailers, which end it.
    Trailers(Headers),
    /// The connection is reset.
    Reset,
}

impl Reply {
    /// A whole answer after `delay`: head and body at once, with a `content-length`.
    pub fn answer(delay: Duration, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let (status, length) = (status.to_string(), body.len().to_string());
        let mut head = lines([(":status", status.as_str())]);
        head.extend(lines(headers.iter().copied()));
        head.extend(lines([("content-length", length.as_str())]));
        let mut pieces = vec![(delay, Piece::Head { headers: head, end: body.is_empty() })];
        if !body.is_empty() {
            pieces.push((Duration::ZERO, Piece::Body { bytes: body.to_vec(), end: true }));
        }
        Self(pieces)
    }

    /// A reset after `delay`.
    pub fn reset(delay: Duration) -> Self {
        Self(vec![(delay, Piece::Reset)])
    }

    /// Nothing, ever.
    pub fn hang() -> Self {
        Self::default()
    }
}
