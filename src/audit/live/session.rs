//! One connection to a server: greeting, TLS, authentication, statements and their rows.
//!
//! Source of the packets' layout: the servers' "Client/Server Protocol" documentation;
//! `mysql_common` reads and writes those that are more than text.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context, Response};
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, Column, ErrPacket, HandshakePacket, HandshakeResponse,
    SslRequest,
};
use mysql_common::proto::MySerialize;
use zeroize::Zeroizing;

use super::address::{ServerAddress, SslMode};
use super::error::Problem;
use super::tls::{self, TlsStream};
use crate::audit::facts::server::{ConnectionFacts, Verification};

/// The answers of an audit are small; a server that sends more is none.
const LARGEST_PACKET: u32 = 16 << 20;
/// Of one statement: lists of logs and accounts are the longest.
const MOST_ROWS: usize = 1_000_000;
/// What servers allow in a table.
const MOST_COLUMNS: u64 = 4096;
/// Of all rows of one statement together.
const MOST_BYTES: usize = 256 << 20;
const UTF8MB4: u8 = 45;
const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;

/// A row: its fields as text, `None` for NULL.
pub(super) type Row = Vec<Option<String>>;

/// What a statement returned.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// Somewhere to send packets to.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    Socket(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Socket(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Socket(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Socket(stream) => stream.flush(),
        }
    }
}

/// An open session.
pub(super) struct Session {
    stream: Stream,
    sequence: u8,
    verified: Verification,
    version: String,
    logged_in: bool,
}

/// Who asks. Not printable.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a [u8],
}

impl Session {
    /// Connects and logs in.
    pub(super) fn open(address: &ServerAddress, login: &Login<'_>) -> Result<Self, Problem> {
        let mut session = Self {
            stream: connect(address)?,
            sequence: 0,
            verified: Verification::None,
            version: String::new(),
            logged_in: false,
        };
        let greeting = session.receive("reading its greeting")?;
        refused(&greeting, "connecting")?;
        if !has_usual_challenge(&greeting) {
            return Err(Problem::Protocol {
                problem: "no greeting of version 10",
            });
        }
        let greeting: HandshakePacket<'_> = parsed(&greeting, (), "no greeting of version 10")?;
        session.version = greeting.server_version_str().into_owned();
        let capabilities = capabilities(greeting.capabilities());
        if address.socket.is_none() && address.ssl_mode != SslMode::Disabled {
            session = session.encrypt(address, &greeting)?;
        }
        session.log_in(login, &greeting, capabilities)?;
        session.logged_in = true;
        Ok(session)
    }

    /// The server's version, as its greeting says.
    pub(super) fn version(&self) -> &str {
        // MariaDB disguises itself before old replicas.
        self.version.strip_prefix("5.5.5-").unwrap_or(&self.version)
    }

    /// How this connection is protected.
    pub(super) fn protection(&self) -> ConnectionFacts {
        let tls = match &self.stream {
            Stream::Tls(stream) => Some(&stream.conn),
            _ => None,
        };
        let version = tls.and_then(|tls| tls.protocol_version());
        let cipher = tls.and_then(|tls| tls.negotiated_cipher_suite());
        ConnectionFacts {
            socket: matches!(self.stream, Stream::Socket(_)),
            tls_version: version.map(|version| match version {
                rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
                rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
                other => format!("{other:?}"),
            }),
            cipher: cipher.map(|cipher| format!("{:?}", cipher.suite())),
            verified: self.verified,
        }
    }

