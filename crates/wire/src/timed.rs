//! A connection, and the time by which what is asked over it must be done.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// So much later than its time a read may end: the system is told the time that is left no more
/// often than this.
const STEP: Duration = Duration::from_millis(100);

/// Both directions of a connection.
pub trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Whatever the caller has: nothing in it can wait.
    Given(Box<dyn Duplex>),
}

/// A connection whose reads and writes fail from a certain moment on, however many small steps
/// they are made of.
pub struct Timed {
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

    /// Over something that is there already, and in which nothing can wait.
    #[must_use]
    pub fn given(connection: Box<dyn Duplex>, deadline: Instant) -> Self {
        Self::new(Socket::Given(connection), deadline)
    }

    /// Connects to a socket of this machine.
    ///
    /// # Errors
    /// Those of [`UnixStream::connect`].
    pub fn to_socket(path: &Path, deadline: Instant) -> io::Result<Self> {
        Ok(Self::new(Socket::Unix(UnixStream::connect(path)?), deadline))
    }

    /// Connects to a host; one that has several addresses, such as `localhost`, by the first that
    /// answers.
    ///
    /// # Errors
    /// What the last of its addresses answers; that there is none, or no time.
    pub fn to_host(host: &str, port: u16, deadline: Instant) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self::new(Socket::Tcp(stream), deadline));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The same connection once more, for TLS to be spoken over; of a connection over a network.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for all others; what the system answers.
    pub fn duplicate(&self) -> io::Result<Self> {
        match &self.socket {
            Socket::Tcp(socket) => Ok(Self::new(Socket::Tcp(socket.try_clone()?), self.deadline)),
            Socket::Unix(_) | Socket::Given(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Says by when whatever is read and written from now on must be done.
    pub const fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Whether it is a socket of this machine.
    #[must_use]
    pub const fn is_socket(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
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
