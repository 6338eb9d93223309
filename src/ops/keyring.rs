//! Writing keyrings: a new one, one key more, another format. Always a whole file at once, with
//! mode 0600, written through to the disk.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::in_use::{lock, real_path};
use crate::crypto::random;
use crate::error::{Error, Refusal};
use crate::io::TransferError;
use crate::io::metadata::{FileState, keep_owner};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::FileSource;
use crate::keyring::edit::{EditError, KeyringKind, add_generation};
use crate::keyring::{Entry, KeyringFile, KeyringFormat, KeyringNote};
use crate::log::key_id::KeyId;

/// For the owner alone.
const MODE: u32 = 0o600;

/// What was written.
#[derive(Debug)]
pub struct KeyringWritten {
    /// Where it is.
    pub path: PathBuf,
    /// In which format.
    pub format: KeyringFormat,
    /// How many entries it has.
    pub entries: usize,
    /// The key that was made, if one was.
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
    let writer = Writer::create(path, KeyringFormat::native(kind), &entries, force)?;
    let note = "it belongs to the user who made it: give it to the server's user";
    writer.commit(Some(id), &[note])
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
    let writer = Writer::create(path, format, &entries, true)?;
    keep_owner(&before, writer.sink.file()?, path)?;
    let now = path.metadata().map_err(&examine)?;
    if FileState::new(&now) != FileState::new(&before) {
        return Err(Error::refused(path, Refusal::Changed));
    }
    let note = "it was readable by others; now it is for its owner alone";
    let was_open = before.permissions().mode() & 0o077 != 0;
    let notes: &[&str] = if was_open { &[note] } else { &[] };
    writer.commit(Some(id), notes)
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
    let metadata = from
        .metadata()
        .map_err(TransferError::at(from, "examine"))?;
    let keyring = open(from)?;
    if to
        .canonicalize()
        .is_ok_and(|to| Ok(to) == real_path(from).map_err(drop))
    {
        let path = to.to_owned();
        return Err(TransferError::SameFile { path }.into());
    }
    let entries = keyring.into_entries();
    let writer = Writer::create(to, KeyringFormat::native(kind), &entries, force)?;
    let note = "it belongs to the user who made it: give it to the server's user";
    match keep_owner(&metadata, writer.sink.file()?, to) {
        Ok(()) => writer.commit(None, &[]),
        Err(_) => writer.commit(None, &[note]),
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
        force: bool,
    ) -> Result<Self, Error> {
        let bytes = format
            .write(entries)
            .map_err(|error| Error::keyring_edit(path, error))?;
        let sink = AtomicFile::create(
            path,
            SinkOptions {
                force,
                sync: true,
                ..SinkOptions::default()
            },
        )?;
        sink.write_at(0, &bytes)?;
        Ok(Self {
            sink,
            format,
            entries: entries.len(),
        })
    }

    fn commit(self, key_id: Option<KeyId>, notes: &[&str]) -> Result<KeyringWritten, Error> {
        let path = self.sink.target().to_owned();
        // Again: a change of owner may have changed it.
        private(self.sink.file()?).map_err(TransferError::at(&path, "set the mode of"))?;
        self.sink.commit()?;
        Ok(KeyringWritten {
            path,
            format: self.format,
            entries: self.entries,
            key_id,
            notes: notes.iter().map(|&note| note.to_owned()).collect(),
        })
    }
}

fn private(file: &File) -> std::io::Result<()> {
    file.set_permissions(Permissions::from_mode(MODE))
}
