//! Where rows are written.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use binlogsec_core::file::TransferError;
use binlogsec_core::file::sink::{AtomicFile, SinkOptions};
use binlogsec_core::log::error::Error;
use binlogsec_core::read::rows::sql::PRELUDE;
use binlogsec_core::read::rows::{Lines, Section};

use super::{RowFormat, RowsArgs};
use crate::command::events::not_written;
use crate::command::rows::table::Look;
use crate::terminal::{Page as _, Terminal};

/// Tables that have a file each: as many are open at once.
const MAX_FILES: usize = 256;
/// What a file holds back before it is written.
const BUFFER: usize = 64 << 10;

/// Takes the lines of rows.
pub(super) struct Output {
    place: Place,
    format: RowFormat,
    /// The section that was begun last.
    section: Vec<u8>,
    /// Whether something could not be written.
    failed: bool,
    /// Why nothing more can be written, beside what writing answers.
    refused: Option<String>,
}

enum Place {
    Stream(Box<dyn Write>),
    File(Box<Part>),
    Directory { directory: PathBuf, options: SinkOptions, parts: BTreeMap<Vec<u8>, Part> },
}

/// A file in the making.
struct Part {
    file: AtomicFile,
    offset: u64,
    buffer: Vec<u8>,
}

impl Part {
    fn create(path: &Path, options: SinkOptions) -> Result<Self, TransferError> {
        Ok(Self { file: AtomicFile::create(path, options)?, offset: 0, buffer: Vec::new() })
    }

    fn write(&mut self, text: &[u8]) -> Result<(), TransferError> {
        self.buffer.extend_from_slice(text);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        self.file.write_at(self.offset, &self.buffer)?;
        let length = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(length);
        self.buffer.clear();
        Ok(())
    }

    fn commit(mut self) -> Result<(), TransferError> {
        self.flush()?;
        self.file.commit()
    }
}

impl Output {
    /// The output, and how lines look there.
    pub(super) fn begin(args: &RowsArgs, terminal: &Terminal) -> anyhow::Result<(Self, Look)> {
        let options = args.write.sink_options();
        let (place, look) = match (&args.output, &args.output_dir) {
            (Some(path), _) if path.as_os_str() != "-" => {
                let part = Part::create(path, options).map_err(Error::from)?;
                (Place::File(Box::new(part)), Look::PLAIN)
            }
            (_, Some(directory)) => {
                if !directory.is_dir() {
                    bail!("{} is no directory", directory.display());
                }
                let place = Place::Directory {
                    directory: directory.clone(),
                    options,
                    parts: BTreeMap::new(),
                };
                (place, Look::PLAIN)
            }
            _ => {
                let (out, colour) = terminal.plain_out(args.format == RowFormat::Text);
                let look = Look { colour, columns: out.columns() };
                let out = io::BufWriter::with_capacity(BUFFER, out);
                (Place::Stream(Box::new(out)), look)
            }
        };
        Ok((
            Self { place, format: args.format, section: Vec::new(), failed: false, refused: None },
            look,
        ))
    }

    /// Takes lines, in order.
    pub(super) fn take(&mut self, lines: Lines<'_>) -> Result<(), TransferError> {
        let taken = self.taken(lines);
        self.failed |= taken.is_err();
        taken
    }

    fn taken(&mut self, lines: Lines<'_>) -> Result<(), TransferError> {
        if let Some(section) = lines.section
            && section.key != self.section
        {
            self.section(section)?;
        }
        self.write(lines.text)
    }

    /// Whether something could not be written.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// What was refused while lines were taken.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.refused.take() {
            Some(refused) => bail!("{refused}"),
            None => Ok(()),
        }
    }

    fn section(&mut self, section: Section<'_>) -> Result<(), TransferError> {
        let is_first = self.section.is_empty();
        match self.format {
            RowFormat::Sql => {
                let before: &[u8] = if is_first { PRELUDE.as_bytes() } else { b"COMMIT;\n" };
                self.write(before)?;
                self.write(b"\n")?;
                self.write(section.head)?;
            }
            RowFormat::Csv if matches!(self.place, Place::Directory { .. }) => {
                self.note_section(section.key);
                return self.table(section);
            }
            RowFormat::Csv if !is_first => {
                self.refused = Some(format!(
                    "rows of several tables, or of one before and behind a change of its columns, are no one \
                     table of CSV ({} comes after {}): choose one with --table, or have a file for each with \
                     --output-dir DIR",
                    name_of(section.key),
                    name_of(&self.section)
                ));
                return Err(TransferError::Cancelled);
            }
            _ => self.write(section.head)?,
        }
        self.note_section(section.key);
        Ok(())
    }

    fn note_section(&mut self, key: &[u8]) {
        self.section.clear();
        self.section.extend_from_slice(key);
    }

    /// The file of a table: the one that was begun, or another.
    fn table(&mut self, section: Section<'_>) -> Result<(), TransferError> {
        let Place::Directory { directory, options, parts } = &mut self.place else {
            return Ok(());
        };
        if parts.contains_key(section.key) {
            return Ok(());
        }
        if parts.len() >= MAX_FILES {
            self.refused = Some(format!("more than {MAX_FILES} tables: choose some with --table"));
            return Err(TransferError::Cancelled);
        }
        let name = file_name(&name_of(section.key));
        let is_of_name = |key: &&Vec<u8>| file_name(&name_of(key)) == name;
        let number = parts.keys().filter(is_of_name).count().saturating_add(1);
        let suffix = if number > 1 { format!(".{number}") } else { String::new() };
        let mut part = Part::create(&directory.join(format!("{name}{suffix}.csv")), *options)?;
        part.write(section.head)?;
        parts.insert(section.key.to_vec(), part);
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> Result<(), TransferError> {
        match &mut self.place {
            Place::Stream(out) => out.write_all(text).map_err(not_written),
            Place::File(part) => part.write(text),
            Place::Directory { parts, .. } => match parts.get_mut(&self.section) {
                Some(part) => part.write(text),
                None => Ok(()),
            },
        }
    }

    /// Ends the last section, and gives files their names.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        if self.format == RowFormat::Sql && !self.section.is_empty() {
            self.write(b"COMMIT;\n").map_err(Error::from)?;
        }
        match self.place {
            Place::Stream(mut out) => out.flush()?,
            Place::File(part) => part.commit().map_err(Error::from)?,
            Place::Directory { parts, .. } => {
                for part in parts.into_values() {
                    part.commit().map_err(Error::from)?;
                }
            }
        }
        Ok(())
    }
}

/// `database.table` from the key of a table's section.
fn name_of(key: &[u8]) -> String {
    let mut parts = key.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    let (database, table) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{database}.{table}")
}

/// The name with what leads elsewhere, or is not seen, as its bytes in hexadecimal digits behind a
/// percent sign.
fn file_name(name: &str) -> String {
    let mut safe = String::new();
    for character in name.chars() {
        let is_odd = matches!(character, '/' | '%' | '\\')
            || binlogsec_core::text::unseen::is_unseen(character);
        if is_odd || safe.is_empty() && character == '.' {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                safe.push_str(&format!("%{byte:02X}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}
