//! What a backup says of the moment it was taken at: a position in a log, GTIDs, or both.

use std::path::{Path, PathBuf};

use super::reach::{NoGtids, Reach};
use crate::file::TransferError;
use crate::file::source::FileSource;

/// So many bytes of a dump are looked at: what it says of itself stands at its head.
const HEAD: usize = 4 << 20;

/// Files in the folder of a backup that say it, the surest first.
const FILES: [&str; 7] = [
    "xtrabackup_binlog_info",
    "mariadb_backup_binlog_info",
    "xtrabackup_info",
    "mariadb_backup_info",
    "@.json",
    "metadata",
    "metadata.partial",
];

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// The log's file name.
    pub log: String,
    /// Plain offset.
    pub position: u64,
}

impl LogPosition {
    /// From `binlog.000042:1234`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (log, position) = text.rsplit_once(':')?;
        let is_log = Path::new(log).extension().is_some() && !log.contains(':');
        let position = position.parse().ok()?;
        is_log.then(|| Self { log: log.to_owned(), position })
    }
}

/// Where a recovery begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// What says so.
    pub origin: String,
    /// The place in the log of the server that was backed up.
    pub position: Option<LogPosition>,
    /// The transactions that the backup has.
    pub gtids: Option<Reach>,
    /// The transactions that the server has besides which is to get the others.
    pub besides: Reach,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Reading failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// GTIDs that are none.
    #[error("{}: {source}", path.display())]
    Gtids {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: NoGtids,
    },
    /// A file that says nothing of a log.
    #[error(
        "{} names neither a log with a position nor GTIDs: the backup was made without them (mysqldump needs --source-data, mariadb-dump --master-data), or it is no backup's file",
        path.display()
    )]
    Nothing {
        /// Which file.
        path: PathBuf,
    },
    /// A directory without any of the files.
    #[error("{} has none of the files in which backups say where they are: {}; of a dump, name the file itself", path.display(), FILES.join(", "))]
    NoFile {
        /// Which directory.
        path: PathBuf,
    },
    /// Neither a file nor GTIDs.
    #[error(
        "{text:?} is no file, and neither GTIDs (UUID:1-100 or 0-1-100) nor a place in a log (binlog.000042:1234)"
    )]
    Text {
        /// What was given.
        text: String,
    },
}

impl State {
    /// Reads what a user names: a backup's file or folder, GTIDs, `LOG:POSITION`, or `beginning`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(text: &str) -> Result<Self, StateError> {
        let path = Path::new(text);
        if path.is_dir() {
            let found = FILES.iter().map(|name| path.join(name)).find(|file| file.is_file());
            return Self::of_file(&found.ok_or(StateError::NoFile { path: path.to_owned() })?);
        }
        if path.is_file() {
            return Self::of_file(path);
        }
        let origin = text.to_owned();
        if text == "beginning" {
            return Ok(Self { origin, gtids: Some(Reach::default()), ..Self::default() });
        }
        if let Some(position) = LogPosition::parse(text) {
            return Ok(Self { origin, position: Some(position), ..Self::default() });
        }
        match Reach::parse(text) {
            Ok(gtids) if !gtids.is_empty() => {
                Ok(Self { origin, gtids: Some(gtids), ..Self::default() })
            }
            _ => Err(StateError::Text { text: origin }),
        }
    }

    fn of_file(path: &Path) -> Result<Self, StateError> {
        let source = FileSource::open(path)?;
        let mut head = vec![0; HEAD.min(usize::try_from(source.length()).unwrap_or(HEAD))];
        let read = source.read_at(0, &mut head)?;
        head.truncate(read);
        let state = Self::parse(&String::from_utf8_lossy(&head))
            .map_err(|source| StateError::Gtids { path: path.to_owned(), source })?;
        let state = state.ok_or(StateError::Nothing { path: path.to_owned() })?;
        Ok(Self { origin: path.display().to_string(), ..state })
    }

    /// From the content of a backup's file, whichever program wrote it; `None` if it names nothing.
    ///
    /// # Errors
    /// [`NoGtids`].
    pub fn parse(content: &str) -> Result<Option<Self>, NoGtids> {
        let text = content.trim_start_matches(['\u{FEFF}', '\n', '\r', ' ']);
        let said = if text.starts_with('{') {
            of_shell(text)
        } else if let Some(line) = text.lines().find_map(|line| line.strip_prefix("binlog_pos =")) {
            of_info(line)
        } else if is_of_mydumper(text) {
            of_mydumper(text)
        } else if is_of_binlog_info(text) {
            of_binlog_info(text)
        } else {
            of_dump(text)
        };
        let gtids = said.gtids.trim().trim_start_matches('+');
        let gtids = (!gtids.is_empty()).then(|| Reach::parse(gtids)).transpose()?;
        let gtids = gtids.filter(|gtids| !gtids.is_empty());
        let position = said.log.zip(said.position);
        let position = position.map(|(log, position)| LogPosition { log, position });
        let is_said = position.is_some() || gtids.is_some();
        Ok(is_said.then(|| Self { position, gtids, ..Self::default() }))
    }
}

