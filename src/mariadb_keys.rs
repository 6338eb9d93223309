//! The options for MariaDB's keys.

use std::path::{Path, PathBuf};

use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::MariadbOptions;
use binlogsec_core::log::error::Error;
use binlogsec_core::mariadb::cipher::Mode;
use binlogsec_core::mariadb::key_file::{DerivationDigest, MAX_PASSWORD, SALTED, Unlock};
use binlogsec_core::secret::MARIADB_KEYS_PASSWORD;
use zeroize::Zeroizing;

use super::args::{MariadbArgs, MariadbCipher, MariadbDigest, UnlockArgs};
use super::password;

/// What the options say, with the password if one of the named files is encrypted.
pub(crate) fn options<'a>(
    args: &MariadbArgs,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<MariadbOptions, Error> {
    Ok(MariadbOptions {
        unlock: unlock(&args.unlock, files)?,
        mode: args.mariadb_cipher.map(|mode| match mode {
            MariadbCipher::Cbc => Mode::Cbc,
            MariadbCipher::Ctr => Mode::Ctr,
            MariadbCipher::Ecb => Mode::Ecb,
        }),
        key_id: args.mariadb_key_id,
        any_key_version: args.any_key_version,
    })
}

/// The password of encrypted key files, asked for only if one of the named files is one.
pub(crate) fn unlock<'a>(
    args: &UnlockArgs,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<Option<Unlock>, Error> {
    let Some(encrypted) = files.into_iter().find(|path| is_encrypted(path)) else {
        return Ok(None);
    };
    let Some(password) = password(args, encrypted)? else {
        return Ok(None);
    };
    let mut unlock = Unlock::new(&password);
    unlock.digest = match args.mariadb_digest {
        MariadbDigest::Sha1 => DerivationDigest::Sha1,
        MariadbDigest::Sha224 => DerivationDigest::Sha224,
        MariadbDigest::Sha256 => DerivationDigest::Sha256,
        MariadbDigest::Sha384 => DerivationDigest::Sha384,
        MariadbDigest::Sha512 => DerivationDigest::Sha512,
    };
    unlock.iterations = args.mariadb_pbkdf2;
    Ok(Some(unlock))
}

/// Whether a file starts like an encrypted key file. One that cannot be read is reported when it is
/// read as a whole.
fn is_encrypted(path: &Path) -> bool {
    let Ok(source) = FileSource::open(path) else {
        return false;
    };
    let mut start = [0; SALTED.len()];
    source.read_at(0, &mut start).is_ok() && start == *SALTED
}

/// From the file, the environment or the terminal, in this order.
fn password(args: &UnlockArgs, key_file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    if let Some(path) = &args.mariadb_password_file {
        // The longest password, and the end of its line.
        let limit = MAX_PASSWORD.saturating_add(2) as u64;
        return Ok(Some(small::read(path, limit, Pipes::Taken)?));
    }
    password::ask(MARIADB_KEYS_PASSWORD, key_file)
}
