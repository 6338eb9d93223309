//! `salvage` on MariaDB's encrypted logs: a damaged length, which is in clear and unprotected, costs
//! its own event and no other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

use crate::common;

use std::path::Path;
use std::time::{Duration, Instant};

use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::{Keyring, MariadbOptions};
use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::log::walk::{Depth, Walker};
use binlogsec_core::mariadb::key_file::Unlock;
use binlogsec_core::read::salvage::{SalvageOptions, Salvaged, salvage};
use common::scenarios;

struct Log {
    name: String,
    stored: Vec<u8>,
    plain: Vec<u8>,
    keys: Keyring,
    /// Offset and length of each encrypted event.
    events: Vec<(usize, usize)>,
    first_event: usize,
    /// Whether nothing but types and flags tells an event from other bytes.
    is_weak: bool,
}

impl Log {
    /// Where the event before one of the encrypted events starts; before the first one, the event
    /// that starts encryption.
    fn start_of_previous(&self, index: usize) -> usize {
        let first = self.first_event - if self.is_weak { 36 } else { 40 };
        index.checked_sub(1).map_or(first, |index| self.events[index].0)
    }
}

/// Whole encrypted logs of the fixtures and the corpus whose keys are in files.
fn logs() -> Vec<Log> {
    let mut logs = Vec::new();
    for (directory, manifest) in scenarios("mariadb-10.11") {
        let files = manifest["key_files"].as_array().cloned();
        let files = files.unwrap_or_default();
        let password = files.iter().find_map(|file| file["password"].as_str());
        for entry in manifest["logs"].as_array().cloned().unwrap_or_default() {
            let path = directory.join(entry["file"].as_str().unwrap());
            let has_keys = !files.is_empty() && files.iter().all(|file| file["file"].is_string());
            if entry["encrypted"] != true || !has_keys || !path.is_file() {
                continue;
            }
            let mut keys = Keyring::new();
            keys.set_mariadb_options(MariadbOptions {
                unlock: password.map(|password| Unlock::new(password.as_bytes())),
                ..MariadbOptions::default()
            });
            for file in &files {
                keys.add_file(directory.join(file["file"].as_str().unwrap())).unwrap();
            }
            logs.extend(log(&path, keys));
        }
    }
    logs
}

fn log(path: &Path, keys: Keyring) -> Option<Log> {
    let opened = OpenLog::open(path, &keys).unwrap();
    let mut walker = Walker::new(&opened, Depth::Headers);
    let (mut events, mut is_weak) = (Vec::new(), false);
    while let Ok(Some(event)) = walker.next_event() {
        let length = event.header.length as usize;
        events.push((event.offset as usize, length));
        is_weak |= event.header.has(0x40) && event.checksum == ChecksumAlgorithm::None;
    }
    is_weak = is_weak
        || path.to_string_lossy().contains("relay") && walker.checksum() == ChecksumAlgorithm::None;
    let plain = common_plain(&opened);
    let stored = std::fs::read(path).unwrap();
    let start = opened.probe().per_event().unwrap().layout().first_event as usize;
    let ends = events.last().map(|(at, length)| at + length);
    // Without the end of a crash, for which `salvage` has tests of its own.
    (ends == Some(stored.len())).then(|| Log {
        name: path.display().to_string(),
        stored,
        plain,
        keys,
        first_event: start,
        events: events.into_iter().filter(|(at, _)| *at >= start).collect(),
        is_weak,
    })
}

fn common_plain(log: &OpenLog) -> Vec<u8> {
    let mut plain = vec![0; usize::try_from(log.plain_length()).unwrap()];
    assert_eq!(log.read_at(0, &mut plain).unwrap(), plain.len());
    plain
}

fn saved(log: &Log, stored: &[u8], scratch: &Path) -> (Vec<u8>, Salvaged) {
    try_saved(log, stored, scratch).unwrap_or_else(|error| panic!("{}: {error:?}", log.name))
}

fn try_saved(log: &Log, stored: &[u8], scratch: &Path) -> Result<(Vec<u8>, Salvaged), Error> {
    let (path, target) = (scratch.join("log"), scratch.join("saved"));
    std::fs::write(&path, stored).unwrap();
    let source = FileSource::open(&path).unwrap();
    let sink = SinkOptions { force: true, ..SinkOptions::default() };
    let options = SalvageOptions::default();
    let salvaged = salvage(&source, &target, sink, &log.keys, &options, &NoProgress)?;
    Ok((std::fs::read(&target).unwrap(), salvaged))
}

