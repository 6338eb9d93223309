//! A client that asks one question and reads one answer: HTTP/1.1, one connection each.
//!
//! It does little on purpose. Every wait ends, every answer is bounded, no redirect is followed, and
//! what is sent and received is wiped: a general client keeps copies of tokens and keys in buffers.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use binlogsec_core::keyring::store::StoreTransport;
use binlogsec_core::secret::SecretBytes;
use rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::url::{Url, escaped};
use crate::wire::{self, Malformed, Peer, grow, with_retries};

/// The longest status line with all headers.
const MAX_HEAD: usize = 64 << 10;
/// The longest body: a list of a hundred thousand names.
const MAX_BODY: usize = 16 << 20;

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
    peer: Peer,
    tls: Option<Arc<ClientConfig>>,
    /// `X-Vault-Token` and others; wiped.
    headers: Vec<Header>,
}

/// A header of a request; its value may be a secret.
pub(crate) type Header = (&'static str, SecretBytes);

/// What is asked.
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// From `?` on, or empty.
    pub(crate) query: &'a str,
    /// Beside those of all requests.
    pub(crate) headers: &'a [Header],
    /// Its type, and what is sent.
    pub(crate) body: Option<(&'static str, &'a [u8])>,
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
        let of_environment = transport.authority.as_deref();
        let tls = || wire::tls_config(wire::authority(authority, of_environment)?, false, None);
        let tls = url.is_https.then(tls).transpose()?;
        let peer = Peer { host: url.host.clone(), port: url.port, timeout };
        Ok(Self { url, peer, tls, headers: Vec::new() })
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
        wire::transport(&self.url.host, self.url.is_https)
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Asks, and once more where that may help. `query` is from `?` on, or empty.
    pub(crate) fn get(&self, path: &str, query: &str) -> Result<Answer, StoreError> {
        let request = Request { method: "GET", path, query, headers: &[], body: None };
        with_retries(|attempt| self.ask(&request, attempt))
    }

    /// Sends a JSON document. Not repeated: the store may have taken it.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Answer, StoreError> {
        let body = Some(("application/json", body));
        self.ask(&Request { method: "POST", path, query: "", headers: &[], body }, 1)
    }

    /// Asks once.
    pub(crate) fn ask(&self, request: &Request<'_>, attempts: u32) -> Result<Answer, StoreError> {
        let bytes = self.compose(request);
        let socket = self.peer.connect(attempts)?;
        let (head, body) = match &self.tls {
            None => exchange(socket, &bytes),
            Some(config) => exchange(self.peer.negotiate(socket, config, attempts)?, &bytes),
        }
        .map_err(|error| self.peer.failure(error, attempts))?;
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

    fn compose(&self, request: &Request<'_>) -> Zeroizing<Vec<u8>> {
        let Request { method, path, query, headers, body } = request;
        let base = if self.url.path.is_empty() { "" } else { "/" };
        let (prefix, path) = (escaped(&self.url.path), escaped(path));
        let authority = self.url.authority();
        let mut first = format!(
            "{method} {base}{prefix}/{path}{query} HTTP/1.1\r\nHost: {authority}\r\n\
             Accept: application/json\r\nConnection: close\r\n"
        );
        if let Some((kind, body)) = body {
            let length = body.len();
            first.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n"));
        }
        let headers = || self.headers.iter().chain(*headers);
        let size = headers().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let body = body.map(|(_, body)| body).unwrap_or_default();
        // Grown once: a vector that grows step by step leaves copies behind.
        let room = first.len() + size + body.len() + 2;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        bytes.extend_from_slice(first.as_bytes());
        for (name, value) in headers() {
            for part in [name.as_bytes(), b": ", value.expose(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }
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
