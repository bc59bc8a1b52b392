//! Request bodies: none, whole, or in chunks that the other side sees as chunks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// A request body.
#[derive(Clone, Debug)]
pub enum Payload {
    /// None.
    Empty,
    /// Sent with a `content-length`.
    Whole(Bytes),
    /// Sent with `transfer-encoding: chunked`, one chunk each.
    Chunks(Vec<Bytes>),
    /// The same, slower.
    Paced {
        /// One chunk each.
        chunks: Vec<Bytes>,
        /// After each chunk.
        pause: Duration,
        /// It hangs after the last chunk, for ever.
        unfinished: bool,
    },
}

/// A [`Payload`] on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    left: VecDeque<Bytes>,
    length: Option<u64>,
    pause: Duration,
    /// Until then nothing goes out.
    resting: Option<Pin<Box<Sleep>>>,
    unfinished: bool,
}

impl Outgoing {
    fn new(left: impl Into<VecDeque<Bytes>>, length: Option<u64>) -> Self {
        Self { left: left.into(), length, pause: Duration::ZERO, resting: None, unfinished: false }
    }
}

impl From<Payload> for Outgoing {
    fn from(payload: Payload) -> Self {
        let length_of = |body: &Bytes| u64::try_from(body.len()).ok();
        match payload {
            Payload::Empty => Self::new([], Some(0)),
            Payload::Whole(body) => {
                let length = length_of(&body);
                Self::new([body], length)
            }
            Payload::Chunks(chunks) => Self::new(chunks, None),
            Payload::Paced { chunks, pause, unfinished } => Self { pause, unfinished, ..Self::new(chunks, None) },
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(rest) = &mut self.resting {
            ready!(rest.as_mut().poll(cx));
            self.resting = None;
        }
        match self.left.pop_front() {
            Some(chunk) => {
                if !self.pause.is_zero() {
                    self.resting = Some(Box::pin(tokio::time::sleep(self.pause)));
                }
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            // Nobody wakes us: only the connection's end, or the deadline, ends it.
            None if self.unfinished => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        // A chunked body says so even when it turns out to be empty.
        self.left.is_empty() && self.length.is_some()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}
