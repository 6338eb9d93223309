//! The first bytes inside a compressed copy.
//!
//! A hostile file gets nothing but its first kilobytes decompressed: input and output are cut,
//! and the window or dictionary size that it declares is not believed. What comes out first refers
//! to nothing but itself, so a small window is always enough for it.

use std::io::Read;

use super::Compression;

/// What is read of a compressed file. A bzip2 block, which must be whole, takes up to 900,000
/// bytes before compression, and a log compresses.
const INPUT_LIMIT: u64 = 1 << 20;
/// A block of 128 KiB is the largest in Zstandard; this is the window for it.
const ZSTD_WINDOW_DESCRIPTOR: u8 = 7 << 3;
const ZSTD_WINDOW: u64 = 128 << 10;
/// A chunk of LZMA2 is up to 2 MiB.
const LZMA2_WINDOW: u32 = 2 << 20;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];
const LZ4_LEGACY_MAGIC: [u8; 4] = [0x02, 0x21, 0x4C, 0x18];
const XZ_MAGIC: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];
/// Zstandard and LZ4 share them: 184D2A50 to 184D2A5F, little-endian.
const SKIPPABLE_MAGIC: [u8; 3] = [0x2A, 0x4D, 0x18];

/// How a file is compressed, by its first bytes.
pub(super) fn detect(file_start: &[u8]) -> Option<Compression> {
    let is = |magic: &[u8]| file_start.starts_with(magic);
    match file_start {
        [0x1F, 0x8B, 8, ..] => Some(Compression::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Compression::Bzip2),
        // The more common one, if nothing stands behind that frame.
        _ if is(&ZSTD_MAGIC) || is_skippable(file_start) => Some(Compression::Zstd),
        _ if is(&XZ_MAGIC) => Some(Compression::Xz),
        _ if is(&LZ4_MAGIC) || is(&LZ4_LEGACY_MAGIC) => Some(Compression::Lz4),
        _ => None,
    }
}

/// What comes out of a compressed file.
#[derive(Debug)]
pub struct Inside {
    /// What compressed it.
    pub compression: Compression,
    /// The first bytes, as many as there are before the data end or turn out damaged.
    pub start: Vec<u8>,
}

impl Inside {
    /// Whether that is too little to tell a log, by its magic of four bytes, from anything else.
    #[must_use]
    pub const fn says_nothing(&self) -> bool {
        self.start.len() < 4
    }
}

/// Up to `length` of the first bytes inside, at most 64 KiB; `None` where `file_start` is of no compression. Frames
/// that are to be skipped do not say of which format they are: what stands behind them does.
pub fn inside<R: Read>(
    file_start: &[u8],
    file: impl FnOnce() -> R,
    length: usize,
) -> Option<Inside> {
    let compression = detect(file_start)?;
    if !is_skippable(file_start) {
        let start = start(compression, file(), length);
        return Some(Inside { compression, start });
    }
    let mut input = file().take(INPUT_LIMIT);
    let magic = behind_skippable(&mut input).unwrap_or_default();
    let found = detect(&magic);
    let found = found.filter(|it| matches!(it, Compression::Zstd | Compression::Lz4));
    Some(Inside {
        compression: found.unwrap_or(compression),
        start: found.map_or_else(Vec::new, |it| start(it, magic.chain(input), length)),
    })
}

pub(super) fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5F, rest @ ..] if rest.starts_with(&SKIPPABLE_MAGIC))
}

/// The first magic of a frame that is not to be skipped.
pub(super) fn behind_skippable(input: &mut impl Read) -> Option<[u8; 4]> {
    loop {
        let magic: [u8; 4] = array(input)?;
        if !is_skippable(&magic) {
            return Some(magic);
        }
        let size = u32::from_le_bytes(array(input)?);
        skip(input, u64::from(size))?;
    }
}

