//! Several logs in one file, as `cat` makes it: whatever each of them is, its events are kept.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;
use crate::salvage_transactions::{every_event, salvaged};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::read::salvage::Salvaged;

use common::{fixture, logs, mixed, mixed_keyring, plaintext};

const MARIADB: &str = "mariadb-10.11/cbc128-crc32-row";

/// A log, and what it has.
struct Log {
    name: &'static str,
    bytes: Vec<u8>,
    events: u64,
    /// Whether it stands in the file as it is.
    is_plain: bool,
}

fn keys(with_mariadb: bool) -> Keyring {
    let mut keys = Keyring::open(mixed_keyring()).unwrap();
    if with_mariadb {
        let file = fixture(MARIADB).join("keys.txt");
        keys.add_file(file).unwrap();
    }
    keys
}

fn all() -> Vec<Log> {
    let events = |plain: &[u8]| logs::events(plain).len() as u64;
    let path = mixed().join("binlog.000003");
    let mysql = plaintext(&path, &mixed_keyring());
    let of_mariadb = fixture(MARIADB);
    let encrypted = of_mariadb.join("logs/binlog.000002");
    let mariadb = plaintext(&encrypted, &of_mariadb.join("keys.txt"));
    let log =
        |name, bytes, plain: &[u8], is_plain| Log { name, bytes, events: events(plain), is_plain };
    vec![
        log("MySQL, encrypted", std::fs::read(path).unwrap(), &mysql, false),
        log("MariaDB, encrypted", std::fs::read(encrypted).unwrap(), &mariadb, false),
        log("MySQL, plaintext", mysql.clone(), &mysql, true),
    ]
}

fn further(found: &Salvaged) -> Vec<(u64, bool)> {
    found.further_logs.iter().map(|log| (log.file_offset, log.is_open)).collect()
}

#[test]
fn every_log_behind_another_one_is_named_and_kept() {
    let logs = all();
    for first in logs.iter().filter(|first| !first.is_plain) {
        for second in &logs {
            for third in &logs {
                // Behind plaintext it passes for plaintext.
                if second.is_plain && third.name.starts_with("MariaDB") {
                    continue;
                }
                let name = format!("{}; {}; {}", first.name, second.name, third.name);
                let file = [&first.bytes[..], &second.bytes, &third.bytes].concat();
                let (found, _) = salvaged(&file, &keys(true), &every_event());
                let all = first.events + second.events + third.events;
                assert_eq!(found.written_events, all, "{name}: {found:?}");
                let second_at = first.bytes.len() as u64;
                let third_at = second_at + second.bytes.len() as u64;
                // Behind plaintext, plaintext is more of the same, but for the magic.
                if second.is_plain && third.is_plain {
                    assert_eq!(
                        (found.lost, further(&found)),
                        (4, vec![(second_at, true)]),
                        "{name}"
                    );
                } else {
                    let expected = vec![(second_at, true), (third_at, true)];
                    assert_eq!((found.lost, further(&found)), (0, expected), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_log_behind_another_one_that_no_key_opens_is_named_and_what_follows_is_kept() {
    let logs = all();
    let [mysql, mariadb, _] = logs.as_slice() else { panic!() };
    let file = [&mysql.bytes[..], &mariadb.bytes, &mysql.bytes].concat();
    let (found, _) = salvaged(&file, &keys(false), &every_event());
    let second_at = mysql.bytes.len() as u64;
    let third_at = second_at + mariadb.bytes.len() as u64;
    assert_eq!(further(&found), [(second_at, false), (third_at, true)]);
    assert_eq!(found.written_events, 2 * mysql.events);
    assert_eq!(found.lost, mariadb.bytes.len() as u64);
}

/// Each begins where the one before ends: that is looked at first, and nothing is searched for.
#[test]
fn many_logs_one_behind_the_other_are_told_apart_without_a_search() {
    const MANY: usize = 50;
    for log in all().iter().filter(|log| !log.is_plain) {
        let (found, _) = salvaged(&log.bytes.repeat(MANY), &keys(true), &every_event());
        assert_eq!(found.written_events, log.events * MANY as u64, "{}", log.name);
        assert_eq!((found.lost, found.shifts_tried), (0, 0), "{}", log.name);
        assert_eq!(found.further_logs.len(), MANY - 1, "{}", log.name);
    }
}
