//! Option files (`my.cnf`), read as the server reads them.
//!
//! Source: the server's reference manual, "Using Option Files", and `mysys/my_default.cc`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::io::TransferError;
use crate::io::source::FileSource;

/// A server's own limit (`my_default.cc`).
const DEEPEST_INCLUDE: usize = 10;
/// More is no option file.
const LARGEST_FILE: u64 = 1 << 20;
/// Files that inclusions may add up to.
const MOST_FILES: usize = 1000;

/// Why an option file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionFileError {
    /// It cannot be read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A line that the server would refuse.
    #[error("{}: line {line}: {problem}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// One option as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The group it is in, without brackets.
    pub group: String,
    /// Its name, with `_` for `-` and without `loose_`.
    pub name: String,
    /// What follows the `=`, without quotes; `None` without one.
    pub value: Option<Vec<u8>>,
    /// Where it stands.
    pub path: PathBuf,
    /// On which line, counted from 1.
    pub line: usize,
}

/// The options of a file and of those it includes, in the order in which they take effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionFile {
    /// Every option of every group.
    pub settings: Vec<Setting>,
}

impl OptionFile {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// [`OptionFileError`]. A directory to include that is not there is one, as for the server.
    pub fn open(path: &Path) -> Result<Self, OptionFileError> {
        let mut reader = Reader::default();
        reader.file(path, 0)?;
        Ok(Self {
            settings: reader.settings,
        })
    }

    /// Reads text that includes nothing; `path` is what messages call it.
    ///
    /// # Errors
    /// [`OptionFileError::Syntax`].
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, OptionFileError> {
        let mut reader = Reader::default();
        reader.text(text, path, DEEPEST_INCLUDE)?;
        Ok(Self {
            settings: reader.settings,
        })
    }

    /// The options that a server reads, the later of one name after the earlier.
    pub fn of_server(&self) -> impl Iterator<Item = &Setting> {
        self.settings
            .iter()
            .filter(|setting| is_server_group(&setting.group))
    }
}

/// Whether a server reads this group: `mysqld`, `server`, `mariadb`, and these with a version.
#[must_use]
pub fn is_server_group(group: &str) -> bool {
    let base = match group.split_once('-') {
        Some((base, version)) if is_version(version) => base,
        Some(_) => return false,
        None => group,
    };
    matches!(base, "mysqld" | "mariadb" | "mariadbd" | "server")
        && (base != "server" || group == "server")
}

fn is_version(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[derive(Default)]
struct Reader {
    settings: Vec<Setting>,
    files: usize,
}

impl Reader {
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), OptionFileError> {
        self.files = self.files.saturating_add(1);
        let too_large = || std::io::Error::from(std::io::ErrorKind::FileTooLarge);
        let source = FileSource::open(path)?;
        if source.length() > LARGEST_FILE || self.files > MOST_FILES {
            return Err(TransferError::at(path, "read the option file")(too_large()).into());
        }
        let mut text = vec![0; usize::try_from(source.length()).unwrap_or(usize::MAX)];
        let read = source.read_at(0, &mut text)?;
        text.truncate(read);
        self.text(&text, path, depth)
    }

    fn text(&mut self, text: &[u8], path: &Path, depth: usize) -> Result<(), OptionFileError> {
        let mut group = None;
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let place = Place {
                path,
                line: number.saturating_add(1),
            };
            let line = line.trim_ascii();
            match line {
                [] | [b'#' | b';', ..] => {}
                [b'!', directive @ ..] => self.include(directive, &place, depth)?,
                [b'[', rest @ ..] => group = Some(group_name(rest, &place)?),
                option => {
                    let group = group
                        .as_deref()
                        .ok_or_else(|| place.error("an option stands before the first group"))?;
                    self.settings.extend(setting(option, group, &place));
                }
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        directive: &[u8],
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), OptionFileError> {
        let word = directive
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        let argument = directive.get(word.len()..).unwrap_or_default().trim_ascii();
        if argument.is_empty() {
            return Err(place.error("!include and !includedir need a path"));
        }
        // The server warns and goes on where inclusions go too deep.
        if depth >= DEEPEST_INCLUDE {
            return Ok(());
        }
        let deeper = depth.saturating_add(1);
        let directory = place.path.parent().unwrap_or(Path::new(""));
        let target = directory.join(OsStr::from_bytes(argument));
        match word {
            b"include" => self.file(&target, deeper),
            b"includedir" => files_of(&target)?
                .iter()
                .try_for_each(|file| self.file(file, deeper)),
            _ => Err(place.error("neither !include nor !includedir")),
        }
    }
}

/// The option files of a directory by name: the server takes them in any order.
fn files_of(directory: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let failed = || TransferError::at(directory, "list");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.extension().is_some_and(|extension| extension == "cnf") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl Place<'_> {
    fn error(&self, problem: &'static str) -> OptionFileError {
        OptionFileError::Syntax {
            path: self.path.to_owned(),
            line: self.line,
            problem,
        }
    }
}

fn group_name(rest: &[u8], place: &Place<'_>) -> Result<String, OptionFileError> {
    let end = rest
        .iter()
        .position(|&byte| byte == b']')
        .ok_or_else(|| place.error("a group's name has no closing bracket"))?;
    let name = rest.get(..end).unwrap_or_default().trim_ascii();
    Ok(String::from_utf8_lossy(name).into_owned())
}

fn setting(line: &[u8], group: &str, place: &Place<'_>) -> Option<Setting> {
    let line = without_comment(line);
    let (name, value) = match line.iter().position(|&byte| byte == b'=') {
        Some(sign) => {
            let (name, rest) = line.split_at_checked(sign)?;
            (name, rest.get(1..))
        }
        None => (line, None),
    };
    let name = String::from_utf8_lossy(name.trim_ascii()).replace('-', "_");
    let name = name.strip_prefix("loose_").unwrap_or(&name).to_owned();
    Some(Setting {
        group: group.to_owned(),
        name,
        value: value.map(|value| unescaped(unquoted(value.trim_ascii()))),
        path: place.path.to_owned(),
        line: place.line,
    })
}

/// A `#` starts a comment after a blank or a quote's end, not within quotes.
fn without_comment(line: &[u8]) -> &[u8] {
    let (mut quote, mut escaped) = (None, false);
    for (position, &byte) in line.iter().enumerate() {
        match (byte, quote) {
            (b'\'' | b'"', None) => quote = Some(byte),
            (byte, Some(open)) if byte == open && !escaped => quote = None,
            (b'#', None) => return line.get(..position).unwrap_or(line).trim_ascii(),
            _ => {}
        }
        escaped = byte == b'\\' && !escaped && quote.is_some();
    }
    line
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        bare => bare,
    }
}

