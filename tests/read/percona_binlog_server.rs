//! Percona Binlog Server's archive: files that OpenSSL encrypts here as that program's source says,
//! and that every command reads with the JSON beside them and its keyring.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::string_slice
)]

use crate::common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use common::openssl::{hex, is_here, openssl};
use common::{binlogsec, logs, mixed, mixed_keyring, plaintext};

/// Some bytes that are no pattern.
fn bytes(seed: u8, length: usize) -> Vec<u8> {
    let byte = |index: usize| (index as u8).wrapping_mul(73).wrapping_add(seed);
    (0..length).map(|index| byte(index) ^ byte(index * 7 + 3).rotate_left(3)).collect()
}

/// One block by OpenSSL.
fn block(key: &[u8], input: &[u8]) -> u128 {
    let cipher = format!("-aes-{}-ecb", key.len() * 8);
    let output = openssl(&["enc", &cipher, "-nopad", "-K", &hex(key)], input);
    u128::from_be_bytes(output.try_into().unwrap())
}

/// GCM of NIST SP 800-38D bit by bit, over OpenSSL's block cipher: its command line has no such mode.
fn gcm(key: &[u8], nonce: &[u8], plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let multiply = |x: u128, y: u128| {
        let (mut product, mut v) = (0, y);
        for bit in (0..128).rev() {
            product ^= if x >> bit & 1 == 1 { v } else { 0 };
            v = (v >> 1) ^ if v & 1 == 1 { 0xE1 << 120 } else { 0 };
        }
        product
    };
    let counter = |number: u32| [nonce, &number.to_be_bytes()].concat();
    let h = block(key, &[0; 16]);
    let (mut wrapped, mut hash) = (Vec::new(), 0_u128);
    for (index, piece) in plain.chunks(16).enumerate() {
        let stream = block(key, &counter(index as u32 + 2)).to_be_bytes();
        let mut cipher: Vec<u8> = piece.iter().zip(stream).map(|(a, b)| a ^ b).collect();
        wrapped.extend_from_slice(&cipher);
        cipher.resize(16, 0);
        hash = multiply(hash ^ u128::from_be_bytes(cipher.try_into().unwrap()), h);
    }
    hash = multiply(hash ^ (plain.len() as u128 * 8), h);
    (wrapped, (hash ^ block(key, &counter(1))).to_be_bytes().to_vec())
}

/// Data, IV and tag of a wrapped key.
fn wrap(cipher: &str, key: &[u8], plain: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mode = cipher.rsplit('-').next().unwrap();
    let iv = bytes(91, if mode == "GCM" { 12 } else { 16 });
    if mode == "GCM" {
        let (data, tag) = gcm(key, &iv, plain);
        return (data, iv, tag);
    }
    let (option, key, iv_digits) = (format!("-{}", cipher.to_lowercase()), hex(key), hex(&iv));
    let mut arguments = vec!["enc", &option, "-nopad", "-K", &key];
    if mode != "ECB" {
        arguments.extend(["-iv", &iv_digits]);
    }
    let data = openssl(&arguments, plain);
    (data, if mode == "ECB" { Vec::new() } else { iv }, Vec::new())
}

/// Bytes of a key of a cipher.
fn key_length(cipher: &str) -> usize {
    cipher.split('-').nth(1).unwrap().parse::<usize>().unwrap() / 8
}

struct Archive {
    scratch: TempDir,
    plain: Vec<u8>,
}

