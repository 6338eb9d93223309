//! Reports of findings: into files, and what could not be done at all.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anstream::adapter::StripBytes;
use anyhow::{Context, bail};
use binlogsec_core::batch::existing::spared_by_reports;
use binlogsec_core::file::sink::{AtomicFile, SinkOptions};
use binlogsec_core::file::{inputs, location};
use binlogsec_core::log::error::{Error, describe};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::args::Format;
use super::terminal::{Page, Terminal, write_json};

/// Reports are for others: a collector, a server of continuous integration.
pub(crate) const REPORT_MODE: u32 = 0o644;
/// Failures of one kind that are told one by one.
const TOLD_FAILURES: usize = 10;

/// A report takes the place of an earlier one. That one may have been read, too: it lies in the tree
/// that is looked through.
const OPTIONS: SinkOptions = SinkOptions {
    force: true,
    sync: false,
    mode: REPORT_MODE,
    spares: spared_by_reports,
    replaces_input: true,
};

/// A report that goes into a file.
#[derive(Debug, Clone)]
pub(crate) struct FileReport<F> {
    pub(crate) format: F,
    pub(crate) path: PathBuf,
}

/// How a command reports, and where else to.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Write a report into a file as well, replacing it as a whole; repeatable
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = file_report::<Format>)]
    pub(crate) reports: Vec<FileReport<Format>>,
}

/// Reads `FORMAT=FILE`.
pub(crate) fn file_report<F: ValueEnum>(text: &str) -> Result<FileReport<F>, String> {
    let (format, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or("FORMAT=FILE is expected, such as sarif=report.sarif")?;
    Ok(FileReport { format: F::from_str(format, false)?, path: path.into() })
}

impl<F> FileReport<F> {
    /// Replaces the file as a whole by what `write` writes.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&mut dyn Page) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        check_empty(&self.path)?;
        let sink = AtomicFile::create(&self.path, OPTIONS).map_err(Error::from)?;
        // A file has no colours.
        let mut out = BufWriter::new(Colourless { inner: sink.writer(), state: StripBytes::new() });
        write(&mut out)
            .and_then(|()| out.flush())
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        drop(out);
        sink.commit().map_err(Error::from)?;
        Ok(())
    }
}

/// Nothing tells of an empty file what it is. One that was read, a keyring before its first key for
/// one, is no place for a report.
fn check_empty(path: &Path) -> anyhow::Result<()> {
    if path.metadata().is_ok_and(|it| it.len() == 0) && inputs::has_path(path) {
        bail!("{} is read, and no report may replace it", path.display());
    }
    Ok(())
}

/// Refuses reports that would replace what is read, or one another, or what is no report.
pub(crate) fn check_files<F>(
    reports: &[FileReport<F>],
    inputs: &[&[PathBuf]],
) -> anyhow::Result<()> {
    let mut places = HashSet::new();
    for report in reports {
        if !places.insert(place(&report.path)) {
            bail!("two reports would both be {}", report.path.display());
        }
    }
    let identity = |path: &Path| {
        let metadata = path.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let files: HashSet<_> = reports.iter().filter_map(|it| identity(&it.path)).collect();
    for input in inputs.iter().copied().flatten() {
        let local = location::local(input);
        let is_one = identity(&local).is_some_and(|it| files.contains(&it));
        if is_one || places.contains(&place(&local)) {
            bail!("{} is read, and no report may replace it", input.display());
        }
    }
    for report in reports {
        AtomicFile::check(&report.path, OPTIONS).map_err(Error::from)?;
    }
    Ok(())
}

/// Where a path leads, although nothing may be there yet.
fn place(path: &Path) -> PathBuf {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new(".")).canonicalize();
    path.canonicalize()
        .or_else(|_| directory.map(|it| it.join(path.file_name().unwrap_or_default())))
        .unwrap_or_else(|_| path.to_owned())
}

/// Takes terminals' escape sequences away.
struct Colourless<W> {
    inner: W,
    state: StripBytes,
}

impl<W: Write> Write for Colourless<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in self.state.strip_next(bytes) {
            self.inner.write_all(piece)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Page for Colourless<W> {
    fn columns(&self) -> Option<usize> {
        None
    }
}

/// Writes a report as text or JSON, wherever it is wanted.
pub(crate) fn publish<R: Serialize>(
    report: &R,
    text: fn(&mut dyn Page, &R) -> std::io::Result<()>,
    (format, files): (Format, &[FileReport<Format>]),
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let write = |out: &mut dyn Page, format| match format {
        Format::Text => text(out, report),
        Format::Json => write_json(out, report),
    };
    for file in files {
        file.write(|out| write(out, file.format))?;
    }
    let mut out = terminal.out();
    write(&mut out, format)?;
    out.flush()?;
    Ok(())
}

/// The first file that gets this format.
pub(crate) fn of_format<'a, F: PartialEq>(
    reports: &'a [FileReport<F>],
    format: &F,
) -> Option<&'a Path> {
    let found = reports.iter().find(|report| report.format == *format)?;
    Some(&found.path)
}

/// Says what could not be done at all, up to a number.
pub(crate) fn tell_failures(failures: &[Error], terminal: &Terminal) {
    for failure in failures.iter().take(TOLD_FAILURES) {
        terminal.error(&describe(failure));
    }
    let more = failures.len().saturating_sub(TOLD_FAILURES);
    if more > 0 {
        terminal.error(&format!("and {more} more failures"));
    }
}
