//! Keys in a KMIP server, as Percona's `component_keyring_kmip` has them there.
//!
//! A key is a symmetric key object, AES, in the format Raw, whose attribute Name is the key id;
//! with `object_group` it has that Object Group, too. The account of a key is not kept: all are the
//! server's own. Its ids come by Locate, its bytes by Get; the client is known by its certificate.
//!
//! Source: server source, `components/keyrings/keyring_kmip/backend/backend.cc` and
//! `config/config.cc`, and the client library that it uses (version 1.0 of the protocol); OASIS,
//! Key Management Interoperability Protocol Specification 1.0. Confirmed with PyKMIP's server.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use binlogsec_core::keyring::store::{
    KeyStore, SecretFile, StoreFamily, StoreTransport, Stored, Wanted,
};
use binlogsec_core::keyring::store_failure::StoreFailure;
use binlogsec_core::keyring::{Entry, KeyType};
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::secret::SecretBytes;
use binlogsec_wire::trust::TlsStream;
use jiff::Timestamp;
use rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::ttlv::{self, HEADER, Item, Writer};
use crate::wire::{self, ClientIdentity, Malformed, Peer, grow, with_retries};

/// How long an answer may take where the configuration does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest message: a list of the ids of a hundred thousand objects.
const MAX_MESSAGE: usize = 16 << 20;
/// The most objects that a list may have; the server's own default is as many.
const MAX_OBJECTS: usize = 65_535;

/// Tags (specification, section 9.1.3.1).
mod tag {
    pub(super) const ATTRIBUTE: u32 = 0x42_00_08;
    pub(super) const ATTRIBUTE_NAME: u32 = 0x42_00_0A;
    pub(super) const ATTRIBUTE_VALUE: u32 = 0x42_00_0B;
    pub(super) const BATCH_COUNT: u32 = 0x42_00_0D;
    pub(super) const BATCH_ITEM: u32 = 0x42_00_0F;
    pub(super) const KEY_BLOCK: u32 = 0x42_00_40;
    pub(super) const KEY_FORMAT_TYPE: u32 = 0x42_00_42;
    pub(super) const KEY_MATERIAL: u32 = 0x42_00_43;
    pub(super) const KEY_VALUE: u32 = 0x42_00_45;
    pub(super) const KEY_WRAPPING_DATA: u32 = 0x42_00_46;
    pub(super) const NAME_TYPE: u32 = 0x42_00_54;
    pub(super) const NAME_VALUE: u32 = 0x42_00_55;
    pub(super) const OPERATION: u32 = 0x42_00_5C;
    pub(super) const PROTOCOL_VERSION: u32 = 0x42_00_69;
    pub(super) const PROTOCOL_VERSION_MAJOR: u32 = 0x42_00_6A;
    pub(super) const PROTOCOL_VERSION_MINOR: u32 = 0x42_00_6B;
    pub(super) const REQUEST_HEADER: u32 = 0x42_00_77;
    pub(super) const REQUEST_MESSAGE: u32 = 0x42_00_78;
    pub(super) const REQUEST_PAYLOAD: u32 = 0x42_00_79;
    pub(super) const RESPONSE_MESSAGE: u32 = 0x42_00_7B;
    pub(super) const RESPONSE_PAYLOAD: u32 = 0x42_00_7C;
    pub(super) const RESULT_REASON: u32 = 0x42_00_7E;
    pub(super) const RESULT_STATUS: u32 = 0x42_00_7F;
    pub(super) const SYMMETRIC_KEY: u32 = 0x42_00_8F;
    pub(super) const UNIQUE_IDENTIFIER: u32 = 0x42_00_94;
}

/// Operations (section 9.1.3.2.26).
#[derive(Debug, Clone, Copy)]
enum Operation {
    Locate = 0x8,
    Get = 0xA,
    GetAttributes = 0xB,
}

/// Symmetric Key (section 9.1.3.2.11).
const SYMMETRIC_KEY: u32 = 2;
/// Uninterpreted Text String (section 9.1.3.2.10).
const TEXT_NAME: u32 = 1;
/// Raw, and Opaque, which libraries take for the same (section 9.1.3.2.3).
const RAW_FORMATS: [u32; 2] = [1, 2];
/// Success (section 9.1.3.2.27).
const SUCCESS: u32 = 0;
/// Reasons of failures (section 9.1.3.2.28).
mod reason {
    pub(super) const ITEM_NOT_FOUND: u32 = 1;
    pub(super) const AUTHENTICATION: u32 = 3;
    pub(super) const PERMISSION: u32 = 0xC;
    pub(super) const ARCHIVED: u32 = 0xD;
}