impl Archive {
    /// A vault with one log, and a keyring beside it.
    fn new(kek_cipher: &str, cipher: &str, data_iv: &[u8]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let plain = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
        let archive = Self { scratch, plain };
        let kek = bytes(5, key_length(kek_cipher));
        let file_key = bytes(200, key_length(cipher));
        let (data, iv, tag) = wrap(kek_cipher, &kek, &file_key);
        let option = format!("-{}", cipher.to_lowercase());
        let arguments = ["enc", &option, "-K", &hex(&file_key), "-iv", &hex(data_iv)];
        std::fs::create_dir(archive.path("vault")).unwrap();
        std::fs::write(archive.log(), openssl(&arguments, &archive.plain)).unwrap();
        let mut envelope = json!({"kek_id": "kek-1", "data_hex": hex(&data)});
        for (name, value) in [("iv_hex", iv), ("tag_hex", tag)] {
            if !value.is_empty() {
                envelope[name] = hex(&value).into();
            }
        }
        let sidecar = json!({
            "version": 4,
            "size": archive.plain.len(),
            "previous_gtids": "",
            "added_gtids": "11111111-aaaa-1111-aaaa-111111111111:1-5",
            "min_timestamp": "2026-08-01T10:00:00",
            "max_timestamp": "2026-08-01T10:00:05",
            "last_sequence_number": 18_446_744_073_709_551_615_u64,
            "encryption": {
                "file_key_envelope": envelope,
                "file_data_envelope": {"cipher": cipher, "iv_hex": hex(data_iv)},
            },
        });
        std::fs::write(archive.sidecar(), sidecar.to_string()).unwrap();
        let metadata = json!({"version": 2, "mode": "position", "encryption": "generic"});
        std::fs::write(archive.path("vault/metadata.json"), metadata.to_string()).unwrap();
        std::fs::write(archive.path("vault/binlog.index"), "./binlog.000001\n").unwrap();
        archive.keyring(
            "keyring.json",
            &[("other", "AES-128-CBC", 16, 1), ("kek-1", kek_cipher, kek.len(), 5)],
        );
        archive
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("vault/binlog.000001")
    }

    fn sidecar(&self) -> PathBuf {
        self.path("vault/binlog.000001.json")
    }

    /// Writes a keyring of keys by id, cipher, length and seed.
    fn keyring(&self, name: &str, keys: &[(&str, &str, usize, u8)]) -> PathBuf {
        let key = |(id, cipher, length, seed): &(&str, &str, usize, u8)| json!({"id": id, "cipher": cipher, "data_hex": hex(&bytes(*seed, *length))});
        let keys: Vec<_> = keys.iter().map(key).collect();
        self.text(name, &json!({"version": 1, "keys": keys}).to_string())
    }

    fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Exit code, output, messages.
    fn run(&self, arguments: &[&str]) -> (i32, Vec<u8>, String) {
        let output = binlogsec().current_dir(self.scratch.path()).args(arguments).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), output.stdout, message)
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, output, message) = self.run(&[arguments, &["--format", "json"]].concat());
        let report = serde_json::from_slice(&output);
        (code, report.unwrap_or_else(|_| panic!("{message}")))
    }
}

const LOG: &str = "vault/binlog.000001";
const KEYS: [&str; 2] = ["--keyring", "keyring.json"];

fn usual() -> Archive {
    Archive::new("AES-256-GCM", "AES-256-CTR", &bytes(17, 16))
}

#[test]
fn every_cipher_that_wraps_and_every_one_that_encrypts_is_read() {
    if !is_here() {
        return;
    }
    for mode in ["ECB", "CBC", "CTR", "GCM"] {
        for kek_bits in [128, 192, 256] {
            for bits in [128, 192, 256] {
                // Whole blocks alone can be wrapped so.
                if bits == 192 && ["ECB", "CBC"].contains(&mode) {
                    continue;
                }
                let kek_cipher = format!("AES-{kek_bits}-{mode}");
                let archive = Archive::new(&kek_cipher, &format!("AES-{bits}-CTR"), &bytes(3, 16));
                let (code, plain, message) =
                    archive.run(&[&["decrypt", LOG, "-o", "-"], &KEYS[..]].concat());
                assert_eq!(code, 0, "{kek_cipher}, {bits}: {message}");
                assert!(plain == archive.plain, "{kek_cipher}, {bits}");
            }
        }
    }
}

#[test]
fn the_counter_carries_as_openssl_counts() {
    if !is_here() {
        return;
    }
    // After one block its lower half is all ones.
    let iv = [&[7; 8][..], &[0xFF; 7], &[0xFE]].concat();
    let archive = Archive::new("AES-256-CTR", "AES-256-CTR", &iv);
    let (code, plain, message) = archive.run(&[&["decrypt", LOG, "-o", "-"], &KEYS[..]].concat());
    assert!(code == 0 && plain == archive.plain, "{message}");
}

