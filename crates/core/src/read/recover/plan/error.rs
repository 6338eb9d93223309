//! Why there is no plan.

use std::path::PathBuf;

use crate::log::error::Error;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No event begins at a backup's position.
    #[error(
        "{} has no event at {position} (it was read up to {read_to}): it is not the log that the backup names, or a copy that was cut",
        path.display()
    )]
    NoSuchPlace {
        /// Which log.
        path: PathBuf,
        /// The position.
        position: u64,
        /// Up to which plain offset it was read.
        read_to: u64,
    },
    /// A log that is needed cannot be read.
    #[error("{} is needed", path.display())]
    Unreadable {
        /// Which log.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// The transaction that the moment names is in the backup.
    #[error("{gtid} is in the backup already: take an older backup, or name a later moment")]
    InBackup {
        /// The transaction.
        gtid: String,
    },
    /// No log.
    #[error("no log is there")]
    NoLogs,
    /// Several servers' logs have the name at which the backup was taken.
    #[error(
        "{log} is the name of logs of several servers ({servers}), and nothing tells at which of them the backup was taken: say it by --server-id ID"
    )]
    Ambiguous {
        /// The name.
        log: String,
        /// The servers.
        servers: String,
    },
    /// The log at which the backup was taken, or which the moment names, is not there.
    #[error("{log}, which {what}, is not among the logs")]
    NoSuchLog {
        /// Its name.
        log: String,
        /// What names it.
        what: &'static str,
    },
    /// Transactions without GTIDs in logs of several servers, or of several lives of one: in which order they
    /// came, nothing says.
    #[error(
        "the logs have transactions without GTIDs, and do not follow one another: {first} and {other} are logs of two \
         servers, or of one before and behind a RESET: name the logs of one alone, or a --server-id, or a beginning \
         LOG:POSITION"
    )]
    SeveralRows {
        /// The first log of one.
        first: String,
        /// The first log of another.
        other: String,
    },
    /// A GTID where logs have none, or none that say what is before them.
    #[error(
        "the logs have no GTIDs, or several servers write into one domain of them, and their numbers do not rise: \
         name the moment by a time, or by LOG:POSITION"
    )]
    NoGtids,
    /// A backup is known by a GTID of MariaDB that does not say what is before it.
    #[error(
        "{}: {later} comes behind {earlier}, as several servers write into this domain, so the GTIDs of the \
         backup do not say what it has: name its place, --from LOG:POSITION (a backup's own files have both), and the \
         logs of that server alone",
        path.display()
    )]
    Unordered {
        /// The log.
        path: PathBuf,
        /// The one with the higher number.
        earlier: String,
        /// The one behind it.
        later: String,
    },
    /// GTIDs of the other kind of server.
    #[error(
        "the backup has GTIDs of {state}, and {} those of {log}", path.display()
    )]
    OtherKind {
        /// A log.
        path: PathBuf,
        /// Whose the backup's are.
        state: &'static str,
        /// Whose the log's are.
        log: &'static str,
    },
}
