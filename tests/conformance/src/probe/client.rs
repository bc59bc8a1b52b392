//! The real client: it sends pieces when they are due, reads what comes meanwhile, and says how it ended.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use world::upstream::Piece;

use super::script::{Sending, Sent};
use super::wire::{Read, Writer, read};

/// How an exchange ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer is whole.
    Whole,
    /// The proxy closed the connection before that.
    Closed,
    /// The proxy reset it.
    Reset,
    /// Nothing more came while it was waited for.
    Waited,
    /// The client left.
    Left,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// As far as it came, if its head did.
    pub(super) read: Option<Read>,
    /// How it ended.
    pub(super) end: End,
    /// How long it took.
    pub(super) took: Duration,
}

/// Sends a request and reads the answer.
pub(super) async fn exchange(to: SocketAddr, sending: &Sending, wait: Duration) -> io::Result<Answer> {
    let began = Instant::now();
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    // What answers HEAD ends with its head.
    let head_alone = sending.iter().any(|(_, sent)| {
        matches!(sent, Sent::Piece(Piece::Head { headers, .. })
        if headers.iter().any(|(name, value)| name == b":method" && value == b"HEAD"))
    });
    let (mut from, mut into) = stream.into_split();
    let mut bytes = Vec::new();
    let talk = async {
        tokio::select! {
            end = receive(&mut from, &mut bytes, head_alone) => end,
            () = send(&mut into, sending) => End::Left,
        }
    };
    let end = tokio::time::timeout(wait, talk).await.unwrap_or(End::Waited);
    Ok(Answer { read: read(&bytes, end == End::Closed), end, took: began.elapsed() })
}

/// Sends all pieces. It comes back only if the client leaves.
async fn send(stream: &mut OwnedWriteHalf, sending: &Sending) {
    let mut writer = Writer::new();
    for (wait, sent) in sending {
        tokio::time::sleep(*wait).await;
        match sent {
            Sent::Leave => return,
            Sent::Piece(Piece::Reset) => {
                let _ = socket2::SockRef::from(stream.as_ref()).set_linger(Some(Duration::ZERO));
                return;
            }
            // A refusal may come before all is sent; what came is what counts.
            Sent::Piece(piece) => drop(stream.write_all(&writer.bytes(piece)).await),
        }
    }
    std::future::pending().await
}

async fn receive(stream: &mut OwnedReadHalf, bytes: &mut Vec<u8>, head_alone: bool) -> End {
    loop {
        if read(bytes, false).is_some_and(|read| read.whole || head_alone) {
            return End::Whole;
        }
        match stream.read_buf(bytes).await {
            // An answer without a length ends with its connection.
            Ok(0) if read(bytes, true).is_some_and(|read| read.whole) => return End::Whole,
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(_) => return End::Reset,
        }
    }
}
