//! Compressed copies of files: what compressed them, their first bytes, and all of them.

mod start;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, copy};

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

/// A copy unpacks to this at the most, and to so many times its own length: as the payloads of a log
/// (servers' logs are compressed to a tenth, as a rule). A forged one of a megabyte could fill a disk.
const UNPACKED_AT_LEAST: u64 = 4 << 30;
/// See [`UNPACKED_AT_LEAST`].
const UNPACKED_BY_LENGTH: u64 = 64;
/// LZ4 frames without content that may follow one another.
const MOST_EMPTY_FRAMES: u32 = 1 << 10;

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
/// [`TransferError::Unpack`] for a copy that is cut or damaged; [`TransferError::UnpacksTooLong`];
/// [`TransferError::File`].
pub fn unpack(source: &FileSource, compression: Compression) -> Result<FileSource, TransferError> {
    let mut file = tempfile::tempfile()
        .map_err(TransferError::at(&std::env::temp_dir(), "create a temporary file in"))?;
    let input = BufReader::with_capacity(READ_AT_ONCE, Bytes { source, offset: 0 });
    let by_length = source.length().saturating_mul(UNPACKED_BY_LENGTH);
    let limit = UNPACKED_AT_LEAST.saturating_add(by_length);
    let mut output = Bounded { output: &mut file, left: limit, is_over: false };
    let unpacked = unpack_into(input, compression, &mut output);
    if output.is_over {
        let (path, compression) = (source.path().to_owned(), compression.name());
        return Err(TransferError::UnpacksTooLong { path, compression, limit });
    }
    unpacked.map_err(|error| match error.kind() {
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
    file.write_all(start).map_err(&failed)?;
    FileSource::from_unpacked(file, source.path())
}

/// Takes so many bytes and no more.
struct Bounded<W> {
    output: W,
    left: u64,
    is_over: bool,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some(left) = self.left.checked_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
        else {
            self.is_over = true;
            return Err(ErrorKind::FileTooLarge.into());
        };
        self.output.write_all(bytes)?;
        self.left = left;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}

fn unpack_into(
    input: impl BufRead,
    compression: Compression,
    output: &mut impl Write,
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
fn lz4_frames(input: impl BufRead, output: &mut impl Write) -> std::io::Result<u64> {
    let mut decoder = lz4_flex::frame::FrameDecoder::new(input);
    let (mut written, mut empty) = (0_u64, 0_u32);
    while empty < MOST_EMPTY_FRAMES {
        let of_frame = copy(&mut decoder, output)?;
        written = written.saturating_add(of_frame);
        empty = if of_frame == 0 { empty.saturating_add(1) } else { 0 };
        if decoder.get_mut().fill_buf()?.is_empty() {
            return Ok(written);
        }
    }
    Err(std::io::Error::other("its frames have no content"))
}

/// Zstandard's files are frames, one or more: `zstd` and `cat` put them behind each other, and
/// `pzstd` frames that are to be skipped between them.
fn frames(mut input: impl Read, output: &mut impl Write) -> std::io::Result<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_comes_out_of_a_copy_than_is_allowed() {
        use flate2::{Compression as Level, write::GzEncoder};
        let mut copy = GzEncoder::new(Vec::new(), Level::best());
        copy.write_all(&vec![0; 1 << 20]).unwrap();
        let copy = copy.finish().unwrap();
        for (limit, is_over) in [((1 << 20) - 1, true), (1 << 20, false)] {
            let mut output = Bounded { output: Vec::new(), left: limit, is_over: false };
            let unpacked = unpack_into(copy.as_slice(), Compression::Gzip, &mut output);
            assert_eq!((unpacked.is_err(), output.is_over), (is_over, is_over), "{limit}");
            assert!(output.output.len() as u64 <= limit);
        }
    }

    #[test]
    fn frames_without_content_come_to_an_end() {
        // A frame of nothing: magic, flags, the largest block, checksum of the header, end mark.
        let frame = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0];
        let some = frame.repeat(10);
        let mut output = Vec::new();
        unpack_into(some.as_slice(), Compression::Lz4, &mut output).unwrap();
        let many = frame.repeat(100_000);
        assert!(unpack_into(many.as_slice(), Compression::Lz4, &mut output).is_err());
        assert!(output.is_empty());
    }
}
