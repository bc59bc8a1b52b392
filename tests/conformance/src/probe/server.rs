//! The real hosts behind the clusters: raw TCP servers that answer by the script of the case that asks.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as BlockingStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use world::upstream::{Door, Piece, Reply};

use super::wire::{Read, Writer, read};
use e2e::port::HeldPort;

/// Long enough for a connection on the same machine; one that takes longer is not accepted.
const CONNECTED_WITHIN: Duration = Duration::from_millis(100);
/// Connections tried to fill a queue that takes one.
const FILLERS: usize = 4;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Where.
    pub(super) cluster: String,
    /// It, as far as it came.
    pub(super) request: Read,
}

#[derive(Default)]
struct Book {
    /// What each cluster's host answers next.
    replies: BTreeMap<String, VecDeque<Reply>>,
    seen: Vec<Seen>,
    /// Counts the cases.
    round: u64,
}

/// One server per cluster that has a host. Dropping it ends them.
pub(super) struct Servers {
    addresses: BTreeMap<String, SocketAddr>,
    book: Arc<Mutex<Book>>,
    _tasks: JoinSet<()>,
    _held: Vec<HeldPort>,
    _silent: Vec<(Socket, Vec<BlockingStream>)>,
}

impl Servers {
    /// Binds a free port for each.
    pub(super) async fn start(doors: &BTreeMap<String, Door>) -> io::Result<Self> {
        let book = Arc::<Mutex<Book>>::default();
        let (mut addresses, mut tasks) = (BTreeMap::new(), JoinSet::new());
        let (mut held, mut silent) = (Vec::new(), Vec::new());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for (cluster, door) in doors {
            let address = match door {
                Door::Open => {
                    let listener = TcpListener::bind(any).await?;
                    let address = listener.local_addr()?;
                    tasks.spawn(listen(listener, cluster.clone(), Arc::clone(&book)));
                    address
                }
                Door::Refused => {
                    let port = HeldPort::bind(any)?;
                    let address = port.address()?;
                    held.push(port);
                    address
                }
                Door::Silent => {
                    let (socket, address, fillers) = never_accepts(any)?;
                    silent.push((socket, fillers));
                    address
                }
            };
            addresses.insert(cluster.clone(), address);
        }
        Ok(Self { addresses, book, _tasks: tasks, _held: held, _silent: silent })
    }

    /// Where each cluster's host is.
    pub(super) fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// From now on these are the answers.
    pub(super) fn play(&self, replies: &BTreeMap<String, Vec<Reply>>) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.seen.clear();
        book.round += 1;
        book.replies =
            replies.iter().map(|(cluster, replies)| (cluster.clone(), replies.iter().cloned().collect())).collect();
    }

    /// What arrived since.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }
}

/// A socket whose queue is full: what comes next waits for ever.
fn never_accepts(any: SocketAddr) -> io::Result<(Socket, SocketAddr, Vec<BlockingStream>)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&any.into())?;
    socket.listen(0)?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let fill = |_| BlockingStream::connect_timeout(&address, CONNECTED_WITHIN).ok();
    let fillers = (0..FILLERS).map_while(fill).collect();
    Ok((socket, address, fillers))
}

async fn listen(listener: TcpListener, cluster: String, book: Arc<Mutex<Book>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, cluster.clone(), Arc::clone(&book)));
    }
}

/// Answers the requests of one connection until it ends.
async fn serve(mut stream: TcpStream, cluster: String, book: Arc<Mutex<Book>>) {
    // Pieces are to arrive as they were written.
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    loop {
        // Where this request stands among those seen: they are in the order of their heads.
        let mut place = None;
        let request = loop {
            if let Some(request) = read(&bytes, false) {
                let at = note(&book, &cluster, place, &request);
                place = Some(at);
                if request.whole {
                    break request;
                }
            }
            match stream.read_buf(&mut bytes).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        };
        bytes.drain(..request.used);
        let reply = next(&book, &cluster).unwrap_or_else(|| Reply::answer(Duration::ZERO, 200, &[], b"ok"));
        if play(&mut stream, &reply).await.is_none() {
            return;
        }
    }
}

/// Writes down how far a request has come, at the place it has already, and says where that is. A place of an earlier case
/// is gone with it.
fn note(book: &Mutex<Book>, cluster: &str, place: Option<(u64, usize)>, request: &Read) -> (u64, usize) {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = Seen { cluster: cluster.to_owned(), request: request.clone() };
    match place {
        None => {
            book.seen.push(seen);
            (book.round, book.seen.len() - 1)
        }
        Some((round, at)) => {
            if round == book.round {
                book.seen[at] = seen;
            }
            (round, at)
        }
    }
}

/// Takes what the host of a cluster answers next.
fn next(book: &Mutex<Book>, cluster: &str) -> Option<Reply> {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    book.replies.get_mut(cluster).and_then(VecDeque::pop_front)
}

/// Plays an answer. None if the connection is over.
async fn play(stream: &mut TcpStream, reply: &Reply) -> Option<()> {
    let mut writer = Writer::new();
    for (wait, piece) in &reply.0 {
        tokio::time::sleep(*wait).await;
        if matches!(piece, Piece::Reset) {
            // Closing with a linger of nothing sends RST instead of FIN.
            let _ = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
            return None;
        }
        stream.write_all(&writer.bytes(piece)).await.ok()?;
    }
    let ended = match reply.0.last().map(|(_, piece)| piece) {
        Some(Piece::Head { end, .. } | Piece::Body { end, .. }) => *end,
        Some(Piece::Trailers(_)) => true,
        Some(Piece::Reset) | None => false,
    };
    if !ended {
        // It hangs until the other side has had enough.
        let mut rest = [0; 256];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        return None;
    }
    Some(())
}
