//! Whatever happens to one part of a log, `salvage` keeps every event that is whole, in order, and
//! invents none. Checked on all kinds of logs that servers wrote, against a list of the events that
//! lengths alone give.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use crate::common;

use std::path::Path;

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::{Keyring, MariadbOptions};
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::mariadb::key_file::Unlock;
use binlogsec_core::read::salvage::{SalvageOptions, salvage};
use common::scenarios;

/// As many damages as the run has, unless `BINLOGSEC_SALVAGE_DAMAGES` says otherwise.
const DAMAGES: usize = 3200;
/// Larger logs take a long time each.
const LARGEST: u64 = 420_000;

pub(crate) struct Log {
    pub(crate) name: String,
    pub(crate) stored: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    keys: Keyring,
    /// Where the plaintext starts in the file.
    pub(crate) body: usize,
    /// Offset and length of each event, in the plaintext.
    pub(crate) events: Vec<(usize, usize)>,
    /// For MariaDB's encrypted logs, where the event stands that has the nonce.
    pub(crate) nonce: Option<usize>,
    pub(crate) has_checksums: bool,
    pub(crate) is_encrypted: bool,
    is_relay: bool,
}

/// One of a series of numbers that look random, the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        mixed ^ (mixed >> 33)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// All logs of the fixtures and the corpus, MySQL's and MariaDB's, as they are, and what of them is
/// encrypted as plaintext, too.
pub(crate) fn logs() -> Vec<Log> {
    let mut logs = Vec::new();
    for (directory, manifest) in scenarios("mysql-9.7") {
        for entry in manifest["files"].as_array().unwrap() {
            if ["binlog", "relaylog"].contains(&entry["kind"].as_str().unwrap())
                && entry["size"].as_u64() < Some(LARGEST)
            {
                let path = directory.join(entry["name"].as_str().unwrap());
                let keyring = directory.join("component_keyring_file");
                logs.extend(log(&path, || Keyring::open(&keyring).unwrap()));
            }
        }
    }
    for (directory, manifest) in scenarios("mariadb-10.11") {
        let files = manifest["key_files"].as_array().cloned();
        let files = files.unwrap_or_default();
        let password = files.iter().find_map(|file| file["password"].as_str());
        let keys = || {
            let mut keys = Keyring::new();
            keys.set_mariadb_options(MariadbOptions {
                unlock: password.map(|password| Unlock::new(password.as_bytes())),
                ..MariadbOptions::default()
            });
            for file in files.iter().filter_map(|file| file["file"].as_str()) {
                keys.add_file(directory.join(file)).unwrap();
            }
            keys
        };
        for entry in manifest["logs"].as_array().cloned().unwrap_or_default() {
            let path = directory.join(entry["file"].as_str().unwrap());
            if std::fs::metadata(&path).is_ok_and(|file| file.len() < LARGEST) {
                logs.extend(log(&path, keys));
            }
        }
    }
    logs
}

