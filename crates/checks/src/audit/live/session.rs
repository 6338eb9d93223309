//! One connection to a server: greeting, TLS, authentication, statements and their rows.
//!
//! Source of the packets' layout: the servers' "Client/Server Protocol" documentation;
//! `mysql_common` reads and writes those that are more than text.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use binlogsec_wire::{Duplex, Timed};
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, Column, ErrPacket, HandshakePacket, HandshakeResponse,
    SslRequest,
};
use mysql_common::proto::MySerialize;
use zeroize::Zeroizing;

use super::address::{ServerAddress, SslMode};
use super::error::{Problem, shown};
use super::login::{Clear, Login, Method, capabilities};
use super::tls;
use super::wire::{self, Stream};
use crate::audit::facts::server::{ConnectionFacts, Verification};
use binlogsec_core::bytes::beginning;

/// The answers of an audit are small; a server that sends more is none.
const LARGEST_PACKET: u32 = 16 << 20;
/// Of a greeting, a step of logging in, the head of an answer, a column.
const LARGEST_SMALL_PACKET: u32 = 64 << 10;
/// What servers allow in a table.
const MOST_COLUMNS: u64 = 4096;
/// What all that a server answers may take in memory here, whatever it takes on its way: a field
/// without a value is a byte there. A hundred thousand logs, or ten thousand accounts.
const MOST_MEMORY: usize = 16 << 20;
/// Of one field, so much is looked at: nothing that an audit asks for is as long.
const LARGEST_FIELD: usize = 64 << 10;
/// An audit has some fifteen statements for MySQL and one more for each of MariaDB's logs. All of
/// them together may take so many times as long as one.
const SESSION_IN_TIMEOUTS: u32 = 3;
/// How often a server may change its mind about the method of authentication: honest ones do once.
const MOST_SWITCHES: usize = 3;
/// Packets of a server on the way to its consent. Honest ones send three.
const MOST_STEPS: usize = 16;
/// For saying goodbye.
const LAST_WORDS: Duration = Duration::from_secs(1);
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

/// An open session.
pub(super) struct Session {
    stream: Stream,
    sequence: u8,
    verified: Verification,
    version: String,
    logged_in: bool,
    /// For one answer as a whole.
    timeout: Duration,
    /// By when everything must be done.
    end: Instant,
    /// What is left of [`MOST_MEMORY`].
    memory: usize,
}

impl Session {
    /// Connects and logs in, all of it within one timeout.
    pub(super) fn open(address: &ServerAddress, login: &Login<'_>) -> Result<Self, Problem> {
        let deadline = after(Instant::now(), address.timeout);
        let stream = wire::connect(address, deadline)?;
        Self::start(stream, address, login)
    }

    /// Logs in over a connection that is there already.
    pub(super) fn over(
        connection: Box<dyn Duplex>,
        address: &ServerAddress,
        login: &Login<'_>,
    ) -> Result<Self, Problem> {
        let deadline = after(Instant::now(), address.timeout);
        Self::start(Timed::given(connection, deadline), address, login)
    }