#[test]
fn inspect_says_key_cipher_and_whether_it_fits() {
    if !is_here() {
        return;
    }
    let archive = usual();
    archive.keyring("wrong.json", &[("kek-1", "AES-256-GCM", 32, 6)]);
    archive.keyring("wrong-ctr.json", &[("kek-1", "AES-256-CTR", 32, 6)]);
    archive.keyring("missing.json", &[("kek-2", "AES-256-GCM", 32, 5)]);
    for (keyring, status, code) in [
        (None, "unchecked", 0),
        (Some("keyring.json"), "present", 0),
        (Some("wrong.json"), "wrong", 3),
        (Some("wrong-ctr.json"), "wrong", 3),
        (Some("missing.json"), "missing", 3),
    ] {
        let mut arguments = vec!["inspect", LOG];
        arguments.extend(keyring.into_iter().flat_map(|keyring| ["--keyring", keyring]));
        let (found, report) = archive.json(&arguments);
        let file = &report["files"][0];
        assert_eq!((found, &file["key_status"]), (code, &status.into()), "{keyring:?}");
        assert_eq!(file["kind"], "binlog-server-encrypted");
        assert_eq!((&file["key_id"], &file["cipher"]), (&"kek-1".into(), &"AES-256-CTR".into()));
        let version = file["server_version"].as_str();
        assert_eq!(version, (status == "present").then_some("9.7.4-2"));
    }
    let (_, report) = archive.json(&["inspect", "vault", KEYS[0], KEYS[1]]);
    assert_eq!(
        (&report["summary"]["encrypted"], &report["summary"]["plain"]),
        (&1.into(), &0.into())
    );
    let (code, text, _) = archive.run(&["inspect", LOG, KEYS[0], KEYS[1]]);
    let text = String::from_utf8(text).unwrap();
    assert!(code == 0 && text.contains("kek-1"), "{text}");
}

