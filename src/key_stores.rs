//! Key stores that are named by their configuration, and those that a data directory leads to.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use binlogsec_checks::config::key_source::{
    self, KeySource, MariadbAwsOptions, MariadbFile, MariadbPassword, MariadbVaultOptions,
};
use binlogsec_checks::config::option_file::OptionFile;
use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::keyring::{Keyring, MAX_KEYRING_BYTES, encrypted_file};
use binlogsec_core::log::error::Error;
use binlogsec_core::mariadb::key_file::{DerivationDigest, Unlock};
use binlogsec_core::secret::{KEYRING_PASSWORD, SecretBytes};
use binlogsec_keystores::aws::{self, AwsEnvironment, Kms, KmsSettings};
use binlogsec_keystores::configuration::{Password, is_of_percona, timeout};
use binlogsec_keystores::kmip::Kmip;
use binlogsec_keystores::mariadb::{MariadbVault, MariadbVaultSettings};
use binlogsec_keystores::vault::Vault;
use binlogsec_keystores::{Configuration, ConfigurationError, Transport, Unread};

use super::args::{StoreArgs, UnlockArgs};
use super::terminal::Terminal;
use crate::{mariadb_keys, password};

/// A password takes less.
const MAX_PASSWORD_FILE: u64 = 64 << 10;

/// Adds keys from wherever a server has them.
pub(crate) struct Sources<'a> {
    pub(crate) keyring: &'a mut Keyring,
    pub(crate) stores: &'a StoreArgs,
    pub(crate) unlock: &'a UnlockArgs,
    pub(crate) terminal: &'a Terminal,
}