fn start(compression: Compression, file: impl Read, length: usize) -> Vec<u8> {
    let input = file.take(INPUT_LIMIT);
    match compression {
        Compression::Gzip => read_some(flate2::read::MultiGzDecoder::new(input), length),
        Compression::Bzip2 => read_some(bzip2::read::BzDecoder::new(input), length),
        Compression::Lz4 => read_some(lz4_flex::frame::FrameDecoder::new(input), length),
        Compression::Zstd => zstd(input, length).unwrap_or_default(),
        Compression::Xz => xz(input, length).unwrap_or_default(),
    }
}

fn read_some(mut decoder: impl Read, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest) {
            Ok(0) => break,
            Ok(read) => done = done.saturating_add(read).min(length),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    bytes.truncate(done);
    bytes
}

fn array<const N: usize>(input: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn skip(input: &mut impl Read, length: u64) -> Option<()> {
    let skipped = std::io::copy(&mut input.take(length), &mut std::io::sink()).ok()?;
    (skipped == length).then_some(())
}

/// Replaces the frame header by one with a small window (RFC 8878, section 3.1.1.1).
fn zstd(mut input: impl Read, length: usize) -> Option<Vec<u8>> {
    let magic: [u8; 4] = array(&mut input)?;
    let [descriptor] = array(&mut input)?;
    let is_single_segment = descriptor & 0x20 != 0;
    if magic != ZSTD_MAGIC || descriptor & 0x08 != 0 {
        return None;
    }
    let content_size = match (descriptor >> 6, is_single_segment) {
        (0, false) => 0,
        (0, true) => 1,
        (1, _) => 2,
        (2, _) => 4,
        _ => 8,
    };
    let dictionary_id = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    skip(&mut input, u64::from(!is_single_segment))?;
    skip(&mut input, dictionary_id)?;
    skip(&mut input, content_size)?;
    // No content size, no dictionary id, no checksum: none is needed for the first block.
    let header = [&ZSTD_MAGIC[..], &[0, ZSTD_WINDOW_DESCRIPTOR]].concat();
    let input = header.as_slice().chain(input);
    let decoder =
        ruzstd::decoding::StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW).ok()?;
    Some(read_some(decoder, length))
}

