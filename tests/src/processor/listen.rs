//! The API's listener: connections that can be reset, and a door that can be shut.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::port::HeldPort;

/// How long accepting rests after an error such as "too many open files".
const ACCEPT_REST: Duration = Duration::from_millis(20);

/// Whether the door is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Connections are accepted.
    Open,
    /// Nothing listens and no connection is left open.
    Shut,
}

/// Opens and shuts the door of a listener that is being served.
#[derive(Clone, Debug)]
pub(super) struct Gate(mpsc::Sender<Order>);

/// A door to be opened or shut, and who waits until it is.
pub(super) struct Order {
    door: Door,
    done: oneshot::Sender<io::Result<()>>,
}

/// A gate and what the listener hears of it.
pub(super) fn gate() -> (Gate, mpsc::Receiver<Order>) {
    let (sender, receiver) = mpsc::channel(1);
    (Gate(sender), receiver)
}

impl Gate {
    /// Returns once the door stands as asked.
    pub(super) async fn set(&self, door: Door) -> io::Result<()> {
        let gone = || io::Error::other("the listener has ended");
        let (done, wait) = oneshot::channel();
        self.0.send(Order { door, done }).await.map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }
}

/// Serves `router` on `listener`, bound to `address`, until the gate is gone.
pub(super) async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut place = Place::Listening(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = place.accept() => match accepted {
                Ok(stream) => { connections.spawn(serve_connection(stream, router.clone())); }
                Err(_) => tokio::time::sleep(ACCEPT_REST).await,
            },
            Some(_) = connections.join_next() => {}
            order = orders.recv() => {
                let Some(Order { door, done }) = order else { return };
                let moved = place.turn(door, address);
                place = moved.place;
                if door == Door::Shut {
                    connections.shutdown().await;
                }
                // Who asked may have hung up.
                let _ = done.send(moved.result);
            }
        }
    }
}

/// Who holds the port.
enum Place {
    Listening(TcpListener),
    Held(HeldPort),
    /// The port was lost; the next order to open tries again.
    Lost,
}

struct Moved {
    place: Place,
    result: io::Result<()>,
}

impl Place {
    async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Listening(listener) => listener.accept().await.map(|(stream, _)| stream),
            Self::Held(_) | Self::Lost => std::future::pending().await,
        }
    }

    fn turn(self, door: Door, address: SocketAddr) -> Moved {
        let turned = match (self, door) {
            (place @ Self::Listening(_), Door::Open) | (place @ Self::Held(_), Door::Shut) => Ok(place),
            (Self::Held(held), Door::Open) => listen(held),
            (Self::Lost, Door::Open) => HeldPort::bind(address).and_then(listen),
            (place @ (Self::Listening(_) | Self::Lost), Door::Shut) => {
                // The old listener must be closed before the port can be held without one.
                drop(place);
                HeldPort::bind(address).map(Self::Held)
            }
        };
        match turned {
            Ok(place) => Moved { place, result: Ok(()) },
            Err(error) => Moved { place: Self::Lost, result: Err(error) },
        }
    }
}

fn listen(held: HeldPort) -> io::Result<Place> {
    TcpListener::from_std(held.listen()?).map(Place::Listening)
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Best effort: without it an answer may wait for the caller's delayed ACK.
    let _ = stream.set_nodelay(true);
    let connection = Connection::default();
    let stream = Resettable { stream, connection: connection.clone() };
    let service = TowerToHyperService::new(router.layer(Extension(connection)));
    // An error is the caller's hang-up or our own reset: neither is news.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection a request came on; a handler may have it reset.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection(Arc<AtomicBool>);

impl Connection {
    /// From now on nothing more is written; the next write ends the connection with a RST.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

/// A stream that, once told to, writes nothing more and is closed by RST instead of FIN.
struct Resettable {
    stream: TcpStream,
    connection: Connection,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.connection.check().is_err() {
            // With a linger of zero close() throws away what is unsent and sends RST.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