fn log(path: &Path, keys: impl Fn() -> Keyring) -> Vec<Log> {
    // A log whose key is in no file is no subject of this.
    let Ok(opened) = OpenLog::open(path, &keys()) else {
        return Vec::new();
    };
    let mut plain = vec![0; usize::try_from(opened.plain_length()).unwrap()];
    assert_eq!(opened.read_at(0, &mut plain).unwrap(), plain.len());
    let mut events = Vec::new();
    let mut at = 4;
    while at + 19 <= plain.len() {
        let length = u32::from_le_bytes(plain[at + 9..at + 13].try_into().unwrap()) as usize;
        if length < 19 || at + length > plain.len() {
            break;
        }
        events.push((at, length));
        at += length;
    }
    let body = match opened.kind() {
        LogKind::MysqlEncrypted(_) => 512,
        _ => 0,
    };
    let mut stored = std::fs::read(path).unwrap();
    // Without what a crash left of an event.
    stored.truncate(at + body);
    plain.truncate(at);
    let description = opened.probe().description().unwrap().clone();
    let nonce = opened.probe().per_event();
    let nonce = nonce.map(|log| usize::try_from(log.layout().start_offset).unwrap());
    let has_checksums = description.checksum.to_string() == "CRC32";
    let is_encrypted = stored != plain;
    // A source may write other checksums than its replica.
    let is_mixed = events.iter().any(|&(at, length)| {
        is_summed(&plain[at..at + length]) != has_checksums && plain[at + 4] != 15
    });
    if is_mixed {
        println!("left out, as its checksums change: {}", path.display());
        return Vec::new();
    }
    let make = |stored: Vec<u8>, body, nonce, is_encrypted, name: &str| Log {
        name: format!("{} ({name})", path.display()),
        stored,
        plain: plain.clone(),
        keys: keys(),
        body,
        events: events.clone(),
        nonce,
        has_checksums,
        is_encrypted,
        is_relay: description.is_relay_log(),
    };
    let mut logs = vec![make(stored, body, nonce, is_encrypted, "as it is")];
    if is_encrypted {
        logs.push(make(plain.clone(), 0, None, false, "plaintext"));
    }
    logs
}

fn is_summed(event: &[u8]) -> bool {
    let (summed, sum) = event.split_last_chunk::<4>().unwrap();
    let mut summed = summed.to_vec();
    if event[4] == 15 {
        summed[17] &= !1;
    }
    crc32fast::hash(&summed) == u32::from_le_bytes(*sum)
}

/// What was done to a log: bytes were changed, or cut out, or put in.
#[derive(Debug, Clone)]
enum Damage {
    Bit { at: usize, bit: usize },
    Overwritten { at: usize, length: usize, fill: Option<u8> },
    Missing { at: usize, length: usize },
    Inserted { at: usize, length: usize },
}

impl Damage {
    /// A damage that hits an event, or starts in it.
    fn new(log: &Log, index: usize, random: &mut Random) -> Self {
        let (offset, length) = log.events[index];
        let start = log.body + offset;
        let at = start + random.below(length);
        let left = log.stored.len() - at;
        match random.below(5) {
            0 | 1 => Self::Bit { at, bit: random.below(8) },
            2 => Self::Overwritten {
                at: start,
                length,
                fill: [None, Some(0), Some(0xFF)][random.below(3)],
            },
            3 if random.below(2) == 0 => Self::Overwritten {
                at,
                length: (1 + random.below(8192)).min(left),
                fill: [None, Some(0)][random.below(2)],
            },
            3 => Self::Missing { at, length: (1 + random.below(4096)).min(left) },
            _ if random.below(2) == 0 => {
                Self::Missing { at, length: [1, 2, 16, 512, 4096][random.below(5)].min(left) }
            }
            _ => Self::Inserted { at, length: 1 + random.below(4096) },
        }
    }

    fn apply(&self, stored: &[u8], random: &mut Random) -> Vec<u8> {
        let mut damaged = stored.to_vec();
        match *self {
            Self::Bit { at, bit } => damaged[at] ^= 1 << bit,
            Self::Overwritten { at, length, fill } => {
                for byte in &mut damaged[at..at + length] {
                    *byte = fill.unwrap_or_else(|| random.next() as u8);
                }
            }
            Self::Missing { at, length } => drop(damaged.drain(at..at + length)),
            Self::Inserted { at, length } => {
                let junk: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                drop(damaged.splice(at..at, junk));
            }
        }
        damaged
    }

    /// The bytes of the log as it was that are not there any more, or not in one piece.
    const fn hit(&self) -> (usize, usize) {
        match *self {
            Self::Bit { at, .. } => (at, at + 1),
            Self::Overwritten { at, length, .. } | Self::Missing { at, length } => {
                (at, at + length)
            }
            Self::Inserted { at, .. } => (at, at),
        }
    }
}

