//! The listeners: accepting, bounds on connections, and a shutdown that lets requests end.

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
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::config::Limits;
use crate::http::Trusted;

/// A request's head, in bytes: its line and headers. Past it the answer is 431.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of one request. Past it the answer is 431.
const HEADERS_MAX: usize = 64;
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// After an error of accept, such as no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections of the admin listener.
const ADMIN_CONNECTIONS: usize = 64;

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
    /// Anyone may hold it.
    None,
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
    pub fn new(router: Router, limits: Limits, trial: Trial) -> Arc<Self> {
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
        let graceful = GracefulShutdown::new();
        let bound = match self.trial {
            Trial::UntilAuthorised => self.limits.connections,
            Trial::None => ADMIN_CONNECTIONS,
        };
        let places = Arc::new(Semaphore::new(bound));
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &places) => accepted,
            };
            if let Some((stream, place)) = accepted {
                let connection = Arc::clone(&self).connection(stream, graceful.watcher());
                tokio::spawn(async move {
                    connection.await;
                    // Given back last: when every place is free, nothing of any connection is left.
                    drop(place);
                });
            }
        }
        drop(listener);
        let ended = async {
            graceful.shutdown().await;
            let _ = places.acquire_many(u32::try_from(bound).unwrap_or(u32::MAX)).await;
        };
        if tokio::time::timeout(self.limits.drain, ended).await.is_err() {
            tracing::warn!("requests still in flight at the end of the drain time are cut off");
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, watcher: Watcher) {
        // Small answers must not wait for the acknowledgement of those before them.
        let _ = stream.set_nodelay(true);
        let trusted = Trusted::default();
        let (router, marked) = (self.router.clone(), trusted.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(marked.clone());
            let router = router.clone();
            async move { Ok::<_, Infallible>(answer(router, request).await) }
        });
        let served = watcher.watch(self.http.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::pin!(served);
        let on_trial = async {
            tokio::time::sleep(self.limits.head_timeout).await;
            if self.trial == Trial::None || trusted.is_set() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // Broken connections are the clients' affair.
            _ = &mut served => {}
            () = on_trial => {}
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
