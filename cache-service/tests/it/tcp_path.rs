//! A TCP path to a Redis on a Unix socket that can fall silent: its sockets stay open and nothing comes through, as when
//! a firewall drops a connection. New connections work.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

pub(crate) struct TcpPath {
    pub(crate) at: SocketAddr,
    silenced: watch::Sender<u64>,
}

impl TcpPath {
    pub(crate) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let at = listener.local_addr().expect("an address");
        let (silenced, watched) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (socket, mut watched) = (socket.clone(), watched.clone());
                watched.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut server) = UnixStream::connect(socket).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        Ok(()) = watched.changed() => {
                            // Held open, and never read again.
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { at, silenced }
    }

    /// From now on nothing comes through the connections there are.
    pub(crate) fn silence(&self) {
        self.silenced.send_modify(|n| *n += 1);
    }
}
