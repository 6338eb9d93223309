//! A client that asks one question and reads one answer: HTTP/1.1, one connection each.
//!
//! It does little on purpose. Every wait ends, every answer is bounded, no redirect is followed, and
//! what is sent and received is wiped: a general client keeps copies of tokens and keys in buffers.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use binlogsec_core::keyring::store::StoreTransport;
use binlogsec_core::secret::SecretBytes;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use zeroize::{Zeroize, Zeroizing};

use crate::error::StoreError;
use crate::url::{Url, escaped};

/// The longest status line with all headers.
const MAX_HEAD: usize = 64 << 10;
/// The longest body: a list of a hundred thousand names.
const MAX_BODY: usize = 16 << 20;
/// How often a question is asked that may be answered the next time.
const ATTEMPTS: u32 = 3;
/// Before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);
/// Where systems keep the authorities they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What the user allows, and what the environment says, of every store.
#[derive(Debug, Default)]
pub struct Transport {
    /// Ask by http, too.
    pub allow_http: bool,
    /// `VAULT_TOKEN`: for configurations that name no token.
    pub token: Option<SecretBytes>,
    /// `VAULT_ADDR`: for configurations that name no address.
    pub address: Option<String>,
    /// `VAULT_NAMESPACE`: for configurations that name no namespace.
    pub namespace: Option<String>,
    /// `VAULT_CACERT` or `SSL_CERT_FILE`: for configurations that name no authority.
    pub authority: Option<PathBuf>,
}

/// Where a store is and how it is asked.
pub(crate) struct Client {
    url: Url,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
    /// `X-Vault-Token` and others; wiped.
    headers: Vec<(&'static str, SecretBytes)>,
}

/// An answer, wiped when it is dropped.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url.to_string()).finish_non_exhaustive()
    }
}

impl Client {
    /// For an address that the user allows; `authority` is the file of the one that is trusted.
    pub(crate) fn new(
        url: Url,
        timeout: Duration,
        authority: Option<&Path>,
        transport: &Transport,
    ) -> Result<Self, StoreError> {
        if !url.is_https && !transport.allow_http {
            return Err(StoreError::PlainHttp { url: url.to_string() });
        }
        let tls = url.is_https.then(|| tls_config(authority, transport)).transpose()?;
        Ok(Self { url, timeout, tls, headers: Vec::new() })
    }

    /// Adds a header to all requests.
    pub(crate) fn with_header(
        mut self,
        name: &'static str,
        value: SecretBytes,
    ) -> Result<Self, StoreError> {
        if !value.expose().iter().all(u8::is_ascii_graphic) || value.is_empty() {
            return Err(StoreError::BadToken);
        }
        self.headers.push((name, value));
        Ok(self)
    }

