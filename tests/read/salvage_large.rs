//! What large logs, large events and noise cost, and that every piece of them comes to its place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::time::{Duration, Instant};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::read::salvage::SalvageOptions;

use crate::common::{logs, mixed_keyring};
use crate::salvage_transactions::{encrypted, every_event, plain, salvaged};

const QUERY: u8 = 2;
const ROWS_QUERY: u8 = 29;

#[test]
fn a_cut_tail_noise_and_forged_headers_cost_no_more_than_a_pass() {
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let original = plain("binlog.000003");
    let far = SalvageOptions { max_shift: 65_536, ..SalvageOptions::default() };
    let mut noise = Vec::new();
    let mut state = 7_u64;
    while noise.len() < 1 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.extend((state >> 24).to_le_bytes());
    }
    // Headers of events that end where they say, each of which reaches far.
    let mut forged = original.clone();
    let end = 1_000_000_u32;
    while forged.len() < 900_000 {
        let at = forged.len() as u32;
        let mut header = original[300..319].to_vec();
        header[4] = QUERY;
        header[9..13].copy_from_slice(&(end - at).to_le_bytes());
        header[13..17].copy_from_slice(&end.to_le_bytes());
        header[17..19].fill(0);
        forged.extend(header);
    }
    forged.resize(1_000_000, 7);
    let whole = encrypted(&original);
    let cases = [
        ("cut", whole[..60_000].to_vec()),
        ("noise", [whole.as_slice(), &noise].concat()),
        ("forged", forged.clone()),
        ("forged, encrypted", encrypted(&forged)),
    ];
    for (name, bytes) in cases {
        let started = Instant::now();
        let (found, saved) = salvaged(&bytes, &keys, &far);
        let time = started.elapsed();
        println!("{name}: {time:?}, {} alignments", found.shifts_tried);
        assert!(name == "cut" || saved.len() == original.len(), "{name}");
        assert!(time < Duration::from_secs(8), "{name}: {time:?}");
    }
}

/// Bytes are missing within an event that is larger than any window in which alignments are tried.
#[test]
fn bytes_missing_in_a_large_event_cost_that_event() {
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let original = plain("binlog.000003");
    let mut log = original[..4].to_vec();
    let mut large = 0..0;
    for (index, (offset, length, _)) in logs::events(&original).into_iter().enumerate() {
        if index == 0 {
            log.extend(&original[offset..offset + length]);
            continue;
        }
        logs::append(&mut log, &original[offset..offset + length]);
        if index == 40 {
            let mut event: Vec<u8> =
                (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
            event[..19].copy_from_slice(&original[offset..offset + 19]);
            event[4] = ROWS_QUERY;
            event[9..13].copy_from_slice(&3_000_000_u32.to_le_bytes());
            let start = log.len();
            logs::append(&mut log, &event);
            large = start..log.len();
        }
    }
    log[21] &= !1;
    let expected = [&log[..large.start], &log[large.end..]].concat();
    for shift in [-3000_i64, -1, 1, 512, 4096] {
        let mut stored = encrypted(&log);
        let at = 512 + large.start + 1_500_000;
        if shift > 0 {
            stored.drain(at..at + usize::try_from(shift).unwrap());
        } else {
            let junk = vec![0x11; shift.unsigned_abs() as usize];
            stored.splice(at..at, junk);
        }
        let (found, saved) = salvaged(&stored, &keys, &every_event());
        assert!(saved == expected, "{shift}: {} {}", saved.len(), expected.len());
        assert_eq!(found.gaps.len(), 1, "{shift}");
        assert_eq!(found.gaps[0].shift, shift);
    }
}

/// The output is written by several threads while the walk goes on.
#[test]
fn of_a_large_log_every_piece_comes_to_its_place() {
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let mut log = logs::grow(&plain("binlog.000003"), 40 << 20);
    log[21] &= !1;
    let mut expected: Vec<u8> = Vec::new();
    let mut damaged = log.clone();
    let mut next_hit = 300_000;
    for (offset, length, _) in logs::events(&log) {
        if offset > next_hit {
            damaged[offset + length / 2] ^= 4;
            next_hit += 700_000;
        } else {
            expected.extend(&log[offset..offset + length]);
        }
    }
    for (stored, name) in [(damaged.clone(), "plaintext"), (encrypted(&damaged), "encrypted")] {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (found, saved) = pool.install(|| salvaged(&stored, &keys, &every_event()));
            assert!(saved[..4] == log[..4] && saved[4..] == expected, "{name}, {threads}");
            assert_eq!(found.written, saved.len() as u64, "{name}, {threads}");
            assert!(found.gaps.len() > 50, "{name}: {}", found.gaps.len());
        }
    }
}