/// Reads the headers of stream and first block and decodes the LZMA2 data by itself (the .xz file
/// format, sections 2.1.1 and 3.1). Other filters than LZMA2 are for programs, not for data.
fn xz(mut input: impl Read, length: usize) -> Option<Vec<u8>> {
    const LZMA2: u8 = 0x21;
    let _stream_header: [u8; 12] = array(&mut input)?;
    let [size, flags] = array(&mut input)?;
    // A size of 0 is an index: no block, no data. The low flag bits count filters, less one.
    if size == 0 || flags & 0x03 != 0 {
        return None;
    }
    let rest = (u64::from(size).saturating_add(1)).saturating_mul(4).saturating_sub(2);
    let mut header = Vec::new();
    (&mut input).take(rest).read_to_end(&mut header).ok()?;
    let mut fields = header.as_slice();
    // The sizes, if they are there: the last byte of each has its high bit clear.
    for flag in [0x40, 0x80] {
        let mut goes_on = flags & flag != 0;
        while goes_on {
            let [byte] = array(&mut fields)?;
            goes_on = byte & 0x80 != 0;
        }
    }
    let [filter, properties_size, _dictionary_size] = array(&mut fields)?;
    if (filter, properties_size) != (LZMA2, 1) {
        return None;
    }
    let decoder = lzma_rust2::Lzma2Reader::new(input, LZMA2_WINDOW, None);
    Some(read_some(decoder, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use std::process::{Command, Stdio};

    fn plain() -> Vec<u8> {
        (0..40_000_u32).flat_map(|n| (n / 3 % 9973).to_le_bytes()).collect()
    }

    /// By the programs that users have; `None` where one is not installed.
    fn compressed(program: &[&str], data: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| println!("{}: {error}: not tried", program[0]))
            .ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let data = data.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(&data));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{program:?}");
        Some(output.stdout)
    }

    #[test]
    fn the_beginning_comes_out_of_every_format() {
        let plain = plain();
        for (program, compression) in [
            (&["gzip", "-c"][..], Compression::Gzip),
            (&["gzip", "-9c"], Compression::Gzip),
            (&["bzip2", "-c"], Compression::Bzip2),
            (&["xz", "-c"], Compression::Xz),
            (&["xz", "-9ec"], Compression::Xz),
            (&["xz", "-T2", "--block-size=65536", "-c"], Compression::Xz),
            (&["zstd", "-qc"], Compression::Zstd),
            (&["zstd", "-qc", "-19", "--long=27"], Compression::Zstd),
            (&["zstd", "-qc", "--ultra", "-22"], Compression::Zstd),
            (&["lz4", "-qc"], Compression::Lz4),
            (&["lz4", "-qlc"], Compression::Lz4),
        ] {
            let Some(bytes) = compressed(program, &plain) else {
                continue;
            };
            assert_eq!(detect(&bytes), Some(compression), "{program:?}");
            let found = start(compression, Cursor::new(&bytes), 4096);
            assert!(found == plain[..4096], "{program:?}: {} bytes", found.len());
        }
    }

    #[test]
    fn short_and_damaged_data_give_what_there_is() {
        for program in [&["gzip", "-c"][..], &["bzip2", "-c"], &["xz", "-c"], &["zstd", "-qc"]] {
            let Some(bytes) = compressed(program, b"short") else {
                continue;
            };
            let compression = detect(&bytes).unwrap();
            assert_eq!(start(compression, Cursor::new(&bytes), 4096), b"short", "{program:?}");
            for cut in 0..bytes.len() {
                start(compression, Cursor::new(&bytes[..cut]), 4096);
                let mut damaged = bytes.clone();
                damaged[cut] ^= 0x55;
                start(compression, Cursor::new(&damaged), 4096);
            }
        }
    }

    #[test]
    fn frames_to_be_skipped_do_not_say_what_follows() {
        let skipped = [&[0x5A][..], &SKIPPABLE_MAGIC, &[3, 0, 0, 0], b"xyz"].concat();
        for (program, compression) in [("zstd", Compression::Zstd), ("lz4", Compression::Lz4)] {
            let Some(frame) = compressed(&[program, "-qc"], b"hello") else {
                continue;
            };
            let file = [&skipped[..], &skipped, &frame].concat();
            let found = inside(&file, || Cursor::new(&file), 4096).unwrap();
            assert_eq!(found.compression, compression, "{program}");
            assert_eq!(found.start, b"hello", "{program}");
        }
        for behind in [&b""[..], b"\x1F\x8B\x08\x00", b"other"] {
            let file = [&skipped[..], behind].concat();
            let found = inside(&file, || Cursor::new(&file), 4096).unwrap();
            assert!(found.says_nothing(), "{behind:?}");
        }
        assert!(inside(b"other", || Cursor::new(b""), 4096).is_none());
    }

    #[test]
    fn declared_windows_are_not_believed() {
        // A window of 2^41 bytes and a raw last block of 5 bytes.
        let mut frame = ZSTD_MAGIC.to_vec();
        frame.extend([0x00, 0xFF, 0x29, 0x00, 0x00]);
        frame.extend(b"hello");
        assert_eq!(start(Compression::Zstd, Cursor::new(&frame), 4096), b"hello");
        // The same as a single segment of 2^63 bytes.
        let mut frame = ZSTD_MAGIC.to_vec();
        frame.extend([0xE0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x29, 0x00, 0x00]);
        frame.extend(b"hello");
        assert_eq!(start(Compression::Zstd, Cursor::new(&frame), 4096), b"hello");
    }

    #[test]
    fn a_bomb_stops_at_the_bytes_that_were_asked_for() {
        let Some(bomb) = compressed(&["gzip", "-9c"], &vec![0; 64 << 20]) else {
            return;
        };
        let twice = compressed(&["gzip", "-9c"], &bomb).unwrap();
        assert_eq!(start(Compression::Gzip, Cursor::new(&bomb), 4096).len(), 4096);
        assert_eq!(
            detect(&start(Compression::Gzip, Cursor::new(&twice), 4096)),
            Some(Compression::Gzip)
        );
    }
}
