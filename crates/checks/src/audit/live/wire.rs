//! Where packets go: a connection, in the clear or under TLS.

use std::io::{self, Read, Write};
use std::time::Instant;

use binlogsec_wire::Timed;
use binlogsec_wire::trust::TlsStream;

use super::address::ServerAddress;
use super::error::Problem;

/// Connects to the socket or the host of an address.
pub(super) fn connect(address: &ServerAddress, deadline: Instant) -> Result<Timed, Problem> {
    let connected = match &address.socket {
        Some(path) => Timed::to_socket(path, deadline),
        None => Timed::to_host(&address.host, address.port_or_default(), deadline),
    };
    connected.map_err(Problem::Connect)
}

/// Somewhere to send packets to.
pub(super) enum Stream {
    Clear(Timed),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// By when whatever is read and written from now on must be done.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        match self {
            Self::Clear(stream) => stream.set_deadline(deadline),
            Self::Tls(stream) => stream.sock.set_deadline(deadline),
        }
    }

    /// Whether it is a Unix socket.
    pub(super) const fn is_socket(&self) -> bool {
        matches!(self, Self::Clear(stream) if stream.is_socket())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
