//! Damages that cancel each other out: behind them all stands again where it was written, between them
//! nothing does. `salvage` keeps what is whole there, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::ops::Range;

use binlogsec_core::keyring::Keyring;

use crate::common::{logs as logs_of, mixed, mixed_keyring, plaintext};
use crate::salvage_property::{Log, Random, judge, logs};
use crate::salvage_transactions::{every_event, salvaged};

/// What a damaged file has: parts of the log, or bytes that are none of it.
enum Part {
    OfLog(Range<usize>),
    Noise(usize),
}

/// The file of such parts, and the events that stand in it byte for byte, in their order there.
fn put_together(log: &Log, parts: &[Part], random: &mut Random) -> (Vec<u8>, Vec<usize>) {
    let mut stored = Vec::new();
    // Where what was between two offsets of the log begins in the file.
    let mut runs = vec![(0, 0..log.stored.len())];
    for part in parts {
        match part {
            Part::OfLog(range) => {
                runs.push((stored.len(), range.clone()));
                stored.extend(&log.stored[range.clone()]);
            }
            Part::Noise(length) => stored.extend((0..*length).map(|_| random.next() as u8)),
        }
    }
    let mut survivors = Vec::new();
    for (index, &(offset, length)) in log.events.iter().enumerate() {
        let (start, end) = (log.body + offset, log.body + offset + length);
        let run = runs.iter().find(|(at, run)| {
            let is_within = run.start <= start && end <= run.end;
            is_within && stored[at + start - run.start..][..length] == log.stored[start..end]
        });
        survivors.extend(run.map(|(at, run)| (at + start - run.start, index)));
    }
    survivors.sort_unstable();
    (stored, survivors.into_iter().map(|(_, index)| index).collect())
}

/// Two neighbouring blocks, the second one before the first.
fn swapped(log: &Log, (start, length): (usize, usize)) -> Vec<Part> {
    let (middle, end) = (start + length, start + 2 * length);
    let parts = [0..start, middle..end, start..middle, end..log.stored.len()];
    parts.map(Part::OfLog).into()
}

/// Bytes missing and as many put in further on, or the other way round.
fn made_up_for(
    log: &Log,
    (start, length): (usize, usize),
    distance: usize,
    is_missing: bool,
) -> Vec<Part> {
    let (end, all) = (start + distance, log.stored.len());
    if is_missing {
        let between = Part::OfLog(start + length..end);
        vec![Part::OfLog(0..start), between, Part::Noise(length), Part::OfLog(end..all)]
    } else {
        let between = Part::OfLog(start..end - length);
        vec![Part::OfLog(0..start), Part::Noise(length), between, Part::OfLog(end..all)]
    }
}

/// Damages logs that are wanted, each in a way that leaves what stands behind in its place.
fn run(is_wanted: impl Fn(&Log) -> bool, seed: u64, is_swap: bool) {
    let scratch = tempfile::tempdir().unwrap();
    let wanted = |log: &Log| log.has_checksums && is_wanted(log);
    let logs: Vec<Log> = logs().into_iter().filter(wanted).collect();
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |number| number.parse().unwrap())
    };
    let damages = number("BINLOGSEC_SALVAGE_DAMAGES", 150);
    let mut random = Random(number("BINLOGSEC_SALVAGE_SEED", seed));
    let (mut failures, mut done) = (Vec::new(), 0);
    while done < damages {
        let log = &logs[random.below(logs.len())];
        // Behind the beginning, so that there is something to read the log by.
        let head = log.body + log.nonce.map_or(log.events[0].0 + log.events[0].1, |at| at + 40);
        let length = if is_swap { 512 + random.below(7681) } else { 1 + random.below(4096) };
        // Most files lose blocks of whole sectors.
        let length = if is_swap && random.below(2) == 0 { length / 512 * 512 } else { length };
        let distance = if is_swap { 2 * length } else { length + 512 + random.below(15_873) };
        if head + distance >= log.stored.len() {
            continue;
        }
        let start = head + random.below(log.stored.len() - head - distance);
        let (parts, damage) = if is_swap {
            (swapped(log, (start, length)), format!("swapped at {start}, {length} bytes each"))
        } else {
            let is_missing = random.below(2) == 0;
            let what = if is_missing { "missing" } else { "put in" };
            let damage = format!("{length} bytes {what} at {start}, made up for {distance} behind");
            (made_up_for(log, (start, length), distance, is_missing), damage)
        };
        let (stored, survivors) = put_together(log, &parts, &mut random);
        failures.extend(judge(log, &damage, (&stored, &survivors), scratch.path()).err());
        done += 1;
    }
    let shown: Vec<_> = failures.iter().take(40).cloned().collect();
    let count = failures.len();
    println!("{done} damages to {} logs, {count} cost too much", logs.len());
    assert!(failures.is_empty(), "{count} of {done}:\n{}", shown.join("\n"));
}

