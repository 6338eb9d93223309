//! Where user and password come from: a file, an option file, a login path. Never an argument.
//!
//! Source of the login path file's format: the server's `mysys/my_default.cc`.

use std::fmt;
use std::path::{Path, PathBuf};

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use zeroize::Zeroizing;

use super::address::ServerAddress;
use super::error::Problem;
use crate::config::option_file::OptionFile;
use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::secret::SecretBytes;

/// As whom to ask a server.
#[derive(Debug)]
pub struct Credentials {
    /// The account's name.
    pub user: String,
    /// `None`: whoever has no password, or has yet to be asked for it.
    pub password: Option<SecretBytes>,
    /// The file that the password was read from.
    pub password_file: Option<PathBuf>,
}

const LARGEST_PASSWORD_FILE: u64 = 64 << 10;
const LARGEST_LOGIN_FILE: u64 = 1 << 20;
const LOGIN_FILE_VARIABLE: &str = "MYSQL_TEST_LOGIN_FILE";
const KEY_AT: usize = 4;
const KEY_LENGTH: usize = 20;
const BLOCK: usize = 16;

impl Credentials {
    /// What the address, and the files it names, say.
    ///
    /// # Errors
    /// [`Problem`]: a file that is named cannot be used.
    pub fn of(address: &ServerAddress) -> Result<Self, Problem> {
        let mut found = Found::default();
        if let Some(group) = &address.login_path {
            found.add(&login_path(&login_file(), group)?, &[group]);
        }
        if let Some(path) = &address.defaults_file {
            let file = OptionFile::open(path).map_err(|error| Problem::Content {
                path: path.clone(),
                problem: error.to_string(),
            })?;
            // The servers' own clients would not take it, either.
            if let Some(ignored) = file.omissions.iter().find(|it| it.line.is_none()) {
                return Err(Problem::Content {
                    path: ignored.path.clone(),
                    problem: ignored.reason.to_string(),
                });
            }
            found.add(&file, &["client", "client-server", "client-mariadb", "mysql"]);
        }
        if let Some(path) = &address.password_file {
            found.password = Some((password_file(path)?, path.clone()));
        }
        let user = address.user.clone().or(found.user);
        let (password, password_file) = found.password.unzip();
        Ok(Self {
            user: user.or_else(|| std::env::var("USER").ok()).unwrap_or_default(),
            password,
            password_file,
        })
    }
}

/// The first line of a file. A pipe will do, too: `<(pass show …)`.
///
/// # Errors
/// [`Problem::File`].
pub fn password_file(path: &Path) -> Result<SecretBytes, Problem> {
    let bytes = read(path, LARGEST_PASSWORD_FILE, "password file")?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(SecretBytes::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

#[derive(Default)]
struct Found {
    user: Option<String>,
    password: Option<(SecretBytes, PathBuf)>,
}

impl Found {
    fn add(&mut self, file: &OptionFile, groups: &[&str]) {
        for setting in &file.settings {
            let Some(value) = setting.value.as_ref().filter(|_| groups.contains(&&*setting.group))
            else {
                continue;
            };
            match &*setting.name {
                "user" => self.user = Some(String::from_utf8_lossy(value).into_owned()),
                "password" => {
                    let password = SecretBytes::new(value.clone());
                    self.password = Some((password, setting.path.clone()));
                }
                _ => {}
            }
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").finish_non_exhaustive()
    }
}

/// A file, or what comes through a pipe.
fn read(path: &Path, limit: u64, what: &'static str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let unusable = Problem::file(path, what);
    small::read(path, limit, Pipes::Taken).map_err(|error| unusable(error.into_io()))
}

fn login_file() -> PathBuf {
    match std::env::var_os(LOGIN_FILE_VARIABLE) {
        Some(path) => path.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".mylogin.cnf"),
    }
}

fn login_path(path: &Path, group: &str) -> Result<OptionFile, Problem> {
    let unusable =
        |problem: &str| Problem::Content { path: path.to_owned(), problem: problem.to_owned() };
    let bytes = read(path, LARGEST_LOGIN_FILE, "login path file")?;
    let text =
        unscrambled(&bytes).ok_or_else(|| unusable("no login path file, or a damaged one"))?;
    let file = OptionFile::parse(&text, path).map_err(|_| unusable("no options in it"))?;
    if !file.settings.iter().any(|setting| setting.group == group) {
        return Err(unusable(&format!("it has no login path {group:?}")));
    }
    Ok(file)
}

/// The file hides its text from eyes, not from readers: the key stands at its beginning.
fn unscrambled(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let folded = bytes.get(KEY_AT..)?.get(..KEY_LENGTH)?;
    let mut key = [0; BLOCK];
    for (at, byte) in folded.iter().enumerate() {
        *key.get_mut(at % BLOCK)? ^= byte;
    }
    let cipher = Aes128::new(&key.into());
    let mut rest = bytes.get(KEY_AT.checked_add(KEY_LENGTH)?..)?;
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (line, after) = after.split_at_checked(length)?;
        let (blocks, ragged) = line.as_chunks::<BLOCK>();
        if !ragged.is_empty() || blocks.is_empty() {
            return None;
        }
        for block in blocks {
            let mut block = (*block).into();
            cipher.decrypt_block(&mut block);
            text.extend_from_slice(&block);
        }
        let padding = usize::from(*text.last()?);
        let end = text.len().checked_sub(padding.min(BLOCK))?;
        text.truncate(end);
        rest = after;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt;

    use super::*;

    /// As `mysql_config_editor` writes it.
    fn scrambled(lines: &[&str]) -> Vec<u8> {
        let key: Vec<u8> = (1..=20).collect();
        let mut folded = [0; BLOCK];
        for (at, byte) in key.iter().enumerate() {
            folded[at % BLOCK] ^= byte;
        }
        let cipher = Aes128::new(&folded.into());
        let mut file = [&[0; KEY_AT][..], &key].concat();
        for line in lines {
            let mut padded = line.as_bytes().to_vec();
            let padding = BLOCK - padded.len() % BLOCK;
            padded.resize(padded.len() + padding, u8::try_from(padding).unwrap());
            file.extend(u32::try_from(padded.len()).unwrap().to_le_bytes());
            for block in padded.as_chunks::<BLOCK>().0 {
                let mut block = (*block).into();
                cipher.encrypt_block(&mut block);
                file.extend_from_slice(&block);
            }
        }
        file
    }

    #[test]
    fn a_login_path_is_read_and_shown_to_nobody() {
        let lines = [
            "[other]\n",
            "user = \"x\"\n",
            "[prod]\n",
            "user = \"audit\"\n",
            "password = \"s3cret #1\"\n",
        ];
        let text = unscrambled(&scrambled(&lines)).unwrap();
        let file = OptionFile::parse(&text, Path::new("login")).unwrap();
        let mut found = Found::default();
        found.add(&file, &["prod"]);
        assert_eq!(found.user.as_deref(), Some("audit"));
        let (password, path) = found.password.as_ref().unwrap();
        assert_eq!(password.expose(), b"s3cret #1");
        assert_eq!(path, Path::new("login"));
        assert!(!format!("{found:?}").contains("s3cret"));
        assert!(unscrambled(&scrambled(&lines)[..60]).is_none());
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret \r\nmore").unwrap();
        let address = ServerAddress {
            user: Some("audit".to_owned()),
            password_file: Some(path),
            ..ServerAddress::default()
        };
        let credentials = Credentials::of(&address).unwrap();
        assert_eq!(credentials.password.as_ref().unwrap().expose(), b"s3cret ");
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
