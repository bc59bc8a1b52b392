//! The client's side: what it sends, and what it gets.

use std::time::Duration;

use crate::http::{Headers, lines};

/// One piece of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Head(Headers, bool),
    Body(Vec<u8>, bool),
    Trailers(Headers),
    Disconnect,
}

/// A request, in pieces with times between them.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pieces: Vec<(Duration, Sent)>,
}

impl Request {
    /// A request with a body that comes at once, or without one if it is empty.
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = lines([(":authority", "proxy"), (":path", path), (":method", method), (":scheme", "http")]);
        head.extend(lines(headers.iter().copied()));
        if !body.is_empty() {
            head.extend(lines([("content-length", body.len().to_string().as_str())]));
        }
        let request = Self::head(head, body.is_empty());
        if body.is_empty() { request } else { request.body(Duration::ZERO, body, true) }
    }

    /// The head alone; `end` if nothing follows.
    pub fn head(headers: Headers, end: bool) -> Self {
        Self::default().then_head(Duration::ZERO, headers, end)
    }

    /// Then, `gap` later, the head.
    #[must_use]
    pub fn then_head(mut self, gap: Duration, headers: Headers, end: bool) -> Self {
        self.pieces.push((gap, Sent::Head(headers, end)));
        self
    }

    /// Then, `gap` later, some of the body.
    #[must_use]
    pub fn body(mut self, gap: Duration, bytes: &[u8], end: bool) -> Self {
        self.pieces.push((gap, Sent::Body(bytes.to_vec(), end)));
        self
    }

    /// Then, `gap` later, the trailers.
    #[must_use]
    pub fn trailers(mut self, gap: Duration, trailers: Headers) -> Self {
        self.pieces.push((gap, Sent::Trailers(trailers)));
        self
    }

    /// Then, `gap` later, the client is gone.
    #[must_use]
    pub fn disconnect(mut self, gap: Duration) -> Self {
        self.pieces.push((gap, Sent::Disconnect));
        self
    }

    pub(super) fn into_pieces(self) -> Vec<(Duration, Sent)> {
        self.pieces
    }
}

/// How an answer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It may still come, or go on.
    #[default]
    Open,
    /// It is whole.
    Whole,
    /// The connection ended before it was whole.
    Broken,
    /// The client left.
    Left,
}

/// What a client got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The head, once it came.
    pub headers: Option<Headers>,
    /// The body so far.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Headers,
    /// How it stands.
    pub ending: Ending,
    /// When it ended, since the request was sent.
    pub took: Duration,
}

impl Answer {
    /// The status; 0 until the head came.
    pub fn status(&self) -> u16 {
        self.header(":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()).unwrap_or(0)
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let headers = self.headers.as_ref()?;
        headers.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }
}