fn set_length(stored: &mut [u8], event: usize, length: usize) {
    let length = u32::try_from(length).unwrap().to_le_bytes();
    stored[event + 9..event + 13].copy_from_slice(&length);
}

#[test]
fn a_damaged_length_costs_its_own_event_and_no_other() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut damages, mut weak, mut doubted, mut ambiguous) = (0, 0, 0, 0);
    for log in logs() {
        weak += usize::from(log.is_weak);
        let count = log.events.len();
        let picked = [0, 1, count / 3, count / 2, count.saturating_sub(2)];
        for (turn, &index) in picked.iter().enumerate() {
            let Some(&(at, length)) = log.events.get(index) else {
                continue;
            };
            // The last event of all is found by nothing if it stands alone.
            if count < 7 || index + 1 >= count {
                continue;
            }
            let next = log.events[index + 1].1;
            let lengths = [0, 7, length + 1, length - 1, 0x7FFF_FFFF, length + next, 19];
            for (number, wrong) in lengths.into_iter().enumerate() {
                let is_swallowed = log.is_weak && wrong == length + next;
                if number % 2 != turn % 2 || wrong == length || is_swallowed {
                    continue;
                }
                let mut stored = log.stored.clone();
                set_length(&mut stored, at, wrong);
                let (found, salvaged) = match try_saved(&log, &stored, scratch.path()) {
                    Ok(saved) => saved,
                    // With no checksum before the damage, the few events there fit several ciphers.
                    Err(Error::Log { source, .. })
                        if log.name.contains("-none")
                            && format!("{source:?}").contains("Ambiguous") =>
                    {
                        ambiguous += 1;
                        continue;
                    }
                    Err(error) => panic!("{}: {error:?}", log.name),
                };
                // Without checksums and positions only the neighbour confirms an event.
                let before = log.plain[..at].len() - log.start_of_previous(index);
                if log.is_weak && salvaged.lost == (length + before) as u64 {
                    doubted += 1;
                    continue;
                }
                let mut expected = [&log.plain[..at], &log.plain[at + length..]].concat();
                // What was saved is closed.
                expected[21] &= !1;
                assert!(
                    found == expected,
                    "{}: {length} at {at} became {wrong}: {} of {} bytes, {:?}",
                    log.name,
                    found.len(),
                    expected.len(),
                    salvaged.gaps
                );
                assert_eq!(salvaged.lost, length as u64);
                damages += 1;
            }
        }
    }
    println!(
        "{damages} damaged lengths; {weak} logs with neither checksums nor positions, {doubted} neighbours lost there; {ambiguous} times the cipher could not be told"
    );
    assert!(damages > 15 && ambiguous * 10 < damages);
}

/// Every fourth byte could begin an event, and none does.
#[test]
fn a_log_of_nothing_but_lengths_is_given_up_soon() {
    let scratch = tempfile::tempdir().unwrap();
    let log = &logs()[0];
    let mut stored = log.stored[..log.first_event].to_vec();
    stored.extend(0x4000_u32.to_le_bytes().repeat(200_000));
    let started = Instant::now();
    let error = try_saved(log, &stored, scratch.path()).unwrap_err();
    println!("{} bytes in {:?}", stored.len(), started.elapsed());
    assert!(format!("{error:?}").contains("WrongKey"), "{error:?}");
    // Minutes, where what begins like no event is deciphered to its end.
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn many_damages_cost_no_more_than_one_pass() {
    let scratch = tempfile::tempdir().unwrap();
    let log = logs().into_iter().max_by_key(|log| log.stored.len());
    let log = log.unwrap();
    let mut stored = log.stored.clone();
    let mut expected = log.plain[..log.events[0].0].to_vec();
    let mut lost = 0;
    for (index, &(at, length)) in log.events.iter().enumerate() {
        if index % 3 == 1 && index + 1 < log.events.len() {
            set_length(&mut stored, at, 0x00FF_FFFF);
            lost += length as u64;
        } else {
            expected.extend(&log.plain[at..at + length]);
        }
    }
    let timed = |stored: &[u8]| {
        let started = Instant::now();
        (saved(&log, stored, scratch.path()), started.elapsed())
    };
    let (_, undamaged) = timed(&log.stored);
    let ((found, salvaged), time) = timed(&stored);
    println!("{}: {} bytes in {time:?}, {undamaged:?} without damages", log.name, stored.len());
    assert!(found == expected, "{} {}", found.len(), expected.len());
    assert_eq!(salvaged.lost, lost);
    // A pass for each damage would be hundreds of them.
    assert!(time < Duration::from_secs(60).max(undamaged * 100));
}