/// What a file says, as text.
#[derive(Debug, Default)]
struct Said {
    log: Option<String>,
    position: Option<u64>,
    gtids: String,
}

/// MySQL Shell's `@.json`: `gtidExecuted`, `binlogFile`, `binlogPosition`.
fn of_shell(text: &str) -> Said {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
        return Said::default();
    };
    let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    Said {
        log: text("binlogFile").filter(|log| !log.is_empty()),
        position: json.get("binlogPosition").and_then(serde_json::Value::as_u64),
        gtids: text("gtidExecuted").unwrap_or_default(),
    }
}

/// `xtrabackup_info`, and MariaDB's of either name: `binlog_pos = filename 'binlog.000003', position
/// '157', GTID of the last change '…'`.
fn of_info(line: &str) -> Said {
    let mut quoted = line.split('\'').skip(1).step_by(2);
    let mut after = |word: &str| line.contains(word).then(|| quoted.next()).flatten();
    Said {
        log: after("filename").map(str::to_owned),
        position: after("position").and_then(|position| position.parse().ok()),
        gtids: after("GTID of the last change").unwrap_or_default().to_owned(),
    }
}

/// One line: the log, the position, the GTIDs, which may go on in the next lines.
fn is_of_binlog_info(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let log = words.next().is_some_and(|log| {
        Path::new(log).extension().is_some_and(|number| number.as_encoded_bytes().len() >= 6)
    });
    log && words.next().is_some_and(|position| position.parse::<u64>().is_ok())
}

fn of_binlog_info(text: &str) -> Said {
    let mut words = text.split_whitespace();
    let log = words.next().map(|log| log.rsplit('/').next().unwrap_or(log).to_owned());
    let position = words.next().and_then(|position| position.parse().ok());
    Said { log, position, gtids: words.collect() }
}

fn is_of_mydumper(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.any(|line| {
        matches!(line, "SHOW MASTER STATUS:" | "SHOW BINARY LOG STATUS:" | "[source]" | "[master]")
    })
}

/// mydumper's `metadata`: a part of it is of the server itself, another of that server's source.
fn of_mydumper(text: &str) -> Said {
    let (mut said, mut is_own, mut in_gtids) = (Said::default(), false, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') || line.starts_with("SHOW ") {
            is_own = matches!(
                line,
                "SHOW MASTER STATUS:" | "SHOW BINARY LOG STATUS:" | "[source]" | "[master]"
            );
            in_gtids = false;
            continue;
        }
        if !is_own || line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (name, value) = match line.split_once(" = ") {
            Some(parts) => parts,
            None => line.split_once(':').unwrap_or((line, "")),
        };
        let value = value.trim().trim_matches(['"', '\'']);
        match name.trim().to_ascii_lowercase().as_str() {
            "log" | "file" | "source_log_file" => said.log = Some(value.to_owned()),
            "pos" | "position" | "source_log_pos" => said.position = value.parse().ok(),
            "gtid" | "executed_gtid_set" => {
                value.clone_into(&mut said.gtids);
                in_gtids = true;
            }
            _ if in_gtids && said.gtids.ends_with(',') => said.gtids.push_str(line),
            _ => in_gtids = false,
        }
    }
    said
}

/// The head of mysqldump's or mariadb-dump's output.
fn of_dump(text: &str) -> Said {
    let upper = text.to_ascii_uppercase();
    let behind = |name: &str| {
        let at = upper.find(name)?;
        text.get(at.saturating_add(name.len())..)
    };
    let either = |names: [&str; 2]| names.iter().find_map(|name| behind(name));
    let quoted = |rest: &str| rest.split('\'').nth(1).map(str::to_owned);
    let digits = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let mysql = behind("GTID_PURGED=").map(|rest| {
        // `/*!80000 '+'*/` may stand before the value.
        let rest = rest.trim_start();
        let comment = rest.strip_prefix("/*!").and_then(|rest| rest.split_once("*/"));
        comment.map_or(rest, |(_, value)| value)
    });
    let gtids = mysql.or_else(|| behind("GTID_SLAVE_POS="));
    Said {
        log: either(["MASTER_LOG_FILE=", "SOURCE_LOG_FILE="]).and_then(quoted),
        position: either(["MASTER_LOG_POS=", "SOURCE_LOG_POS="]).and_then(digits),
        gtids: gtids.and_then(quoted).unwrap_or_default(),
    }
}
