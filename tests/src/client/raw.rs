//! Bytes over TCP, for requests that no HTTP client would send.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most bytes that are read.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What came back, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Every byte that came.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed it.
    Closed,
    /// The other side reset it (RST).
    Reset,
    /// It was still open when the wait was over or 4 MiB had come.
    Open,
}

impl Received {
    /// The HTTP status of the first answer, if the bytes begin with one.
    pub fn status(&self) -> Option<u16> {
        let line = self.bytes.strip_prefix(b"HTTP/1.")?;
        std::str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
    }
}

/// Sends `bytes` to `to` as they are, then reads until the connection ends or `wait` has passed since the connect.
/// Say `connection: close` in a request whose answer should end the wait.
pub async fn exchange(to: SocketAddr, bytes: &[u8], wait: Duration) -> io::Result<Received> {
    let mut stream = tokio::time::timeout(wait, TcpStream::connect(to)).await??;
    let mut received = Received { bytes: Vec::new(), end: End::Open };
    let talk = async {
        // A refusal may come, and the connection end, before everything is sent: what came still counts.
        let sent = stream.write_all(bytes).await;
        while received.bytes.len() < READ_BYTES_MAX {
            match stream.read_buf(&mut received.bytes).await {
                Ok(0) => return Ok(End::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(End::Reset);
                }
                Err(error) => return sent.and(Err(error)),
            }
        }
        Ok(End::Open)
    };
    if let Ok(end) = tokio::time::timeout(wait, talk).await {
        received.end = end?;
    }
    Ok(received)
}
