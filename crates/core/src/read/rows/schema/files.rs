//! Files that tell of tables.

use std::path::{Path, PathBuf};

use super::Schema;
use super::follow::{Followed, Target};
use super::split::Statements;
use super::statement::Statement;
use crate::file::TransferError;
use crate::file::source::FileSource;

/// A larger file is a dump of data.
const LARGEST_FILE: u64 = 512 << 20;
/// A directory of more files is none of a dump.
const MOST_FILES: usize = 1 << 18;

/// Why a file does not tell of tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It cannot be read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// It is larger than what tells of tables is.
    #[error("{} has {length} bytes: that is a dump with data; make one of the tables alone (mysqldump --no-data)", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
    /// There is no CREATE TABLE in it.
    #[error("{} has no CREATE TABLE: the output of mysqldump --no-data, of mariadb-dump --no-data or of SHOW CREATE TABLE is expected, as text", path.display())]
    NoTables {
        /// Which file or directory.
        path: PathBuf,
    },
    /// The directory is too large.
    #[error("{} has more than {MOST_FILES} files: name those that tell of tables", path.display())]
    TooManyFiles {
        /// Which directory.
        path: PathBuf,
    },
}

impl Schema {
    /// Reads a file, or all files `*.sql` of a directory, as MySQL Shell and `mysqldump --tab` make
    /// them, in the order of their names. What was known before stays. Returns what must be told:
    /// which tables are not understood.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn open(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>, SchemaError> {
        let path = path.as_ref();
        if !path.is_dir() {
            return self.open_file(path, true);
        }
        let mut files = Vec::new();
        for entry in path.read_dir().map_err(TransferError::at(path, "read"))? {
            let file = entry.map_err(TransferError::at(path, "read"))?.path();
            if file.extension().is_some_and(|it| it.eq_ignore_ascii_case("sql")) {
                files.push(file);
            }
            if files.len() > MOST_FILES {
                return Err(SchemaError::TooManyFiles { path: path.to_owned() });
            }
        }
        files.sort();
        let before = self.tables.len();
        let mut notes = Vec::new();
        for file in files {
            notes.extend(self.open_file(&file, false)?);
        }
        if self.tables.len() == before {
            return Err(SchemaError::NoTables { path: path.to_owned() });
        }
        Ok(notes)
    }

    fn open_file(&mut self, path: &Path, must_tell: bool) -> Result<Vec<String>, SchemaError> {
        let source = FileSource::open(path)?;
        let length = source.length();
        if length > LARGEST_FILE {
            return Err(SchemaError::TooLarge { path: path.to_owned(), length });
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = source.read_at(0, &mut text)?;
        text.truncate(read);
        let database = database_by_name(path);
        let (tables, notes) = self.read(&text, database.as_deref());
        if tables == 0 && must_tell {
            return Err(SchemaError::NoTables { path: path.to_owned() });
        }
        let named = |note: String| format!("{}: {note}", path.display());
        Ok(notes.into_iter().map(named).collect())
    }

    /// Reads statements as dumps have them. `database` is that of tables whose database the text
    /// does not tell. Returns how many statements create a table, and what must be told.
    pub fn read(&mut self, text: &[u8], database: Option<&str>) -> (usize, Vec<String>) {
        let text = String::from_utf8_lossy(text);
        let mut database = database_by_comment(&text).or_else(|| database.map(str::to_owned));
        let (mut tables, mut followed) = (0_usize, Followed::default());
        for statement in Statements::new(&text) {
            match statement {
                Statement::Use(name) => database = Some(name),
                other => {
                    let is_table = matches!(other, Statement::CreateTable { .. });
                    tables = tables.saturating_add(usize::from(is_table));
                    let target = Target { database: database.as_deref(), is_file: true };
                    self.carry_out(other, &target, &mut followed);
                    followed.changes.clear();
                    self.touched.clear();
                }
            }
        }
        if std::mem::take(&mut self.is_full) {
            followed.notes.push(
                "its tables take more memory than is given to them: some are left out".to_owned(),
            );
        }
        (tables, followed.notes)
    }
}

/// The database in the head of a dump: `-- Host: localhost    Database: shop`, or alone in
/// `-- Database: shop`.
fn database_by_comment(text: &str) -> Option<String> {
    const HEAD: usize = 40;
    let lines = text.lines().take(HEAD);
    let mut comments = lines.filter_map(|line| line.strip_prefix("-- "));
    comments.find_map(|comment| {
        let is_head = comment.starts_with("Host:") || comment.starts_with("Database:");
        let (_, name) = comment.split_once("Database:").filter(|_| is_head)?;
        let name = name.trim().trim_matches('`');
        (!name.is_empty()).then(|| name.to_owned())
    })
}

/// The database in the name of a file of MySQL Shell: `database@table.sql`, with other characters
/// as `%20`.
fn database_by_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let (database, _) = stem.split_once('@')?;
    let mut parts = database.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let escaped = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}