/// Which events are still there, byte for byte: where they stood, or as far from there as bytes are
/// missing or were put in.
fn survivors(log: &Log, damaged: &[u8], damage: &Damage) -> Vec<usize> {
    let moved = damaged.len() as i64 - log.stored.len() as i64;
    let (from, _) = damage.hit();
    let is_there = |&index: &usize| {
        let (offset, length) = log.events[index];
        let start = log.body + offset;
        let event = &log.stored[start..start + length];
        let at_place = |place: i64| {
            let place = usize::try_from(place).ok();
            let bytes = place.and_then(|place| damaged.get(place..place + length));
            bytes == Some(event)
        };
        let start = start as i64;
        (start < from as i64 && at_place(start))
            || (start >= from as i64 && at_place(start + moved))
    };
    (0..log.events.len()).filter(is_there).collect()
}

/// The plaintext that is to be had: its head, and every event that is still there, in the order in which
/// they stand in the file.
fn expected(log: &Log, survivors: &[usize]) -> Vec<u8> {
    let mut expected = log.plain[..4].to_vec();
    let others = survivors.iter().copied().filter(|index| *index > 0);
    for (offset, length) in std::iter::once(0).chain(others).map(|index| log.events[index]) {
        expected.extend(&log.plain[offset..offset + length]);
    }
    expected[21] &= !1;
    expected
}

/// Whether an event is one that the log had, its body aside.
fn is_of(hit: &[u8], other: &[u8]) -> bool {
    let head = |event: &[u8]| [&event[..9], &event[13..19]].concat();
    hit.len() == other.len() || head(hit) == head(other)
}

/// Without checksums a change within an event is not found, and whether an event or the one beside
/// it is damaged cannot always be told: of two that disagree neither has a proof. So one event beside
/// the damage may be missing. Every other one that is still there is kept, in order; and what else
/// there is are events that the damage hit, which still have their length, or all but their length.
fn in_structure(log: &Log, saved: &[u8], survivors: &[usize]) -> Result<(), String> {
    let found: Vec<&[u8]> = common::logs::events(saved)
        .into_iter()
        .map(|(offset, length, _)| &saved[offset..offset + length])
        .collect();
    let mut rest = found.iter();
    let (mut others, mut missing) = (Vec::<&&[u8]>::new(), Vec::new());
    for &index in survivors.iter().filter(|index| **index > 0) {
        let (offset, length) = log.events[index];
        let event = &log.plain[offset..offset + length];
        let before = rest.clone().position(|other| *other == event);
        let Some(before) = before else {
            missing.push(offset);
            continue;
        };
        others.extend(rest.by_ref().take(before));
        rest.next();
    }
    others.extend(rest);
    let hit = (0..log.events.len()).filter(|index| *index == 0 || !survivors.contains(index));
    let mut hit = hit.map(|index| {
        let (offset, length) = log.events[index];
        &log.plain[offset..offset + length]
    });
    // In order, and each of another event of the log.
    let invented = others.iter().filter(|other| !hit.any(|hit| is_of(hit, other))).count();
    if invented > 0 || others.len() > 3 || missing.len() > 1 {
        let others = others.len();
        return Err(format!(
            "{others} other events, of which the log had {invented} never, the events at {missing:?} are missing"
        ));
    }
    Ok(())
}

/// Whether what could be kept was kept. `Err` says what was not.
fn check(log: &Log, damage: &Damage, random: &mut Random, scratch: &Path) -> Result<(), String> {
    let stored = damage.apply(&log.stored, random);
    let survivors = survivors(log, &stored, damage);
    judge(log, &format!("{damage:?}"), (&stored, &survivors), scratch)
}

