//! `keyring add-key` and `convert` where a store takes part, or a file under a password.

use std::path::Path;

use anyhow::{Context, bail};
use binlogsec_core::keyring::edit::{EditError, KeyringKind};
use binlogsec_core::keyring::{
    Keyring, KeyringFile, KeyringFormat, MAX_KEYRING_BYTES, encrypted_file,
};
use binlogsec_core::write::keyring::{self, KeyringWritten};
use binlogsec_keystores::Configuration;
use zeroize::Zeroizing;

use super::TargetKind;
use crate::args::StoreArgs;
use crate::terminal::Terminal;
use crate::{key_stores, keys};

type Access<'a> = (&'a StoreArgs, &'a Terminal);

/// The store whose configuration a file is; `None` for every other file, also for one that is not
/// there.
pub(super) fn store(
    path: &Path,
    stores: &StoreArgs,
    terminal: &Terminal,
) -> anyhow::Result<Option<Keyring>> {
    let Some(bytes) = peek(path) else { return Ok(None) };
    let base = path.parent().unwrap_or(Path::new(""));
    let is_needed =
        encrypted_file::is_one(&bytes) || Configuration::parse(&bytes, path, base).is_some();
    is_needed.then(|| keys::open_mysql(path, stores, terminal)).transpose()
}

/// What a file holds that is no input yet: it may be the output.
fn peek(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let status = path.metadata().ok()?;
    let is_meant = status.is_file() && status.len() <= MAX_KEYRING_BYTES;
    is_meant.then(|| std::fs::read(path).ok().map(Zeroizing::new)).flatten()
}

/// Adds the next generation to a store.
pub(super) fn add_key(keyring: &Keyring, uuid: Option<&str>) -> anyhow::Result<KeyringWritten> {
    match (keyring.stores(), keyring.files()) {
        ([store, ..], _) => Ok(keyring::add_key_to_store(store, uuid)?),
        // Another file than the one that was named: a keyring that is changed is named itself.
        (_, [file, ..]) if file.format() == KeyringFormat::EncryptedFile => {
            Err(EditError::Encrypted).with_context(|| file.path().display().to_string())
        }
        (_, [file, ..]) => Ok(keyring::add_key(file.path(), None, uuid)?),
        _ => bail!("no keyring is there to add a key to"),
    }
}

/// Converts between files, and from and to stores.
pub(super) fn convert(
    (from, to): (&Path, &Path),
    kind: Option<TargetKind>,
    force: bool,
    (stores, terminal): Access<'_>,
) -> anyhow::Result<KeyringWritten> {
    // A file under a password that is to be replaced need not open.
    let target = match kind {
        Some(_) if is_encrypted(to) => None,
        _ => store(to, stores, terminal)?.filter(|target| !target.stores().is_empty()),
    };
    let source = store(from, stores, terminal)?;
    let needed = "--as component, --as plugin or --as encrypted says as which kind of keyring to \
                  write it";
    if let (None, None, Some(kind)) = (&source, &target, kind.and_then(TargetKind::plain)) {
        return Ok(keyring::convert(from, to, kind, force)?);
    }
    if let Some(source) = &source
        && (source.is_of_mariadb() || source.is_of_binlog_server())
    {
        bail!("{}: its keys are of no use in a MySQL server's keyring", from.display());
    }
    let entries = match source {
        None => keyring::entries_of_file(from)?,
        Some(source) => match source.stores() {
            [store, ..] => keyring::entries_of_store(store)?,
            [] => source.into_files().into_iter().flat_map(KeyringFile::into_entries).collect(),
        },
    };
    let store = target.as_ref().and_then(|target| target.stores().first());
    match (store, kind) {
        (Some(_), Some(_)) => bail!("--as is for files; {} names a store", to.display()),
        (Some(store), None) => Ok(keyring::write_to_store(&entries, store)?),
        (None, kind) => match kind.context(needed)?.plain() {
            Some(kind) => Ok(keyring::write_entries(&entries, to, kind, force)?),
            None => {
                let password = key_stores::new_password(stores, to)?;
                Ok(keyring::write_encrypted(&entries, to, &password, force)?)
            }
        },
    }
}

fn is_encrypted(path: &Path) -> bool {
    peek(path).is_some_and(|bytes| encrypted_file::is_one(&bytes))
}

impl TargetKind {
    /// The kind of keyring that is not under a password.
    const fn plain(self) -> Option<KeyringKind> {
        match self {
            Self::Component => Some(KeyringKind::Component),
            Self::Plugin => Some(KeyringKind::Plugin),
            Self::Encrypted => None,
        }
    }
}
