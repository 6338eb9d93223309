//! Who can read an output: from their public halves to the file for them.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::file::TransferError;
use crate::file::small::{self, Pipes};
use age::{Encryptor, Recipient, tag, tagpq, x25519};

/// Longest file of recipients.
const LONGEST_FILE: u64 = 1 << 20;

/// How every recipient begins.
const RECIPIENT: &str = "age1";
/// How identities begin.
const IDENTITIES: [&str; 2] = ["age-secret-key-", "age-plugin-"];

/// Why something is no recipient. Nothing of it is shown: it may be a secret, named by mistake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// The secret half of a key.
    #[error(
        "{place} is an identity, the secret half of a key, and is not used; a recipient is the public half, age1…, which `age-keygen -y` prints"
    )]
    Identity {
        /// Where it stands.
        place: String,
    },
    /// Of a kind that is not supported.
    #[error(
        "{place} is a recipient of a kind that is not supported; those that begin with age1, age1tag1 and age1tagpq1 are, those of SSH and of plugins are not"
    )]
    Unsupported {
        /// Where it stands.
        place: String,
    },
    /// Nothing that could be a recipient.
    #[error("{place} is no recipient: {reason}; copy it again from `age-keygen -y`")]
    Malformed {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file that cannot be read.
    #[error("cannot read recipients from {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in which no recipient is.
    #[error("{} has no recipient; one on each line is expected", path.display())]
    None {
        /// Which file.
        path: PathBuf,
    },
    /// Recipients that one file cannot have together.
    #[error("one age file cannot be for all of these recipients")]
    Together(#[source] age::EncryptError),
}

/// Those who can read an output.
pub struct Recipients(Vec<AnyRecipient>);

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipients({})", self.0.len())
    }
}

impl Recipients {
    /// Each name is a recipient, `age1…`, or else a file that has one on each line; empty lines and
    /// those that begin with `#` do not count.
    ///
    /// # Errors
    /// [`RecipientError`] when one of them is none, or they cannot be together.
    pub fn open(names: &[OsString]) -> Result<Self, RecipientError> {
        let mut all = Vec::new();
        for name in names {
            match one_of_name(name) {
                Some(recipient) => all.push(recipient?),
                None => all.extend(of_file(Path::new(name))?),
            }
        }
        let recipients = Self(all);
        // Found out now, before there is an output.
        recipients.encryptor().map_err(RecipientError::Together)?;
        Ok(recipients)
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn encryptor(&self) -> Result<Encryptor, age::EncryptError> {
        Encryptor::with_recipients(self.0.iter().map(|recipient| &**recipient as _))
    }

    /// Makes an age file of what `write` writes; `name` is what messages call the writer.
    ///
    /// # Errors
    /// That of `write`; [`TransferError::File`] when the writer fails.
    pub fn seal<T>(
        &self,
        writer: &mut dyn Write,
        name: &Path,
        write: impl FnOnce(&mut dyn Write) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        let failed = TransferError::at(name, "write");
        let encryptor = self.encryptor().map_err(|error| failed(of_age(error)))?;
        let mut sealed = encryptor.wrap_output(writer).map_err(&failed)?;
        let done = write(&mut sealed)?;
        let writer = sealed.finish().map_err(&failed)?;
        writer.flush().map_err(&failed)?;
        Ok(done)
    }
}

fn of_age(error: age::EncryptError) -> io::Error {
    match error {
        age::EncryptError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

type AnyRecipient = Box<dyn Recipient + Send + Sync>;

/// What is named itself; `None` for the name of a file.
fn one_of_name(name: &OsStr) -> Option<Result<AnyRecipient, RecipientError>> {
    let bytes = name.as_encoded_bytes().trim_ascii();
    let is_itself = begins(bytes, RECIPIENT) || is_identity(bytes) || is_of_ssh(bytes);
    is_itself.then(|| one(bytes, || "the argument of --recipient".to_owned()))
}

/// Case does not count.
fn begins(bytes: &[u8], start: &str) -> bool {
    let first = bytes.get(..start.len());
    first.is_some_and(|first| first.eq_ignore_ascii_case(start.as_bytes()))
}

fn is_identity(bytes: &[u8]) -> bool {
    IDENTITIES.iter().any(|start| begins(bytes, start))
}

fn is_of_ssh(bytes: &[u8]) -> bool {
    begins(bytes, "ssh-") && bytes.contains(&b' ')
}

fn of_file(path: &Path) -> Result<Vec<AnyRecipient>, RecipientError> {
    let failed = |source| RecipientError::File { path: path.to_owned(), source };
    let text =
        small::read(path, LONGEST_FILE, Pipes::Taken).map_err(|error| failed(error.into_io()))?;
    let mut found = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1_u32..) {
        let line = line.trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            found.push(one(line, || format!("line {number} of {}", path.display()))?);
        }
    }
    if found.is_empty() {
        return Err(RecipientError::None { path: path.to_owned() });
    }
    Ok(found)
}

fn one(bytes: &[u8], place: impl Fn() -> String) -> Result<AnyRecipient, RecipientError> {
    if is_identity(bytes) {
        return Err(RecipientError::Identity { place: place() });
    }
    let malformed = |reason| RecipientError::Malformed { place: place(), reason };
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not text"))?;
    // The part before the last `1` tells the kind.
    let kind = text.rsplit_once('1').map(|(kind, _)| kind.to_ascii_lowercase());
    match kind.as_deref() {
        Some("age") => boxed(text.parse::<x25519::Recipient>()).map_err(malformed),
        Some("age1tag") => boxed(text.parse::<tag::Recipient>()).map_err(malformed),
        Some("age1tagpq") => boxed(text.parse::<tagpq::Recipient>()).map_err(malformed),
        _ if begins(bytes, RECIPIENT) || is_of_ssh(bytes) => {
            Err(RecipientError::Unsupported { place: place() })
        }
        _ => Err(malformed("it does not begin with age1")),
    }
}

fn boxed<R: Recipient + Send + Sync + 'static>(
    parsed: Result<R, &'static str>,
) -> Result<AnyRecipient, &'static str> {
    parsed.map(|recipient| Box::new(recipient) as _)
}
