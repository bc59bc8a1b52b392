//! The listeners: accepting, bounds on connections, and a shutdown that lets requests end.

mod progress;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::config::Limits;
use crate::http::{Trusted, hold};
use progress::{Progress, Watched};

/// A request's head, in bytes: its line and headers. Past it the answer is 431.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of one request. Past it the answer is 431.
const HEADERS_MAX: usize = 64;
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// After an error of accept, such as no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a connection is looked at: a quarter of its bounds, within these.
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// Connections of the admin listener.
const ADMIN_CONNECTIONS: usize = 64;
/// To the first request of one, so that silent ones do not keep a probe out for longer than it is patient.
const ADMIN_HEAD: Duration = Duration::from_secs(1);
/// For one without a request, and for a client that takes nothing.
const ADMIN_IDLE: Duration = Duration::from_secs(5);

/// Both listeners, bound.
pub struct Listeners {
    /// The proxy's.
    pub data: TcpListener,
    /// The operator's.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds both; port 0 takes a free one.
    pub async fn bind(data: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        let named = |what: &str, at: SocketAddr, e: io::Error| io::Error::new(e.kind(), format!("{what} {at}: {e}"));
        Ok(Self {
            data: TcpListener::bind(data).await.map_err(|e| named("listen", data, e))?,
            admin: TcpListener::bind(admin).await.map_err(|e| named("admin_listen", admin, e))?,
        })
    }
}

/// Whether a connection must show a token soon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Closed unless an authorised request comes within the head's time-out.
    UntilAuthorised,
    /// Closed unless a request comes soon; for a listener that asks for no token.
    UntilRequest,
}

/// What a listener's connections share.
pub struct Server {
    router: Router,
    http: Builder<TokioExecutor>,
    limits: Limits,
    trial: Trial,
}

impl Server {
    /// Serves the router within the limits.
    pub fn new(router: Router, mut limits: Limits, trial: Trial) -> Arc<Self> {
        if trial == Trial::UntilRequest {
            limits.connections = ADMIN_CONNECTIONS;
            limits.head_timeout = limits.head_timeout.min(ADMIN_HEAD);
            limits.idle_timeout = limits.idle_timeout.min(ADMIN_IDLE);
            limits.write_timeout = limits.write_timeout.min(ADMIN_IDLE);
        }
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            // hyper starts this clock when it waits for a request, so it is the bound on an unused connection too.
            .header_read_timeout(limits.idle_timeout)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(30));
        Arc::new(Self { router, http, limits, trial })
    }

    /// Accepts until `stop` resolves; then lets the requests in flight end within the drain time.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(());
        let bound = self.limits.connections;
        let places = Arc::new(Semaphore::new(bound));
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &places) => accepted,
            };
            if let Some((stream, place)) = accepted {
                let connection = Arc::clone(&self).connection(stream, stopped.clone());
                tokio::spawn(async move {
                    connection.await;
                    // Given back last: when every place is free, nothing of any connection is left.
                    drop(place);
                });
            }
        }
        drop(listener);
        let ended = async {
            let _ = stopping.send(());
            let _ = places.acquire_many(u32::try_from(bound).unwrap_or(u32::MAX)).await;
        };
        if tokio::time::timeout(self.limits.drain, ended).await.is_err() {
            tracing::warn!("requests still in flight at the end of the drain time are cut off");
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, mut stopped: watch::Receiver<()>) {
        // Small answers must not wait for the acknowledgement of those before them.
        let _ = stream.set_nodelay(true);
        let (trusted, progress) = (Trusted::default(), Progress::new());
        let (router, marked, used) = (self.router.clone(), trusted.clone(), progress.clone());
        let trial = self.trial;
        let service = service_fn(move |mut request: Request<Incoming>| {
            if trial == Trial::UntilRequest {
                marked.set();
            }
            let exchange = used.request();
            request.extensions_mut().insert(marked.clone());
            let router = router.clone();
            async move {
                let response = answer(router, request).await;
                Ok::<_, Infallible>(hold(response, exchange.answered()))
            }
        });
        let io = TokioIo::new(Watched { stream, progress: progress.clone() });
        let served = self.http.serve_connection(io, service);
        tokio::pin!(served);
        let Limits { head_timeout, write_timeout, idle_timeout, .. } = self.limits;
        let on_trial = tokio::time::sleep(head_timeout);
        tokio::pin!(on_trial);
        let often = (write_timeout.min(idle_timeout) / 4).clamp(LOOK_MIN, LOOK_MAX);
        let mut look = tokio::time::interval_at(Instant::now() + often, often);
        let (mut tried, mut closing) = (false, false);
        loop {
            tokio::select! {
                // Broken connections are the clients' affair.
                _ = &mut served => return,
                () = &mut on_trial, if !tried => {
                    tried = true;
                    if !trusted.is_set() {
                        return;
                    }
                }
                // Once: the sender lives until every connection has ended.
                _ = stopped.changed(), if !closing => {
                    closing = true;
                    served.as_mut().graceful_shutdown();
                }
                _ = look.tick() => {
                    let idle = progress.idle().unwrap_or_default();
                    if progress.stalled() >= write_timeout || idle >= idle_timeout + write_timeout {
                        return;
                    }
                    // HTTP/2 says goodbye, and is given time for the answer to that.
                    if idle >= idle_timeout && !closing {
                        closing = true;
                        served.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

async fn answer(router: Router, request: Request<Incoming>) -> axum::response::Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Waits for a place and then for a connection. Cancel-safe: nothing is accepted that is not returned.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "no connection could be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
