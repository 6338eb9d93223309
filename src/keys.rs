//! From the key options to a keyring.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use binlogsec_core::file::{TransferError, inputs};
use binlogsec_core::keyring::{AskedStore, KeyFile, Keyring};
use binlogsec_core::log::error::Error;

use super::args::{KeyArgs, KeySourceArgs, ServerKeyArgs, StoreArgs, UnlockArgs};
use super::key_stores::Sources;
use super::process;
use super::terminal::Terminal;
use crate::mariadb_keys;

/// Names keyrings where no `--keyring` does.
pub(crate) const KEYRING_VARIABLE: &str = "BINLOGSEC_KEYRING";

/// Reads every source of keys that the user named, and finds those of the server that is named.
pub(crate) fn open(args: &KeyArgs, terminal: &Terminal) -> anyhow::Result<Keyring> {
    let mut keyring = open_sources(&args.sources, terminal)?;
    let ServerKeyArgs { datadir, defaults_file } = &args.server;
    if datadir.is_some() || defaults_file.is_some() {
        let server = (datadir.as_deref(), defaults_file.as_deref());
        add_server(&mut keyring, &args.sources, server, terminal)?;
    }
    Ok(keyring)
}

/// Adds the keys of the server of a data directory, an option file, or both.
pub(crate) fn add_server(
    keyring: &mut Keyring,
    args: &KeySourceArgs,
    (data_directory, defaults_file): (Option<&Path>, Option<&Path>),
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let before = keyring.files().len();
    let access = (&args.stores, &args.mariadb.unlock);
    sources(access, keyring, terminal).add_server(data_directory, defaults_file)?;
    tell(keyring, before, terminal);
    Ok(())
}

/// What opens files, and how stores are asked.
type Access<'a> = (&'a StoreArgs, &'a UnlockArgs);

/// The keys of the server that is named.
pub(crate) fn open_server(
    args: &ServerKeyArgs,
    access: Access<'_>,
    terminal: &Terminal,
) -> anyhow::Result<Keyring> {
    let mut keyring = Keyring::new();
    let mut sources = sources(access, &mut keyring, terminal);
    sources.add_server(args.datadir.as_deref(), args.defaults_file.as_deref())?;
    Ok(keyring)
}

/// Reads every source of keys that the user named.
pub(crate) fn open_sources(args: &KeySourceArgs, terminal: &Terminal) -> anyhow::Result<Keyring> {
    let mut keyring = Keyring::new();
    let paths = keyring_paths(args);
    // Read or not, what is named is no place for an output.
    let passwords =
        [&args.mariadb.unlock.mariadb_password_file, &args.stores.keyring_password_file];
    passwords.into_iter().flatten().for_each(|path| inputs::note_path(path));
    let named = paths.iter().chain(&args.mariadb.mariadb_keys);
    keyring.set_mariadb_options(mariadb_keys::options(&args.mariadb, named)?);
    for path in &paths {
        let access = (&args.stores, &args.mariadb.unlock);
        sources(access, &mut keyring, terminal).add(path)?;
    }
    for path in &args.mariadb.mariadb_keys {
        keyring.add_mariadb_keys(path).map_err(Error::from)?;
    }
    for argument in &args.key_files {
        keyring.add_key_file(argument).map_err(Error::from)?;
    }
    if let Some(command) = &args.key_command {
        // A signal ends the command as well.
        process::watch_signals().map_err(|source| {
            let path = "<signals>".into();
            Error::from(TransferError::File { path, operation: "wait for", source })
        })?;
        let timeout = Duration::from_secs(args.key_command_timeout.into());
        keyring.set_key_command_within(command, timeout).map_err(Error::from)?;
    }
    tell(&keyring, 0, terminal);
    let key_files = keyring.key_files().iter().map(KeyFile::path);
    key_files.for_each(|path| warn_if_open(path, "keys", terminal));
    // Only what is encrypted was opened with it; but it is there to be opened.
    let passwords =
        [&args.mariadb.unlock.mariadb_password_file, &args.stores.keyring_password_file];
    passwords.into_iter().flatten().for_each(|path| warn_if_open(path, "a password", terminal));
    Ok(keyring)
}

