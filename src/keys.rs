//! From the key options to a keyring.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use binlogsec_core::file::{TransferError, inputs};
use binlogsec_core::keyring::{KeyFile, Keyring, KeyringFile};
use binlogsec_core::log::error::Error;

use super::args::KeyArgs;
use super::process;
use super::terminal::Terminal;
use crate::mariadb_keys;

/// Names keyrings where no `--keyring` does.
pub(crate) const KEYRING_VARIABLE: &str = "BINLOGSEC_KEYRING";

/// Reads every source of keys that the user named.
pub(crate) fn open(args: &KeyArgs, terminal: &Terminal) -> Result<Keyring, Error> {
    let mut keyring = Keyring::new();
    let paths = keyring_paths(args);
    // Read or not, what is named is no place for an output.
    let unlock = args.mariadb.unlock.mariadb_password_file.iter();
    unlock.for_each(|path| inputs::note_path(path));
    let named = paths.iter().chain(&args.mariadb.mariadb_keys);
    keyring.set_mariadb_options(mariadb_keys::options(&args.mariadb, named)?);
    for path in &paths {
        keyring.add_file(path)?;
    }
    for path in &args.mariadb.mariadb_keys {
        keyring.add_mariadb_keys(path)?;
    }
    for file in keyring.files() {
        let (path, format) = (file.path().display(), file.format());
        terminal.detail(&format!("keyring {path}: {format}, {} entries", file.entries().len()));
    }
    for argument in &args.key_files {
        keyring.add_key_file(argument)?;
    }
    if let Some(command) = &args.key_command {
        // A signal ends the command as well.
        process::watch_signals().map_err(|source| TransferError::File {
            path: "<signals>".into(),
            operation: "wait for",
            source,
        })?;
        let timeout = Duration::from_secs(args.key_command_timeout.into());
        keyring.set_key_command_within(command, timeout)?;
    }
    let files = keyring.files().iter().map(KeyringFile::path);
    let key_files = keyring.key_files().iter().map(KeyFile::path);
    files.chain(key_files).for_each(|path| warn_if_open(path, "keys", terminal));
    // Only what is encrypted was opened with it; but it is there to be opened.
    if let Some(path) = &args.mariadb.unlock.mariadb_password_file {
        warn_if_open(path, "a password", terminal);
    }
    Ok(keyring)
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

fn keyring_paths(args: &KeyArgs) -> Vec<PathBuf> {
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
