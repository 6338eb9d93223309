//! Why a file is left as it is although it could be worked on.

use std::path::PathBuf;

use crate::keyring::KeyChange;
use crate::log::error_class::ErrorClass;
use crate::log::log_error::LogError;
use crate::mysql::key_id::KeyId;

/// What stands against the work on a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Ciphertext where plaintext was expected.
    #[error("it is encrypted already, under key {key_id}; `rekey` puts it under another key")]
    AlreadyEncrypted {
        /// Under which id its key is.
        key_id: KeyId,
    },
    /// Ciphertext of a MariaDB server: there is no header whose key could be changed.
    #[error(
        "MariaDB encrypted it already, event by event, and no header names its key; to put it under another one, `decrypt` it and `encrypt` the plaintext"
    )]
    EncryptedByMariaDb,
    /// A plaintext log of a MariaDB server.
    #[error(
        "a MariaDB server wrote it, and no MariaDB server reads MySQL's encryption; such a server encrypts its logs itself (encrypt_binlog=ON)"
    )]
    MariaDb,
    /// A log of a MySQL server, and keys of MariaDB.
    #[error("no MariaDB server wrote it, and the keys are those of a MariaDB server")]
    NotMariaDb,
    /// The in-use flag of its format description event is set.
    #[error(
        "its in-use flag is set: either its server is writing it, or that server crashed and trims the log at its next start; --allow-in-use takes it as it is"
    )]
    InUse,
    /// An index has it as its last entry.
    #[error(
        "it is the last entry of {}, which its server writes as long as it runs; if that server is stopped, --allow-in-use takes it", index.display()
    )]
    LastOfIndex {
        /// Which index.
        index: PathBuf,
    },
    /// Other processes have it open.
    #[error(
        "it is open in {}; --allow-in-use takes it, and they go on with the old file",
        processes(pids)
    )]
    Open {
        /// Which processes.
        pids: Vec<u32>,
    },
    /// Other processes have it open to write. What they write after the work has begun would be
    /// lost.
    #[error("{} may write it; stop the server first", processes(pids))]
    OpenForWriting {
        /// Which processes.
        pids: Vec<u32>,
    },
    /// Another process of this toolkit works on it.
    #[error("another binlogsec is at work on it")]
    Busy,
    /// A change of its header was interrupted, and the header is neither the old one nor the new.
    #[error(
        "a change of its header was interrupted and left it half written; --recover puts back the old one, which {} has", backup.display()
    )]
    HeaderTorn {
        /// Where the old header is.
        backup: PathBuf,
    },
    /// There is a header backup, and it is not of this log as it is now.
    #[error(
        "{} is not a header backup of this log as it is now: somebody has replaced the log or its header since; if the header alone is new, name the keyring that opens the log (--keyring FILE), and that file is removed; if the log is another one and readable, remove that file", backup.display()
    )]
    ForeignBackup {
        /// The backup.
        backup: PathBuf,
    },
    /// There is a header backup, and it is damaged.
    #[error("{} is no whole header backup; name the keyring that opens the log (--keyring FILE): if it does, that file is removed", backup.display())]
    BackupDamaged {
        /// The backup.
        backup: PathBuf,
    },
    /// It has no encryption header that could be worked on.
    #[error("it is not encrypted, and so has no header; `encrypt` gives it one")]
    NotEncrypted,
    /// No log of Percona Binlog Server's archive.
    #[error(
        "Percona Binlog Server did not encrypt it, and the new key is of that program's keyring; name the keyring of a MySQL server by --new-keyring FILE"
    )]
    NotArchived,
    /// The new key cannot wrap a file key.
    #[error("the new key cannot wrap its file key: {reason}")]
    CannotWrap {
        /// Why.
        reason: String,
    },
    /// Nothing says that a header belongs to this log.
    #[error(
        "without a key nothing proves that the header belongs to this log: name its keyring by --keyring FILE, or take the risk by --force"
    )]
    Unproven,
    /// The server was interrupted while it wrote a keyring, and will take the backup.
    #[error(
        "{} is there: the server was interrupted while it changed the keyring, and takes that file at its next start; let it start once, or work on a copy of that file", backup.display()
    )]
    KeyringBackup {
        /// The backup.
        backup: PathBuf,
    },
    /// It comes as a stream, and what is written of it cannot be read back.
    #[error(
        "it comes as a stream and goes into an age file, so it cannot be verified on the way; verify it first, and leave out --verify here"
    )]
    NotVerifiable,
    /// The key under which logs are put changed during the run, or will: the server rotates it.
    #[error("it was not put under the key, which may not stay")]
    KeyChanged(#[from] KeyChange),
    /// The source of the key is older than the logs: what is encrypted under its key is lost.
    #[error(
        "it is left as it was, for {} is under key {log_key}, which is newer than {key}, and no keyring file has both: {key} is from an older copy, and the server may have purged it; name the server's own keyring as it is now", log.display()
    )]
    KeyOlderThanLog {
        /// A log under a newer key.
        log: PathBuf,
        /// That key.
        log_key: KeyId,
        /// The key that was to be used.
        key: KeyId,
    },
    /// The run was stopped before it came to this log.
    #[error("it is left as it was, for the run was stopped at {}: {why}; run again when that is settled", at.display())]
    Stopped {
        /// With which log.
        at: PathBuf,
        /// Why.
        why: String,
    },
    /// The plaintext of a log that was being replaced lies beside it, and cannot be put back.
    #[error(
        "its plaintext is kept in {}: something else has the log's name now, or nothing; look at both, and keep the one that is right", aside.display()
    )]
    PlaintextAside {
        /// Where it is.
        aside: PathBuf,
    },
    /// A log has been encrypted, and nothing tells whether its key stays.
    #[error(
        "it is encrypted, and its plaintext is kept in {}, for its key may not stay: the server rotates it or was interrupted in that, or no keyring tells; when that is over, run the same command again with the server's own keyring: it looks at the key, and removes that file or puts it back", aside.display()
    )]
    KeyUnsettled {
        /// Where the plaintext is.
        aside: PathBuf,
    },
    /// A process has the index of its server open to write, or the last log in it: it may rewrite
    /// headers at any time.
    #[error(
        "{} has {} open to write, and a server rewrites the headers of its logs itself; stop the server first", processes(pids), path.display()
    )]
    ServerRuns {
        /// The index, or its last log.
        path: PathBuf,
        /// Which processes.
        pids: Vec<u32>,
    },
    /// An index lists a log that lies outside of the index's directory.
    #[error(
        "{} lists it, but it lies in another directory: a copy of an index may name another server's logs, so this is left alone; if it is meant, name the log itself", index.display()
    )]
    Elsewhere {
        /// The index.
        index: PathBuf,
    },
    /// Somebody changed or replaced it.
    #[error("it was changed while it was worked on, and is left as it is now")]
    Changed,
    /// It is no log that can be read.
    #[error(transparent)]
    Unreadable(#[from] LogError),
}

fn processes(pids: &[u32]) -> String {
    let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let noun = if list.len() == 1 { "process" } else { "processes" };
    format!("{noun} {}", list.join(", "))
}

impl Refusal {
    /// Which kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Unreadable(error) => error.class(),
            Self::HeaderTorn { .. } | Self::BackupDamaged { .. } => ErrorClass::Damage,
            Self::KeyChanged(KeyChange::Gone { .. } | KeyChange::OtherBytes { .. })
            | Self::KeyOlderThanLog { .. } => ErrorClass::Key,
            _ => ErrorClass::Work,
        }
    }
}
