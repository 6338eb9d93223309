//! `seal`: what an attacker does to logs and manifests is found, and nothing else is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::Output;

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::read::verify::verify_file;
use binlogsec_core::seal::{
    self, Change, Manifest, SealOptions, SealVerified, Signer, Standing, VerifyOptions,
};
use common::{binlogsec, corpus, fixture, logs, mixed, names, openssl, plaintext, sha256};
use serde_json::Value;
use tempfile::TempDir;

/// The sealed logs of the fixture; the sixth is in use.
const CLOSED: [&str; 5] =
    ["binlog.000001", "binlog.000002", "binlog.000003", "binlog.000004", "binlog.000005"];
const SEAL: &str = "seal binlog.index -o m --hmac --keyring keyring";
const VERIFY: &str = "seal verify m binlog.index --keyring keyring";

/// A directory of real logs with their index, and `keyring`.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        for name in names(&mixed()) {
            std::fs::copy(mixed().join(&name), lab.at(&name)).unwrap();
        }
        std::fs::rename(lab.at("component_keyring_file"), lab.at("keyring")).unwrap();
        lab
    }

    fn sealed() -> Self {
        let lab = Self::new();
        lab.done(SEAL);
        lab
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = binlogsec();
        command.env("NO_COLOR", "1").current_dir(self.0.path());
        command.args(arguments.split(' ')).output().unwrap()
    }

    /// Runs a command that must end with 0.
    fn done(&self, arguments: &str) -> String {
        self.ends(arguments, 0).0
    }

    /// Runs a command that must end with this code; what it wrote, and what it said.
    fn ends(&self, arguments: &str, code: i32) -> (String, String) {
        let output = self.run(arguments);
        let said = common::said(&output, self.0.path());
        let written = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}\n{written}\n{said}");
        (written, said)
    }

    fn report(&self, arguments: &str, code: i32) -> Value {
        let (written, said) = self.ends(&format!("{arguments} --format json"), code);
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }

    fn keys(&self) -> Keyring {
        Keyring::open(self.at("keyring")).unwrap()
    }

    /// By the library, as thousands of attacks are tried.
    fn verify(&self, with_keys: bool) -> SealVerified {
        let keys = if with_keys { self.keys() } else { Keyring::new() };
        let manifest = Manifest::open(&self.at("m"), &[]).unwrap();
        let paths = [self.at("binlog.index")];
        seal::verify(&manifest, &paths, &keys, &VerifyOptions::default(), &NoProgress).unwrap()
    }

    /// The names that are findings, with and without a key.
    fn found(&self) -> Vec<String> {
        let [with, without] = [true, false].map(|with_keys| {
            let verified = self.verify(with_keys);
            let found = verified.logs.iter().filter(|log| log.standing.is_finding());
            found.map(|log| log.name.as_str().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(with, without);
        with
    }
}

fn standing(report: &Value, name: &str) -> String {
    let logs = report["logs"].as_array().unwrap();
    let log = logs.iter().find(|log| log["name"] == name);
    log.map_or("-", |log| log["status"].as_str().unwrap()).to_owned()
}

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
    let foreign = mariadb("ctr256-crc32-row");
    let foreign = foreign.join("logs/binlog.000002");
    std::fs::copy(foreign, lab.at("binlog.000007")).unwrap();
    let list = String::from_utf8(lab.read("binlog.index")).unwrap();
    lab.write("binlog.index", format!("{list}./binlog.000007\n").as_bytes());
    let report = lab.report(VERIFY, 1);
    assert_eq!(standing(&report, "binlog.000007"), "added");
    assert_eq!(standing(&report, "binlog.000006"), "unsealed");
}

fn mariadb(scenario: &str) -> PathBuf {
    let in_fixtures = fixture("mariadb-10.11").join(scenario);
    match corpus() {
        Some(corpus) if !in_fixtures.is_dir() => corpus.join("mariadb-10.11").join(scenario),
        _ => in_fixtures,
    }
}

#[test]
fn every_change_of_a_manifest_is_found() {
    let lab = Lab::new();
    lab.done("seal keygen key");
    lab.done("seal binlog.index -o e --sign-key key --keyring keyring");
    lab.done(SEAL);
    for (name, verify) in
        [("m", VERIFY), ("e", "seal verify e binlog.index --public-key key.pub --keyring keyring")]
    {
        lab.done(verify);
        let whole = String::from_utf8(lab.read(name)).unwrap();
        let lines: Vec<_> = whole.lines().collect();
        let fails = |lines: &[&str], what: &str| {
            lab.write(name, format!("{}\n", lines.join("\n")).as_bytes());
            let code = lab.run(verify).status.code().unwrap();
            assert!(code == 4 || code == 3, "{name}, {what}: {code}");
        };
        for number in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(number);
            fails(&without, "a line taken out");
            let mut twice = lines.clone();
            twice.insert(number, lines[number]);
            fails(&twice, "a line put in twice");
            if number + 1 < lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(number, number + 1);
                fails(&swapped, "two lines swapped");
                fails(&lines[..=number], "cut");
            }
            // A digit of each line, at many places.
            let digits: Vec<_> =
                lines[number].match_indices(|sign: char| sign.is_ascii_digit()).collect();
            for (at, digit) in digits.iter().step_by(digits.len() / 12 + 1) {
                let other = if *digit == "1" { "2" } else { "1" };
                let mut line = lines[number].to_owned();
                line.replace_range(*at..at + 1, other);
                let mut edited = lines.clone();
                edited[number] = &line;
                fails(&edited, "a digit changed");
            }
        }
        lab.write(name, &whole.as_bytes()[..whole.len() - 1]);
        lab.ends(verify, 4);
        lab.write(name, whole.as_bytes());
        lab.done(verify);
    }
}

