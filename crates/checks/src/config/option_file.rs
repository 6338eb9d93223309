//! Option files (`my.cnf`), read as the server reads them.
//!
//! Source: the server's reference manual, "Using Option Files", and `mysys/my_default.cc`.

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use binlogsec_core::file::TransferError;
use binlogsec_core::file::source::FileSource;
use zeroize::Zeroizing;

/// A server's own limit (`my_default.cc`).
const DEEPEST_INCLUDE: usize = 10;
/// More is no option file.
const LARGEST_FILE: u64 = 1 << 20;
/// Files that inclusions may add up to.
const MOST_FILES: usize = 1000;
/// Servers ignore a regular file that everybody may write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Why an option file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionFileError {
    /// It cannot be read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Inclusions lead to more files than any server has.
    #[error("{}: inclusions come to more than {MOST_FILES} option files", .0.display())]
    TooMany(PathBuf),
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
    /// Whether it said `loose_`: a server that does not know the option goes on without it.
    pub is_loose: bool,
    /// What follows the `=`, without quotes; `None` without one.
    pub value: Option<Vec<u8>>,
    /// Where it stands.
    pub path: PathBuf,
    /// On which line, counted from 1.
    pub line: usize,
}

/// What option files name or hold, and what does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// The file that is ignored, or that holds the line.
    pub path: PathBuf,
    /// Which line, counted from 1; `None` for the whole file.
    pub line: Option<usize>,
    /// Why.
    pub reason: OmissionReason,
}

/// Why something in option files does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OmissionReason {
    /// Everybody may write the file: servers and their clients ignore it.
    WorldWritable {
        /// Its permission bits.
        mode: u32,
    },
    /// An included file is not there, or is no file: servers pass over it.
    NoFile {
        /// What is included.
        target: PathBuf,
    },
    /// A path to include is relative: to the directory that the server is started in.
    Relative {
        /// What is included.
        target: PathBuf,
    },
    /// Inclusions go deeper than servers follow.
    TooDeep,
    /// Neither `!include` nor `!includedir`: servers pass over it.
    UnknownDirective,
}

impl fmt::Display for OmissionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorldWritable { mode } => write!(
                f,
                "everybody may write this file (mode {mode:04o}): servers ignore all that it says"
            ),
            Self::NoFile { target } => {
                write!(f, "no file {}: servers go on without it", target.display())
            }
            Self::Relative { target } => write!(
                f,
                "{} was not read: servers look for it in the directory that they are started in, \
                 which no file tells",
                target.display()
            ),
            Self::TooDeep => write!(
                f,
                "inclusions go deeper than {DEEPEST_INCLUDE} levels: servers do not follow"
            ),
            Self::UnknownDirective => {
                f.write_str("neither !include nor !includedir: servers pass over this line")
            }
        }
    }
}

/// The options of a file and of those it includes, in the order in which they take effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionFile {
    /// Every option of every group.
    pub settings: Vec<Setting>,
    /// What was passed over, in the order in which it was met.
    pub omissions: Vec<Omission>,
}

impl OptionFile {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// [`OptionFileError`]. A directory to include that is not there is one, as for the server; a
    /// file is an [`Omission`].
    pub fn open(path: &Path) -> Result<Self, OptionFileError> {
        Reader::default().all(path)
    }

    /// The same of everything that somebody may have meant a server to read: also of files that
    /// everybody may write, and of relative paths, from the directory of the file that has them. For
    /// those who look for logs, whom one place too many does no harm.
    ///
    /// # Errors
    /// As [`OptionFile::open`].
    pub fn open_whole(path: &Path) -> Result<Self, OptionFileError> {
        let reader = Reader { is_whole: true, ..Reader::default() };
        reader.all(path)
    }

    /// Reads text that includes nothing; `path` is what messages call it.
    ///
    /// # Errors
    /// [`OptionFileError::Syntax`].
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, OptionFileError> {
        let mut reader = Reader::default();
        reader.text(text, path, DEEPEST_INCLUDE)?;
        Ok(reader.read)
    }

    /// The options that a server reads, the later of one name after the earlier.
    pub fn of_server(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| is_server_group(&setting.group))
    }
}

/// Whether a server reads this group, of MySQL or of MariaDB in any version.
///
/// Source: what `mysqld --verbose --help` (9.7) and `mariadbd --verbose --help` (10.11) list.
#[must_use]
pub fn is_server_group(group: &str) -> bool {
    matches!(group, "mysqld" | "server" | MYSQL_CLUSTER)
        || is_mariadb_group(group)
        || group_version(group).is_some()
}

/// Read by builds of MySQL with NDB Cluster, and by no MariaDB.
pub const MYSQL_CLUSTER: &str = "mysql_cluster";

