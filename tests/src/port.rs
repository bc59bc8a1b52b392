//! Keeping a TCP port while nobody listens on it.
//!
//! A processor that refuses connections and a child that is being restarted must come back on the port they had, yet a
//! free port may be handed to anybody. A bound socket that does not listen keeps the port and refuses every connection;
//! with `SO_REUSEADDR` on both sides the next owner may bind beside it, as long as neither listens yet.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel queues before they are accepted.
const BACKLOG: i32 = 1024;

/// A port that is bound and refuses connections; dropping it frees the port.
#[derive(Debug)]
pub struct HeldPort {
    socket: Socket,
}

impl HeldPort {
    /// Binds `address` (port 0 = a free one) without listening. Fails while somebody still listens there.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(Self { socket })
    }

    /// The address that is kept.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Starts to listen on the port that was kept. The listener does not block.
    pub fn listen(self) -> io::Result<TcpListener> {
        self.socket.listen(BACKLOG)?;
        self.socket.set_nonblocking(true)?;
        Ok(self.socket.into())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    #[test]
    fn a_held_port_refuses_and_can_be_taken_over() {
        let first = HeldPort::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = first.address().unwrap();
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let next = HeldPort::bind(address).unwrap().listen().unwrap();
        drop(first);
        TcpStream::connect(address).unwrap();
        drop(next);
    }
}