    /// Runs one statement and reads all its rows.
    pub(super) fn query(&mut self, statement: &str) -> Result<Answer, Problem> {
        self.sequence = 0;
        self.send(&[&[COM_QUERY], statement.as_bytes()].concat())?;
        let head = self.receive("waiting for an answer")?;
        refused(&head, statement)?;
        let columns = match head.first() {
            Some(0x00) => return Ok(Answer::default()),
            // The server asks for a file of ours: no statement of an audit wants that.
            Some(0xfb) | None => {
                return Err(Problem::Protocol {
                    problem: "an answer that nobody asked for",
                });
            }
            Some(_) => length(&mut ParseBuf(&head)).ok_or(CUT)?,
        };
        if columns > MOST_COLUMNS {
            return Err(Problem::Protocol {
                problem: "more columns than a table may have",
            });
        }
        let mut answer = Answer::default();
        for _ in 0..columns {
            let packet = self.receive("reading columns")?;
            let column: Column = parsed(&packet, (), "no column where one was announced")?;
            answer.columns.push(column.name_str().into_owned());
        }
        self.receive("reading columns")?; // what ends them
        let mut bytes = 0_usize;
        loop {
            let packet = self.receive("reading rows")?;
            refused(&packet, statement)?;
            if packet.first() == Some(&0xfe) && packet.len() < 9 {
                return Ok(answer);
            }
            bytes = bytes.saturating_add(packet.len());
            if answer.rows.len() >= MOST_ROWS || bytes > MOST_BYTES {
                return Err(Problem::Protocol {
                    problem: "rows without an end",
                });
            }
            answer
                .rows
                .push(row(&packet, answer.columns.len()).ok_or(CUT)?);
        }
    }

    fn encrypt(
        mut self,
        address: &ServerAddress,
        greeting: &HandshakePacket<'_>,
    ) -> Result<Self, Problem> {
        if !greeting
            .capabilities()
            .contains(CapabilityFlags::CLIENT_SSL)
        {
            return Err(Problem::NoTls);
        }
        let flags = capabilities(greeting.capabilities()) | CapabilityFlags::CLIENT_SSL;
        let mut request = Vec::new();
        SslRequest::new(flags, LARGEST_PACKET, UTF8MB4).serialize(&mut request);
        self.send(&request)?;
        let Stream::Plain(socket) = &self.stream else {
            return Err(Problem::NoTls);
        };
        let socket = socket.try_clone().map_err(Problem::Connect)?;
        let stream = tls::negotiate(socket, address)?;
        self.stream = Stream::Tls(Box::new(stream));
        self.verified = address.ssl_mode.verification();
        Ok(self)
    }

    fn log_in(
        &mut self,
        login: &Login<'_>,
        greeting: &HandshakePacket<'_>,
        mut flags: CapabilityFlags,
    ) -> Result<(), Problem> {
        if matches!(self.stream, Stream::Tls(_)) {
            flags |= CapabilityFlags::CLIENT_SSL;
        }
        let mut scramble = greeting.nonce();
        let plugin = match greeting.auth_plugin() {
            // One that this client does not know: the server asks for the account's own anyway.
            None | Some(AuthPlugin::Other(_)) => AuthPlugin::MysqlNativePassword,
            Some(plugin) => plugin.into_owned(),
        };
        let mut method = Method::new(&plugin, self.is_private())?;
        let first = method.answer(login, &scramble, &scramble)?;
        let mut response = Zeroizing::new(Vec::new());
        HandshakeResponse::new(
            Some(first.as_ref().map_or(&[][..], |answer| answer)),
            (8, 0, 0),
            Some(login.user.as_bytes()),
            None::<&[u8]>,
            Some(plugin),
            flags,
            None,
            LARGEST_PACKET,
        )
        .serialize(&mut response);
        self.send(&response)?;
        loop {
            let packet = self.receive("logging in")?;
            refused(&packet, "logging in")?;
            let answer = match packet.split_first() {
                Some((0x00, _)) => return Ok(()),
                Some((0xfe, [])) => {
                    return Err(Problem::UnknownPlugin {
                        plugin: "mysql_old_password".to_owned(),
                    });
                }
                Some((0xfe, _)) => {
                    let switch: AuthSwitchRequest<'_> =
                        parsed(&packet, (), "a broken change of methods")?;
                    scramble = switch.plugin_data().to_vec();
                    method = Method::new(&switch.auth_plugin(), self.is_private())?;
                    method.answer(login, &scramble, &scramble)?
                }
                Some((0x01, challenge)) => method.answer(login, &scramble, challenge)?,
                _ => {
                    return Err(Problem::Protocol {
                        problem: "an unknown step of logging in",
                    });
                }
            };
            if let Some(answer) = answer {
                self.send(&answer)?;
            }
        }
    }

