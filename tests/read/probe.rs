//! A status needs few bytes of a log: what they tell, more of them would not change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::path::{Path, PathBuf};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::kind::{LogKind, PROBE_LENGTH};
use binlogsec_core::log::open::is_enough;
use binlogsec_core::log::probe::Probe;

use common::{corpus, fixture, mixed, mixed_keyring};

/// What is read of an object at first.
const FIRST: usize = 1024;

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

fn keyrings() -> Vec<(&'static str, Keyring)> {
    let of = |path| Keyring::open(path).unwrap();
    let mut foreign = Keyring::new();
    foreign.add_mariadb_keys(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt")).unwrap();
    vec![("no keys", Keyring::new()), ("keys", of(mixed_keyring())), ("other keys", foreign)]
}

/// Everything that is said of a file by its beginning.
fn told(start: &[u8], keys: &Keyring) -> String {
    format!("{:?}", Probe::new(start, keys).unwrap())
}

#[test]
fn what_is_enough_tells_all() {
    let mut all = Vec::new();
    files(&fixture(""), &mut all);
    if let Some(corpus) = corpus() {
        files(&corpus, &mut all);
    }
    let (mut short, mut long) = (0, 0);
    for (name, keys) in keyrings() {
        for path in &all {
            let bytes = std::fs::read(path).unwrap();
            let size = u64::try_from(bytes.len()).unwrap();
            let start = &bytes[..bytes.len().min(PROBE_LENGTH)];
            let expected = told(start, &keys);
            for length in [0, 3, 4, 100, 512, 520, 700, FIRST, 2000, PROBE_LENGTH] {
                let part = &start[..start.len().min(length)];
                if is_enough(part, size) {
                    assert_eq!(told(part, &keys), expected, "{name}, {length}: {}", path.display());
                } else {
                    assert!(length < PROBE_LENGTH, "{name}, {}", path.display());
                }
            }
            let first = &start[..start.len().min(FIRST)];
            match LogKind::classify(start) {
                _ if first.len() < FIRST => {}
                LogKind::MysqlEncrypted(_) | LogKind::MysqlPlain(_) => {
                    short += usize::from(is_enough(first, size));
                }
                LogKind::MariadbEncrypted(..) => long += usize::from(!is_enough(first, size)),
                _ => {}
            }
        }
    }
    println!("{short} probes by {FIRST} bytes, {long} of MariaDB's by more");
    assert!(short > 10 && long > 0, "{short} {long}");
}

#[test]
fn the_common_logs_are_told_by_the_first_read() {
    for number in [1, 2, 3, 4] {
        let path = mixed().join(format!("binlog.{number:06}"));
        let bytes = std::fs::read(&path).unwrap();
        let size = u64::try_from(bytes.len()).unwrap();
        let first = &bytes[..bytes.len().min(FIRST)];
        assert!(is_enough(first, size), "{}", path.display());
    }
}
