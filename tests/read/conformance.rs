//! Real files first: everything that a server wrote is told apart, opened and decrypted exactly as
//! its manifest says. The manifests were made by other programs and by the servers themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::io::Read;
use std::path::Path;

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::log::probe::KeyStatus;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::read::inspect::{Inspected, inspect_file};
use serde_json::Value;

use common::{scenarios, sha256};

/// A corpus that was named and not found would make the tests pass on nothing.
const MYSQL_FIXTURE_LOGS: usize = 16;
const MARIADB_FIXTURE_LOGS: usize = 5;

#[test]
fn mysql_logs_are_what_their_manifests_say() {
    let (mut logs, mut encrypted) = (0, 0);
    for (directory, manifest) in scenarios("mysql-9.7") {
        let keys = Keyring::open(directory.join("component_keyring_file")).unwrap();
        for entry in manifest["files"].as_array().unwrap() {
            if !["binlog", "relaylog"].contains(&entry["kind"].as_str().unwrap()) {
                continue;
            }
            let path = directory.join(entry["name"].as_str().unwrap());
            check_inspection(&path, &inspect_file(&path, &keys).unwrap(), entry);
            check_plaintext(&path, &keys, entry);
            logs += 1;
            encrypted += usize::from(entry["encrypted"] == true);
        }
    }
    println!("{logs} MySQL logs, {encrypted} of them encrypted, agree with their manifests");
    assert!(logs >= MYSQL_FIXTURE_LOGS, "{logs}");
}

fn check_inspection(path: &Path, found: &Inspected, entry: &Value) {
    let name = path.display();
    assert_eq!(Some(found.size), entry["size"].as_u64(), "{name}");
    let description = found.description.as_ref().unwrap();
    assert_eq!(description.server_version, entry["server_version"], "{name}");
    assert_eq!(u64::from(description.header.server_id), entry["server_id"], "{name}");
    assert_eq!(description.in_use(), entry["in_use"], "{name}");
    assert_eq!(description.is_relay_log(), entry["kind"] == "relaylog", "{name}");
    assert_eq!(description.checksum.to_string(), entry["checksum"], "{name}");
    assert_eq!(description.own_checksum, Ok(()), "{name}");
    assert_eq!(found.obstacle, None, "{name}");
    match &found.kind {
        LogKind::MysqlEncrypted(header) => {
            assert_eq!(entry["encrypted"], true, "{name}");
            assert_eq!(found.key_status, KeyStatus::Present, "{name}");
            assert_eq!(header.key_id.to_string(), entry["key_id"], "{name}");
            let sequence_number = header.key_id.parts().unwrap().sequence_number;
            assert_eq!(u64::from(sequence_number), entry["seqno"], "{name}");
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(header.serialize().unwrap(), bytes[..512], "{name}: as the server wrote it");
            assert_eq!(EncryptionHeader::parse(&bytes).as_ref(), Ok(header));
        }
        LogKind::MysqlPlain(_) => {
            assert_eq!(entry["encrypted"], false, "{name}");
            assert_eq!(found.key_status, KeyStatus::NotApplicable, "{name}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn check_plaintext(path: &Path, keys: &Keyring, entry: &Value) {
    let log = OpenLog::open(path, keys).unwrap();
    let mut plain = Vec::new();
    log.reader().read_to_end(&mut plain).unwrap();
    assert_eq!(sha256(&plain), entry["plaintext_sha256"], "{}", path.display());
    assert_eq!(Some(log.plain_length()), entry["plaintext_size"].as_u64());
}

#[test]
fn mariadb_logs_are_told_apart() {
    let keys = Keyring::new();
    let (mut logs, mut encrypted) = (0, 0);
    for (directory, manifest) in scenarios("mariadb-10.11") {
        let Some(entries) = manifest["logs"].as_array() else {
            continue;
        };
        for entry in entries {
            let path = directory.join(entry["file"].as_str().unwrap());
            let found = inspect_file(&path, &keys).unwrap();
            match (&found.kind, entry["encrypted"].as_bool().unwrap()) {
                (LogKind::MariadbEncrypted(_, start), true) => {
                    assert_eq!(u64::from(start.scheme), entry["scheme"]);
                    assert_eq!(u64::from(start.key_version), entry["key_version"]);
                    let nonce: String =
                        start.nonce.iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(nonce, entry["nonce"]);
                    encrypted += 1;
                }
                (LogKind::MariadbPlain(_), false) => {}
                (kind, _) => panic!("{}: {kind:?}", path.display()),
            }
            logs += 1;
        }
    }
    println!("{logs} MariaDB logs, {encrypted} of them encrypted, are told apart");
    assert!(logs >= MARIADB_FIXTURE_LOGS, "{logs}");
}
