//! From what a user names to what is scanned.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::config::server::LogLocations;
use binlogsec_core::batch::targets::names_index;
use binlogsec_core::file::TransferError;
use binlogsec_core::file::location::{self, ObjectUrl};
use binlogsec_core::log::error::Error;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct CheckTargets {
    /// Files, directories, index files.
    pub paths: Vec<PathBuf>,
    /// Where a server has its logs.
    pub locations: Option<LogLocations>,
}

/// Which files of directories are looked at. Files that are named are always looked at.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// From glob patterns: one without `/` is for names at any depth, another one for whole paths.
    ///
    /// # Errors
    /// [`globset::Error`] names the pattern that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        let include = if include.is_empty() { None } else { Some(glob_set(include)?) };
        Ok(Self { include, exclude: glob_set(exclude)? })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty()
    }

    /// Whether a file counts that lies in no directory which is walked.
    pub(super) fn has_outside(&self, path: &Path) -> bool {
        self.has_file(path) && path.ancestors().skip(1).all(|parent| self.enters(parent))
    }

    pub(super) fn has_file(&self, path: &Path) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path))
            && !self.exclude.is_match(path)
    }

    pub(super) fn enters(&self, directory: &Path) -> bool {
        self.exclude.is_empty() || !self.exclude.is_match(directory)
    }
}

fn glob_set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
        if !pattern.contains('/') {
            set.add(Glob::new(&format!("**/{pattern}"))?);
        }
    }
    set.build()
}

/// What the names come to.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// To be walked; none lies in another.
    pub(super) directories: Vec<PathBuf>,
    /// The same without links and dots.
    pub(super) real_directories: Vec<PathBuf>,
    /// URLs that stand for many objects.
    pub(super) prefixes: Vec<PathBuf>,
    /// Index files that are named.
    pub(super) indexes: Vec<PathBuf>,
    /// Files that are named.
    pub(super) files: Vec<PathBuf>,
    /// Names that cannot be looked at.
    pub(super) failures: Vec<Error>,
}

impl Roots {
    pub(super) fn new(targets: &CheckTargets) -> Self {
        let mut roots = Self::default();
        let mut directories = Vec::new();
        for path in &targets.paths {
            let path = &*location::local(path);
            if location::is_url(path) {
                roots.add_url(path);
                continue;
            }
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(path.to_owned()),
                Ok(_) if names_index(path) => roots.indexes.push(path.to_owned()),
                Ok(_) => roots.files.push(path.to_owned()),
                Err(error) => roots.fail(path, error),
            }
        }
        if let Some(locations) = &targets.locations {
            for path in locations.directories() {
                match path.metadata() {
                    Ok(_) => directories.push(path),
                    Err(error) => roots.fail(&path, error),
                }
            }
            // What is not written any more need not be there.
            let former = locations.former_directories.iter();
            directories.extend(former.filter(|path| path.is_dir()).cloned());
            // An option may name an index before its server has made it.
            let indexes = locations.indexes.iter().filter(|index| index.exists());
            roots.indexes.extend(indexes.cloned());
        }
        roots.add_directories(directories);
        let mut seen = HashSet::new();
        roots.files.retain(|file| seen.insert(real(file)));
        roots
    }

    fn add_url(&mut self, url: &Path) {
        if location::is_directory(url) {
            self.prefixes.push(url.to_owned());
        } else if names_index(url) {
            self.indexes.push(url.to_owned());
        } else {
            self.files.push(url.to_owned());
        }
    }

    fn fail(&mut self, path: &Path, error: std::io::Error) {
        self.failures.push(TransferError::at(path, "examine")(error).into());
    }

    fn add_directories(&mut self, directories: Vec<PathBuf>) {
        let mut named: Vec<_> = directories.into_iter().map(|path| (real(&path), path)).collect();
        named.sort();
        for (real_path, path) in named {
            // Sorted: what a directory lies in comes before it.
            if !self.covers(&real_path) {
                self.real_directories.push(real_path);
                self.directories.push(path);
            }
        }
    }

    /// What decides to which shard a path belongs: its part below the directory that is walked, or
    /// all of it.
    pub(super) fn name<'p>(&self, path: &'p Path) -> Cow<'p, Path> {
        let below = |root: &PathBuf| path.strip_prefix(root).ok();
        if let Some(name) = self.directories.iter().find_map(below) {
            return Cow::Borrowed(name);
        }
        if location::is_url(path) {
            let mut bases = self.prefixes.iter().map(|prefix| location::base(prefix));
            let name = bases.find_map(|base| path.strip_prefix(base).ok());
            return Cow::Borrowed(name.unwrap_or(path));
        }
        let real_path = real(path);
        let below = |root: &PathBuf| real_path.strip_prefix(root).ok();
        let name = self.real_directories.iter().find_map(below);
        name.map_or(Cow::Borrowed(path), |name| Cow::Owned(name.to_owned()))
    }

    /// Whether a path without links lies in a directory that is walked.
    pub(super) fn covers(&self, real_path: &Path) -> bool {
        self.real_directories.iter().any(|directory| real_path.starts_with(directory))
            || self.prefixes.iter().any(|prefix| is_listed(prefix, real_path))
    }
}

/// Whether an object is among those that a URL stands for. Of a pattern that is not known before it
/// is listed.
fn is_listed(prefix: &Path, url: &Path) -> bool {
    let is_pattern = ObjectUrl::of(prefix).is_some_and(|prefix| prefix.is_pattern());
    !is_pattern && location::is_url(url) && url.starts_with(prefix)
}

/// The path without links and dots, or as it is where that cannot be told.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_within_others_are_walked_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(root.join("ab")).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        let paths = ["a/b", "link", "ab", "a", "./a/"].map(|name| root.join(name));
        let roots = Roots::new(&CheckTargets { paths: paths.to_vec(), locations: None });
        let names: Vec<_> =
            roots.real_directories.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["a", "ab"]);
    }

    #[test]
    fn patterns_are_for_names_or_for_paths() {
        let all = |include: &[&str], exclude: &[&str]| {
            let owned =
                |patterns: &[&str]| patterns.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
            Selection::new(&owned(include), &owned(exclude)).unwrap()
        };
        let path = Path::new("/data/sub/binlog.000001");
        assert!(all(&[], &[]).has_file(path) && all(&[], &[]).is_everything());
        assert!(all(&["binlog.*"], &[]).has_file(path));
        assert!(!all(&["relay.*"], &[]).has_file(path));
        assert!(!all(&[], &["*.000001"]).has_file(path));
        assert!(!all(&["binlog.*"], &["/data/**"]).has_file(path));
        assert!(!all(&[], &["sub"]).enters(Path::new("/data/sub")));
        assert!(Selection::new(&["[".to_owned()], &[]).is_err());
    }
}