const fn is_mysql_encrypted(log: &Log) -> bool {
    log.is_encrypted && log.nonce.is_none()
}

const fn is_mariadb_encrypted(log: &Log) -> bool {
    log.nonce.is_some()
}

#[test]
fn swapped_blocks_of_plaintext_logs_cost_the_events_over_their_borders() {
    run(|log| !log.is_encrypted, 21, true);
}

#[test]
fn swapped_blocks_of_encrypted_logs_of_mysql_cost_the_events_over_their_borders() {
    run(is_mysql_encrypted, 22, true);
}

#[test]
fn swapped_blocks_of_encrypted_logs_of_mariadb_cost_the_events_over_their_borders() {
    run(is_mariadb_encrypted, 23, true);
}

#[test]
fn of_plaintext_logs_bytes_missing_and_as_many_put_in_cost_what_they_hit() {
    run(|log| !log.is_encrypted, 24, false);
}

#[test]
fn of_encrypted_logs_of_mysql_bytes_missing_and_as_many_put_in_cost_what_they_hit() {
    run(is_mysql_encrypted, 25, false);
}

#[test]
fn of_encrypted_logs_of_mariadb_bytes_missing_and_as_many_put_in_cost_what_they_hit() {
    run(is_mariadb_encrypted, 26, false);
}

/// A value of a row may hold a log: of the same server, of the same time, at positions near by. Where the
/// event is hit that holds it, its events are none of this log.
#[test]
fn events_that_stand_in_the_body_of_a_damaged_one_are_no_moved_ones() {
    const UNKNOWN: u8 = 100;
    let plain = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let events = logs_of::events(&plain);
    let piece = |range: Range<usize>| &plain[events[range.start].0..events[range.end].0];
    // Where the event is put in, and which events it holds: those before it, those behind it, the first.
    for (at, held) in [(60, 45..58), (60, 60..72), (30, 60..80), (70, 2..20), (40, 39..44)] {
        let mut log = plain[..4].to_vec();
        let mut hit = 0;
        for (index, &(offset, length, _)) in events.iter().enumerate() {
            if index == at {
                hit = log.len();
                let mut event = plain[offset..offset + 19].to_vec();
                event[4] = UNKNOWN;
                event.extend(piece(held.clone()));
                event.extend([0; 4]);
                let total = u32::try_from(event.len()).unwrap();
                event[9..13].copy_from_slice(&total.to_le_bytes());
                logs_of::append(&mut log, &event);
            }
            logs_of::append(&mut log, &plain[offset..offset + length]);
        }
        log[21] &= !1;
        let length = u32::from_le_bytes(log[hit + 9..hit + 13].try_into().unwrap()) as usize;
        let whole = [&log[..hit], &log[hit + length..]].concat();
        for bit in [hit + 25, hit + length / 2, hit + length - 6] {
            let mut damaged = log.clone();
            damaged[bit] ^= 4;
            let (found, saved) = salvaged(&damaged, &Keyring::new(), &every_event());
            assert_eq!(found.lost, length as u64, "{held:?} before {at}, {bit}: {found:?}");
            assert!(saved == whole, "{held:?} before {at}, {bit}");
        }
    }
}