/// One keyring, or the store whose configuration a file is.
pub(crate) fn open_one(
    path: &Path,
    access: Access<'_>,
    terminal: &Terminal,
) -> anyhow::Result<Keyring> {
    let mut keyring = Keyring::new();
    let unlock = mariadb_keys::unlock(access.1, [&path.to_owned()])?;
    unlock.into_iter().for_each(|unlock| keyring.set_mariadb_unlock(unlock));
    sources(access, &mut keyring, terminal).add(path)?;
    Ok(keyring)
}

/// Several keyrings, opened with what the command's own options say of files and stores.
pub(crate) fn open_paths(
    paths: &[PathBuf],
    args: &KeySourceArgs,
    terminal: &Terminal,
) -> anyhow::Result<Keyring> {
    let mut keyring = Keyring::new();
    keyring.set_mariadb_options(mariadb_keys::options(&args.mariadb, paths)?);
    let access = (&args.stores, &args.mariadb.unlock);
    for path in paths {
        sources(access, &mut keyring, terminal).add(path)?;
    }
    tell(&keyring, 0, terminal);
    Ok(keyring)
}

/// The same where MariaDB's keys are of no use.
pub(crate) fn open_mysql(
    path: &Path,
    stores: &StoreArgs,
    terminal: &Terminal,
) -> anyhow::Result<Keyring> {
    let mut keyring = Keyring::new();
    sources((stores, &UnlockArgs::default()), &mut keyring, terminal).add(path)?;
    Ok(keyring)
}

fn sources<'a>(
    (stores, unlock): Access<'a>,
    keyring: &'a mut Keyring,
    terminal: &'a Terminal,
) -> Sources<'a> {
    Sources { keyring, stores, unlock, terminal }
}

/// Says where keys come from, and warns of what others can read.
fn tell(keyring: &Keyring, from: usize, terminal: &Terminal) {
    for file in keyring.files().iter().skip(from) {
        let (path, format) = (file.path(), file.format());
        let count = file.entries().len();
        terminal.detail(&format!("keyring {}: {format}, {count} entries", path.display()));
        warn_if_open(path, "keys", terminal);
    }
    for store in keyring.stores() {
        terminal.detail(&format!("keys are asked of {}", store.name()));
        warn_of_store(store, terminal);
    }
}

/// Warns of the files by which whoever reads them can ask a store.
pub(crate) fn warn_of_store(store: &AskedStore, terminal: &Terminal) {
    store.secret_files().iter().for_each(|file| warn_if_open(file.path, file.what, terminal));
}

/// Warns of a file of keys or a password that others than its owner can change, or that everybody
/// can read. Servers write theirs with mode 0640.
pub(crate) fn warn_if_open(path: &Path, what: &str, terminal: &Terminal) {
    const BEYOND: u32 = 0o027;
    let Some(metadata) = path.metadata().ok().filter(Metadata::is_file) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & BEYOND != 0 {
        let path = path.display();
        terminal.warning(&format!(
            "{path} holds {what} and is open to more users than it should be (mode {mode:03o}); \
             chmod 600 keeps it to its owner"
        ));
    }
}

impl KeyArgs {
    /// The files that keys come from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.sources.files()
    }

    /// Every source of keys, as it was named: other ones make another run.
    pub(crate) fn sources(&self) -> Vec<OsString> {
        let mut sources = self.sources.sources();
        let server = self.server.datadir.iter().chain(&self.server.defaults_file);
        sources.extend(server.cloned().map(PathBuf::into_os_string));
        sources
    }
}

impl KeySourceArgs {
    /// The files that keys come from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = keyring_paths(self);
        files.extend_from_slice(&self.key_files);
        files.extend_from_slice(&self.mariadb.mariadb_keys);
        files
    }

    /// Every source of keys, as it was named: other ones make another run.
    pub(crate) fn sources(&self) -> Vec<OsString> {
        let files = self.files().into_iter().map(PathBuf::into_os_string);
        files.chain(self.key_command.iter().map(OsString::from)).collect()
    }
}

fn keyring_paths(args: &KeySourceArgs) -> Vec<PathBuf> {
    if !args.keyrings.is_empty() {
        return args.keyrings.clone();
    }
    paths_of_environment()
}

/// The keyrings that the environment names.
pub(crate) fn paths_of_environment() -> Vec<PathBuf> {
    let value = std::env::var_os(KEYRING_VARIABLE).unwrap_or_default();
    std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect()
}
