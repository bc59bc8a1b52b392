//! A TCP path to a Redis on a Unix socket that can fall silent: its sockets stay open and nothing comes through, as when
//! a firewall drops a connection. New connections work. It can also be slow.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

pub(crate) struct TcpPath {
    pub(crate) at: SocketAddr,
    silenced: watch::Sender<u64>,
    delay_ms: Arc<AtomicU64>,
}

impl TcpPath {
    pub(crate) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let at = listener.local_addr().expect("an address");
        let (silenced, watched) = watch::channel(0);
        let delay_ms = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_ms);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, mut watched, delay) = (socket.clone(), watched.clone(), Arc::clone(&delay));
                watched.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(socket).await else {
                        return;
                    };
                    tokio::select! {
                        () = join(client, server, &delay) => {}
                        Ok(()) = watched.changed() => {
                            // Held open, and never read again.
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { at, silenced, delay_ms }
    }

    /// From now on nothing comes through the connections there are.
    pub(crate) fn silence(&self) {
        self.silenced.send_modify(|n| *n += 1);
    }

    /// From now on answers come this late.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).expect("short"), Ordering::SeqCst);
    }
}

/// Until either side ends.
async fn join(mut client: TcpStream, mut server: UnixStream, delay_ms: &AtomicU64) {
    let (mut from_client, to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = late(from_server, to_client, delay_ms) => {}
    }
}

async fn late(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWriteExt + Unpin, delay_ms: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let delay = delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}
