//! The output: its head, and pieces of the file.

use std::io::Write;
use std::path::Path;

use super::keeper::Piece;
use super::open::Opened;
use crate::file::TransferError;

/// Bytes that are deciphered at a time.
const AT_A_TIME: usize = 1 << 20;

pub(super) fn write(
    logs: &[Opened<'_>],
    head: &[u8],
    pieces: &[Piece],
    writer: &mut dyn Write,
    name: &Path,
) -> Result<u64, TransferError> {
    let failed = || TransferError::at(name, "write");
    writer.write_all(head).map_err(failed())?;
    let mut written = u64::try_from(head.len()).unwrap_or(0);
    let mut buffer = vec![0; AT_A_TIME];
    for piece in pieces {
        let Some(log) = logs.get(piece.log) else {
            continue;
        };
        let mut at = piece.file.start;
        let mut reader = log.body.reader(at, piece.shift);
        while at < piece.file.end {
            let left = usize::try_from(piece.file.end.saturating_sub(at)).unwrap_or(AT_A_TIME);
            let target = buffer.get_mut(..left.min(AT_A_TIME)).unwrap_or_default();
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