    pub(crate) fn transport(&self) -> StoreTransport {
        let address = self.url.host.parse::<IpAddr>();
        let is_loopback =
            self.url.host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        match (self.url.is_https, is_loopback) {
            (true, _) => StoreTransport::Tls,
            (false, true) => StoreTransport::Loopback,
            (false, false) => StoreTransport::Clear,
        }
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Asks, and once more where that may help. `query` is from `?` on, or empty.
    pub(crate) fn get(&self, path: &str, query: &str) -> Result<Answer, StoreError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            match self.attempt("GET", path, query, None, attempt) {
                Err(error) if error.is_passing() && attempt < ATTEMPTS => {
                    std::thread::sleep(pause);
                    pause = pause.saturating_mul(2);
                    attempt = attempt.saturating_add(1);
                }
                other => return other,
            }
        }
    }

    /// Sends a JSON document. Not repeated: the store may have taken it.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Answer, StoreError> {
        self.attempt("POST", path, "", Some(body), 1)
    }

    fn attempt(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<&[u8]>,
        attempts: u32,
    ) -> Result<Answer, StoreError> {
        let deadline = Instant::now().checked_add(self.timeout);
        let request = self.compose(method, path, query, body);
        let failed = |error: io::Error| self.failure(error, attempts);
        let socket = Timed { socket: self.connect(attempts)?, deadline };
        let (head, body) = match &self.tls {
            None => exchange(socket, &request),
            Some(config) => exchange(self.negotiate(socket, config, attempts)?, &request),
        }
        .map_err(failed)?;
        let (status, location) = (head.status, head.location);
        match status {
            300..=399 if status != 304 => Err(StoreError::Redirect {
                status,
                to: location.and_then(|to| Url::parse(&to)).map(|to| to.authority()),
            }),
            429 | 500..=599 => Err(StoreError::Down { status, attempts }),
            _ => Ok(Answer { status, body }),
        }
    }

    fn connect(&self, attempts: u32) -> Result<TcpStream, StoreError> {
        let failed = |source| StoreError::Unreachable { attempts, source };
        let addresses = (self.url.host.as_str(), self.url.port).to_socket_addrs();
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses.map_err(failed)? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    fn negotiate(
        &self,
        mut socket: Timed,
        config: &Arc<ClientConfig>,
        attempts: u32,
    ) -> Result<StreamOwned<ClientConnection, Timed>, StoreError> {
        let name = ServerName::try_from(self.url.host.clone())
            .map_err(|_| StoreError::NotHttp { problem: "its host is no name" })?;
        let mut connection = ClientConnection::new(Arc::clone(config), name)
            .map_err(|source| StoreError::Tls { source })?;
        while connection.is_handshaking() {
            let handshake = connection.complete_io(&mut socket);
            handshake.map_err(|error| self.failure(error, attempts))?;
        }
        Ok(StreamOwned::new(connection, socket))
    }

    fn failure(&self, error: io::Error, attempts: u32) -> StoreError {
        let error = match error.downcast::<rustls::Error>() {
            Ok(source) => return StoreError::Tls { source },
            Err(error) => error,
        };
        let error = match error.downcast::<Malformed>() {
            Ok(Malformed::TooLong(limit)) => return StoreError::TooLong { limit },
            Ok(Malformed::Form(problem)) => return StoreError::NotHttp { problem },
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                StoreError::Late { limit: self.timeout, attempts }
            }
            _ => StoreError::Unreachable { attempts, source: error },
        }
    }

    fn compose(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<&[u8]>,
    ) -> Zeroizing<Vec<u8>> {
        let base = if self.url.path.is_empty() { "" } else { "/" };
        let (prefix, path) = (escaped(&self.url.path), escaped(path));
        let authority = self.url.authority();
        let first = format!(
            "{method} {base}{prefix}/{path}{query} HTTP/1.1\r\nHost: {authority}\r\n\
             Accept: application/json\r\nConnection: close\r\nX-Vault-Request: true\r\n"
        );
        let length = |(name, value): &(&str, SecretBytes)| name.len() + value.len() + 4;
        let size = self.headers.iter().map(length).sum::<usize>();
        // Grown once: a vector that grows step by step leaves copies behind.
        let room = first.len() + size + body.map_or(0, <[u8]>::len) + 128;
        let mut request = Zeroizing::new(Vec::with_capacity(room));
        request.extend_from_slice(first.as_bytes());
        for (name, value) in &self.headers {
            for part in [name.as_bytes(), b": ", value.expose(), b"\r\n"] {
                request.extend_from_slice(part);
            }
        }
        if let Some(body) = body {
            let length =
                format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            request.extend_from_slice(length.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.unwrap_or_default());
        request
    }
}