pub(crate) fn judge(
    log: &Log,
    damage: &str,
    (stored, survivors): (&[u8], &[usize]),
    scratch: &Path,
) -> Result<(), String> {
    let (first, length) = log.events[0];
    let (path, target) = (scratch.join("log"), scratch.join("saved"));
    std::fs::write(&path, stored).unwrap();
    let source = FileSource::open(&path).unwrap();
    let sink = SinkOptions { force: true, ..SinkOptions::default() };
    let is_head_hit = !survivors.contains(&0);
    let options = SalvageOptions {
        max_shift: 8192,
        description: is_head_hit.then(|| log.plain[first..first + length].to_vec()),
        ..SalvageOptions::default()
    };
    let say = |what: &str| format!("{}: {damage}: {what}", log.name);
    let outcome = salvage(&source, &target, sink, &log.keys, &options, &NoProgress);
    // Nothing that is whole proves that the log can be read: in MariaDB's an encrypted event.
    let start = log.nonce.unwrap_or(0);
    let is_lost = !survivors.iter().any(|&index| {
        let (offset, _) = log.events[index];
        offset > start && index > 0
    });
    // Nor do a few events of a relay log, which has neither checksums nor positions of its own: noise
    // looks like three events in a row often enough, so that behind a damage it takes four.
    let others = survivors.iter().filter(|index| **index > 0).count();
    let is_unproven = !log.has_checksums && log.is_relay && others <= 3;
    if (is_lost || is_unproven) && outcome.is_err() {
        return Ok(());
    }
    outcome.map_err(|error| say(&format!("{error:?}")))?;
    let saved = std::fs::read(&target).unwrap();
    if !log.has_checksums {
        return in_structure(log, &saved, survivors).map_err(|what| say(&what));
    }
    let expected = expected(log, survivors);
    if saved != expected {
        if let Some(folder) = std::env::var_os("BINLOGSEC_SALVAGE_FAILURES") {
            let name = format!("{}-{}", stored.len(), saved.len());
            std::fs::write(Path::new(&folder).join(&name), stored).unwrap();
            std::fs::write(Path::new(&folder).join(name + ".saved"), &saved).unwrap();
        }
        let first = saved.iter().zip(&expected).position(|(a, b)| a != b);
        let (saved, expected) = (saved.len(), expected.len());
        return Err(say(&format!(
            "{saved} of {expected} bytes, the first difference at {first:?}"
        )));
    }
    Ok(())
}

/// Whether a damage leaves too little to tell: the nonce is gone, without which nothing of the log
/// can be read.
fn is_fatal(log: &Log, damage: &Damage) -> bool {
    let (from, to) = damage.hit();
    let hits = |start: usize, end: usize| from < end && to.max(from + 1) > start;
    // Which bit of it is wrong tells a checksum, and nothing else: in CBC mode a bit of the nonce is
    // a bit of each event's first block, as of its time, that any value would do for.
    let is_bit = matches!(damage, Damage::Bit { .. }) && log.has_checksums;
    log.nonce.is_some_and(|start| hits(start, start + 40) && !is_bit)
}

/// Runs damages of any kind on the logs that are wanted.
fn run(damages: usize, is_wanted: impl Fn(&Log) -> bool, seed: u64) {
    run_chosen(damages, is_wanted, seed, |log, random| {
        let index = random.below(log.events.len());
        Some(Damage::new(log, index, random))
    });
}

/// Runs as many damages as wanted, as they are chosen, on logs that are wanted, and shows the first that
/// cost too much.
fn run_chosen(
    damages: usize,
    is_wanted: impl Fn(&Log) -> bool,
    seed: u64,
    mut choose: impl FnMut(&Log, &mut Random) -> Option<Damage>,
) {
    let scratch = tempfile::tempdir().unwrap();
    // Of a shorter log one event may be left alone, and nothing speaks for it under another alignment.
    const FEWEST_EVENTS: usize = 5;
    let is_long = |log: &Log| !log.has_checksums || log.events.len() >= FEWEST_EVENTS;
    let is_wanted = |log: &Log| is_long(log) && is_wanted(log);
    let logs: Vec<Log> = logs().into_iter().filter(is_wanted).collect();
    if logs.is_empty() {
        println!(
            "skipped: none of the fixtures is such a log, and no corpus is beside the checkout"
        );
        return;
    }
    let damages = std::env::var("BINLOGSEC_SALVAGE_DAMAGES")
        .map_or(damages, |number| number.parse().unwrap());
    let seed = std::env::var("BINLOGSEC_SALVAGE_SEED").map_or(seed, |seed| seed.parse().unwrap());
    let mut failures = Vec::new();
    let (mut random, mut done, mut fatal) = (Random(seed), 0, 0);
    while done < damages {
        let log = &logs[random.below(logs.len())];
        let Some(damage) = choose(log, &mut random) else { continue };
        if is_fatal(log, &damage) {
            fatal += 1;
            continue;
        }
        failures.extend(check(log, &damage, &mut random, scratch.path()).err());
        done += 1;
    }
    println!(
        "{done} damages to {} logs, {fatal} left out, {} cost too much",
        logs.len(),
        failures.len()
    );
    let shown: Vec<_> = failures.iter().take(40).cloned().collect();
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {done}:\n{}", shown.join("\n"));
}