#[test]
fn without_the_json_beside_it_a_file_is_unknown() {
    if !is_here() {
        return;
    }
    let archive = usual();
    for (content, kind) in [
        (None, "unknown"),
        (Some("{}"), "unknown"),
        (Some("no json"), "unknown"),
        (Some(r#"{"encryption": {}}"#), "unknown"),
        (Some(r#"{"encryption": {"file_key_envelope": {}}}"#), "binlog-server-damaged"),
    ] {
        match content {
            None => std::fs::remove_file(archive.sidecar()).unwrap(),
            Some(content) => std::fs::write(archive.sidecar(), content).unwrap(),
        }
        let (_, report) = archive.json(&["inspect", LOG, KEYS[0], KEYS[1]]);
        assert_eq!(report["files"][0]["kind"], kind, "{content:?}");
        let (code, _, message) = archive.run(&["decrypt", LOG, "-o", "out", KEYS[0], KEYS[1]]);
        assert_eq!((code, archive.path("out").exists()), (4, false), "{message}");
    }
}

#[test]
fn what_is_wrong_in_the_json_is_named() {
    if !is_here() {
        return;
    }
    let archive = usual();
    let sound: Value = serde_json::from_slice(&std::fs::read(archive.sidecar()).unwrap()).unwrap();
    for (pointer, value, code, words) in [
        ("file_key_envelope/data_hex", json!("abc"), 4, "file_key_envelope.data_hex is no row"),
        ("file_key_envelope/data_hex", json!("abcd"), 4, "has 2 bytes, where 16, 24 or 32"),
        ("file_key_envelope/kek_id", json!(1), 4, "file_key_envelope.kek_id is not there"),
        ("file_data_envelope/iv_hex", json!("00"), 4, "file_data_envelope.iv_hex has 1 bytes"),
        ("file_data_envelope/cipher", json!("CAMELLIA-256-CTR"), 2, "under Camellia"),
        ("file_data_envelope/cipher", json!("aria-256-ctr"), 2, "under ARIA"),
        ("file_data_envelope/cipher", json!("SM4-CTR"), 2, "another cipher"),
        ("file_data_envelope/cipher", json!("AES-128-CTR"), 2, "another length"),
        ("file_key_envelope/tag_hex", json!("00"), 3, "a tag of 1 bytes"),
        ("file_key_envelope/tag_hex", json!("00".repeat(16)), 3, "the tag says"),
        ("file_key_envelope/iv_hex", json!("00".repeat(16)), 3, "an IV of 16 bytes"),
    ] {
        let mut changed = sound.clone();
        *changed.pointer_mut(&format!("/encryption/{pointer}")).unwrap() = value;
        std::fs::write(archive.sidecar(), changed.to_string()).unwrap();
        let (found, _, message) = archive.run(&["verify", LOG, KEYS[0], KEYS[1]]);
        assert_eq!(found, code, "{pointer}: {message}");
        assert!(message.contains(words), "{pointer}: {message}");
    }
}

#[test]
fn its_logs_are_verified_listed_sliced_and_salvaged() {
    if !is_here() {
        return;
    }
    let archive = usual();
    let (code, report) = archive.json(&["verify", "vault/binlog.index", KEYS[0], KEYS[1]]);
    assert_eq!((code, &report["files"][0]["status"]), (0, &"whole".into()), "{report}");
    std::fs::write(archive.path("plain"), &archive.plain).unwrap();
    let (code, listing, _) = archive.run(&["events", LOG, KEYS[0], KEYS[1], "--format", "csv"]);
    let (_, expected, _) = archive.run(&["events", "plain", "--format", "csv"]);
    let without_path =
        |text: Vec<u8>| String::from_utf8(text).unwrap().replace("plain,", "vault/binlog.000001,");
    assert!(code == 0 && without_path(listing) == without_path(expected));
    let events = logs::events(&archive.plain);
    let start = events.iter().filter(|(.., kind)| *kind == 33).nth(3).unwrap().0.to_string();
    let slice = ["decrypt", LOG, "-o", "-", "--start-position", &start, KEYS[0], KEYS[1]];
    let (code, slice, message) = archive.run(&slice);
    let (_, expected, _) =
        archive.run(&["decrypt", "plain", "-o", "-", "--start-position", &start]);
    assert!(code == 0 && slice == expected && !slice.is_empty(), "{message}");
    // One event is hit, all others are saved; a hole moves file and stream against each other.
    let mut damaged = std::fs::read(archive.log()).unwrap();
    let (offset, length, _) = events[20];
    damaged[offset + 25] ^= 1;
    std::fs::write(archive.log(), &damaged).unwrap();
    let (code, report) = archive.json(&["salvage", LOG, "-o", "saved", KEYS[0], KEYS[1]]);
    assert_eq!(code, 1, "{report}");
    let saved = std::fs::read(archive.path("saved")).unwrap();
    let mut expected = [&archive.plain[..offset], &archive.plain[offset + length..]].concat();
    expected[21] &= !1;
    assert!(saved == expected);
    let (code, _, message) = archive.run(&["salvage", LOG, "-o", "none"]);
    assert_eq!(code, 3, "{message}");
}

fn rules(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn check_proves_them_with_a_key_and_takes_plaintext_for_what_it_is() {
    if !is_here() {
        return;
    }
    let archive = usual();
    archive.keyring("wrong.json", &[("kek-1", "AES-256-GCM", 32, 6)]);
    archive.keyring("missing.json", &[("kek-2", "AES-256-GCM", 32, 5)]);
    let status = |report: &Value| report["files"][0]["status"].as_str().unwrap().to_owned();
    for (keyring, code, expected, found) in [
        (None, 0, "unproven", vec![]),
        (Some("keyring.json"), 0, "proven", vec![]),
        (Some("wrong.json"), 1, "refuted", vec!["BLS003"]),
        (Some("missing.json"), 1, "unproven", vec!["BLS004"]),
    ] {
        let mut arguments = vec!["check", "vault"];
        arguments.extend(keyring.into_iter().flat_map(|keyring| ["--keyring", keyring]));
        let (exit, report) = archive.json(&arguments);
        let rules: Vec<_> = rules(&report)
            .into_iter()
            // That a keyring is a file is told of every one.
            .filter(|rule| rule != "BLS010" && rule != "BLS013")
            .collect();
        assert_eq!(
            (status(&report).as_str(), rules),
            (expected, found.iter().map(|&rule| rule.to_owned()).collect()),
            "{keyring:?}"
        );
        assert!(exit == code || code == 0, "{keyring:?}");
    }
    // Whatever the JSON says: the file is plaintext.
    std::fs::write(archive.log(), &archive.plain).unwrap();
    let (code, report) = archive.json(&["check", "vault", KEYS[0], KEYS[1]]);
    assert!(code == 1 && rules(&report).contains(&"BLS001".to_owned()), "{report}");
    std::fs::write(archive.log(), vec![0; 5000]).unwrap();
    let (code, report) = archive.json(&["check", "vault", KEYS[0], KEYS[1]]);
    assert!(code == 1 && rules(&report).contains(&"BLS003".to_owned()), "{report}");
    // A keyring in the tree is one, as any other.
    std::fs::copy(archive.path("keyring.json"), archive.path("vault/keyring.json")).unwrap();
    let (_, report) = archive.json(&["check", "vault"]);
    assert!(rules(&report).contains(&"BLS011".to_owned()), "{report}");
}

/// OpenSSL, or the mode by hand, gives the same file key.
fn assert_wraps(envelope: &Value, cipher: &str, key: &[u8], file_key: &[u8]) {
    let digits = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
    let option = format!("-{}", cipher.to_lowercase());
    if cipher.ends_with("GCM") {
        let nonce = unhex(&digits("iv_hex"));
        let (data, tag) = gcm(key, &nonce, file_key);
        assert_eq!((hex(&data), hex(&tag)), (digits("data_hex"), digits("tag_hex")));
    } else {
        let (key, iv) = (hex(key), digits("iv_hex"));
        let mut arguments = vec!["enc", "-d", &option, "-nopad", "-K", &key];
        arguments.extend(if iv.is_empty() { vec![] } else { vec!["-iv", &iv] });
        assert_eq!(openssl(&arguments, &unhex(&digits("data_hex"))), file_key);
        assert!(envelope.get("tag_hex").is_none());
    }
}

#[test]
fn rekey_rewraps_the_file_key_and_keeps_all_else() {
    if !is_here() {
        return;
    }
    for (new_cipher, length) in
        [("AES-128-CBC", 16), ("AES-192-ECB", 24), ("AES-256-CTR", 32), ("AES-256-GCM", 32)]
    {
        let archive = usual();
        archive.keyring("new.json", &[("kek-2", new_cipher, length, 77)]);
        let before = std::fs::read(archive.sidecar()).unwrap();
        let log = std::fs::read(archive.log()).unwrap();
        std::fs::set_permissions(archive.sidecar(), std::fs::Permissions::from_mode(0o640))
            .unwrap();
        let rekey = ["rekey", "vault/binlog.index", KEYS[0], KEYS[1], "--new-keyring", "new.json"];
        let (code, report) = archive.json(&[&rekey[..], &["--dry-run"]].concat());
        assert_eq!((code, &report["files"][0]["status"]), (0, &"would-rekey".into()), "{report}");
        assert!(std::fs::read(archive.sidecar()).unwrap() == before);
        let (code, report) = archive.json(&rekey);
        let file = &report["files"][0];
        assert_eq!((code, &file["status"]), (0, &"rekeyed".into()), "{report}");
        assert_eq!((&file["old_key_id"], &file["new_key_id"]), (&"kek-1".into(), &"kek-2".into()));
        let mode = std::fs::metadata(archive.sidecar()).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, std::fs::read(archive.log()).unwrap() == log), (0o640, true));
        let after: Value =
            serde_json::from_slice(&std::fs::read(archive.sidecar()).unwrap()).unwrap();
        let envelope = &after["encryption"]["file_key_envelope"];
        assert_wraps(envelope, new_cipher, &bytes(77, length), &bytes(200, 32));
        let mut expected: Value = serde_json::from_slice(&before).unwrap();
        expected["encryption"]["file_key_envelope"] = envelope.clone();
        assert_eq!(after, expected, "all else is as it was");
        let (code, plain, message) =
            archive.run(&["decrypt", LOG, "-o", "-", "--keyring", "new.json"]);
        assert!(code == 0 && plain == archive.plain, "{message}");
        assert_eq!(archive.run(&["decrypt", LOG, "-o", "-", KEYS[0], KEYS[1]]).0, 3);
        let again = ["rekey", LOG, "--keyring", "new.json"];
        let (code, report) = archive.json(&again);
        assert_eq!((code, &report["files"][0]["status"]), (0, &"unchanged".into()), "{report}");
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_rekey_that_cannot_be_leaves_the_json_as_it_is() {
    if !is_here() {
        return;
    }
    let archive = Archive::new("AES-256-GCM", "AES-192-CTR", &bytes(17, 16));
    archive.keyring("blocks.json", &[("kek-2", "AES-256-CBC", 32, 77)]);
    archive.keyring("aria.json", &[("kek-2", "ARIA-256-GCM", 32, 77)]);
    archive.keyring("two.json", &[("a", "AES-256-GCM", 32, 1), ("b", "AES-256-GCM", 32, 2)]);
    archive.keyring("wrong.json", &[("kek-1", "AES-256-GCM", 32, 6)]);
    let before = std::fs::read(archive.sidecar()).unwrap();
    for (old, new, code, words) in [
        ("keyring.json", "blocks.json", 2, "no whole blocks"),
        ("keyring.json", "aria.json", 2, "its cipher is not known"),
        ("keyring.json", "two.json", 3, "--key-id"),
        ("wrong.json", "keyring.json", 3, "does not open this log"),
    ] {
        let id = if new == "keyring.json" { &["--key-id", "other"][..] } else { &[] };
        let rekey = ["rekey", LOG, "--keyring", old, "--new-keyring", new];
        let (found, output, message) = archive.run(&[&rekey[..], id].concat());
        let said = message + &String::from_utf8(output).unwrap();
        assert_eq!(found, code, "{new}: {said}");
        assert!(said.contains(words), "{new}: {said}");
        assert!(std::fs::read(archive.sidecar()).unwrap() == before, "{new}");
    }
    // A MySQL server's log is none of that archive's, nor is a plaintext log.
    std::fs::write(archive.path("binlog.000009"), &archive.plain).unwrap();
    let rekey = ["rekey", "binlog.000009", KEYS[0], KEYS[1], "--key-id", "other"];
    let (code, _, message) = archive.run(&rekey);
    assert_eq!(code, 2, "{message}");
}

#[test]
fn a_keyring_that_the_server_would_refuse_is_refused_without_a_word_of_its_keys() {
    let archive_dir = tempfile::tempdir().unwrap();
    let path = archive_dir.path().join("keyring.json");
    let digits = hex(&bytes(9, 32));
    let key = |id: &str, cipher: &str, digits: &str| {
        format!(r#"{{"id": "{id}", "cipher": "{cipher}", "data_hex": "{digits}"}}"#)
    };
    let sound = key("k", "AES-256-GCM", &digits);
    let document =
        |version: &str, keys: &str| format!(r#"{{"version": {version}, "keys": [{keys}]}}"#);
    for (text, words) in [
        (document("2", &sound), "version 2 is not known"),
        (document("1", &format!("{sound},{sound}")), "two keys have the id k"),
        (
            document("1", &key("k", "AES-128-GCM", &digits)),
            "has 32 bytes, where AES-128-GCM takes 16",
        ),
        (document("1", &key("k", "AES-256-GCM", &digits[1..])), "line 1, column"),
        (
            document(
                "1",
                &format!(r#"{{"id": "k", "cipher": "AES-256-GCM", "data_hex": ["{digits}"]}}"#),
            ),
            "line 1, column",
        ),
        (document("1", r#"{"id": "k", "cipher": "AES-256-GCM"}"#), "line 1, column"),
        (document("\"1\"", &sound), "line 1, column"),
    ] {
        std::fs::write(&path, &text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let output = binlogsec().arg("keyring").arg(&path).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(4), "{text}: {message}");
        assert!(message.contains(words), "{message}");
        assert!(!message.contains(&digits[1..9]), "{message}");
    }
    std::fs::write(&path, document("1", &sound)).unwrap();
    let output = binlogsec().arg("keyring").arg(&path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("Percona Binlog Server"), "{text}");
    assert!(!text.contains(&digits[1..9]), "{text}");
    let add = binlogsec().args(["keyring", "add-key"]).arg(&path).output().unwrap();
    let message = String::from_utf8(add.stderr).unwrap();
    assert!(message.contains("Percona Binlog Server"), "{message}");
}
