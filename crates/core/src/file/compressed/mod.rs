//! Compressed copies of files: what compressed them, their first bytes, and all of them.

mod start;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, copy};

use serde::{Deserialize, Serialize};

pub use self::start::{Inside, inside};
use super::TransferError;
use super::source::FileSource;

/// How much of a compressed file is read at a time.
const READ_AT_ONCE: usize = 256 << 10;
/// The largest window that Zstandard's own program makes (`--long=27`), and unpacks without being
/// told to. It bounds what a file can make us hold.
const LARGEST_WINDOW: u64 = 128 << 20;
/// The same for xz, in KiB: `xz -9` takes a dictionary of 64 MiB.
const LARGEST_XZ_KIB: u32 = 128 << 10;

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Compression {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
}

impl Compression {
    /// Its name in reports. Stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
        }
    }
}

/// The bytes of a source, from its first to its last.
struct Bytes<'a> {
    source: &'a FileSource,
    offset: u64,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read_at(self.offset, buffer).map_err(TransferError::into_io)?;
        self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// What a file holds under its compression, as far as its first bytes tell; `None` where it is not
/// compressed.
///
/// # Errors
/// [`TransferError::File`] when it cannot be read.
pub fn peek(source: &FileSource, length: usize) -> Result<Option<Inside>, TransferError> {
    let mut first = [0; 16];
    let read = source.read_at(0, &mut first)?;
    Ok(inside(first.get(..read).unwrap_or_default(), || Bytes { source, offset: 0 }, length))
}

/// Unpacks a file into one without a name, which others cannot open, below `TMPDIR`. Messages call it as the
/// file is called.
///
/// # Errors
/// [`TransferError::Unpack`] for a copy that is cut or damaged; [`TransferError::File`].
pub fn unpack(source: &FileSource, compression: Compression) -> Result<FileSource, TransferError> {
    let mut file = tempfile::tempfile()
        .map_err(TransferError::at(&std::env::temp_dir(), "create a temporary file in"))?;
    let input = BufReader::with_capacity(READ_AT_ONCE, Bytes { source, offset: 0 });
    unpack_into(input, compression, &mut file).map_err(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            TransferError::at(&std::env::temp_dir(), "unpack (TMPDIR names another place) in")(
                error,
            )
        }
        _ => TransferError::Unpack {
            path: source.path().to_owned(),
            compression: compression.name(),
            source: error,
        },
    })?;
    FileSource::from_unpacked(file, source.path())
}

/// A first part of a file alone, as if it had no more.
///
/// # Errors
/// [`TransferError::File`].
pub fn start_of(source: &FileSource, start: &[u8]) -> Result<FileSource, TransferError> {
    let failed = TransferError::at(&std::env::temp_dir(), "create a temporary file in");
    let mut file = tempfile::tempfile().map_err(&failed)?;
    std::io::Write::write_all(&mut file, start).map_err(&failed)?;
    FileSource::from_unpacked(file, source.path())
}

fn unpack_into(
    input: impl BufRead,
    compression: Compression,
    output: &mut File,
) -> std::io::Result<()> {
    match compression {
        Compression::Gzip => copy(&mut flate2::read::MultiGzDecoder::new(input), output),
        Compression::Bzip2 => copy(&mut bzip2::read::MultiBzDecoder::new(input), output),
        Compression::Lz4 => lz4_frames(input, output),
        Compression::Xz => {
            let decoder = lzma_rust2::XzReader::new_mem_limit(input, true, LARGEST_XZ_KIB);
            copy(&mut { decoder }, output)
        }
        Compression::Zstd => frames(input, output),
    }
    .map(drop)
}

/// LZ4's files are frames, one or more; the decoder says that there is nothing more at the end of each.
fn lz4_frames(input: impl BufRead, output: &mut File) -> std::io::Result<u64> {
    let mut decoder = lz4_flex::frame::FrameDecoder::new(input);
    let mut written = 0_u64;
    loop {
        written = written.saturating_add(copy(&mut decoder, output)?);
        if decoder.get_mut().fill_buf()?.is_empty() {
            return Ok(written);
        }
    }
}

/// Zstandard's files are frames, one or more: `zstd` and `cat` put them behind each other, and
/// `pzstd` frames that are to be skipped between them.
fn frames(mut input: impl Read, output: &mut File) -> std::io::Result<u64> {
    let mut written = 0_u64;
    loop {
        let mut magic = [0; 4];
        match input.read(magic.get_mut(..1).unwrap_or_default())? {
            0 => return Ok(written),
            _ => input.read_exact(magic.get_mut(1..).unwrap_or_default())?,
        }
        if start::is_skippable(&magic) {
            let mut length = [0; 4];
            input.read_exact(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            if copy(&mut (&mut input).take(length), &mut std::io::sink())? < length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            continue;
        }
        let frame = magic.as_slice().chain(&mut input);
        let decoder =
            ruzstd::decoding::StreamingDecoder::new_with_max_window_size(frame, LARGEST_WINDOW);
        let mut decoder = decoder.map_err(std::io::Error::other)?;
        written = written.saturating_add(copy(&mut decoder, output)?);
    }
}