fn is_mariadb_encrypted(log: &Log) -> bool {
    log.nonce.is_some()
}

#[test]
fn of_encrypted_logs_of_mysql_all_that_is_whole_is_kept() {
    run(DAMAGES / 4, |log| log.has_checksums && log.is_encrypted && log.nonce.is_none(), 1);
}

#[test]
fn of_plaintext_logs_all_that_is_whole_is_kept() {
    run(DAMAGES / 4, |log| log.has_checksums && !log.is_encrypted, 2);
}

#[test]
fn of_encrypted_logs_of_mariadb_all_that_is_whole_is_kept() {
    run(DAMAGES / 4, |log| log.has_checksums && is_mariadb_encrypted(log), 3);
}

#[test]
fn of_relay_logs_all_that_is_whole_is_kept() {
    run(DAMAGES / 4, |log| log.has_checksums && log.is_relay, 4);
}

#[test]
fn of_logs_without_checksums_all_that_stands_in_its_place_is_kept() {
    run(DAMAGES / 8, |log| !log.has_checksums && !log.is_relay, 5);
}

#[test]
fn of_relay_logs_without_checksums_all_that_stands_in_its_place_is_kept() {
    run(DAMAGES / 8, |log| !log.has_checksums && log.is_relay, 7);
}

/// What is missing begins where an event does, or ends there, or is as long as the events are behind
/// it, so that the damaged event's length leads to an event all the same; what is put in stands
/// between two events, or before the first one.
#[test]
fn bytes_missing_or_put_in_between_two_events_cost_no_other_event() {
    run_chosen(
        DAMAGES / 4,
        |log| log.has_checksums,
        8,
        |log, random| {
            let index = random.below(log.events.len());
            let start = |index: usize| log.body + log.events[index].0;
            let at = start(index);
            let last = (index + 1 + random.below(5)).min(log.events.len() - 1);
            let length = (start(last) - at).min(8192);
            match random.below(4) {
                _ if length == 0 => None,
                0 => Some(Damage::Missing { at, length }),
                // As long as the events behind, from within this one.
                1 => {
                    let at = at + random.below(log.events[index].1);
                    let length = start(last) - start((index + 1).min(last));
                    (1..=8192).contains(&length).then_some(Damage::Missing { at, length })
                }
                2 => Some(Damage::Missing { at: at + length / 2, length: length - length / 2 }),
                _ => Some(Damage::Inserted { at, length: 1 + random.below(4096) }),
            }
        },
    );
}