/// What the configuration of such a store says.
#[derive(Debug)]
pub struct KmipSettings {
    /// The file.
    pub path: PathBuf,
    /// `server_addr`.
    pub host: String,
    /// `server_port`.
    pub port: u16,
    /// `client_ca` and `client_key`: the client's certificate and its key.
    pub identity: ClientIdentity,
    /// `server_ca`: who signed the server's certificate.
    pub authority: PathBuf,
    /// `tls_hostname_verification` is there and false: its certificate may be for another host.
    pub any_name: bool,
    /// `object_group`.
    pub object_group: Option<String>,
    /// `kmip_timeout_ms`.
    pub timeout: Duration,
}

/// A KMIP server.
pub struct Kmip {
    path: PathBuf,
    client_key: PathBuf,
    peer: Peer,
    tls: Arc<ClientConfig>,
    object_group: Option<String>,
}

impl fmt::Debug for Kmip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kmip")
            .field("path", &self.path)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Kmip {
    /// The store of a configuration. It is not asked yet.
    ///
    /// # Errors
    /// [`StoreError`]: the certificates, or the key.
    pub fn new(settings: KmipSettings) -> Result<Self, StoreError> {
        let KmipSettings { path, host, port, identity, authority, any_name, object_group, timeout } =
            settings;
        let tls = wire::tls_config(&authority, any_name, Some(&identity))?;
        let peer = Peer { host, port, timeout };
        Ok(Self { path, client_key: identity.key, peer, tls, object_group })
    }

    fn session(&self, attempts: u32) -> Result<Session<'_>, StoreError> {
        let socket = self.peer.connect(attempts)?;
        let stream = self.peer.negotiate(socket, &self.tls, attempts)?;
        Ok(Session { stream, peer: &self.peer, attempts })
    }

    /// The attributes that its keys have in common, and a name, where one is looked for.
    fn attributes(&self, writer: Writer, name: Option<&[u8]>) -> Writer {
        let mut writer = attribute(writer, "Object Type", |writer| {
            writer.enumeration(tag::ATTRIBUTE_VALUE, SYMMETRIC_KEY)
        });
        if let Some(name) = name {
            writer = attribute(writer, "Name", |writer| {
                writer.structure(tag::ATTRIBUTE_VALUE, |writer| {
                    writer.text(tag::NAME_VALUE, name).enumeration(tag::NAME_TYPE, TEXT_NAME)
                })
            });
        }
        match &self.object_group {
            Some(group) => attribute(writer, "Object Group", |writer| {
                writer.text(tag::ATTRIBUTE_VALUE, group.as_bytes())
            }),
            None => writer,
        }
    }

    /// The unique identifiers of its objects, of one name or all.
    fn locate(
        &self,
        session: &mut Session<'_>,
        name: Option<&KeyId>,
    ) -> Result<Vec<Box<[u8]>>, StoreError> {
        let what = name.map_or_else(|| LIST.to_owned(), ToString::to_string);
        let name = name.map(KeyId::as_bytes);
        let answer =
            session.ask(Operation::Locate, &what, |writer| self.attributes(writer, name))?;
        let Some(answer) = answer else { return Ok(Vec::new()) };
        let ids = answer.payload().items().filter(|item| item.has_tag(tag::UNIQUE_IDENTIFIER));
        Ok(ids.filter_map(|id| id.text().map(Into::into)).collect())
    }

    fn read(&self, wanted: &Wanted, attempts: u32) -> Result<Option<Entry>, StoreError> {
        let mut session = self.session(attempts)?;
        let mut found: Option<SecretBytes> = None;
        for id in self.locate(&mut session, Some(&wanted.id))? {
            let Some(data) = session.key(&id, &wanted.id)? else { continue };
            if found.is_some_and(|found| found.expose() != data.expose()) {
                let problem = "several different keys have this name; only one of them may stay";
                return Err(StoreError::NotAKey { what: wanted.id.to_string(), problem });
            }
            found = Some(data);
        }
        let entry = |data| Entry {
            id: wanted.id.clone(),
            user: wanted.user.clone(),
            key_type: KeyType::Aes,
            data,
        };
        Ok(found.map(entry))
    }

    fn names(&self, attempts: u32) -> Result<Vec<Stored>, StoreError> {
        let mut session = self.session(attempts)?;
        let ids = self.locate(&mut session, None)?;
        if ids.len() > MAX_OBJECTS {
            let problem = "there are more than 65535 objects, of which the server takes no more";
            return Err(StoreError::NotAKey { what: LIST.to_owned(), problem });
        }
        let mut names = Vec::new();
        for id in ids {
            // What has no name is none of the server's keys.
            let Some(name) = session.attribute(&id, "Name", LIST)? else { continue };
            let Some(name) = name.value().and_then(|it| it.find(tag::NAME_VALUE)?.text()) else {
                continue;
            };
            let stored =
                Stored { id: KeyId::new(name), user: Box::default(), versions: Vec::new() };
            if !names.contains(&stored) {
                names.push(stored);
            }
        }
        Ok(names)
    }

    /// When the newest object of this name was made.
    fn created(&self, wanted: &Wanted, attempts: u32) -> Result<Option<String>, StoreError> {
        let mut session = self.session(attempts)?;
        let mut newest = None;
        for id in self.locate(&mut session, Some(&wanted.id))? {
            let date = session.attribute(&id, "Initial Date", &wanted.id.to_string())?;
            newest = newest.max(date.and_then(|date| date.value()?.date_time()));
        }
        let time = newest.and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(time.map(|time| time.to_string()))
    }
}

