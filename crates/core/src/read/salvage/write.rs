//! The output: its head, and pieces of the file.

use std::io::Write;

use super::keeper::Piece;
use super::open::Opened;
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;
use crate::file::sink::AtomicFile;

/// Where pages of every system end: writes end there, so that none is touched twice.
const PAGE: u64 = 64 << 10;

pub(super) fn write(
    logs: &[Opened<'_>],
    head: &[u8],
    pieces: &[Piece],
    sink: &AtomicFile,
) -> Result<u64, TransferError> {
    let failed = || TransferError::at(sink.target(), "write");
    let mut written = u64::try_from(head.len()).unwrap_or(0);
    let lengths = pieces.iter().map(|piece| piece.file.end.saturating_sub(piece.file.start));
    sink.reserve(lengths.fold(written, u64::saturating_add))?;
    let mut writer = sink.writer();
    writer.write_all(head).map_err(failed())?;
    let mut buffer = vec![0; CHUNK];
    for piece in pieces {
        let Some(log) = logs.get(piece.log) else {
            continue;
        };
        let mut at = piece.file.start;
        let mut reader = log.body.reader(at, piece.shift);
        while at < piece.file.end {
            let left = usize::try_from(piece.file.end.saturating_sub(at)).unwrap_or(CHUNK);
            let within_page = usize::try_from(written % PAGE).unwrap_or_default();
            let at_a_time = CHUNK.saturating_sub(within_page);
            let target = buffer.get_mut(..left.min(at_a_time)).unwrap_or_default();
            let read = reader.read(target)?;
            let bytes = target.get(..read).unwrap_or_default();
            writer.write_all(bytes).map_err(failed())?;
            let count = u64::try_from(read).unwrap_or(u64::MAX);
            // Nothing is there where the file was cut meanwhile, which is told at the end.
            at = at.saturating_add(count.max(1));
            written = written.saturating_add(count);
        }
    }
    Ok(written)
}
