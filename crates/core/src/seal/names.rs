//! What logs are called in a manifest: by the path below the directory that was named, or in which
//! the index stands, so that an archive can move as a whole.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::batch::listed::IndexNotice;
use crate::batch::targets::{Origin, Target, Targets, names_index};
use crate::file::location;
use crate::log::error::Error;
use crate::text::path_text;

/// The name of a log; names of one series are in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogName(String);

impl LogName {
    /// A name as it stands in a manifest.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as a path: by it shards are told.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// What stands before the sequence number, directories included, and the number.
    #[must_use]
    pub fn series(&self) -> Option<(&str, u64)> {
        let (base, digits) = self.0.rsplit_once('.')?;
        let is_number = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some((base, digits.parse().ok().filter(|_| is_number)?))
    }
}

impl Ord for LogName {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |name: &Self| {
            let series = name.series().map(|(base, number)| (base.to_owned(), Some(number)));
            series.unwrap_or_else(|| (name.0.clone(), None))
        };
        key(self).cmp(&key(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for LogName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A file and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: LogName,
    pub(super) target: Target,
}

/// What paths stand for.
#[derive(Debug, Default)]
pub(super) struct NamedTargets {
    /// The files, by their names.
    pub(super) files: Vec<Named>,
    pub(super) failures: Vec<Error>,
    pub(super) notices: Vec<IndexNotice>,
    /// Whether all that is sealed should be there: a directory or an index was named.
    pub(super) is_complete: bool,
}

/// Expands each path by itself, so that it is known what its files are relative to.
pub(super) fn expand(paths: &[PathBuf]) -> NamedTargets {
    let mut all = NamedTargets::default();
    for path in paths {
        let Targets { files, failures, notices, .. } = Targets::expand(std::slice::from_ref(path));
        let base = base(path);
        all.is_complete |= base.is_some();
        let named = files
            .into_iter()
            .map(|target| Named { name: LogName(name(&target, base.as_deref())), target });
        all.files.extend(named);
        all.failures.extend(failures);
        all.notices.extend(notices);
    }
    all.files.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// The directory that the files of a path are relative to; `None` for a file.
fn base(path: &Path) -> Option<PathBuf> {
    let path: Cow<'_, Path> = location::local(path);
    if location::is_url(&path) && location::is_directory(&path) {
        Some(location::base(&path))
    } else if path.is_dir() {
        Some(path.into_owned())
    } else if names_index(&path) {
        Some(path.parent().unwrap_or(Path::new("")).to_owned())
    } else {
        None
    }
}

fn name(target: &Target, base: Option<&Path>) -> String {
    let below = base.and_then(|base| target.path.strip_prefix(base).ok());
    let is_below = below.is_some_and(|below| !below.as_os_str().is_empty());
    let file_name = || Path::new(target.path.file_name().unwrap_or_default());
    match below.filter(|_| is_below && target.origin != Origin::Named) {
        // An index lists `./binlog.000001`.
        Some(below) => path_text::text(below.strip_prefix(".").unwrap_or(below)),
        None => path_text::text(file_name()),
    }
}
