//! Writing keyrings: a new one, one key more, another format. Always a whole file at once, with
//! mode 0600, written through to the disk.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::in_use::{lock, real_path};
use crate::batch::existing::spared_by_keyrings;
use crate::file::TransferError;
use crate::file::metadata::{FileState, keep_owner};
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::FileSource;
use crate::keyring::edit::{self, EditError, KeyringKind, add_generation};
use crate::keyring::store::Wanted;
use crate::keyring::{AskedStore, Entry, KeyringFile, KeyringFormat, KeyringNote, rotation};
use crate::log::error::Error;
use crate::log::refusal::Refusal;
use crate::mysql::key_id::KeyId;
use crate::random;
use crate::secret::SecretBytes;
use crate::text::reported;

/// For the owner alone.
const MODE: u32 = 0o600;
/// Said of a keyring that may be another user's than the server's.
const OWNER_NOTE: &str = "it belongs to the user who made it: give it to the server's user";
/// What the name of a keyring that was replaced ends with. Servers look at `.backup` alone.
const REPLACED: &str = ".replaced";
/// Keyrings of one name that may have been replaced.
const MOST_REPLACED: u32 = 10_000;

/// What was written.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyringWritten {
    /// The keyring that was written, or the configuration of the store.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Its format, or which store it is, in words.
    pub format: String,
    /// How many entries it has: keys, and the numbers that the server keeps beside them.
    pub entries: usize,
    /// The key that was made and is in use now; `null` for a conversion.
    #[serde(serialize_with = "reported::display_or_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub key_id: Option<KeyId>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Makes a keyring with a fresh binary log key, number 1, for a server.
///
/// # Errors
/// [`Error::KeyringEdit`] when `server_uuid` is none, [`Error::Random`], [`Error::Transfer`];
/// without `force` also when the file is there.
pub fn create(
    path: &Path,
    kind: KeyringKind,
    server_uuid: &str,
    force: bool,
) -> Result<KeyringWritten, Error> {
    let mut entries = Vec::new();
    let id = add_generation(&mut entries, Some(server_uuid), &random::secret()?)
        .map_err(|error| Error::keyring_edit(path, error))?;
    let writer = Writer::create(path, KeyringFormat::native(kind), &entries, (force, false))?;
    writer.commit(Some(id), Some(OWNER_NOTE.to_owned()))
}

/// Adds the next generation of a server's binary log key, and takes it into use. All other keys
/// stay, and so does the file's format, but for an empty file, whose kind must be named.
///
/// # Errors
/// [`Error::KeyringEdit`] when it cannot be decided whose key, or which number, or when a rotation
/// is under way; [`Error::Keyring`] when the file cannot be read; [`Error::Refused`] when the
/// server was interrupted while it wrote the keyring, or somebody writes it at this moment.
pub fn add_key(
    path: &Path,
    kind: Option<KeyringKind>,
    server_uuid: Option<&str>,
) -> Result<KeyringWritten, Error> {
    let path = &real_path(path)?;
    let examine = TransferError::at(path, "examine");
    let locked = FileSource::open(path)?;
    lock(&locked)?;
    let before = path.metadata().map_err(&examine)?;
    // Of one that was replaced while it was opened, another has the lock.
    if FileState::new(&before) != locked.state()? {
        return Err(Error::refused(path, Refusal::Changed));
    }
    let keyring = open(path)?;
    let format = match (keyring.format(), kind) {
        (KeyringFormat::Empty, Some(kind)) => KeyringFormat::native(kind),
        (format, _) => format,
    };
    let mut entries = keyring.into_entries();
    let id = add_generation(&mut entries, server_uuid, &random::secret()?)
        .map_err(|error| Error::keyring_edit(path, error))?;
    let writer = Writer::create(path, format, &entries, (true, true))?;
    keep_owner(&before, writer.sink.file()?, path)?;
    let now = path.metadata().map_err(&examine)?;
    if FileState::new(&now) != FileState::new(&before) {
        return Err(Error::refused(path, Refusal::Changed));
    }
    let was_open = before.permissions().mode() & 0o077 != 0;
    let note = "it was readable by others; now it is for its owner alone".to_owned();
    writer.commit(Some(id), was_open.then_some(note))
}

