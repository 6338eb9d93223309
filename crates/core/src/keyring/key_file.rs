//! A bare key in a file of its own.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::KeyringError;
use super::file::read_regular;
use super::raw::parse;
use crate::mysql::key_id::KeyId;
use crate::secret::Secret32;

const MAX_KEY_FILE_BYTES: u64 = 64 << 10;

fn read_key(path: &Path) -> Result<Secret32, KeyringError> {
    let bytes = read_regular(path, MAX_KEY_FILE_BYTES)?;
    parse(&bytes).map_err(|source| KeyringError::KeyFile { path: path.to_owned(), source })
}

/// A bare key in a file of its own, for one key id or for any.
pub struct KeyFile {
    path: PathBuf,
    id: Option<KeyId>,
    key: Secret32,
}

impl KeyFile {
    /// Reads a key file given as `FILE` or as `KEY_ID=FILE`.
    ///
    /// The argument has the second form when what stands before its first `=` is a key id of the
    /// server's form; the key is then used for this id alone. The content is one of those of
    /// [`parse`].
    ///
    /// # Errors
    /// [`KeyringError`] when the file cannot be read or holds no key.
    pub fn open(argument: impl AsRef<OsStr>) -> Result<Self, KeyringError> {
        let (id, path) = split_argument(argument.as_ref());
        let key = read_key(path)?;
        Ok(Self { path: path.to_owned(), id, key })
    }

    /// The key that the file has at this moment.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub(super) fn read_again(&self) -> Result<Secret32, KeyringError> {
        read_key(&self.path)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id the key is bound to; `None` when it serves any.
    #[must_use]
    pub const fn id(&self) -> Option<&KeyId> {
        self.id.as_ref()
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Secret32 {
        &self.key
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("path", &self.path)
            .field("id", &self.id)
            .field("key", &self.key)
            .finish()
    }
}

fn split_argument(argument: &OsStr) -> (Option<KeyId>, &Path) {
    let split = split_at_equals(argument).and_then(|(id, path)| {
        let id = KeyId::new(id);
        id.parts().is_some().then_some((Some(id), Path::new(path)))
    });
    split.unwrap_or((None, Path::new(argument)))
}

fn split_at_equals(argument: &OsStr) -> Option<(&[u8], &OsStr)> {
    let mut halves = argument.as_bytes().splitn(2, |byte| *byte == b'=');
    Some((halves.next()?, OsStr::from_bytes(halves.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_key_id_binds() {
        let id = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_7";
        let argument = format!("{id}=/k=1");
        let (bound, path) = split_argument(OsStr::new(&argument));
        assert_eq!((bound, path), (Some(KeyId::new(id.as_bytes())), Path::new("/k=1")));
        for argument in ["/k", "k=v", "=k", "MySQLReplicationKey_x_7=/k"] {
            assert_eq!(split_argument(OsStr::new(argument)), (None, Path::new(argument)));
        }
    }
}
