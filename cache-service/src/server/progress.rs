//! What a connection is doing: whether it is used, and whether its client takes what it is sent.
//!
//! hyper bounds the wait for a head of HTTP/1. It bounds neither a client that does not read its answers nor an unused
//! connection of HTTP/2, whose pings look alive for ever; so both are watched from here. Only requests count as use.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One connection's; shared by its socket and its requests.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    /// Requests whose answer is not given away.
    busy: usize,
    /// Answers that hyper has not taken whole.
    sending: usize,
    /// When a request came, was answered, or was done with.
    last: Instant,
    /// Since when the socket takes nothing.
    blocked: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { busy: 0, sending: 0, last: Instant::now(), blocked: None })))
    }

    /// A panic under this lock leaves a count wrong: go on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came; it is done with when this is dropped.
    pub(super) fn request(&self) -> Exchange {
        let mut state = self.state();
        state.busy += 1;
        state.last = Instant::now();
        Exchange { progress: self.clone(), sending: false }
    }

    /// How long it has not been used; `None` while it is.
    pub(super) fn idle(&self) -> Option<Duration> {
        let state = self.state();
        (state.busy == 0).then(|| state.last.elapsed())
    }

    /// How long the client has taken nothing of what it is sent.
    pub(super) fn stalled(&self) -> Duration {
        let state = self.state();
        let answer = (state.sending > 0).then_some(state.last);
        [answer, state.blocked].into_iter().flatten().map(|since| since.elapsed()).max().unwrap_or_default()
    }

    fn wrote<T>(&self, written: &Poll<T>) {
        let mut state = self.state();
        if written.is_ready() {
            state.blocked = None;
        } else {
            state.blocked.get_or_insert_with(Instant::now);
        }
    }
}

/// A request, from its head until hyper has taken its answer or has dropped it.
pub(super) struct Exchange {
    progress: Progress,
    sending: bool,
}

impl Exchange {
    /// The answer is there: from now on the client must take it.
    pub(super) fn answered(mut self) -> Self {
        let mut state = self.progress.state();
        state.sending += 1;
        state.last = Instant::now();
        drop(state);
        self.sending = true;
        self
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.progress.state();
        state.busy -= 1;
        state.sending -= usize::from(self.sending);
        state.last = Instant::now();
    }
}

/// A socket that notes when it takes nothing.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) progress: Progress,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.progress.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.progress.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
