//! `--report FORMAT=FILE`: a report that goes into a file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use binlogsec::error::Error;
use binlogsec::io::sink::{AtomicFile, SinkOptions};
use clap::ValueEnum;

/// Reports are for others: a collector, a server of continuous integration.
const REPORT_MODE: u32 = 0o644;

/// A format and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct FileReport<F> {
    pub(crate) format: F,
    pub(crate) path: PathBuf,
}

pub(crate) fn parse<F: ValueEnum>(text: &str) -> Result<FileReport<F>, String> {
    let (format, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or("FORMAT=FILE is expected, such as json=report.json")?;
    Ok(FileReport {
        format: F::from_str(format, false)?,
        path: path.into(),
    })
}

/// The first file that gets this format.
pub(crate) fn of_format<F: PartialEq>(reports: &[FileReport<F>], format: F) -> Option<&Path> {
    let found = reports.iter().find(|report| report.format == format)?;
    Some(&found.path)
}

/// Replaces a file as a whole by what `content` writes.
pub(crate) fn write(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let options = SinkOptions {
        force: true,
        mode: REPORT_MODE,
        ..SinkOptions::default()
    };
    let sink = AtomicFile::create(path, options).map_err(Error::from)?;
    // A file has no colours.
    let mut out = BufWriter::new(anstream::StripStream::new(sink.writer()));
    content(&mut out)
        .and_then(|()| out.flush())
        .with_context(|| format!("cannot write {}", path.display()))?;
    drop(out);
    sink.commit().map_err(Error::from)?;
    Ok(())
}
