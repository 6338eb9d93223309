//! What an index lists, and where that lies. A directory that was copied together with its index is
//! read as it is: the index may name the directory that it came from, by an absolute path.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::file::source::FileSource;
use crate::file::{TransferError, location};
use crate::log::index;

/// An index of more bytes is none: it would list millions of logs.
const LARGEST_INDEX: u64 = 256 << 20;

/// `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// Where a log is read that an index lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Where the index names it, in or below the index's own directory.
    Own,
    /// Beside the index, although the index names another directory.
    Beside,
    /// In another directory, where the index names it. Nothing of its name lies beside the index.
    Elsewhere,
}

/// A log that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As the index names it; a relative name is taken from the index's own directory.
    pub named: PathBuf,
    /// Where it is read.
    pub path: PathBuf,
    /// How the two belong together.
    pub place: Place,
    /// Whether another file is where the index names it, while the one beside the index is read.
    pub has_other: bool,
}

/// What is to be told of an index whose logs lie in another directory than its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexNotice {
    /// The index.
    pub index: PathBuf,
    /// The directory that it names; the first one, if there are several.
    pub directory: PathBuf,
    /// Logs that this is about.
    pub logs: usize,
    /// Where they are read: [`Place::Beside`] or [`Place::Elsewhere`].
    pub place: Place,
}

impl fmt::Display for IndexNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, directory) = (self.index.display(), self.directory.display());
        let logs = match self.logs {
            1 => "1 log".to_owned(),
            several => format!("{several} logs"),
        };
        match self.place {
            Place::Elsewhere => write!(
                f,
                "{index} lists {logs} in {directory}, of which nothing lies beside the index: \
                 read there"
            ),
            _ => write!(
                f,
                "{index} lists {logs} in {directory}, where other files of these names are: those \
                 beside the index are taken"
            ),
        }
    }
}

/// The logs that an index lists, in its order.
///
/// # Errors
/// [`TransferError`] when the index cannot be read, or is none: too large, with zero bytes, or with
/// a line that is no path. Nothing of its content is in the error.
pub fn read_index(index: &Path) -> Result<Vec<Listed>, TransferError> {
    let source = FileSource::open(index)?;
    let too_large = || std::io::Error::from(std::io::ErrorKind::FileTooLarge);
    let length = usize::try_from(source.length().min(LARGEST_INDEX)).unwrap_or(usize::MAX);
    if source.length() > LARGEST_INDEX {
        return Err(TransferError::at(index, "read the index")(too_large()));
    }
    let mut content = vec![0; length];
    let read = source.read_at(0, &mut content)?;
    content.truncate(read);
    if let Some(why) = why_no_index(&content) {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        return Err(TransferError::at(index, "read the index")(error));
    }
    let mut finder = Finder::new(index);
    Ok(index::entries(&content).map(|entry| finder.find(entry)).collect())
}

/// The last log that an index lists, which its server writes; read anew, and no more of the index
/// than its end. `None` when it cannot be read, or lists nothing.
pub fn last_entry(index: &Path) -> Option<PathBuf> {
    const END: u64 = 2 * LONGEST_PATH as u64;
    let source = FileSource::glance(index).ok()?;
    let mut end = vec![0; usize::try_from(END).ok()?];
    let from = source.length().saturating_sub(END);
    let read = source.read_at(from, &mut end).ok()?;
    end.truncate(read);
    let entry = index::entries(&end).last()?;
    Some(Finder::new(index).find(entry).path)
}

fn why_no_index(content: &[u8]) -> Option<&'static str> {
    if content.contains(&0) {
        Some("it is no index: it has zero bytes, which no path has")
    } else if index::entries(content).any(|entry| entry.len() > LONGEST_PATH) {
        Some("it is no index: it has a line that is longer than any path")
    } else {
        None
    }
}