/// Whether MariaDB alone reads this group.
#[must_use]
pub fn is_mariadb_group(group: &str) -> bool {
    let base = group_version(group).map_or(group, |(base, _)| base);
    matches!(base, "mariadb" | "mariadbd" | "client-server" | "galera")
}

/// Group and version of a group for one version, such as `mysqld-8.4`. Servers look for major and
/// minor number: `mysqld-8` is nobody's.
#[must_use]
pub fn group_version(group: &str) -> Option<(&str, &str)> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (base, version) = group.split_once('-')?;
    let (major, minor) = version.split_once('.')?;
    let is_one = matches!(base, "mysqld" | "mariadb" | "mariadbd");
    (is_one && is_number(major) && is_number(minor)).then_some((base, version))
}

#[derive(Default)]
struct Reader {
    read: OptionFile,
    files: usize,
    /// Read also what servers ignore.
    is_whole: bool,
}

impl Reader {
    fn all(mut self, path: &Path) -> Result<OptionFile, OptionFileError> {
        self.file(path, 0)?;
        Ok(self.read)
    }

    fn file(&mut self, path: &Path, depth: usize) -> Result<(), OptionFileError> {
        self.files = self.files.saturating_add(1);
        let source = FileSource::open(path)?;
        if self.files > MOST_FILES {
            return Err(OptionFileError::TooMany(path.to_owned()));
        }
        if source.length() > LARGEST_FILE {
            let too_large = TransferError::at(path, "read the option file");
            return Err(too_large(ErrorKind::FileTooLarge.into()).into());
        }
        let metadata = path.metadata().map_err(TransferError::at(path, "examine"))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_file() && mode & WRITABLE_BY_ALL != 0 && !self.is_whole {
            self.read.omissions.push(Omission {
                path: path.to_owned(),
                line: None,
                reason: OmissionReason::WorldWritable { mode },
            });
            return Ok(());
        }
        // There may be a password or a token in it.
        let mut text =
            Zeroizing::new(vec![0; usize::try_from(source.length()).unwrap_or(usize::MAX)]);
        let read = source.read_at(0, &mut text)?;
        text.truncate(read);
        self.text(&text, path, depth)
    }

