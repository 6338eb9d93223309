//! Logs that are changed, cut, swapped, removed and added, and those that merely look it.

use super::{CLOSED, Lab, SEAL, VERIFY, standing};
use crate::common;

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::read::verify::verify_file;
use binlogsec_core::seal::{Change, Standing};
use common::{binlogsec, fixture, logs, plaintext, sha256};
use serde_json::Value;

#[test]
fn closed_logs_are_sealed_and_found_unchanged_with_and_without_a_key() {
    let lab = Lab::new();
    let before: Vec<_> = CLOSED.iter().map(|name| lab.read(name)).collect();
    let report = lab.report(SEAL, 0);
    assert_eq!(report["status"], "created");
    let sealed: Vec<_> = report["sealed"].as_array().unwrap().iter().collect();
    assert_eq!(sealed.iter().map(|log| log["name"].as_str().unwrap()).collect::<Vec<_>>(), CLOSED);
    assert_eq!(report["left"][0]["reason"], "in-use");
    for log in sealed {
        // What `sha256sum` says of the output of `decrypt`.
        let name = log["name"].as_str().unwrap();
        let plain = plaintext(&lab.at(name), &lab.at("keyring"));
        assert_eq!(log["plaintext"], sha256(&plain), "{name}");
    }
    assert!(CLOSED.iter().zip(before).all(|(name, before)| lab.read(name) == before));

    let report = lab.report(VERIFY, 0);
    assert_eq!(report["summary"]["verdict"], "unchanged");
    assert_eq!(report["summary"]["unchanged"], 5);
    assert_eq!(standing(&report, "binlog.000006"), "unsealed");
    // Without a key nothing proves the manifest; that is said, and is no 0.
    let report = lab.report("seal verify m binlog.index", 3);
    assert_eq!(report["summary"]["verdict"], "unproven");
    assert_eq!(report["summary"]["unchanged"], 5);
    let anchor = lab.done("seal anchor m");
    let output = binlogsec()
        .current_dir(lab.0.path())
        .args(["seal", "verify", "m", "binlog.index", "--anchor", anchor.trim()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", common::said(&output, lab.0.path()));
    // A second time there is nothing to add, and the manifest stays as it is.
    let manifest = lab.read("m");
    assert_eq!(lab.report(SEAL, 0)["status"], "unchanged");
    assert_eq!(lab.read("m"), manifest);
}

/// Changes a byte of an event's plaintext, and mends its CRC-32, by changing the ciphertext alone.
fn forge(stored: &mut [u8], plain: &[u8], (offset, length, at): (usize, usize, usize)) {
    let mut event = plain[offset..offset + length].to_vec();
    event[at] ^= 1;
    let sum_at = length - 4;
    let sum = crc32fast::hash(&event[..sum_at]);
    event[sum_at..].copy_from_slice(&sum.to_le_bytes());
    let body = stored.len() - plain.len();
    for (index, (old, new)) in plain[offset..].iter().zip(&event).enumerate() {
        stored[body + offset + index] ^= old ^ new;
    }
}

#[test]
fn every_forged_event_is_found_with_its_bytes() {
    let lab = Lab::sealed();
    for name in ["binlog.000001", "binlog.000003", "binlog.000005"] {
        forge_each_event(&lab, name);
    }
}

fn forge_each_event(lab: &Lab, name: &str) {
    let (stored, plain) = (lab.read(name), plaintext(&lab.at(name), &lab.at("keyring")));
    let events = logs::events(&plain);
    assert!(events.len() > 50, "{}", events.len());
    let mut unseen = 0;
    for &(offset, length, _) in &events {
        let at = length - 5;
        let mut forged = stored.clone();
        forge(&mut forged, &plain, (offset, length, at));
        lab.write(name, &forged);
        let verified = verify_file(&lab.at(name), &lab.keys(), &NoProgress).unwrap();
        unseen += usize::from(verified.is_whole());
        for with_keys in [true, false] {
            let verified = lab.verify(with_keys);
            let log = verified.logs.iter().find(|log| log.name.as_str() == name).unwrap();
            assert_eq!(log.standing, Standing::Changed, "event at {offset}");
            let place = (stored.len() - plain.len() + offset + at) as u64;
            let is_named = |change: &Change| matches!(change, Change::Bytes(range) if (range.start..range.end).contains(&place));
            assert!(log.changes.iter().any(is_named), "event at {offset}: {:?}", log.changes);
        }
    }
    // What `verify` does not see, which is what seals are for.
    assert!(unseen * 2 > events.len(), "{unseen} of {}", events.len());
    println!("{name}: {} forged, {unseen} of them whole to verify, all found", events.len());
    lab.write(name, &stored);
    assert!(lab.found().is_empty());
}

#[test]
fn every_cut_at_an_event_is_found() {
    let lab = Lab::sealed();
    for name in ["binlog.000001", "binlog.000004"] {
        let (stored, plain) = (lab.read(name), plaintext(&lab.at(name), &lab.at("keyring")));
        let body = stored.len() - plain.len();
        for (offset, _, _) in logs::events(&plain) {
            lab.write(name, &stored[..body + offset]);
            assert_eq!(lab.found(), [name], "cut at {offset}");
        }
        lab.write(name, &[&stored[..], &[0]].concat());
        assert_eq!(lab.found(), [name], "a byte more");
        lab.write(name, &stored);
    }
    assert!(lab.found().is_empty());
}

#[test]
fn deleted_swapped_replayed_added_and_foreign_logs_are_found() {
    let lab = Lab::sealed();
    let keep = |lab: &Lab| CLOSED.map(|name| lab.read(name));
    let before = keep(&lab);
    let restore = || CLOSED.iter().zip(&before).for_each(|(name, log)| lab.write(name, log));
    for name in CLOSED {
        std::fs::remove_file(lab.at(name)).unwrap();
        assert_eq!(lab.found(), [name], "deleted");
        // The server's index no longer lists it, either.
        let index = String::from_utf8(lab.read("binlog.index")).unwrap();
        let without: String = index
            .lines()
            .filter(|line| !line.ends_with(name))
            .map(|line| format!("{line}\n"))
            .collect();
        lab.write("binlog.index", without.as_bytes());
        assert_eq!(lab.found(), [name], "deleted, and taken out of the index");
        lab.write("binlog.index", index.as_bytes());
        restore();
    }
    for (one, other) in [(0, 1), (2, 3), (3, 4), (0, 4)] {
        lab.write(CLOSED[one], &before[other]);
        assert_eq!(lab.found(), [CLOSED[one]], "an older or later log under its name");
        lab.write(CLOSED[other], &before[one]);
        assert_eq!(lab.found(), [CLOSED[one], CLOSED[other]], "swapped");
        restore();
    }
    for (one, other) in [(2, 3), (4, 2)] {
        let with_header = [&before[other][..512], &before[one][512..]].concat();
        lab.write(CLOSED[one], &with_header);
        assert_eq!(lab.found(), [CLOSED[one]], "another log's header");
        let verified = lab.verify(false);
        let log = verified.logs.iter().find(|log| log.name.as_str() == CLOSED[one]).unwrap();
        assert_eq!(log.changes, [Change::HeaderOf { name: CLOSED[other].to_owned() }]);
        restore();
    }
    // Another server's log, under a name of this one's and behind all of them.
    let foreign = fixture("mysql-9.7/rotation-interrupted/binlog.000059");
    std::fs::copy(&foreign, lab.at("binlog.000002")).unwrap();
    assert_eq!(lab.found(), ["binlog.000002"]);
    restore();
    let list = String::from_utf8(lab.read("binlog.index")).unwrap();
    lab.write("binlog.000000", &before[0]);
    lab.write("mysql-bin.000001", &before[1]);
    lab.write("binlog.index", format!("./binlog.000000\n{list}./mysql-bin.000001\n").as_bytes());
    assert_eq!(lab.found(), ["binlog.000000", "mysql-bin.000001"], "added");
}

#[test]
fn logs_of_two_servers_are_told_apart() {
    let lab = Lab::sealed();
    let foreign = fixture("mariadb-10.11/cbc128-crc32-row/logs/binlog.000002");
    std::fs::copy(foreign, lab.at("binlog.000007")).unwrap();
    let list = String::from_utf8(lab.read("binlog.index")).unwrap();
    lab.write("binlog.index", format!("{list}./binlog.000007\n").as_bytes());
    let report = lab.report(VERIFY, 1);
    assert_eq!(standing(&report, "binlog.000007"), "added");
    assert_eq!(standing(&report, "binlog.000006"), "unsealed");
}

#[test]
fn a_log_in_use_is_sealed_up_to_a_position_and_as_a_whole_later() {
    let lab = Lab::new();
    let name = "binlog.000006";
    let whole = plaintext(&lab.at(name), &lab.at("keyring"));
    let events = logs::events(&whole);
    let (middle, _, _) = events[events.len() / 2];
    lab.ends(&format!("{SEAL} --stop-position {}", middle + 1), 2);
    assert!(!lab.at("m").exists());
    let report = lab.report(&format!("{SEAL} --stop-position {middle}"), 0);
    assert_eq!(report["sealed"][5]["up_to"], middle);
    let report = lab.report(VERIFY, 0);
    assert!(
        report["logs"][5]["notes"][0]
            .as_str()
            .unwrap()
            .starts_with(&format!("sealed up to position {middle} alone"))
    );
    // It grows, and is closed: its server clears the flag. Neither is a change.
    let open = lab.read(name);
    assert_eq!(whole[21] & 1, 1);
    let mut closed = open.clone();
    closed[512 + 21] ^= 1;
    lab.write(name, &closed);
    lab.done(VERIFY);
    // A byte of the sealed part is one, and nothing is sealed on top of it.
    let mut changed = closed.clone();
    changed[512 + middle - 1] ^= 1;
    lab.write(name, &changed);
    assert_eq!(lab.found(), [name]);
    let manifest = lab.read("m");
    let (_, said) = lab.ends(SEAL, 4);
    assert!(said.contains("was changed since its first"), "{said}");
    assert_eq!(lab.read("m"), manifest);
    lab.write(name, &closed);
    let report = lab.report(SEAL, 0);
    assert_eq!(
        (&report["status"], &report["sealed"][0]["name"]),
        (&"extended".into(), &name.into())
    );
    // Now all of it counts.
    lab.done(VERIFY);
    let last = closed.len() - 1;
    let mut changed = closed.clone();
    changed[last] ^= 1;
    lab.write(name, &changed);
    assert_eq!(lab.found(), [name]);
}

#[test]
fn rekeyed_and_newly_encrypted_logs_are_unchanged_with_a_key() {
    let lab = Lab::sealed();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    std::fs::copy(other, lab.at("other")).unwrap();
    lab.done("rekey binlog.000003 binlog.000004 --keyring keyring --new-keyring other");
    let both = format!("{VERIFY} --keyring other");
    let report = lab.report(&both, 0);
    let notes = |report: &Value, at: usize| report["logs"][at]["notes"].to_string();
    assert!(
        notes(&report, 2).contains("its header is new (rekeyed), and the plaintext is the one")
    );
    // Without the new key the stored bytes are all that can be compared, and that is said.
    let report = lab.report(VERIFY, 0);
    assert!(notes(&report, 2).contains("header is new (rekeyed?)"), "{report}");
    assert_eq!(report["summary"]["unchanged"], 5);
    let text = report["summary"]["text"].as_str().unwrap();
    assert!(text.contains("2 of them with a new header, which nothing shows"), "{text}");
    // Headers of two rekeyed logs exchanged.
    let (three, four) = (lab.read("binlog.000003"), lab.read("binlog.000004"));
    lab.write("binlog.000003", &[&four[..512], &three[512..]].concat());
    let report = lab.report(&both, 1);
    assert_eq!(standing(&report, "binlog.000003"), "changed");
    assert_eq!(standing(&report, "binlog.000004"), "unchanged", "the key shows that it is its own");
    assert_eq!(lab.found(), ["binlog.000003", "binlog.000004"], "they share a header");
    lab.write("binlog.000004", &[&three[..512], &four[512..]].concat());
    let report = lab.report(&both, 1);
    assert_eq!(report["summary"]["changed"], 2);
    lab.write("binlog.000003", &three);
    lab.write("binlog.000004", &four);
    // The same plaintext, stored otherwise.
    lab.done("encrypt --in-place binlog.000001 --keyring keyring");
    let plain = plaintext(&lab.at("binlog.000005"), &lab.at("keyring"));
    lab.write("binlog.000005", &plain);
    let report = lab.report(&both, 0);
    assert!(notes(&report, 0).contains("it was encrypted anew"), "{report}");
    assert!(notes(&report, 4).contains("mysql-plain now"), "{report}");
    let mut forged = plain.clone();
    let at = forged.len() - 40;
    forged[at] ^= 1;
    lab.write("binlog.000005", &forged);
    assert_eq!(lab.report(&both, 1)["summary"]["changed"], 1);
}

#[test]
fn what_was_not_looked_at_is_said() {
    let lab = Lab::sealed();
    let text = lab.done(&format!("{VERIFY} --quick"));
    assert!(text.contains("quick: lengths, headers and samples alone"), "{text}");
    let text = lab.done("seal verify m binlog.000003 --keyring keyring");
    assert!(text.contains("UNCHANGED: 1 log as sealed, 4 sealed and not looked at"), "{text}");
    let mut seen = Vec::new();
    for index in 0..3 {
        let report = lab.report(&format!("{VERIFY} --shard {index}/3"), 0);
        let logs = report["logs"].as_array().unwrap().iter();
        seen.extend(logs.map(|log| log["name"].as_str().unwrap().to_owned()));
    }
    seen.sort();
    assert_eq!(seen.len(), 6);
    assert!(seen[..5].iter().map(String::as_str).eq(CLOSED));
    for name in &CLOSED[..2] {
        std::fs::remove_file(lab.at(name)).unwrap();
    }
    lab.ends(VERIFY, 1);
    let text = lab.done(&format!("{VERIFY} --purged-to binlog.000003"));
    assert!(text.contains("2 purged"), "{text}");
    lab.ends(&format!("{VERIFY} --purged-to binlog.000002"), 1);
}

#[test]
fn nothing_is_written_when_a_log_cannot_be_sealed_and_nothing_else_is_replaced() {
    let lab = Lab::new();
    let mut broken = lab.read("binlog.000004");
    broken[5] = 9;
    lab.write("binlog.000004", &broken);
    lab.ends(SEAL, 4);
    assert!(!lab.at("m").exists());
    lab.ends("seal binlog.000003 -o m --hmac --keyring nowhere", 2);
    lab.ends("seal binlog.000003 -o binlog.000001 --hmac --keyring keyring", 2);
    lab.ends("seal keyring -o m --hmac --keyring keyring", 4);
    lab.ends("seal binlog.000003 -o m --keyring keyring", 2);
    // A log that is damaged is sealed as it is, and that is said.
    let plain = lab.read("binlog.000001");
    let mut damaged = plain.clone();
    damaged[5000] ^= 1;
    lab.write("binlog.000001", &damaged);
    let (text, _) = lab.ends("seal binlog.000001 -o d --hmac --keyring keyring", 1);
    assert!(text.contains("damaged at plain offset"), "{text}");
    // Logs are missing between those that are sealed.
    let (text, _) = lab.ends("seal binlog.000002 binlog.000005 -o g --hmac --keyring keyring", 1);
    assert!(text.contains("gap after binlog.000002: 2 in between are missing"), "{text}");
}
