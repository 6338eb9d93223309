//! The output: its head, and pieces of the file.

use std::io::Write;
use std::ops::Range;

use rayon::prelude::*;

use super::body::Body;
use super::keeper::Piece;
use super::open::Opened;
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;
use crate::file::sink::AtomicFile;

/// Writes the head and, behind it, the pieces in their order. Returns the bytes written.
pub(super) fn write(
    logs: &[Opened<'_>],
    head: &[u8],
    pieces: &[Piece],
    sink: &AtomicFile,
) -> Result<u64, TransferError> {
    let start = u64::try_from(head.len()).unwrap_or(0);
    let end = pieces.iter().map(length).fold(start, u64::saturating_add);
    sink.reserve(end)?;
    sink.writer().write_all(head).map_err(TransferError::at(sink.target(), "write"))?;
    // The pieces with the place of each in the output.
    let mut at = start;
    let placed = pieces.iter().map(move |piece| {
        let place = at;
        at = at.saturating_add(length(piece));
        (place, piece)
    });
    let is_by_event = logs.iter().any(|log| log.body.events.is_some());
    if is_by_event {
        let mut buffer = vec![0; CHUNK];
        for (place, piece) in placed {
            if let Some(log) = logs.get(piece.log) {
                write_in_order(&log.body, piece, place, sink, &mut buffer)?;
            }
        }
    } else {
        placed.flat_map(|(place, piece)| chunks(place, piece)).par_bridge().try_for_each_init(
            || vec![0; CHUNK],
            |buffer, chunk| match logs.get(chunk.log) {
                Some(log) => write_chunk(&log.body, &chunk, sink, buffer),
                None => Ok(()),
            },
        )?;
    }
    Ok(end)
}

fn length(piece: &Piece) -> u64 {
    piece.file.end.saturating_sub(piece.file.start)
}

/// A part of a piece, and where it goes.
struct Chunk {
    log: usize,
    file: Range<u64>,
    shift: i64,
    place: u64,
}

/// Chunks end where chunks of the output do: a page that two writes share costs both of them.
fn chunks(place: u64, piece: &Piece) -> impl Iterator<Item = Chunk> {
    const BYTES: u64 = CHUNK as u64;
    let (log, shift, file) = (piece.log, piece.shift, piece.file.clone());
    let (mut at, mut place) = (file.start, place);
    std::iter::from_fn(move || {
        let left = file.end.checked_sub(at).filter(|left| *left > 0)?;
        let length = left.min(BYTES.saturating_sub(place % BYTES));
        let end = at.saturating_add(length);
        let chunk = Chunk { log, file: at..end, shift, place };
        (at, place) = (end, place.saturating_add(length));
        Some(chunk)
    })
}

/// Where the file was cut meanwhile nothing is there, which is told when all is written.
fn write_chunk(
    body: &Body<'_>,
    chunk: &Chunk,
    sink: &AtomicFile,
    buffer: &mut [u8],
) -> Result<(), TransferError> {
    let length = usize::try_from(chunk.file.end.saturating_sub(chunk.file.start)).unwrap_or(CHUNK);
    let target = buffer.get_mut(..length).unwrap_or_default();
    let read = body.read(chunk.file.start, chunk.shift, target)?;
    sink.write_at(chunk.place, target.get(..read).unwrap_or_default())
}

/// The same of a log that was encrypted event by event: each event has to be deciphered from its
/// start on.
fn write_in_order(
    body: &Body<'_>,
    piece: &Piece,
    place: u64,
    sink: &AtomicFile,
    buffer: &mut [u8],
) -> Result<(), TransferError> {
    let mut reader = body.reader(piece.file.start, piece.shift);
    for chunk in chunks(place, piece) {
        let length = chunk.file.end.saturating_sub(chunk.file.start);
        let length = usize::try_from(length).unwrap_or(CHUNK);
        let target = buffer.get_mut(..length).unwrap_or_default();
        let read = reader.read(target)?;
        sink.write_at(chunk.place, target.get(..read).unwrap_or_default())?;
    }
    Ok(())
}