/// Changes a record, and makes the chain behind it anew, as whoever has no key can.
fn forged_manifest(manifest: &str, change: impl Fn(&str) -> String) -> String {
    let (mut text, mut previous) = (String::new(), String::new());
    for line in manifest.lines() {
        let mut line = change(line);
        if let Some(at) = line.find("\"previous\":\"").map(|at| at + 12) {
            line.replace_range(at..at + 64, &previous);
        }
        previous = sha256(line.as_bytes());
        text += &(line + "\n");
    }
    text
}

#[test]
fn a_chain_that_was_made_anew_does_not_fit_its_signature() {
    let lab = Lab::sealed();
    let manifest = String::from_utf8(lab.read("m")).unwrap();
    let anchor = lab.done("seal anchor m");
    let same = forged_manifest(&manifest, str::to_owned);
    assert_eq!(same, manifest, "the test's own chain is right");
    let forged = forged_manifest(&manifest, |line| {
        line.replace("\"kind\":\"mysql-plain\"", "\"kind\":\"mysql-pla1n\"")
    });
    lab.write("m", forged.as_bytes());
    let (_, said) = lab.ends(VERIFY, 4);
    assert!(said.contains("the signature in line 7 does not fit under"), "{said}");
    let output = binlogsec()
        .current_dir(lab.0.path())
        .args(["seal", "verify", "m", "binlog.index", "--anchor", anchor.trim()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    // Nothing is added to it.
    lab.ends(SEAL, 4);
    assert_eq!(lab.read("m"), forged.as_bytes());
}

#[test]
fn another_key_proves_nothing() {
    let lab = Lab::sealed();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    std::fs::copy(other, lab.at("other")).unwrap();
    let (_, said) = lab.ends("seal verify m binlog.index --keyring other", 3);
    assert!(said.contains("is not in other"), "{said}");
    // The same id, other bytes.
    let text = String::from_utf8(lab.read("keyring")).unwrap();
    let mut keyring: Value = serde_json::from_str(&text).unwrap();
    for element in keyring["elements"].as_array_mut().unwrap() {
        if element["data"].as_str().unwrap().len() == 64 {
            element["data"] = "00".repeat(32).into();
        }
    }
    lab.write("forged", serde_json::to_string(&keyring).unwrap().as_bytes());
    let (_, said) = lab.ends("seal verify m binlog.index --keyring forged", 3);
    assert!(said.contains("is another one than it was signed with"), "{said}");
    lab.done("seal keygen one");
    lab.done("seal keygen two");
    lab.done("seal binlog.index -o e --sign-key one --keyring keyring");
    lab.ends("seal verify e binlog.index --public-key two.pub", 3);
    lab.done("seal verify e binlog.index --public-key one.pub");
    // A manifest of one key is gone on with by another only if its own is named.
    lab.ends("seal binlog.000006 -o e --sign-key two --keyring keyring --allow-in-use", 3);
    let named = "seal binlog.000006 -o e --sign-key two --public-key one.pub --keyring keyring --allow-in-use";
    lab.done(named);
    lab.done("seal verify e binlog.index --public-key two.pub");
}

#[test]
fn keys_are_private_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let said = lab.done("seal keygen key");
    let mode = |name| lab.at(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key"), mode("key.pub")), (0o600, 0o644));
    let private = String::from_utf8(lab.read("key")).unwrap();
    let secret = private.lines().nth(1).unwrap();
    assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n") && secret.len() == 64);
    assert!(!said.contains(&secret[24..40]));
    lab.ends("seal keygen key", 2);
    std::fs::remove_file(lab.at("key")).unwrap();
    lab.ends("seal keygen key", 2);
    assert!(!lab.at("key").exists(), "half a pair is none");
    // What is no key is told, and not shown.
    let (_, said) = lab.ends("seal binlog.index -o m --sign-key key.pub --keyring keyring", 3);
    assert!(said.contains("an Ed25519 private key in PEM form"), "{said}");
    if openssl::is_here() {
        openssl::openssl(
            &["genpkey", "-algorithm", "ed25519", "-out", lab.at("o").to_str().unwrap()],
            b"",
        );
        let public =
            openssl::openssl(&["pkey", "-in", lab.at("o").to_str().unwrap(), "-pubout"], b"");
        lab.write("o.pub", &public);
        lab.done("seal binlog.index -o m --sign-key o --keyring keyring");
        lab.done("seal verify m binlog.index --public-key o.pub");
    }
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
fn a_manifest_that_was_cut_back_to_an_earlier_signature_is_found_by_an_anchor() {
    let lab = Lab::new();
    lab.done("seal binlog.000001 binlog.000002 binlog.000003 -o m --hmac --keyring keyring");
    let early = lab.read("m");
    lab.done(SEAL);
    let late = lab.done("seal anchor m");
    assert!(lab.read("m").starts_with(&early), "lines are added, and none is changed");
    // Back to what it was, and the logs that it no longer has are gone: all that is left fits.
    lab.write("m", &early);
    std::fs::remove_file(lab.at("binlog.000004")).unwrap();
    std::fs::remove_file(lab.at("binlog.000005")).unwrap();
    std::fs::remove_file(lab.at("binlog.000006")).unwrap();
    lab.write("binlog.index", b"./binlog.000001\n./binlog.000002\n./binlog.000003\n");
    lab.done(VERIFY);
    let with = |anchor: &str| {
        let arguments = ["seal", "verify", "m", "binlog.index", "--keyring", "keyring", "--anchor"];
        let mut command = binlogsec();
        let output =
            command.current_dir(lab.0.path()).args(arguments).arg(anchor).output().unwrap();
        (output.status.code().unwrap(), common::said(&output, lab.0.path()))
    };
    let (code, said) = with(late.trim());
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("the manifest was cut, changed or replaced"), "{said}");
    let earlier = lab.done("seal anchor m");
    assert_eq!(with(earlier.trim()).0, 0);
    assert_eq!(with("binlogsec.seal/1 what").0, 2);
    // Somebody seals anew with the key: a right signature, and not the manifest that was anchored.
    std::fs::remove_file(lab.at("m")).unwrap();
    lab.done(SEAL);
    assert_eq!(with(earlier.trim()).0, 4);
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
    // Headers of two rekeyed logs exchanged.
    let (three, four) = (lab.read("binlog.000003"), lab.read("binlog.000004"));
    lab.write("binlog.000003", &[&four[..512], &three[512..]].concat());
    let report = lab.report(&both, 1);
    assert_eq!(standing(&report, "binlog.000003"), "changed");
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

#[test]
fn another_program_checks_a_manifest() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/write/seal_verify.py");
    let is_here = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !is_here || !openssl::is_here() {
        println!("skipped: no python3 or no openssl");
        return;
    }
    assert!(std::fs::read_to_string(&script).unwrap().lines().count() <= 60);
    let lab = Lab::new();
    lab.done("seal keygen key");
    lab.done("seal binlog.index -o e --sign-key key --keyring keyring");
    let plain = plaintext(&lab.at("binlog.000006"), &lab.at("keyring"));
    let (position, _, _) = logs::events(&plain)[9];
    lab.done(&format!("{SEAL} --stop-position {position}"));
    let key = openssl::key_of(
        &lab.at("keyring"),
        "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3",
    );
    let python = |manifest: &str, key: &str| {
        let mut command = std::process::Command::new("python3");
        let output = command.arg(&script).arg(lab.at(manifest)).arg(lab.0.path()).arg(key);
        let output = output.current_dir(lab.0.path()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let hex = format!("hex:{key}");
    assert_eq!(python("e", "key.pub"), (0, "unchanged\n".to_owned()));
    assert_eq!(python("m", &hex), (0, "unchanged\n".to_owned()));
    let wrong = format!("hex:{}", "00".repeat(32));
    assert_eq!(python("m", &wrong).0, 1);
    let mut log = lab.read("binlog.000003");
    log[90_000] ^= 4;
    lab.write("binlog.000003", &log);
    assert_eq!(python("e", "key.pub"), (1, "binlog.000003\n".to_owned()));
}

/// Those of docs/seal.md, as they stand there.
#[test]
fn the_commands_of_the_page_run() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/seal.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lab = Lab::new();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    std::fs::copy(other, lab.at("other")).unwrap();
    let folder = Path::new(common::program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let blocks = page.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let commands: Vec<_> =
        blocks.flat_map(str::lines).map(|line| line.strip_prefix("$ ").unwrap()).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        if ["openssl", "python3"].iter().any(|name| command.contains(name)) && !openssl::is_here() {
            continue;
        }
        let mut shell = std::process::Command::new("sh");
        shell.env_remove("BINLOGSEC_KEYRING").env("PATH", &path).current_dir(lab.0.path());
        let output = shell.args(["-c", command]).output().unwrap();
        let code = i32::from(command.ends_with("# ends with 1"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        let written = String::from_utf8_lossy(&output.stdout);
        if code == 1 {
            assert!(
                written.contains("binlog.000004: chunk 0 changed: file offsets 512 to"),
                "{written}"
            );
        }
        if command.contains("--keyring other") {
            assert!(
                written.contains("its header is new (rekeyed), and the plaintext is"),
                "{written}"
            );
        }
    }
}

/// Every directory of logs of the fixtures and the corpus, with what opens them.
fn real_directories() -> Vec<(PathBuf, Keyring)> {
    let roots = [Some(fixture("")), corpus()];
    let mut found = Vec::new();
    for root in roots.into_iter().flatten() {
        for writer in ["mysql-9.7", "mariadb-10.11"] {
            let Ok(entries) = std::fs::read_dir(root.join(writer)) else { continue };
            for entry in entries {
                let directory = entry.unwrap().path();
                let mut keys = Keyring::new();
                let keyring = ["component_keyring_file", "keys.txt"];
                for name in keyring.iter().filter(|name| directory.join(name).is_file()) {
                    keys.add_file(directory.join(name)).unwrap();
                }
                // Without keys the plaintext ones can be sealed.
                found.push((directory, keys));
            }
        }
    }
    found
}

#[test]
fn no_real_log_gives_an_alarm_rekeyed_or_not() {
    let signer_of = || {
        let keys = Keyring::open(common::mixed_keyring()).unwrap();
        Signer::Hmac(keys.choose(None).unwrap())
    };
    let (_lab, other) = other_keyring();
    let (mut logs, mut rekeyed) = (0, 0);
    for (directory, keys) in real_directories() {
        let lab = tempfile::tempdir().unwrap();
        copy_logs(&directory, lab.path());
        let manifest = lab.path().join("m");
        let signer = signer_of();
        let options = SealOptions {
            signer: &signer,
            public_keys: &[],
            allow_in_use: true,
            stop_position: None,
        };
        let paths = [lab.path().to_owned()];
        let sealed = match seal::seal(&manifest, &paths, &keys, &options, &NoProgress) {
            Ok(sealed) => sealed,
            // Keys that lie elsewhere, or that nobody has any more.
            Err(error) if error.class() == binlogsec_core::log::error::ErrorClass::Key => continue,
            Err(error) => panic!("{}: {error:?}", directory.display()),
        };
        if sealed.sealed.is_empty() {
            continue;
        }
        logs += sealed.sealed.len();
        let manifest = Manifest::open(&manifest, &[]).unwrap();
        let check = |keys: &Keyring| {
            let options = VerifyOptions::default();
            let verified = seal::verify(&manifest, &paths, keys, &options, &NoProgress).unwrap();
            for log in &verified.logs {
                assert_eq!(log.standing, Standing::Unchanged, "{}: {log:?}", directory.display());
            }
            assert!(verified.failures.is_empty());
        };
        check(&keys);
        check(&Keyring::new());
        if directory.join("component_keyring_file").is_file() {
            rekeyed += rekey_all(lab.path(), &directory.join("component_keyring_file"), &other);
            check(&Keyring::new());
            let mut both = Keyring::open(directory.join("component_keyring_file")).unwrap();
            both.add_file(&other).unwrap();
            check(&both);
        }
    }
    println!("{logs} logs, {rekeyed} of them rekeyed");
    assert!(logs >= 20 && rekeyed >= 4, "{logs} {rekeyed}");
    assert!(corpus().is_none() || logs >= 250, "{logs}");
}

/// A keyring of a server of its own, with one key.
fn other_keyring() -> (TempDir, PathBuf) {
    let lab = tempfile::tempdir().unwrap();
    let path = lab.path().join("other");
    let uuid = "11111111-2222-3333-4444-555555555555";
    let output = binlogsec().args(["keyring", "new", "--server-uuid", uuid]).arg(&path).output();
    assert!(output.unwrap().status.success());
    (lab, path)
}

fn rekey_all(directory: &Path, keyring: &Path, other: &Path) -> usize {
    let output = binlogsec()
        .args(["rekey", directory.to_str().unwrap(), "--keyring", keyring.to_str().unwrap()])
        .args(["--new-keyring", other.to_str().unwrap(), "--format", "json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let files = report["files"].as_array().cloned().unwrap_or_default();
    files.iter().filter(|file| file["status"] == "rekeyed").count()
}

fn copy_logs(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        let is_log = path.extension().is_some_and(|it| {
            it.len() == 6 && it.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        });
        if path.is_dir() && path.file_name().is_some_and(|name| name == "logs") {
            std::fs::create_dir(&target).unwrap();
            copy_logs(&path, &target);
        } else if is_log {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
