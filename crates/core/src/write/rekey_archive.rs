//! Percona Binlog Server's archive, from one wrapping key to another: the JSON file beside a log is
//! written anew, the log stays.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::in_use::Lookout;
use super::rekey::{Change, FileResult, Rekeyed, open, skippable};
use crate::batch;
use crate::batch::targets::{Origin, Target, each_once};
use crate::file::TransferError;
use crate::file::metadata::keep_owner;
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::keyring::wrapping::WrappingKey;
use crate::log::archive::{self, Unwrapped};
use crate::log::error::Error;
use crate::log::log_error::LogError;
use crate::log::open::read_enough;
use crate::log::refusal::Refusal;
use crate::mysql::key_id::KeyId;
use crate::percona::cipher::Wrapped;
use crate::percona::sidecar::Sidecar;
use crate::random;
use crate::secret::SecretBytes;

/// Said of every log of the archive that was rekeyed: what rekeying cannot do.
pub const OLD_JSON_NOTE: &str = "a copy of the JSON file from before still opens the log with the old key: the file key stays the same";

/// Puts many logs under another wrapping key, in parallel.
#[must_use]
pub fn rekey(
    targets: Vec<Target>,
    old: &Keyring,
    new: WrappingKey<'_>,
    dry_run: bool,
) -> Vec<FileResult> {
    let lookout = Lookout::default();
    let work = |path: &Path| {
        let log = open(path, &lookout)?;
        Ok((path.to_owned(), rekey_one(&log, old, new, dry_run)?))
    };
    batch::for_all(without_sidecars(each_once(targets)), work, skippable)
}

/// The same targets without the JSON files of logs that are among them: whoever works on the log holds its
/// file's lock.
fn without_sidecars(targets: Vec<Target>) -> Vec<Target> {
    let of_logs: HashSet<_> = targets.iter().map(|it| archive::sidecar_path(&it.path)).collect();
    let is_own = |it: &Target| it.origin == Origin::Named || !of_logs.contains(&it.path);
    targets.into_iter().filter(is_own).collect()
}

fn rekey_one(
    log: &FileSource,
    old: &Keyring,
    new: WrappingKey<'_>,
    dry_run: bool,
) -> Result<Rekeyed, Error> {
    let start = read_enough(log)?;
    let path = log.path();
    let is_archived = archive::beside(path, &start)?.is_some();
    let before = archive::read(path)?.filter(|_| is_archived);
    let sidecar = before.as_deref().and_then(Sidecar::parse);
    let (Some(before), Some(sidecar)) = (before, sidecar) else {
        return Err(Error::refused(path, Refusal::NotArchived));
    };
    let sidecar = sidecar.map_err(|error| Error::log(path, LogError::Sidecar(error)))?;
    let Unwrapped { file_key, description, .. } =
        archive::unlock(&sidecar, &start, old).map_err(|error| Error::log(path, error))?;
    let mut done = Rekeyed {
        old_key_id: Some(KeyId::new(sidecar.kek_id.as_bytes())),
        new_key_id: Some(new.id.clone()),
        server_version: description.map(|it| it.server_version),
        ..Rekeyed::default()
    };
    if opens(&sidecar, new, &file_key) {
        return Ok(done);
    }
    let (id, wrapped) = wrap(path, new, &file_key)?;
    let after = Sidecar::rewrap(&before, &id, &wrapped)
        .map_err(|error| Error::log(path, LogError::Sidecar(error)))?;
    // Before the old file goes: the new one gives the same key, and says the same of the log.
    let proven = Sidecar::parse(&after).and_then(Result::ok).filter(|after| {
        opens(after, new, &file_key) && (&after.cipher, after.iv) == (&sidecar.cipher, sidecar.iv)
    });
    if proven.is_none() {
        return Err(differs(path));
    }
    done.change = if dry_run {
        Change::WouldWrite
    } else {
        put(path, &before, &after)?;
        done.notes.push(OLD_JSON_NOTE.to_owned());
        Change::Written
    };
    Ok(done)
}

/// Whether the file key comes out of a JSON file by this key.
fn opens(sidecar: &Sidecar, key: WrappingKey<'_>, file_key: &SecretBytes) -> bool {
    sidecar.kek_id.as_bytes() == key.id.as_bytes()
        && archive::file_key(sidecar, key.cipher, key.key).is_ok_and(|opened| opened == *file_key)
}

fn wrap(
    path: &Path,
    new: WrappingKey<'_>,
    file_key: &SecretBytes,
) -> Result<(String, Wrapped), Error> {
    let refused = |reason: String| Error::refused(path, Refusal::CannotWrap { reason });
    let unknown = "its cipher is not known here: AES in mode ECB, CBC, CTR or GCM is";
    let cipher = new.cipher.ok_or_else(|| refused(unknown.to_owned()))?;
    let id = std::str::from_utf8(new.id.as_bytes())
        .map_err(|_| refused("its id is no text, as JSON has it".to_owned()))?;
    let mut iv = vec![0; cipher.iv_length()];
    random::fill(&mut iv)?;
    let wrapped = cipher.wrap(new.key.expose(), iv, file_key.expose());
    let wrapped = wrapped.map_err(|error| refused(error.to_string()))?;
    Ok((id.to_owned(), wrapped))
}

/// Writes the JSON file in the place of the old one: whole, through to the disk, and read back.
fn put(log: &Path, before: &[u8], after: &[u8]) -> Result<(), Error> {
    let path = &archive::sidecar_path(log);
    let metadata = path.metadata().map_err(TransferError::at(path, "examine"))?;
    let options = SinkOptions {
        force: true,
        sync: true,
        mode: metadata.permissions().mode() & 0o7777,
        replaces_input: true,
        ..SinkOptions::default()
    };
    let sink = AtomicFile::create(path, options)?;
    sink.write_at(0, after)?;
    keep_owner(&metadata, sink.file()?, path)?;
    let written = sink.file()?.try_clone();
    let written = written.map_err(TransferError::at(path, "read"))?;
    let mut back = vec![0; after.len()];
    let read = FileSource::from_file(written, path)?.read_at(0, &mut back)?;
    if read != after.len() || back != after {
        return Err(differs(path));
    }
    // Its server writes it anew with every transaction.
    if archive::read(log)?.as_deref() != Some(before) {
        return Err(Error::refused(path, Refusal::Changed));
    }
    Ok(sink.commit()?)
}

fn differs(path: &Path) -> Error {
    TransferError::Differs { path: path.to_owned(), offset: 0 }.into()
}