    fn text(&mut self, text: &[u8], path: &Path, depth: usize) -> Result<(), OptionFileError> {
        let mut group = None;
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let place = Place { path, line: number.saturating_add(1) };
            let line = line.trim_ascii();
            match line {
                [] | [b'#' | b';', ..] => {}
                [b'!', directive @ ..] => self.directive(directive, &place, depth)?,
                [b'[', rest @ ..] => group = Some(group_name(rest, &place)?),
                option => {
                    let group = group
                        .as_deref()
                        .ok_or_else(|| place.error("an option stands before the first group"))?;
                    self.read.settings.extend(setting(option, group, &place));
                }
            }
        }
        Ok(())
    }

    fn directive(
        &mut self,
        directive: &[u8],
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), OptionFileError> {
        let directive = directive.trim_ascii_start();
        let word = directive.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let argument = directive.get(word.len()..).unwrap_or_default().trim_ascii();
        let mut target = PathBuf::from(OsStr::from_bytes(argument));
        if self.is_whole {
            target = place.path.parent().unwrap_or(Path::new("")).join(target);
        }
        match word {
            b"include" | b"includedir" if argument.is_empty() => {
                Err(place.error("!include and !includedir need a path"))
            }
            b"include" | b"includedir" if depth >= DEEPEST_INCLUDE => {
                self.omit(place, OmissionReason::TooDeep)
            }
            b"include" | b"includedir" if !target.is_absolute() && !self.is_whole => {
                self.omit(place, OmissionReason::Relative { target })
            }
            b"include" => self.include(target, place, depth.saturating_add(1)),
            b"includedir" => files_of(&target)?
                .iter()
                .try_for_each(|file| self.file(file, depth.saturating_add(1))),
            _ => self.omit(place, OmissionReason::UnknownDirective),
        }
    }

    fn include(
        &mut self,
        target: PathBuf,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), OptionFileError> {
        match target.metadata().map(|metadata| metadata.is_file()) {
            Ok(true) => self.file(&target, depth),
            Ok(false) => self.omit(place, OmissionReason::NoFile { target }),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                self.omit(place, OmissionReason::NoFile { target })
            }
            Err(error) => Err(TransferError::at(&target, "read the option file")(error).into()),
        }
    }

    fn omit(&mut self, place: &Place<'_>, reason: OmissionReason) -> Result<(), OptionFileError> {
        self.read.omissions.push(Omission {
            path: place.path.to_owned(),
            line: Some(place.line),
            reason,
        });
        Ok(())
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
        OptionFileError::Syntax { path: self.path.to_owned(), line: self.line, problem }
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
    let plain = name.strip_prefix("loose_");
    Some(Setting {
        group: group.to_owned(),
        is_loose: plain.is_some(),
        name: plain.unwrap_or(&name).to_owned(),
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
        let none = "client mysqld_safe mysqldump mysqld-x server-5.7 mysql mysqld-9 mariadb-10 \
                    mysqld-8.0.36 client-server-10.11 galera-10.11 mysqld1";
        for group in none.split(' ') {
            assert_eq!(parsed(&format!("[{group}]\nport=1\n")), [], "{group}");
        }
        let read = "mysqld server mysqld-8.0 mariadb mariadb-10.11 mariadbd mariadbd-11.4 \
                    client-server galera mysql_cluster";
        for group in read.split(' ') {
            let text = format!("# c\n; c\n\n[{group}] # c\nport=1\n");
            assert_eq!(parsed(&text).len(), 1, "{group}");
        }
    }

    fn written(directory: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let text = text.replace('@', directory.to_str().unwrap());
            std::fs::write(directory.join(name), text).unwrap();
            mode(&directory.join(name), 0o644);
        }
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn ports(file: &OptionFile) -> String {
        let ports = file.of_server().map(|setting| setting.value.clone().unwrap());
        String::from_utf8(ports.collect::<Vec<_>>().concat()).unwrap()
    }

    #[test]
    fn files_are_included_where_they_are_named_and_cycles_end() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        std::fs::create_dir(directory.join("conf.d")).unwrap();
        written(
            directory,
            &[
                ("conf.d/b.cnf", "[mysqld]\nport=3\n"),
                ("conf.d/a.cnf", "[mysqld]\nport=2\n"),
                ("conf.d/c.txt", "[mysqld]\nport=9\n"),
                ("self.cnf", "[mysqld]\nport=1\n!include @/self.cnf\n"),
                ("my.cnf", "!includedir @/conf.d\n! include @/self.cnf\n[mysqld]\nport=4\n"),
            ],
        );
        let file = OptionFile::open(&directory.join("my.cnf")).unwrap();
        let round = "1".repeat(DEEPEST_INCLUDE);
        assert_eq!(ports(&file), format!("23{round}4"));
        let reasons: Vec<_> = file.omissions.iter().map(|it| &it.reason).collect();
        assert_eq!(reasons, [&OmissionReason::TooDeep]);
    }

    #[test]
    fn what_the_server_passes_over_is_passed_over_and_told() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        written(
            directory,
            &[
                ("open.cnf", "[mysqld]\nport=9\n"),
                ("beside.cnf", "[mysqld]\nport=8\n"),
                (
                    "my.cnf",
                    "[mysqld]\nport=1\n!include @/open.cnf\n!include @/missing.cnf\n\
                     !include @\n!include beside.cnf\n!incl x\n[mysqld]\nport=2\n",
                ),
            ],
        );
        mode(&directory.join("open.cnf"), 0o646);
        let top = directory.join("my.cnf");
        let file = OptionFile::open(&top).unwrap();
        assert_eq!(ports(&file), "12");
        let told = file.omissions.into_iter().map(|it| (it.line, it.reason));
        let target = |name: &str| directory.join(name);
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (None, OmissionReason::WorldWritable { mode: 0o646 }),
                (Some(4), OmissionReason::NoFile { target: target("missing.cnf") }),
                (Some(5), OmissionReason::NoFile { target: directory.to_owned() }),
                (Some(6), OmissionReason::Relative { target: "beside.cnf".into() }),
                (Some(7), OmissionReason::UnknownDirective),
            ]
        );
        mode(&top, 0o666);
        let file = OptionFile::open(&top).unwrap();
        assert_eq!((ports(&file), file.omissions.len()), (String::new(), 1));
        let file = OptionFile::open_whole(&top).unwrap();
        let lines = file.omissions.iter().map(|it| it.line);
        assert!(lines.eq([Some(4), Some(5), Some(7)]));
        assert_eq!(ports(&file), "1982");
    }

    #[test]
    fn what_the_server_refuses_is_an_error_with_its_line() {
        for (text, line) in
            [("port=1", 1), ("\n[mysqld", 2), ("!include", 1), ("[mysqld]\n\n!includedir ", 3)]
        {
            let error = OptionFile::parse(text.as_bytes(), Path::new("my.cnf")).unwrap_err();
            let place = format!("my.cnf: line {line}: ");
            assert!(error.to_string().starts_with(&place), "{error}");
        }
        assert!(OptionFile::open(Path::new("/nowhere/my.cnf")).is_err());
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), &[("my.cnf", "!includedir @/nowhere\n")]);
        assert!(OptionFile::open(&directory.path().join("my.cnf")).is_err());
    }
}