    fn start(stream: Timed, address: &ServerAddress, login: &Login<'_>) -> Result<Self, Problem> {
        let whole = address.timeout.saturating_mul(SESSION_IN_TIMEOUTS);
        let mut session = Self {
            stream: Stream::Clear(stream),
            sequence: 0,
            verified: Verification::None,
            version: String::new(),
            logged_in: false,
            timeout: address.timeout,
            end: after(Instant::now(), whole),
            memory: MOST_MEMORY,
        };
        let greeting = session.receive_small("reading its greeting")?;
        refused(&greeting, "connecting")?;
        if !has_usual_challenge(&greeting) {
            return Err(Problem::Protocol { problem: "no greeting of version 10" });
        }
        let greeting: HandshakePacket<'_> = parsed(&greeting, (), "no greeting of version 10")?;
        session.version = shown(&greeting.server_version_str());
        let capabilities = capabilities(greeting.capabilities());
        if address.socket.is_none() && address.ssl_mode != SslMode::Disabled {
            session = session.encrypt(address, &greeting)?;
        }
        session.log_in(login, &greeting, capabilities, address.enable_cleartext_plugin)?;
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
            socket: self.stream.is_socket(),
            tls_version: version.map(|version| match version {
                rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
                rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
                other => format!("{other:?}"),
            }),
            cipher: cipher.map(|cipher| format!("{:?}", cipher.suite())),
            verified: self.verified,
            certificate: tls
                .and_then(|tls| tls.peer_certificates())
                .and_then(|shown| crate::audit::certificates::of_der(shown.first()?)),
        }
    }

    /// Runs one statement and reads all its rows, within one timeout.
    pub(super) fn query(&mut self, statement: &str) -> Result<Answer, Problem> {
        let deadline = after(Instant::now(), self.timeout);
        self.stream.set_deadline(deadline.min(self.end));
        self.sequence = 0;
        self.send(&[&[COM_QUERY], statement.as_bytes()].concat())?;
        let head = self.receive_small("waiting for an answer")?;
        refused(&head, statement)?;
        let count = match head.first() {
            Some(0x00) => return Ok(Answer::default()),
            // The server asks for a file of ours: no statement of an audit wants that.
            Some(0xfb) | None => {
                return Err(Problem::Protocol { problem: "an answer that nobody asked for" });
            }
            Some(_) => length(&mut ParseBuf(&head)).ok_or(CUT)?,
        };
        if count > MOST_COLUMNS {
            return Err(Problem::Protocol { problem: "more columns than a table may have" });
        }
        let mut answer = Answer { columns: self.columns(count)?, rows: Vec::new() };
        loop {
            let packet = self.receive("reading rows", LARGEST_PACKET)?;
            refused(&packet, statement)?;
            if packet.first() == Some(&0xfe) && packet.len() < 9 {
                return Ok(answer);
            }
            // Charged before it is made: each field costs a place here, whatever it costs there.
            let places = answer.columns.len().saturating_mul(size_of::<Option<String>>());
            let places = places.saturating_add(size_of::<Row>());
            self.charge(places.saturating_add(packet.len()))?;
            let row = row(&packet, answer.columns.len()).ok_or(CUT)?;
            // Bytes that are no text take more than they did.
            let texts = row.iter().flatten().map(String::len);
            let texts = texts.fold(0, usize::saturating_add);
            self.charge(texts.saturating_sub(packet.len()))?;
            answer.rows.push(row);
        }
    }

    /// The names of an answer's columns, and what ends them.
    fn columns(&mut self, count: u64) -> Result<Vec<String>, Problem> {
        let mut columns = Vec::new();
        for _ in 0..count {
            let packet = self.receive_small("reading columns")?;
            let column: Column = parsed(&packet, (), "no column where one was announced")?;
            let name = column.name_str().into_owned();
            self.charge(name.len().saturating_add(size_of::<String>()))?;
            columns.push(name);
        }
        self.receive_small("reading columns")?;
        Ok(columns)
    }

    /// Counts what an answer takes here.
    fn charge(&mut self, bytes: usize) -> Result<(), Problem> {
        let left = self.memory.checked_sub(bytes);
        self.memory = left.ok_or(Problem::Protocol { problem: "rows without an end" })?;
        Ok(())
    }

    fn encrypt(
        mut self,
        address: &ServerAddress,
        greeting: &HandshakePacket<'_>,
    ) -> Result<Self, Problem> {
        if !greeting.capabilities().contains(CapabilityFlags::CLIENT_SSL) {
            return Err(Problem::NoTls);
        }
        let flags = capabilities(greeting.capabilities()) | CapabilityFlags::CLIENT_SSL;
        let mut request = Vec::new();
        SslRequest::new(flags, LARGEST_PACKET, UTF8MB4).serialize(&mut request);
        self.send(&request)?;
        let Stream::Clear(socket) = &self.stream else {
            return Err(Problem::NoTls);
        };
        let socket = socket.duplicate().map_err(Problem::Connect)?;
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
        is_clear_wanted: bool,
    ) -> Result<(), Problem> {
        if matches!(self.stream, Stream::Tls(_)) {
            flags |= CapabilityFlags::CLIENT_SSL;
        }
        let clear = self.clear(is_clear_wanted);
        let mut scramble = greeting.nonce();
        let plugin = match greeting.auth_plugin() {
            // One that this client does not know: the server asks for the account's own anyway.
            None | Some(AuthPlugin::Other(_)) => AuthPlugin::MysqlNativePassword,
            Some(plugin) => plugin.into_owned(),
        };
        let mut method = Method::new(&plugin, clear)?;
        let first = method.answer(login, &scramble, &scramble)?;
        self.send(&response(login, first.as_ref(), plugin, flags))?;
        let mut switches = 0_usize;
        for _ in 0..MOST_STEPS {
            let packet = self.receive_small("logging in")?;
            refused(&packet, "logging in")?;
            let answer = match packet.split_first() {
                Some((0x00, _)) => return Ok(()),
                Some((0xfe, [])) => {
                    return Err(Problem::UnknownPlugin { plugin: "mysql_old_password".to_owned() });
                }
                Some((0xfe, _)) if switches >= MOST_SWITCHES => break,
                Some((0xfe, _)) => {
                    switches = switches.saturating_add(1);
                    let switch: AuthSwitchRequest<'_> =
                        parsed(&packet, (), "a broken change of methods")?;
                    scramble = switch.plugin_data().to_vec();
                    method = Method::new(&switch.auth_plugin(), clear)?;
                    method.answer(login, &scramble, &scramble)?
                }
                Some((0x01, challenge)) => method.answer(login, &scramble, challenge)?,
                _ => {
                    return Err(Problem::Protocol { problem: "an unknown step of logging in" });
                }
            };
            if let Some(answer) = answer {
                self.send(&answer)?;
            }
        }
        Err(Problem::Protocol { problem: "logging in without an end" })
    }

    /// What may be sent so that whoever answers can read it.
    fn clear(&self, is_wanted: bool) -> Clear {
        let is_socket = self.stream.is_socket();
        Clear {
            is_private: is_socket || matches!(self.stream, Stream::Tls(_)),
            is_known: is_socket || self.verified != Verification::None,
            is_wanted,
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), Problem> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if length >= 0xff_ffff {
            return Err(Problem::Protocol { problem: "a packet too large to be sent" });
        }
        let [low, middle, high, _] = length.to_le_bytes();
        let mut packet = Zeroizing::new(Vec::with_capacity(payload.len().saturating_add(4)));
        packet.extend_from_slice(&[low, middle, high, self.sequence]);
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).map_err(Problem::io("sending"))?;
        self.stream.flush().map_err(Problem::io("sending"))
    }

    /// A packet where none of an honest server is large.
    fn receive_small(&mut self, doing: &'static str) -> Result<Vec<u8>, Problem> {
        self.receive(doing, LARGEST_SMALL_PACKET)
    }

    fn receive(&mut self, doing: &'static str, largest: u32) -> Result<Vec<u8>, Problem> {
        let mut payload = Vec::new();
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head).map_err(Problem::io(doing))?;
            let [low, middle, high, sequence] = head;
            self.sequence = sequence.wrapping_add(1);
            let length = u32::from_le_bytes([low, middle, high, 0]);
            let more = length == 0xff_ffff;
            let so_far = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            if so_far.saturating_add(length) > largest {
                return Err(Problem::Protocol {
                    problem: "a packet larger than any that belongs there",
                });
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let wanted = u64::try_from(length).unwrap_or(u64::MAX);
            let read = Read::by_ref(&mut self.stream).take(wanted).read_to_end(&mut payload);
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
        self.stream.set_deadline(after(Instant::now(), LAST_WORDS));
        // Without it the server would log an aborted connection.
        let _ = self.send(&[COM_QUIT]);
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

/// A moment later; at the end of all time, a year.
fn after(now: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    now.checked_add(wait.min(YEAR)).unwrap_or(now)
}

/// The answer to the greeting.
fn response(
    login: &Login<'_>,
    first: Option<&Zeroizing<Vec<u8>>>,
    plugin: AuthPlugin<'_>,
    flags: CapabilityFlags,
) -> Zeroizing<Vec<u8>> {
    let mut response = Zeroizing::new(Vec::new());
    HandshakeResponse::new(
        Some(first.map_or(&[][..], |answer| answer)),
        (8, 0, 0),
        Some(login.user.as_bytes()),
        None::<&[u8]>,
        Some(plugin),
        flags,
        None,
        LARGEST_PACKET,
    )
    .serialize(&mut response);
    response
}

const CUT: Problem = Problem::Protocol { problem: "a packet that ends too early" };

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
    let error: ErrPacket<'_> =
        parsed(packet, CapabilityFlags::CLIENT_PROTOCOL_41, "a broken error")
            .or_else(|_| parsed(packet, CapabilityFlags::empty(), "a broken error"))?;
    let ErrPacket::Error(error) = error else {
        return Err(CUT);
    };
    Err(Problem::Server {
        doing: shown(doing),
        code: error.error_code(),
        message: shown(&error.message_str()),
    })
}

fn parsed<'a, T: mysql_common::proto::MyDeserialize<'a>>(
    packet: &'a [u8],
    context: T::Ctx,
    problem: &'static str,
) -> Result<T, Problem> {
    ParseBuf(packet).parse(context).map_err(|_| Problem::Protocol { problem })
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
    let text = String::from_utf8_lossy(text);
    Some(Some(beginning(&text, LARGEST_FIELD).into_owned()))
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
