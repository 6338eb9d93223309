//! The way to a server, and the time by which what is asked of it must be done.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::address::ServerAddress;
use super::error::Problem;
use super::tls::TlsStream;

/// So much later than its time a read may end: the system is told the time that is left no more
/// often than this.
const STEP: Duration = Duration::from_millis(100);

/// Both directions of a connection.
pub(super) trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Whatever the caller has: nothing in it can wait.
    Given(Box<dyn Duplex>),
}

/// A connection whose reads and writes fail from a certain moment on, however many small steps
/// they are made of.
pub(super) struct Timed {
    socket: Socket,
    deadline: Instant,
    /// When the system was told how long to wait, and up to when.
    told: Option<(Instant, Instant)>,
}

impl fmt::Debug for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timed")
    }
}

impl Timed {
    const fn new(socket: Socket, deadline: Instant) -> Self {
        Self { socket, deadline, told: None }
    }

    /// Over something that is there already.
    pub(super) fn given(connection: Box<dyn Duplex>, deadline: Instant) -> Self {
        Self::new(Socket::Given(connection), deadline)
    }

    /// Connects to the socket or the host of an address.
    pub(super) fn connect(address: &ServerAddress, deadline: Instant) -> Result<Self, Problem> {
        let socket = match &address.socket {
            Some(path) => Socket::Unix(UnixStream::connect(path).map_err(Problem::Connect)?),
            None => Socket::Tcp(connect_to_any(address, deadline).map_err(Problem::Connect)?),
        };
        Ok(Self::new(socket, deadline))
    }

    /// The same connection once more, for TLS to be spoken over; of a connection over a network.
    pub(super) fn duplicate(&self) -> io::Result<Self> {
        match &self.socket {
            Socket::Tcp(socket) => Ok(Self::new(Socket::Tcp(socket.try_clone()?), self.deadline)),
            Socket::Unix(_) | Socket::Given(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Tells the system how long the next call may wait.
    fn arm(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let is_told = self.told.is_some_and(|(when, deadline)| {
            deadline == self.deadline && now.saturating_duration_since(when) < STEP
        });
        if is_told {
            return Ok(());
        }
        match &self.socket {
            Socket::Tcp(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.set_write_timeout(Some(left))?;
            }
            Socket::Unix(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.set_write_timeout(Some(left))?;
            }
            Socket::Given(_) => {}
        }
        self.told = Some((now, self.deadline));
        Ok(())
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        match &mut self.socket {
            Socket::Tcp(socket) => socket.read(buffer),
            Socket::Unix(socket) => socket.read(buffer),
            Socket::Given(socket) => socket.read(buffer),
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm()?;
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write(bytes),
            Socket::Unix(socket) => socket.write(bytes),
            Socket::Given(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => socket.flush(),
            Socket::Unix(socket) => socket.flush(),
            Socket::Given(socket) => socket.flush(),
        }
    }
}

/// A name may have several addresses, such as `localhost`.
fn connect_to_any(address: &ServerAddress, deadline: Instant) -> io::Result<TcpStream> {
    let place = (address.host.as_str(), address.port_or_default());
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in place.to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&place, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
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
            Self::Clear(stream) => stream.deadline = deadline,
            Self::Tls(stream) => stream.sock.deadline = deadline,
        }
    }

    /// Whether it is a Unix socket.
    pub(super) const fn is_socket(&self) -> bool {
        matches!(self, Self::Clear(Timed { socket: Socket::Unix(_), .. }))
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