/// What is to be told of an index before what it lists is read.
#[must_use]
pub fn notices(index: &Path, logs: &[Listed]) -> Vec<IndexNotice> {
    let notice = |place| {
        let is_meant = |log: &&Listed| {
            log.place == place
                && (log.has_other || (place == Place::Elsewhere && is_there(&log.path)))
        };
        let mut meant = logs.iter().filter(is_meant);
        let first = meant.next()?;
        Some(IndexNotice {
            index: index.to_owned(),
            directory: first.named.parent().unwrap_or(Path::new("")).to_owned(),
            logs: meant.count().saturating_add(1),
            place,
        })
    };
    [Place::Beside, Place::Elsewhere].into_iter().filter_map(notice).collect()
}

/// Finds the logs of one index.
struct Finder<'a> {
    directory: &'a Path,
    is_url: bool,
    /// The last directory that was named, and whether it is the index's own or lies below it.
    last: Option<(PathBuf, bool)>,
}

impl<'a> Finder<'a> {
    fn new(index: &'a Path) -> Self {
        Self {
            directory: index.parent().unwrap_or(Path::new("")),
            is_url: location::is_url(index),
            last: None,
        }
    }

    fn find(&mut self, entry: &[u8]) -> Listed {
        let entry = Path::new(OsStr::from_bytes(entry));
        let relative = entry.strip_prefix("./").unwrap_or(entry);
        let named = self.directory.join(relative);
        if self.is_url {
            // Whoever put the index into the store put the logs there, too.
            let path = self.directory.join(relative.file_name().unwrap_or_default());
            return Listed::own(named, path);
        }
        if !is_there(&named)
            && let Some(name) = index::windows_path(entry.as_os_str().as_bytes())
        {
            return self.of_windows(entry, &name);
        }
        let is_inside = is_below(relative) || self.is_own_directory(&named);
        if is_inside && is_there(&named) {
            return Listed::own(named.clone(), named);
        }
        let name = relative.file_name().unwrap_or_default();
        let beside = self.directory.join(name);
        if name.is_empty() || !is_there(&beside) {
            let place = if is_inside { Place::Own } else { Place::Elsewhere };
            return Listed { path: named.clone(), named, place, has_other: false };
        }
        Listed {
            has_other: is_there(&named) && !is_same(&named, &beside),
            named,
            path: beside,
            place: Place::Beside,
        }
    }

    /// An entry that a server on Windows wrote. Its drives and directories are not here.
    fn of_windows(&self, entry: &Path, path: &index::WindowsPath) -> Listed {
        let relative = Path::new(OsStr::from_bytes(&path.path));
        let named = self.directory.join(relative);
        if !path.is_absolute && is_below(relative) && is_there(&named) {
            return Listed::own(named.clone(), named);
        }
        let path = self.directory.join(relative.file_name().unwrap_or_default());
        Listed { named: entry.to_owned(), path, place: Place::Beside, has_other: false }
    }

    fn is_own_directory(&mut self, named: &Path) -> bool {
        let parent = named.parent().unwrap_or(Path::new(""));
        if let Some((last, is_own)) = &self.last
            && last == parent
        {
            return *is_own;
        }
        let real = |path: &Path| match path.as_os_str().is_empty() {
            true => Path::new(".").canonicalize().ok(),
            false => path.canonicalize().ok(),
        };
        let is_own = real(parent)
            .zip(real(self.directory))
            .is_some_and(|(parent, own)| parent.starts_with(own));
        self.last = Some((parent.to_owned(), is_own));
        is_own
    }
}

impl Listed {
    const fn own(named: PathBuf, path: PathBuf) -> Self {
        Self { named, path, place: Place::Own, has_other: false }
    }
}

/// Whether a path leads to nothing above the directory that it starts from, by its text.
fn is_below(relative: &Path) -> bool {
    relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| path.metadata().map(|it| (it.dev(), it.ino())).ok();
    identity(one).is_some_and(|found| Some(found) == identity(other))
}