    /// Whether nobody on the way can read what is sent.
    const fn is_private(&self) -> bool {
        matches!(self.stream, Stream::Tls(_) | Stream::Socket(_))
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), Problem> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if length >= 0xff_ffff {
            return Err(Problem::Protocol {
                problem: "a packet too large to be sent",
            });
        }
        let [low, middle, high, _] = length.to_le_bytes();
        let mut packet = Zeroizing::new(Vec::with_capacity(payload.len().saturating_add(4)));
        packet.extend_from_slice(&[low, middle, high, self.sequence]);
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream
            .write_all(&packet)
            .map_err(Problem::io("sending"))?;
        self.stream.flush().map_err(Problem::io("sending"))
    }

    fn receive(&mut self, doing: &'static str) -> Result<Vec<u8>, Problem> {
        let mut payload = Vec::new();
        loop {
            let mut head = [0; 4];
            self.stream
                .read_exact(&mut head)
                .map_err(Problem::io(doing))?;
            let [low, middle, high, sequence] = head;
            self.sequence = sequence.wrapping_add(1);
            let length = u32::from_le_bytes([low, middle, high, 0]);
            let more = length == 0xff_ffff;
            let so_far = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            if so_far.saturating_add(length) > LARGEST_PACKET {
                return Err(Problem::Protocol {
                    problem: "a packet larger than 16 MiB",
                });
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let wanted = u64::try_from(length).unwrap_or(u64::MAX);
            let read = Read::by_ref(&mut self.stream)
                .take(wanted)
                .read_to_end(&mut payload);
            if read.map_err(Problem::io(doing))? < length {
                return Err(CUT);
            }
            if !more {
                return Ok(payload);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.logged_in {
            return;
        }
        self.sequence = 0;
        // Without it the server would log an aborted connection.
        let _ = self.send(&[COM_QUIT]);
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

const CUT: Problem = Problem::Protocol {
    problem: "a packet that ends too early",
};

fn connect(address: &ServerAddress) -> Result<Stream, Problem> {
    let limit = Some(address.timeout);
    if let Some(path) = &address.socket {
        let stream = UnixStream::connect(path).map_err(Problem::Connect)?;
        stream.set_read_timeout(limit).map_err(Problem::Connect)?;
        stream.set_write_timeout(limit).map_err(Problem::Connect)?;
        return Ok(Stream::Socket(stream));
    }
    let stream = connect_to_any(address, address.timeout)?;
    stream.set_read_timeout(limit).map_err(Problem::Connect)?;
    stream.set_write_timeout(limit).map_err(Problem::Connect)?;
    stream.set_nodelay(true).map_err(Problem::Connect)?;
    Ok(Stream::Plain(stream))
}

/// A name may have several addresses, such as `localhost`.
fn connect_to_any(address: &ServerAddress, limit: Duration) -> Result<TcpStream, Problem> {
    let place = (address.host.as_str(), address.port_or_default());
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in place.to_socket_addrs().map_err(Problem::Connect)? {
        match TcpStream::connect_timeout(&place, limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(Problem::Connect(last))
}

fn capabilities(of_server: CapabilityFlags) -> CapabilityFlags {
    let wanted = CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
    wanted & of_server
}

/// One method of authentication, step by step.
struct Method {
    steps: AuthProc,
    name: String,
    private: bool,
}

impl Method {
    fn new(plugin: &AuthPlugin<'_>, private: bool) -> Result<Self, Problem> {
        let name = String::from_utf8_lossy(plugin.as_bytes()).into_owned();
        match plugin {
            // Its hash is worth the password.
            AuthPlugin::MysqlOldPassword | AuthPlugin::Parsec => {
                return Err(Problem::UnknownPlugin { plugin: name });
            }
            AuthPlugin::MysqlClearPassword if !private => {
                return Err(Problem::PasswordInTheClear { plugin: name });
            }
            _ => {}
        }
        let steps = AuthProc::init(plugin).map_err(|_| Problem::UnknownPlugin {
            plugin: name.clone(),
        })?;
        Ok(Self {
            steps,
            name,
            private,
        })
    }

    fn answer(
        &mut self,
        login: &Login<'_>,
        scramble: &[u8],
        challenge: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        let context = Conversation {
            password: login.password,
            scramble,
            private: self.private,
        };
        let response = self
            .steps
            .run(context, challenge)
            .map_err(|_| Problem::Protocol {
                problem: "a step of logging in that does not belong there",
            })?;
        let (Response::Next { packet } | Response::Last { packet }) = response;
        let packet = packet.map(Zeroizing::new);
        // One byte asks for the server's key, to wrap the password for whoever sent that key.
        let by_key = ["caching_sha2_password", "sha256_password"].contains(&&*self.name);
        if by_key && !self.private && matches!(packet.as_deref().map(Vec::as_slice), Some([1 | 2]))
        {
            return Err(Problem::PasswordInTheClear {
                plugin: self.name.clone(),
            });
        }
        Ok(packet)
    }
}

struct Conversation<'a> {
    password: &'a [u8],
    scramble: &'a [u8],
    private: bool,
}

impl Context for Conversation<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    // A socket is as private as TLS; of the two, all methods know TLS.
    fn is_tls_transport(&self) -> bool {
        self.private
    }

    fn scramble(&self) -> &[u8] {
        self.scramble
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

/// Whether a greeting is whole up to the length of its challenge, and that is one. `mysql_common`
/// computes with it before it looks.
fn has_usual_challenge(greeting: &[u8]) -> bool {
    const FIXED_PART: usize = 4 + 8 + 1 + 2 + 1 + 2 + 2;
    let end = greeting.iter().position(|&byte| byte == 0);
    let length = end.and_then(|end| {
        let fields = greeting.get(end..)?.get(1..)?;
        fields.get(FIXED_PART)
    });
    greeting.first() == Some(&10) && length.is_some_and(|length| *length < 0x80)
}

fn refused(packet: &[u8], doing: &str) -> Result<(), Problem> {
    if packet.first() != Some(&0xff) {
        return Ok(());
    }
    let error: ErrPacket<'_> = parsed(
        packet,
        CapabilityFlags::CLIENT_PROTOCOL_41,
        "a broken error",
    )
    .or_else(|_| parsed(packet, CapabilityFlags::empty(), "a broken error"))?;
    let ErrPacket::Error(error) = error else {
        return Err(CUT);
    };
    Err(Problem::Server {
        doing: doing.to_owned(),
        code: error.error_code(),
        message: error.message_str().into_owned(),
    })
}

fn parsed<'a, T: mysql_common::proto::MyDeserialize<'a>>(
    packet: &'a [u8],
    context: T::Ctx,
    problem: &'static str,
) -> Result<T, Problem> {
    ParseBuf(packet)
        .parse(context)
        .map_err(|_| Problem::Protocol { problem })
}

fn row(packet: &[u8], columns: usize) -> Option<Row> {
    let mut rest = ParseBuf(packet);
    (0..columns).map(|_| field(&mut rest)).collect()
}

fn field(rest: &mut ParseBuf<'_>) -> Option<Option<String>> {
    if rest.0.first()? == &0xfb {
        rest.0 = rest.0.get(1..)?;
        return Some(None);
    }
    let size = usize::try_from(length(rest)?).ok()?;
    let (text, after) = rest.0.split_at_checked(size)?;
    rest.0 = after;
    Some(Some(String::from_utf8_lossy(text).into_owned()))
}

/// A length-encoded integer.
fn length(rest: &mut ParseBuf<'_>) -> Option<u64> {
    let (&first, after) = rest.0.split_first()?;
    let width = match first {
        0..=0xfa => 0,
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let (bytes, after) = after.split_at_checked(width)?;
    rest.0 = after;
    if width == 0 {
        return Some(u64::from(first));
    }
    let mut whole = [0; 8];
    whole.get_mut(..width)?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(whole))
}