impl Sources<'_> {
    /// Adds a keyring file, or the store whose configuration the file is.
    pub(crate) fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let base = path.parent().unwrap_or(Path::new(""));
        // Its name says which key it is; what KMS encrypted says nothing.
        if aws::key_of_file(path).is_some() {
            return self.add_kms(path, vec![path.to_owned()], MariadbAwsOptions::default());
        }
        let Ok(bytes) = small::read(path, MAX_KEYRING_BYTES, Pipes::Refused) else {
            // Who reads keyrings says why.
            return self.add_file(path);
        };
        match Configuration::parse(&bytes, path, base) {
            Some(configuration) => {
                let configuration = in_file(path, configuration)?;
                in_file(path, self.add_configured(configuration))
            }
            None if is_option_file(&bytes) => self.add_option_file(path, base),
            None => {
                self.prepare_password(path, &bytes)?;
                self.add_file(path)
            }
        }
    }

    /// Adds what the server of a data directory has its keys in.
    pub(crate) fn add_server(
        &mut self,
        data_directory: Option<&Path>,
        defaults_file: Option<&Path>,
    ) -> anyhow::Result<()> {
        let found = key_source::find(data_directory, defaults_file)?;
        for path in &found.followed {
            self.terminal.detail(&format!("keys: {} names them", path.display()));
        }
        found.notes.iter().for_each(|note| self.terminal.warning(note));
        let base = found.data_directory.clone();
        found.sources.into_iter().try_for_each(|source| self.add_source(source, &base))
    }

    fn add_source(&mut self, source: KeySource, base: &Path) -> anyhow::Result<()> {
        match source {
            KeySource::Component { configuration, .. } | KeySource::Plugin { configuration } => {
                let path = &configuration;
                let bytes =
                    small::read(path, MAX_KEYRING_BYTES, Pipes::Refused).map_err(Error::from)?;
                let parsed = Configuration::parse(&bytes, path, base).with_context(|| {
                    format!("{}: no configuration of a key store", path.display())
                })?;
                in_file(path, parsed.map_err(Into::into).and_then(|it| self.add_configured(it)))
            }
            KeySource::Keyring { path } => self.add_file(&path),
            KeySource::MariadbFile(file) => self.add_mariadb_file(&file),
            KeySource::MariadbVault(options) => self.add_mariadb_vault(options),
            KeySource::MariadbAws(options) => {
                let files = aws::files_in(base)
                    .with_context(|| format!("{}: cannot be listed", base.display()))?;
                self.add_kms(base, files, options)
            }
            KeySource::Other { name } => match Unread::named(&name) {
                Some(unread) => bail!("{}: {unread}", base.display()),
                None => bail!("{}: keys are in {name}, which is not known here", base.display()),
            },
            _ => Ok(()),
        }
    }

    fn add_configured(&mut self, configuration: Configuration) -> anyhow::Result<()> {
        match configuration {
            Configuration::File { path } => self.add_file(&path),
            Configuration::EncryptedFile { path, password } => {
                let bytes = small::read(&path, MAX_KEYRING_BYTES, Pipes::Refused);
                if bytes.is_ok_and(|bytes| !is_of_percona(&bytes)) {
                    let unread = Unread::named("component_keyring_encrypted_file");
                    unread.map_or(Ok(()), |it| Err(ConfigurationError::Unread(it)))?;
                }
                let password = match password {
                    Password::Given(password) => password,
                    Password::File(file) => password_file(&file)?,
                };
                self.keyring.set_password(Some(password));
                self.add_file(&path)
            }
            Configuration::Vault(settings) => {
                let vault = Vault::new(settings, &self.transport())?;
                self.keyring.add_store(Box::new(vault));
                Ok(())
            }
            Configuration::Kmip(settings) => {
                self.keyring.add_store(Box::new(Kmip::new(settings)?));
                Ok(())
            }
            Configuration::Unread(unread) => Err(ConfigurationError::Unread(unread).into()),
        }
    }

    /// A file of options that name a store: the server's own, or a few lines of it.
    fn add_option_file(&mut self, path: &Path, base: &Path) -> anyhow::Result<()> {
        let options = OptionFile::open(path)?;
        let sources = key_source::of_options(&options, base);
        if sources.is_empty() {
            // Told as what it is.
            return self.add_file(path);
        }
        sources.into_iter().try_for_each(|source| match &source {
            // Its files are in the data directory, wherever the options are.
            KeySource::MariadbAws(aws) => {
                let directory = aws.data_directory.clone();
                self.add_source(source, directory.as_deref().unwrap_or(base))
            }
            _ => self.add_source(source, base),
        })
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        Ok(self.keyring.add_file(path).map_err(Error::from)?)
    }

    fn add_mariadb_file(&mut self, file: &MariadbFile) -> anyhow::Result<()> {
        let unlock = match &file.password {
            Some(MariadbPassword::Given(password)) => Some(Unlock::new(password.expose())),
            Some(MariadbPassword::File(path)) => Some(Unlock::new(password_file(path)?.expose())),
            None => mariadb_keys::unlock(self.unlock, [&file.path])?,
        };
        if let Some(mut unlock) = unlock {
            if file.password.is_some() {
                unlock.digest = digest(file.digest.as_deref())?;
                unlock.iterations = file.iterations;
            }
            self.keyring.set_mariadb_unlock(unlock);
        }
        Ok(self.keyring.add_mariadb_keys(&file.path).map_err(Error::from)?)
    }

    fn add_mariadb_vault(&mut self, options: MariadbVaultOptions) -> anyhow::Result<()> {
        let path = options.path.clone();
        let settings = MariadbVaultSettings {
            path: options.path,
            url: options.url,
            token: options.token,
            authority: options.authority,
            timeout: in_file(&path, timeout(options.timeout))?,
        };
        let vault = in_file(&path, MariadbVault::new(settings, &self.transport()))?;
        self.keyring.add_store(Box::new(vault));
        Ok(())
    }

    /// What KMS encrypted for a MariaDB server.
    fn add_kms(
        &mut self,
        path: &Path,
        files: Vec<PathBuf>,
        options: MariadbAwsOptions,
    ) -> anyhow::Result<()> {
        let MariadbAwsOptions { region, endpoint, timeout, .. } = options;
        let timeout = timeout.and_then(|milliseconds| milliseconds.parse().ok());
        let timeout = timeout.filter(|it| *it > 0).map(Duration::from_millis);
        let timeout = timeout.unwrap_or(aws::DEFAULT_TIMEOUT);
        let settings = KmsSettings { path: path.to_owned(), files, region, endpoint, timeout };
        let environment = in_file(path, AwsEnvironment::new(|name| std::env::var_os(name)))?;
        let kms = in_file(path, Kms::new(settings, environment, &self.transport()))?;
        self.keyring.add_store(Box::new(kms));
        Ok(())
    }

    /// The password of a file that `component_percona_keyring_encrypted_file` wrote, if it is one.
    fn prepare_password(&mut self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        if encrypted_file::is_one(bytes) {
            self.keyring.set_password(password(self.stores, path)?);
        }
        Ok(())
    }

    fn transport(&self) -> Transport {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty());
        let authority = path("VAULT_CACERT").or_else(|| path("SSL_CERT_FILE"));
        Transport {
            allow_http: self.stores.allow_http,
            token: path("VAULT_TOKEN").map(|it| SecretBytes::new(trimmed(it.into_vec()))),
            address: text("VAULT_ADDR"),
            namespace: text("VAULT_NAMESPACE"),
            authority: authority.map(PathBuf::from),
        }
    }
}

fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.trim_ascii_end().len();
    bytes.truncate(end);
    bytes
}

/// Names the file that an error is about.
fn in_file<T, E: Into<anyhow::Error>>(path: &Path, result: Result<T, E>) -> anyhow::Result<T> {
    result.map_err(Into::into).map_err(|error: anyhow::Error| {
        // The library's own errors name their files, and tell the exit code.
        if error.is::<Error>() { error } else { error.context(path.display().to_string()) }
    })
}

/// `[mysqld]` and the like at the first line that says something.
fn is_option_file(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| line.first().is_some_and(|it| !b"#;!".contains(it)));
    let inner = first.and_then(|line| line.strip_prefix(b"[")?.strip_suffix(b"]"));
    inner.is_some_and(|name| name.first().is_some_and(u8::is_ascii_alphabetic))
}

fn digest(name: Option<&str>) -> anyhow::Result<DerivationDigest> {
    Ok(match name.map(str::to_ascii_lowercase).as_deref() {
        None | Some("sha1") => DerivationDigest::Sha1,
        Some("sha224") => DerivationDigest::Sha224,
        Some("sha256") => DerivationDigest::Sha256,
        Some("sha384") => DerivationDigest::Sha384,
        Some("sha512") => DerivationDigest::Sha512,
        Some(_) => bail!("file_key_management_digest: sha1, sha224, sha256, sha384 or sha512"),
    })
}

fn password_file(path: &Path) -> anyhow::Result<SecretBytes> {
    let mut bytes = small::read(path, MAX_PASSWORD_FILE, Pipes::Taken).map_err(Error::from)?;
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

/// From the file, the environment or the terminal, in this order.
fn password(args: &StoreArgs, keyring: &Path) -> anyhow::Result<Option<SecretBytes>> {
    if let Some(path) = &args.keyring_password_file {
        return password_file(path).map(Some);
    }
    let password = password::ask(KEYRING_PASSWORD, keyring)?;
    Ok(password.map(|mut bytes| SecretBytes::new(std::mem::take(&mut *bytes))))
}

/// The password for a file that is made: from where that of one that is read comes from.
pub(crate) fn new_password(args: &StoreArgs, keyring: &Path) -> anyhow::Result<SecretBytes> {
    const NONE: &str = "a password is needed to write it: --keyring-password-file FILE, or \
                        BINLOGSEC_KEYRING_PASSWORD";
    let password = match &args.keyring_password_file {
        Some(path) => password_file(path)?,
        None => {
            let mut bytes = password::ask_twice(KEYRING_PASSWORD, keyring)?.context(NONE)?;
            SecretBytes::new(std::mem::take(&mut *bytes))
        }
    };
    if password.is_empty() {
        bail!("{}: the password is empty", keyring.display());
    }
    Ok(password)
}
