//! Many logs in one run: each has its own result, and none hides another's.

pub mod existing;
pub(crate) mod guard;
pub mod listed;
pub(crate) mod resume;
pub mod shard;
pub mod targets;
pub mod transfer;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use crate::batch::targets::{Origin, Target};
use crate::file::{TransferError, location};
use crate::log::error::Error;

/// One file of many.
#[derive(Debug)]
pub struct FileResult<T, R> {
    /// The log.
    pub input: PathBuf,
    /// What came of it.
    pub result: Result<FileOutcome<T, R>, Error>,
}

/// What came of one file.
#[derive(Debug)]
pub enum FileOutcome<T, R> {
    /// The work is done, and its result is at this path.
    Done(PathBuf, T),
    /// It came with an index or a directory and there was nothing to do with it, for this reason.
    LeftOut(R),
}

/// Does the same work for many files, in parallel. For a file that came with an index or a
/// directory, `skippable` says whether an error only means that there was nothing to do. One that
/// has vanished from its directory meanwhile has no result.
pub(super) fn for_all<T: Send, R: Send>(
    targets: Vec<Target>,
    work: impl Fn(&Path) -> Result<(PathBuf, T), Error> + Sync,
    skippable: impl Fn(Error) -> Result<R, Error> + Sync,
) -> Vec<FileResult<T, R>> {
    let one = |target: Target| {
        let result = match work(&target.path) {
            Ok((output, done)) => Ok(FileOutcome::Done(output, done)),
            Err(error) if target.has_vanished(&error) => return None,
            Err(error) if target.origin == Origin::Named => Err(error),
            Err(error) => skippable(error).map(FileOutcome::LeftOut),
        };
        Some(FileResult { input: target.path, result })
    };
    targets.into_par_iter().filter_map(one).collect()
}

/// A directory for results, each under its input's name.
#[derive(Debug)]
pub(super) struct OutputDirectory<'a> {
    path: Cow<'a, Path>,
    /// Names given to outputs, with the input that took each.
    names: Mutex<BTreeMap<OsString, PathBuf>>,
    /// All that is read in this run, where outputs may replace what is there.
    inputs: Option<Inputs>,
}

impl<'a> OutputDirectory<'a> {
    /// Makes the directory, for its owner alone, if it is not there. With `force`, what is there
    /// may be replaced, but for the inputs.
    ///
    /// # Errors
    /// [`TransferError::File`].
    pub(super) fn create(
        path: &'a Path,
        inputs: &[Target],
        force: bool,
    ) -> Result<Self, TransferError> {
        let path = location::local(path);
        if !location::is_url(&path) && !path.is_dir() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(TransferError::at(&path, "create the directory"))?;
        }
        Ok(Self { path, names: Mutex::default(), inputs: force.then(|| Inputs::new(inputs)) })
    }

    /// The output for an input, with `extension` behind the name of its log. Two logs of one name would end in
    /// one file.
    ///
    /// # Errors
    /// [`TransferError::SameName`] for the second of two; [`TransferError::IsInput`].
    pub(super) fn claim(&self, input: &Path, extension: &str) -> Result<PathBuf, TransferError> {
        let mut name = targets::name_of_log(input).into_os_string();
        name.push(extension);
        let output = self.path.join(&name);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = names.insert(name, input.to_owned()) {
            return Err(TransferError::SameName { first, second: input.to_owned() });
        }
        drop(names);
        match &self.inputs {
            Some(inputs) if inputs.has_other(input, &output) => {
                Err(TransferError::IsInput { path: output })
            }
            _ => Ok(output),
        }
    }
}

/// What a run reads: none of it may be replaced before or after it was read.
#[derive(Debug)]
struct Inputs {
    paths: HashSet<PathBuf>,
    /// Device and inode of those that are files. Found out once an output is there already.
    files: OnceLock<HashSet<(u64, u64)>>,
}

impl Inputs {
    fn new(targets: &[Target]) -> Self {
        Self {
            paths: targets.iter().map(|target| target.path.clone()).collect(),
            files: OnceLock::new(),
        }
    }

    /// Whether the output for an input is another one. That it is the input itself is found out when
    /// it is to be written.
    fn has_other(&self, input: &Path, output: &Path) -> bool {
        if location::is_url(output) {
            return output != input && self.paths.contains(output);
        }
        let identity = |path: &Path| {
            let metadata = path.metadata().ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        let all = || self.paths.iter().filter_map(|path| identity(path));
        identity(output).is_some_and(|there| {
            let files = self.files.get_or_init(|| all().collect());
            identity(input) != Some(there) && files.contains(&there)
        })
    }
}