/// Writes everything that a keyring holds in the other format, or in the same one as servers of
/// this machine kind write it.
///
/// # Errors
/// As [`add_key`]; [`TransferError::SameFile`] when both are one file.
pub fn convert(
    from: &Path,
    to: &Path,
    kind: KeyringKind,
    force: bool,
) -> Result<KeyringWritten, Error> {
    let metadata = from.metadata().map_err(TransferError::at(from, "examine"))?;
    let keyring = open(from)?;
    if to.canonicalize().is_ok_and(|to| Ok(to) == real_path(from).map_err(drop)) {
        let path = to.to_owned();
        return Err(TransferError::SameFile { path }.into());
    }
    let entries = keyring.into_entries();
    let writer = Writer::create(to, KeyringFormat::native(kind), &entries, (force, false))?;
    let is_kept = keep_owner(&metadata, writer.sink.file()?, to).is_ok();
    writer.commit(None, (!is_kept).then(|| OWNER_NOTE.to_owned()))
}

/// Writes entries into a keyring file of a kind, as [`convert`] does with those of another file.
///
/// # Errors
/// [`Error::KeyringEdit`] and [`Error::Transfer`]; without `force` also when the file is there.
pub fn write_entries(
    entries: &[Entry],
    to: &Path,
    kind: KeyringKind,
    force: bool,
) -> Result<KeyringWritten, Error> {
    let writer = Writer::create(to, KeyringFormat::native(kind), entries, (force, false))?;
    writer.commit(None, Some(OWNER_NOTE.to_owned()))
}

/// The same into a file of `component_percona_keyring_encrypted_file`, under a password.
///
/// # Errors
/// As [`write_entries`]; [`Error::Random`].
pub fn write_encrypted(
    entries: &[Entry],
    to: &Path,
    password: &SecretBytes,
    force: bool,
) -> Result<KeyringWritten, Error> {
    let fresh = (random::bytes()?, random::bytes()?);
    let bytes = edit::write_encrypted(entries, password, fresh)
        .map_err(|error| Error::keyring_edit(to, error))?;
    let format = KeyringFormat::EncryptedFile;
    let writer = Writer::of_bytes(to, format, (&bytes, entries.len()), (force, false))?;
    writer.commit(None, Some(OWNER_NOTE.to_owned()))
}

/// All entries of a keyring file that its server is done with.
///
/// # Errors
/// [`Error::Keyring`] when it cannot be read, [`Error::KeyringEdit`] when its keys are of another
/// program, [`Error::Refused`] when the server was interrupted while it wrote it.
pub fn entries_of_file(path: &Path) -> Result<Vec<Entry>, Error> {
    Ok(open(path)?.into_entries())
}

/// All entries of a store, read now.
///
/// # Errors
/// [`Error::Keyring`] when the store fails.
pub fn entries_of_store(store: &AskedStore) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for stored in store.list()? {
        let wanted = Wanted { user: stored.user.clone(), ..Wanted::of_server(stored.id.clone()) };
        entries.extend(store.key_now(&wanted)?);
    }
    Ok(entries)
}

/// Stores entries as the server whose store it is would. Those that are there already stay; where
/// one has other bytes, nothing is stored.
///
/// # Errors
/// [`Error::Keyring`] when the store fails; [`Error::KeyringEdit`] when it has another key under
/// the id of one.
pub fn write_to_store(entries: &[Entry], store: &AskedStore) -> Result<KeyringWritten, Error> {
    let mut new = Vec::new();
    for entry in entries {
        let wanted = Wanted { user: entry.user.clone(), ..Wanted::of_server(entry.id.clone()) };
        match store.key_now(&wanted)? {
            None => new.push(entry),
            Some(there) if there == *entry => {}
            Some(_) => {
                let error = EditError::OtherKey { id: entry.id.clone() };
                return Err(Error::keyring_edit(store.configuration(), error));
            }
        }
    }
    // Keys first: a number that names one that is not there yet would mislead a server.
    let (keys, numbers): (Vec<_>, Vec<_>) =
        new.iter().partition(|entry| rotation::sequence_number(entry).is_none());
    for entry in keys.into_iter().chain(numbers) {
        store.put(entry, false)?;
    }
    let there = entries.len().saturating_sub(new.len());
    let note = (there > 0).then(|| format!("{there} of them were there already"));
    Ok(written(store, entries.len(), None, note))
}