#[test]
fn damages_close_to_each_other_cost_what_they_hit() {
    let scratch = tempfile::tempdir().unwrap();
    let logs: Vec<Log> = logs().into_iter().filter(|log| log.has_checksums).collect();
    let mut random = Random(6);
    let mut failures = Vec::new();
    for _ in 0..DAMAGES / 8 {
        let log = &logs[random.below(logs.len())];
        // Behind the beginning, so that there is something to read the log by.
        let start = log.body + log.nonce.map_or(log.events[0].0 + log.events[0].1, |at| at + 40);
        if start + 64 > log.stored.len() {
            continue;
        }
        let at = start + random.below(log.stored.len() - start);
        let mut stored = log.stored.clone();
        for _ in 0..2 + random.below(3) {
            let at = (at + random.below(400)).min(stored.len() - 1);
            let length = [1, 1, 19, 200][random.below(4)].min(stored.len() - at);
            for byte in &mut stored[at..at + length] {
                *byte ^= 1 + (random.next() % 255) as u8;
            }
        }
        let is_there = |&index: &usize| {
            let (offset, length) = log.events[index];
            let place = log.body + offset..log.body + offset + length;
            stored[place.clone()] == log.stored[place]
        };
        let survivors: Vec<usize> = (0..log.events.len()).filter(is_there).collect();
        let damage = format!("several damages at {at}");
        failures.extend(judge(log, &damage, (&stored, &survivors), scratch.path()).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Two places at which bytes are missing or were put in, and what becomes of the log: each cut out, or put in
/// before what was at its offset.
fn cut_twice(
    log: &Log,
    (first, second): (usize, usize),
    random: &mut Random,
) -> (Vec<u8>, Vec<usize>) {
    let place = |index: usize, random: &mut Random| {
        let (offset, length) = log.events[index];
        log.body + offset + [0, random.below(19), random.below(length)][random.below(3)]
    };
    let size = |random: &mut Random| {
        let most = [4, 64, 600][random.below(3)];
        1 + random.below(most)
    };
    let (at, behind) = (place(first, random), place(second, random));
    let end = log.body + log.events[first].0 + log.events[first].1;
    let is_missing = random.below(2) == 0;
    let mut length = size(random);
    if is_missing {
        length = length.min(end - at);
    }
    // As many as make up for the others, now and then.
    let makes_up = random.below(6) == 0;
    let is_missing_behind = if makes_up { !is_missing } else { random.below(2) == 0 };
    let mut length_behind = if makes_up { length } else { size(random) };
    length_behind = length_behind.min(log.stored.len() - behind);
    // From where to where bytes are missing, and how many were put in.
    let cut = |at: usize, length: usize, is_missing: bool| {
        if is_missing { (at, at + length, 0) } else { (at, at, length) }
    };
    let cuts = [cut(at, length, is_missing), cut(behind, length_behind, is_missing_behind)];
    let (mut stored, mut from) = (Vec::new(), 0);
    for &(at, end, length) in &cuts {
        stored.extend(&log.stored[from..at]);
        stored.extend((0..length).map(|_| random.next() as u8));
        from = end;
    }
    stored.extend(&log.stored[from..]);
    let is_there = |&index: &usize| {
        let (offset, length) = log.events[index];
        let (start, end) = (log.body + offset, log.body + offset + length);
        cuts.iter().all(|&(from, to, _)| to <= start || from >= end)
    };
    (stored, (0..log.events.len()).filter(is_there).collect())
}

/// Of logs of MySQL and of MariaDB alike.
#[test]
fn small_events_between_two_places_where_what_follows_moves_are_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = logs().into_iter().filter(|log| log.has_checksums && log.is_encrypted);
    let (maria, mysql): (Vec<Log>, Vec<Log>) = logs.partition(is_mariadb_encrypted);
    let (mut random, mut failures, mut done) = (Random(12), Vec::new(), 0);
    while done < DAMAGES / 4 {
        let logs = [&maria, &mysql][done % 2];
        let log = &logs[random.below(logs.len())];
        // Behind the beginning, so that there is something to read the log by.
        let head = log.nonce.map_or(log.events[1].0, |at| at + 40);
        let begin = log.events.iter().take_while(|(at, _)| *at < head).count() + 1;
        let between = 1 + random.below(5);
        if begin + between + 2 > log.events.len() {
            continue;
        }
        let first = begin + random.below(log.events.len() - begin - between - 1);
        let second = first + between + 1;
        if log.events[first + 1..second].iter().any(|(_, length)| *length > 2000) {
            continue;
        }
        let (stored, survivors) = cut_twice(log, (first, second), &mut random);
        let damage = format!("events {first} and {second} cut");
        failures.extend(judge(log, &damage, (&stored, &survivors), scratch.path()).err());
        done += 1;
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {done}:\n{}", failures.join("\n"));
}

/// Bytes behind a damaged format description event, where that leads, may look like the event by which
/// other servers' encrypted logs begin.
#[test]
fn noise_that_makes_a_log_look_like_another_kind_costs_what_it_hits() {
    let scratch = tempfile::tempdir().unwrap();
    let logs: Vec<Log> = logs().into_iter().filter(|log| log.has_checksums).collect();
    let (mut random, mut failures) = (Random(9), Vec::new());
    for log in &logs {
        let (first, length) = log.events[0];
        let at = log.body + first + length / 2;
        // START_ENCRYPTION of Percona Server 5.7 and of MariaDB, and the first event of MySQL 4.
        for (kind, flags) in [(159, 0), (164, 0), (164, 0x80), (1, 0)] {
            let mut noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            let next = length - length / 2;
            noise[next + 4] = kind;
            noise[next + 17..next + 19].copy_from_slice(&u16::to_le_bytes(flags));
            let mut stored = log.stored.clone();
            drop(stored.splice(at..at, noise));
            let survivors: Vec<usize> = (1..log.events.len()).collect();
            let damage = format!("{length} bytes put in at {at}, with type {kind}");
            failures.extend(judge(log, &damage, (&stored, &survivors), scratch.path()).err());
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count}:\n{}", failures.join("\n"));
}

#[test]
fn bytes_missing_from_the_magic_cost_no_event() {
    let scratch = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for log in logs().iter().filter(|log| log.has_checksums) {
        for length in [1, 2, 4] {
            let damage = Damage::Missing { at: log.body, length };
            failures.extend(check(log, &damage, &mut Random(11), scratch.path()).err());
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count}:\n{}", failures.join("\n"));
}

#[test]
fn noise_in_the_first_blocks_costs_what_it_hits() {
    run_chosen(
        DAMAGES / 4,
        |log| log.has_checksums,
        10,
        |log, random| {
            let at = log.body + random.below(1024.min(log.stored.len() - log.body));
            let most = [16, 600, 4096][random.below(3)];
            let length = 1 + random.below(most);
            let left = log.stored.len() - at;
            Some(match random.below(3) {
                0 => Damage::Overwritten { at, length: length.min(left), fill: None },
                1 => Damage::Missing { at, length: length.min(left) },
                _ => Damage::Inserted { at, length },
            })
        },
    );
}

/// Another log's events, of which MariaDB's say in clear how long they are, lead to one another as the
/// log's own do; what stands behind them has moved.
#[test]
fn another_logs_events_in_the_middle_cost_what_they_stand_for() {
    let scratch = tempfile::tempdir().unwrap();
    let logs: Vec<Log> = logs()
        .into_iter()
        .filter(|log| log.has_checksums && log.is_encrypted && log.events.len() > 130)
        .collect();
    if logs.is_empty() {
        println!("skipped: none of the fixtures is so long, and no corpus is beside the checkout");
        return;
    }
    let mut failures = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        let other = &logs[(index + 1) % logs.len()];
        let place = |log: &Log, index: usize| log.body + log.events[index].0;
        // A hundred of them, and no more than may be put in.
        let (from, mut to) = (place(other, 5), place(other, 105));
        while to - from > 7000 {
            to = from + (to - from) / 2;
        }
        let mut stored = log.stored.clone();
        drop(stored.splice(place(log, 10)..place(log, 12), other.stored[from..to].to_vec()));
        let survivors: Vec<usize> =
            (0..log.events.len()).filter(|index| !(10..12).contains(index)).collect();
        let damage = format!("{} bytes of {}", to - from, other.name);
        failures.extend(judge(log, &damage, (&stored, &survivors), scratch.path()).err());
    }
    let (tried, count) = (logs.len(), failures.len());
    assert!(tried > 1 && failures.is_empty(), "{count} of {tried}:\n{}", failures.join("\n"));
}