/// What is asked for, in messages.
const LIST: &str = "the list of its keys";

fn attribute(writer: Writer, name: &str, value: impl FnOnce(Writer) -> Writer) -> Writer {
    writer.structure(tag::ATTRIBUTE, |writer| {
        value(writer.text(tag::ATTRIBUTE_NAME, name.as_bytes()))
    })
}

/// A connection on which questions follow one another.
struct Session<'a> {
    stream: TlsStream,
    peer: &'a Peer,
    attempts: u32,
}

/// A whole answer, wiped when it is dropped.
struct Answer(Zeroizing<Vec<u8>>);

impl Answer {
    fn batch_item(&self) -> Option<Item<'_>> {
        Item::first(&self.0)?.find(tag::BATCH_ITEM)
    }

    /// What was asked for; an item without items where there is nothing.
    fn payload(&self) -> Item<'_> {
        let payload = self.batch_item().and_then(|item| item.find(tag::RESPONSE_PAYLOAD));
        payload.unwrap_or(Item::NONE)
    }

    /// The value of the attribute that was asked for.
    fn value(&self) -> Option<Item<'_>> {
        self.payload().find(tag::ATTRIBUTE)?.find(tag::ATTRIBUTE_VALUE)
    }
}

impl Session<'_> {
    /// The bytes of an object; `None` where it is gone.
    fn key(&mut self, id: &[u8], name: &KeyId) -> Result<Option<SecretBytes>, StoreError> {
        let what = name.to_string();
        let answer =
            self.ask(Operation::Get, &what, |writer| writer.text(tag::UNIQUE_IDENTIFIER, id))?;
        let Some(answer) = answer else { return Ok(None) };
        let refused = |problem| Err(StoreError::NotAKey { what: what.clone(), problem });
        let block =
            answer.payload().find(tag::SYMMETRIC_KEY).and_then(|it| it.find(tag::KEY_BLOCK));
        let Some(block) = block else { return refused("it is no symmetric key") };
        if block.find(tag::KEY_WRAPPING_DATA).is_some() {
            return refused("it is wrapped under another key");
        }
        let format = block.find(tag::KEY_FORMAT_TYPE).and_then(Item::enumeration);
        if !format.is_some_and(|format| RAW_FORMATS.contains(&format)) {
            return refused("it is of another format than Raw");
        }
        let material =
            block.find(tag::KEY_VALUE).and_then(|it| it.find(tag::KEY_MATERIAL)?.bytes());
        match material {
            Some(material) => Ok(Some(SecretBytes::new(material.to_vec()))),
            None => refused("it has no key material"),
        }
    }

    /// One attribute of an object; `None` where the object is gone.
    fn attribute(
        &mut self,
        id: &[u8],
        name: &str,
        what: &str,
    ) -> Result<Option<Answer>, StoreError> {
        self.ask(Operation::GetAttributes, what, |writer| {
            writer.text(tag::UNIQUE_IDENTIFIER, id).text(tag::ATTRIBUTE_NAME, name.as_bytes())
        })
    }

    /// Asks once; `None` where the store says that the object is not there.
    fn ask(
        &mut self,
        operation: Operation,
        what: &str,
        payload: impl FnOnce(Writer) -> Writer,
    ) -> Result<Option<Answer>, StoreError> {
        let request = request(operation, payload);
        self.stream.sock.set_deadline(self.peer.deadline());
        let answer = exchange(&mut self.stream, &request);
        let answer = Answer(answer.map_err(|error| self.peer.failure(error, self.attempts))?);
        let item = answer.batch_item();
        let status = item.and_then(|item| item.find(tag::RESULT_STATUS)?.enumeration());
        let failure = item.and_then(|item| item.find(tag::RESULT_REASON)?.enumeration());
        let what = what.to_owned();
        match (status, failure) {
            (Some(SUCCESS), _) => Ok(Some(answer)),
            (Some(_), Some(reason::ITEM_NOT_FOUND | reason::ARCHIVED)) => Ok(None),
            (Some(_), Some(reason::AUTHENTICATION)) => {
                Err(StoreError::Denied { what, reason: "it knows no client with this certificate" })
            }
            (Some(_), Some(reason::PERMISSION)) => Err(StoreError::Denied {
                what,
                reason: "the client of this certificate may not have it",
            }),
            (Some(_), reason) => {
                Err(StoreError::Failed { what, reason: reason.unwrap_or_default() })
            }
            (None, _) => Err(StoreError::NotKmip { problem: "its answer has no result" }),
        }
    }
}