/// Adds the next generation of a server's binary log key to a store, and takes it into use.
///
/// # Errors
/// As [`add_key`], and [`Error::Keyring`] when the store fails.
pub fn add_key_to_store(
    store: &AskedStore,
    server_uuid: Option<&str>,
) -> Result<KeyringWritten, Error> {
    let path = store.configuration();
    let is_of_logs = |entry: &Entry| entry.is_of_the_server() && rotation::is_of_logs(&entry.id);
    let mut entries = entries_of_store(store)?;
    entries.retain(is_of_logs);
    let id = add_generation(&mut entries, server_uuid, &random::secret()?)
        .map_err(|error| Error::keyring_edit(path, error))?;
    // The last two are the key, and the number that names it.
    let at = entries.len().saturating_sub(2);
    let added = entries.get(at..).unwrap_or_default();
    for entry in added {
        store.put(entry, entry.id != id)?;
    }
    Ok(written(store, entries.len(), Some(id), None))
}

fn written(
    store: &AskedStore,
    entries: usize,
    key_id: Option<KeyId>,
    note: Option<String>,
) -> KeyringWritten {
    KeyringWritten {
        path: store.configuration().to_owned(),
        format: store.name(),
        entries,
        key_id,
        notes: note.into_iter().collect(),
    }
}

/// Reads a keyring that its server is done with.
fn open(path: &Path) -> Result<KeyringFile, Error> {
    let keyring = KeyringFile::open(path)?;
    if keyring.is_mariadb() {
        return Err(Error::keyring_edit(path, EditError::OfMariaDb));
    }
    if keyring.is_binlog_server() {
        return Err(Error::keyring_edit(path, EditError::OfBinlogServer));
    }
    match keyring.notes() {
        [KeyringNote::BackupPresent { path: backup }, ..] => {
            let backup = backup.clone();
            Err(Error::refused(path, Refusal::KeyringBackup { backup }))
        }
        [] => Ok(keyring),
    }
}

/// A keyring in the making.
struct Writer {
    sink: AtomicFile,
    format: KeyringFormat,
    entries: usize,
}

impl Writer {
    fn create(
        path: &Path,
        format: KeyringFormat,
        entries: &[Entry],
        whether: (bool, bool),
    ) -> Result<Self, Error> {
        let bytes = format.write(entries).map_err(|error| Error::keyring_edit(path, error))?;
        Self::of_bytes(path, format, (&bytes, entries.len()), whether)
    }

    fn of_bytes(
        path: &Path,
        format: KeyringFormat,
        (bytes, entries): (&[u8], usize),
        (force, replaces_input): (bool, bool),
    ) -> Result<Self, Error> {
        let sink = AtomicFile::create(
            path,
            SinkOptions {
                force,
                sync: true,
                spares: spared_by_keyrings,
                replaces_input,
                ..SinkOptions::default()
            },
        )?;
        sink.write_at(0, bytes)?;
        Ok(Self { sink, format, entries })
    }

    fn commit(self, key_id: Option<KeyId>, note: Option<String>) -> Result<KeyringWritten, Error> {
        let path = self.sink.target().to_owned();
        // Again: a change of owner may have changed it.
        private(self.sink.file()?).map_err(TransferError::at(&path, "set the mode of"))?;
        let kept = keep_old(&path)?;
        if let Err(error) = self.sink.commit() {
            // What was not replaced needs no second name.
            let _ = kept.map(std::fs::remove_file);
            return Err(error.into());
        }
        let kept = kept.map(|kept| {
            format!(
                "the file from before is kept as {}: remove it when no log needs its keys",
                kept.display()
            )
        });
        Ok(KeyringWritten {
            path,
            format: self.format.to_string(),
            entries: self.entries,
            key_id,
            notes: note.into_iter().chain(kept).collect(),
        })
    }
}

/// Gives the file that will be replaced a second name, beside its own: losing a keyring loses logs.
/// An empty file has nothing to keep.
fn keep_old(path: &Path) -> Result<Option<PathBuf>, TransferError> {
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() == 0 => return Ok(None),
        metadata => metadata.map_err(TransferError::at(path, "examine"))?,
    };
    for number in 1..=MOST_REPLACED {
        let mut name = path.as_os_str().to_owned();
        name.push(REPLACED);
        if number > 1 {
            name.push(format!("-{number}"));
        }
        let kept = PathBuf::from(name);
        match std::fs::hard_link(path, &kept) {
            Ok(()) => return Ok(Some(kept)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(TransferError::at(path, "keep a second name for")(error)),
        }
    }
    Err(TransferError::Exists { path: path.to_owned() })
}

fn private(file: &File) -> std::io::Result<()> {
    file.set_permissions(Permissions::from_mode(MODE))
}
