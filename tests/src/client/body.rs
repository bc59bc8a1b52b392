//! Request bodies: none, whole, or in chunks that the other side sees as chunks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A request body.
#[derive(Clone, Debug)]
pub enum Payload {
    /// None.
    Empty,
    /// Sent with a `content-length`.
    Whole(Bytes),
    /// Sent with `transfer-encoding: chunked`, one chunk each.
    Chunks(Vec<Bytes>),
}

/// A [`Payload`] on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    left: VecDeque<Bytes>,
    length: Option<u64>,
}

impl From<Payload> for Outgoing {
    fn from(payload: Payload) -> Self {
        let length_of = |body: &Bytes| u64::try_from(body.len()).ok();
        match payload {
            Payload::Empty => Self { left: VecDeque::new(), length: Some(0) },
            Payload::Whole(body) => Self { length: length_of(&body), left: VecDeque::from([body]) },
            Payload::Chunks(chunks) => Self { left: chunks.into(), length: None },
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        // A chunked body says so even when it turns out to be empty.
        self.left.is_empty() && self.length.is_some()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}
