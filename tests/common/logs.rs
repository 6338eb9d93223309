//! Plaintext logs for tests and measurements, made from real ones.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::event::event_type;
use binlogsec_core::event::walker::Events;

/// Offset and length of each event of a plaintext log.
pub(crate) fn events(plain: &[u8]) -> Vec<(usize, usize, u8)> {
    Events::new(&plain[4..], 4, ChecksumAlgorithm::None)
        .map(|event| event.unwrap())
        .map(|event| (event.offset as usize, event.bytes.len(), event.header.event_type))
        .collect()
}

/// Appends an event as it would stand at the end of `log`: end position and checksum made anew.
pub(crate) fn append(log: &mut Vec<u8>, event: &[u8]) {
    let start = log.len();
    log.extend_from_slice(event);
    let end = (log.len() as u64) as u32;
    log[start + 13..start + 17].copy_from_slice(&end.to_le_bytes());
    let sum_at = log.len() - 4;
    let sum = crc32fast::hash(&log[start..sum_at]);
    log[sum_at..].copy_from_slice(&sum.to_le_bytes());
}

/// A log of at least `size` bytes: the transactions of a real one with CRC-32, over and over, each
/// time with new transaction numbers.
pub(crate) fn grow(plain: &[u8], size: usize) -> Vec<u8> {
    let mut log = Vec::with_capacity(size + plain.len());
    log.extend_from_slice(&plain[..4]);
    let all = events(plain);
    let is_head =
        |kind| matches!(kind, event_type::FORMAT_DESCRIPTION | event_type::PREVIOUS_GTIDS);
    for &(offset, length, kind) in all.iter().filter(|(_, _, kind)| is_head(*kind)) {
        let _ = kind;
        log.extend_from_slice(&plain[offset..offset + length]);
    }
    // Not in use: it is whole.
    log[21] &= !1;
    let mut number = 1_000_000_u64;
    while log.len() < size {
        for &(offset, length, kind) in &all {
            if is_head(kind) || matches!(kind, event_type::ROTATE | event_type::STOP) {
                continue;
            }
            let mut event = plain[offset..offset + length].to_vec();
            if kind == event_type::GTID {
                number += 1;
                event[36..44].copy_from_slice(&number.to_le_bytes());
            }
            append(&mut log, &event);
        }
    }
    if let Some(&(offset, length, _)) = all.iter().find(|(_, _, kind)| *kind == event_type::ROTATE)
    {
        append(&mut log, &plain[offset..offset + length]);
    }
    log
}