/// `\b`, `\t`, `\n`, `\r`, `\\`, `\s` and quotes; any other backslash stands for itself.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let replacement = match (byte, rest.peek()) {
            (b'\\', Some(b'b')) => Some(8),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b's')) => Some(b' '),
            (b'\\', Some(&same @ (b'\\' | b'"' | b'\''))) => Some(same),
            _ => None,
        };
        if replacement.is_some() {
            rest.next();
        }
        bytes.push(replacement.unwrap_or(byte));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Option<String>)> {
        let file = OptionFile::parse(text.as_bytes(), Path::new("my.cnf")).unwrap();
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        file.of_server()
            .map(|setting| (setting.name.clone(), setting.value.clone().map(text)))
            .collect()
    }

    #[test]
    fn options_are_read_as_the_server_reads_them() {
        for (line, name, value) in [
            ("log-bin", "log_bin", None),
            ("log_bin = binlog", "log_bin", Some("binlog")),
            ("loose-log-bin=x", "log_bin", Some("x")),
            ("datadir=\"/a b\" # comment", "datadir", Some("/a b")),
            ("datadir='/a#b'", "datadir", Some("/a#b")),
            ("datadir=/a # b", "datadir", Some("/a")),
            ("datadir=/a\\sb\\\\c\\d", "datadir", Some("/a b\\c\\d")),
            ("\t datadir\t=\t/x\r", "datadir", Some("/x")),
            ("datadir=", "datadir", Some("")),
            ("init_connect='a=b'", "init_connect", Some("a=b")),
        ] {
            let expected = vec![(name.to_owned(), value.map(str::to_owned))];
            assert_eq!(parsed(&format!("[mysqld]\n{line}\n")), expected, "{line}");
        }
    }

    #[test]
    fn groups_of_other_programs_are_passed_over() {
        let groups = [
            "client",
            "mysqld_safe",
            "mysqldump",
            "mysqld-x",
            "server-5.7",
            "mysql",
        ];
        for group in groups {
            assert_eq!(parsed(&format!("[{group}]\nport=1\n")), [], "{group}");
        }
        for group in [
            "mysqld",
            "server",
            "mysqld-8.0",
            "mariadb",
            "mariadb-10.11",
            "mariadbd",
            "mysqld-9",
        ] {
            assert_eq!(
                parsed(&format!("# c\n; c\n\n[{group}] # c\nport=1\n")).len(),
                1,
                "{group}"
            );
        }
    }

    #[test]
    fn files_are_included_where_they_are_named_and_cycles_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("conf.d")).unwrap();
        std::fs::write(path("conf.d/b.cnf"), "[mysqld]\nport=3\n").unwrap();
        std::fs::write(path("conf.d/a.cnf"), "[mysqld]\nport=2\n").unwrap();
        std::fs::write(path("conf.d/c.txt"), "[mysqld]\nport=9\n").unwrap();
        std::fs::write(path("self.cnf"), "[mysqld]\nport=1\n!include self.cnf\n").unwrap();
        let main = format!(
            "!includedir {}\n!include self.cnf\n[mysqld]\nport=4\n",
            path("conf.d").display()
        );
        std::fs::write(path("my.cnf"), main).unwrap();
        let file = OptionFile::open(&path("my.cnf")).unwrap();
        let ports: Vec<_> = file
            .of_server()
            .map(|setting| setting.value.clone().unwrap()[0])
            .collect();
        let round = [b'1'; DEEPEST_INCLUDE];
        assert_eq!(ports, [b"23", &round[..], b"4"].concat());
    }

    #[test]
    fn what_the_server_refuses_is_an_error_with_its_line() {
        for (text, line) in [
            ("port=1", 1),
            ("\n[mysqld", 2),
            ("[mysqld]\n\n!incl x", 3),
            ("!include", 1),
        ] {
            let error = match OptionFile::parse(text.as_bytes(), Path::new("my.cnf")) {
                // At the deepest level nothing is included; what stands there is still read.
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            assert!(
                error.starts_with(&format!("my.cnf: line {line}: ")),
                "{error}"
            );
        }
        assert!(OptionFile::parse(b"port=1", Path::new("x")).is_err());
        assert!(OptionFile::open(Path::new("/nowhere/my.cnf")).is_err());
    }
}
