//! Events of plaintext, and those in compressed transactions.

use std::path::Path;

use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::event::format_description::FormatDescription;
use binlogsec_core::event::gtid::TransactionStart;
use binlogsec_core::event::gtid_set::GtidSet;
use binlogsec_core::event::payload::Payload;
use binlogsec_core::event::query::Query;
use binlogsec_core::event::rotate::Rotate;
use binlogsec_core::event::rows::Rows;
use binlogsec_core::event::table_map::TableMap;
use binlogsec_core::event::walker::{EventView, Events, WalkError};
use binlogsec_core::event::{FIRST_EVENT, MAGIC};
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::log::error::Error;
use binlogsec_core::log::walk::{Depth, MemorySource, Walker};
use binlogsec_core::read::events::{EventFilter, EventRecord, Stop, list_plain, stats_plain};
use binlogsec_core::read::verify::verify_plain;

use super::switches;

/// Gives every event the checksum that its bytes have, as far as they are events.
pub(super) fn with_right_checksums(events: &[u8]) -> Vec<u8> {
    let mut repaired = events.to_vec();
    let sums: Vec<_> = Events::new(events, FIRST_EVENT, ChecksumAlgorithm::None)
        .flatten()
        .filter(|event| event.checksum_length() > 0)
        .collect();
    for event in sums {
        let start = (event.offset - FIRST_EVENT) as usize;
        let event = &mut repaired[start..start + event.bytes.len()];
        let sum_at = event.len() - 4;
        let mut summed = event[..sum_at].to_vec();
        if let (15, Some(flags)) = (event[4], summed.get_mut(17)) {
            *flags &= !1; // the in-use bit is left out
        }
        event[sum_at..].copy_from_slice(&crc32fast::hash(&summed).to_le_bytes());
    }
    repaired
}

/// A log behind its magic. An odd first byte: its checksums are put right first.
pub(crate) fn events(data: &[u8]) {
    let Some((switch, rest)) = switches(data) else {
        return;
    };
    let events = if switch & 1 == 0 { rest.to_vec() } else { with_right_checksums(rest) };
    let log = [&MAGIC[..], &events].concat();
    let source = MemorySource::new(Path::new("log"), &log);
    let (in_memory, end) = all(Events::new(&events, FIRST_EVENT, ChecksumAlgorithm::None));
    for event in &in_memory {
        parse_body(event);
    }
    for depth in [Depth::Headers, Depth::Whole] {
        let mut walker = Walker::new(&source, depth);
        for expected in &in_memory {
            let event = walker.next_event().unwrap().expect("as many events");
            assert_eq!((event.offset, event.header), (expected.offset, expected.header));
            assert_eq!(event.checksum, expected.checksum);
            let needed = if depth == Depth::Whole { expected.bytes } else { &[] };
            assert!(event.bytes.starts_with(needed) && expected.bytes.starts_with(event.bytes));
        }
        match walker.next_event() {
            Ok(event) => assert!(event.is_none() && end.is_none()),
            Err(Error::Walk { source, .. }) => assert_eq!(Some(source), end),
            Err(other) => panic!("{other}"),
        }
    }
    list(&source, &in_memory, end);
}

fn all(events: Events<'_>) -> (Vec<EventView<'_>>, Option<WalkError>) {
    let mut found = Vec::new();
    for event in events {
        match event {
            Ok(event) => found.push(event),
            Err(error) => return (found, Some(error)),
        }
    }
    (found, None)
}

/// What the command shows and judges agrees with the plain walk.
fn list(source: &MemorySource<'_>, events: &[EventView<'_>], end: Option<WalkError>) {
    let mut outer = 0;
    let mut receive = |record: &EventRecord<'_>| {
        outer += usize::from(record.inner_offset.is_none());
        Ok(())
    };
    let listed = list_plain(source, &EventFilter::default(), &mut receive).unwrap();
    let (statistics, _) = stats_plain(source, &EventFilter::default()).unwrap();
    assert_eq!((outer, listed.stopped), (events.len(), end.map(Stop::Walk)));
    assert!(statistics.biggest().len() <= events.len());
    assert!(statistics.rows.hottest().len() <= 10);
    assert!(statistics.rows.widest().iter().all(|row| row.bytes > 0 || row.row > 0));
    let description = events.first().and_then(|event| FormatDescription::parse(event.bytes).ok());
    let verified = verify_plain(source, description, &NoProgress).unwrap();
    // A log that was never closed may end within an event; that is told, and no damage.
    let ends_well = end.is_none_or(|end| end.is_cut() && verified.has_cut_tail());
    let is_whole = ends_well && events.iter().all(|event| event.verify_checksum().is_ok());
    assert!(!verified.is_whole() || is_whole, "damage that was not seen");
}

/// Every parser on every body: a type byte is easily forged.
fn parse_body(event: &EventView<'_>) {
    let body = event.body();
    let _ = TransactionStart::parse(event);
    let _ = Query::parse(body).map(|query| (query.is_begin(), query.is_end()));
    let _ = Rotate::parse(body);
    if let Ok(set) = GtidSet::parse_encoded(body) {
        assert_eq!(set.difference(&set).len(), 0);
    }
    let columns = TableMap::parse(body).map(|map| map.columns);
    if let Ok(rows) = Rows::parse(event.header.event_type, body) {
        let count = rows.count(&columns.unwrap_or_default());
        assert!(count.is_none_or(|count| count <= body.len() as u64));
    }
}

/// The first byte says what the rest is: 0, the body of an event; 1, its inner events as they are;
/// 2, these within a frame of zstd that holds them uncompressed.
pub(crate) fn payload(data: &[u8]) {
    let Some((switch, rest)) = switches(data) else {
        return;
    };
    let body = match switch % 3 {
        0 => rest.to_vec(),
        1 => [&[2, 3, 252, 255, 0, 0][..], rest].concat(),
        _ => [&[2, 1, 0, 0][..], &frame(rest)].concat(),
    };
    let Ok(payload) = Payload::parse(&body) else {
        return;
    };
    let Ok(mut inner) = payload.events(payload.data) else {
        return;
    };
    let mut end = 0;
    let mut unfolded = Vec::new();
    while let Ok(Some(event)) = inner.next_event() {
        assert_eq!(event.offset, end, "one after the other");
        end = event.end();
        parse_body(&event);
        if unfolded.len() < 1 << 20 {
            unfolded.extend_from_slice(event.bytes);
        }
    }
    assert!(inner.next_event().is_ok_and(|event| event.is_none()), "it ends");
    if switch % 3 != 0 {
        assert!(rest.starts_with(&unfolded[..unfolded.len().min(rest.len())]));
    }
}

/// A frame of zstd (RFC 8878) of raw blocks.
fn frame(content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64 << 10;
    // Magic; no content size, no checksum; a window of 128 KiB.
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 7 << 3];
    let blocks: Vec<_> = content.chunks(BLOCK).collect();
    for (index, block) in blocks.iter().enumerate() {
        let is_last = u32::from(index + 1 == blocks.len());
        let head = (block.len() as u32) << 3 | is_last;
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    if blocks.is_empty() {
        frame.extend_from_slice(&[1, 0, 0]);
    }
    frame
}