fn tls_config(
    authority: Option<&Path>,
    transport: &Transport,
) -> Result<Arc<ClientConfig>, StoreError> {
    let system = || SYSTEM_AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let path = authority
        .or(transport.authority.as_deref())
        .or_else(system)
        .ok_or(StoreError::NoAuthority)?;
    let unusable = |problem: String| StoreError::Authority {
        path: path.to_owned(),
        problem: format!(": {problem}"),
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        // A bundle of a system may have one that is not understood; the others count.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(StoreError::Authority { path: path.to_owned(), problem: String::new() });
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| StoreError::Tls { source })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A socket on which no wait goes beyond a moment, however slowly bytes come.
struct Timed {
    socket: TcpStream,
    deadline: Option<Instant>,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// What an answer is that is none.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("{0}")]
    Form(&'static str),
    #[error("longer than {0} bytes")]
    TooLong(usize),
}

fn malformed(problem: &'static str) -> io::Error {
    io::Error::other(Malformed::Form(problem))
}

struct Head {
    status: u16,
    location: Option<String>,
    length: Option<usize>,
    is_chunked: bool,
}

/// Sends the request and reads the whole answer.
fn exchange(
    mut stream: impl Read + Write,
    request: &[u8],
) -> io::Result<(Head, Zeroizing<Vec<u8>>)> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut reader = Reader::new(stream);
    let mut head = read_head(&mut reader)?;
    // `100 Continue` and the like are no answers yet.
    while (100..200).contains(&head.status) {
        head = read_head(&mut reader)?;
    }
    let body = if matches!(head.status, 204 | 304) {
        Zeroizing::default()
    } else if head.is_chunked {
        read_chunks(&mut reader)?
    } else {
        read_body(&mut reader, head.length)?
    };
    Ok((head, body))
}

/// Reads lines and pieces out of a buffer that is wiped.
struct Reader<S> {
    stream: S,
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
}

impl<S: Read> Reader<S> {
    fn new(stream: S) -> Self {
        Self { stream, buffer: Zeroizing::new(vec![0; 16 << 10]), start: 0, end: 0 }
    }

    /// More bytes; none at the end of the stream.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = match self.stream.read(&mut self.buffer) {
                // A server that closes without a word of TLS has closed.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                read => read?,
            };
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn take(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// A line without its end; `left` is what remains of the room for all lines.
    fn line(&mut self, left: &mut usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut line = Zeroizing::new(Vec::with_capacity(1024));
        loop {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Err(malformed("it ends within its head"));
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let count = piece.len();
            *left = left
                .checked_sub(count.saturating_add(1))
                .ok_or_else(|| io::Error::other(Malformed::TooLong(MAX_HEAD)))?;
            line.extend_from_slice(piece);
            self.take(count.saturating_add(usize::from(end.is_some())));
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
        }
    }

    fn exactly(&mut self, count: usize, out: &mut Zeroizing<Vec<u8>>) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Err(malformed("it ends before its announced length"));
            }
            let piece = bytes.get(..left.min(bytes.len())).unwrap_or_default();
            let taken = piece.len();
            grow(out, taken);
            out.extend_from_slice(piece);
            self.take(taken);
            left = left.saturating_sub(taken);
        }
        Ok(())
    }
}

/// Makes room; what the vector was in before is wiped.
fn grow(out: &mut Zeroizing<Vec<u8>>, more: usize) {
    if out.capacity().saturating_sub(out.len()) >= more {
        return;
    }
    let room = out.len().saturating_add(more).max(out.capacity().saturating_mul(2));
    let mut larger = Vec::with_capacity(room);
    larger.extend_from_slice(out);
    out.zeroize();
    **out = larger;
}

fn read_head<S: Read>(reader: &mut Reader<S>) -> io::Result<Head> {
    let mut left = MAX_HEAD;
    let line = reader.line(&mut left)?;
    let status = line
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.split(|&byte| byte == b' ').nth(1))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| malformed("no status line"))?;
    let mut head = Head { status, location: None, length: None, is_chunked: false };
    loop {
        let line = reader.line(&mut left)?;
        if line.is_empty() {
            return Ok(head);
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let colon = colon.ok_or_else(|| malformed("a header without a colon"))?;
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let text = std::str::from_utf8(value).ok();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = text.and_then(|text| text.parse().ok());
            head.length = Some(length.ok_or_else(|| malformed("a length that is no number"))?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("an encoding that was not asked for"));
            }
            head.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"location") {
            head.location = text.map(str::to_owned);
        }
    }
}

fn read_body<S: Read>(
    reader: &mut Reader<S>,
    length: Option<usize>,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let too_long = || io::Error::other(Malformed::TooLong(MAX_BODY));
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    if let Some(length) = length {
        if length > MAX_BODY {
            return Err(too_long());
        }
        reader.exactly(length, &mut body)?;
        return Ok(body);
    }
    loop {
        let available = reader.fill()?.len();
        if available == 0 {
            return Ok(body);
        }
        if body.len().saturating_add(available) > MAX_BODY {
            return Err(too_long());
        }
        reader.exactly(available, &mut body)?;
    }
}

fn read_chunks<S: Read>(reader: &mut Reader<S>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    let mut left = MAX_HEAD;
    loop {
        let line = reader.line(&mut left)?;
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .ok_or_else(|| malformed("a chunk without a length"))?;
        if length == 0 {
            return Ok(body);
        }
        if body.len().saturating_add(length) > MAX_BODY {
            return Err(io::Error::other(Malformed::TooLong(MAX_BODY)));
        }
        reader.exactly(length, &mut body)?;
        reader.line(&mut left)?;
    }
}