fn request(operation: Operation, payload: impl FnOnce(Writer) -> Writer) -> Vec<u8> {
    let header = |writer: Writer| {
        let version = |writer: Writer| {
            writer.integer(tag::PROTOCOL_VERSION_MAJOR, 1).integer(tag::PROTOCOL_VERSION_MINOR, 0)
        };
        writer.structure(tag::PROTOCOL_VERSION, version).integer(tag::BATCH_COUNT, 1)
    };
    let item = |writer: Writer| {
        writer
            .enumeration(tag::OPERATION, operation as u32)
            .structure(tag::REQUEST_PAYLOAD, payload)
    };
    let message = |writer: Writer| {
        writer.structure(tag::REQUEST_HEADER, header).structure(tag::BATCH_ITEM, item)
    };
    Writer::default().structure(tag::REQUEST_MESSAGE, message).into_bytes()
}

/// Sends a message and reads a whole one.
fn exchange(stream: &mut TlsStream, request: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    const PIECE: usize = 64 << 10;
    stream.write_all(request)?;
    stream.flush()?;
    let mut message = Zeroizing::new(vec![0; HEADER]);
    stream.read_exact(&mut message).map_err(ended)?;
    let length = ttlv::message_length(&message, tag::RESPONSE_MESSAGE)
        .ok_or_else(|| io::Error::other(Malformed::Kmip("what it sends is no response message")))?;
    if length > MAX_MESSAGE {
        return Err(io::Error::other(Malformed::TooLong(MAX_MESSAGE)));
    }
    let end = length.saturating_add(HEADER);
    // The length is what the other side says: room is made for what has come.
    while message.len() < end {
        let (start, more) = (message.len(), end.saturating_sub(message.len()).min(PIECE));
        grow(&mut message, more);
        message.resize(start.saturating_add(more), 0);
        stream.read_exact(message.get_mut(start..).unwrap_or_default()).map_err(ended)?;
    }
    Ok(message)
}

fn ended(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return io::Error::other(Malformed::Kmip("it ends within its answer"));
    }
    error
}

impl KeyStore for Kmip {
    fn name(&self) -> String {
        let (Peer { host, port, .. }, path) = (&self.peer, self.path.display());
        format!("the KMIP server at {host}:{port} ({path})")
    }

    fn configuration(&self) -> &Path {
        &self.path
    }

    fn secret_files(&self) -> Vec<SecretFile<'_>> {
        vec![SecretFile { path: &self.client_key, what: "the private key of its client" }]
    }

    fn family(&self) -> StoreFamily {
        StoreFamily::MySql
    }

    fn transport(&self) -> StoreTransport {
        StoreTransport::Tls
    }

    fn stored_at(&self, wanted: &Wanted) -> Result<Option<String>, StoreFailure> {
        Ok(with_retries(|attempt| self.created(wanted, attempt))?)
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreFailure> {
        // It keeps no accounts: a key of one is not the server's own.
        if !wanted.user.is_empty() {
            return Ok(None);
        }
        Ok(with_retries(|attempt| self.read(wanted, attempt))?)
    }

    fn list(&self) -> Result<Vec<Stored>, StoreFailure> {
        Ok(with_retries(|attempt| self.names(attempt))?)
    }

    fn put(&self, _entry: &Entry, _replace: bool) -> Result<(), StoreFailure> {
        let why = "a server makes its keys there itself: ALTER INSTANCE ROTATE BINLOG MASTER KEY";
        Err(StoreError::ReadOnly { why }.into())
    }
}
