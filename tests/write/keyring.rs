//! Keyrings against files: the fixtures, every small damage to two of them, and, where it is at
//! hand, a corpus of keyrings that real servers wrote.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use crate::common;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use binlogsec_core::keyring::component::{self, ComponentError, Member};
use binlogsec_core::keyring::plugin::{self, PluginError, PluginVersion, RecordDefect, Word};
use binlogsec_core::keyring::raw::RawKeyError;
use binlogsec_core::keyring::rotation::{self, RotationStage, RotationState};
use binlogsec_core::keyring::{
    Entry, Fingerprint, Keyring, KeyringError, KeyringFile, KeyringFormat, KeyringNote, LooksLike,
};
use binlogsec_core::mysql::key_id::KeyId;
use serde_json::Value;
use sha2::{Digest, Sha256};

const UUID: &str = "0f1e2d3c-4b5a-11ef-8a69-7887a6b5c4d3";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn fixture(path: &str) -> PathBuf {
    fixtures().join(path)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The message and those of its causes, as a user sees them.
fn whole_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn described(entry: &Entry) -> Value {
    serde_json::json!({
        "id": String::from_utf8_lossy(entry.id.as_bytes()),
        "user": String::from_utf8_lossy(&entry.user),
        "type": entry.key_type.to_string(),
        "length": entry.data.len(),
        "sha256": hex(Sha256::digest(entry.data.expose())),
        "fingerprint": Fingerprint::of(entry.data.expose()).to_string(),
    })
}

#[test]
fn every_plugin_fixture_is_what_an_independent_writer_says() {
    let folder = fixture("keyring-plugin");
    let expected: Value =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let files = expected.as_object().unwrap();
    for (name, expected) in files {
        let bytes = fs::read(folder.join(name)).unwrap();
        let keyring = plugin::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = serde_json::json!({
            "version": keyring.version.to_string(),
            "word": keyring.word.map(|word| word.to_string()),
            "digest_word": keyring.digest_word.map(|word| word.to_string()),
            "entries": keyring.entries.iter().map(described).collect::<Vec<_>>(),
        });
        assert_eq!(&found, expected, "{name}");
        let file = KeyringFile::open(folder.join(name)).unwrap();
        assert_eq!(file.entries(), keyring.entries);
        let (version, word) = (keyring.version, keyring.word);
        assert_eq!(file.format(), KeyringFormat::Plugin { version, word });

        let written = plugin::serialize(version, word.unwrap_or(Word::Le64), &keyring.entries);
        let other_bytes = name.contains("rewritten") || name.contains("padding");
        assert_eq!(*written.unwrap() == bytes, !other_bytes, "{name}: written again");
    }
    let present = names(&folder).iter().filter(|name| name.ends_with(".keyring")).count();
    assert_eq!((files.len(), present), (12, 12), "no file is left out");
}

/// No four bytes of a key are in the text, neither as hexadecimal digits nor as a list.
fn assert_no_key(text: &str, context: &str) {
    let folder = fixture("keyring-plugin");
    let keyring = plugin::parse(&fs::read(folder.join("v2.0-le64.keyring")).unwrap()).unwrap();
    let lower = text.to_lowercase();
    for entry in keyring.entries.iter().filter(|entry| entry.data.len() >= 16) {
        let key = entry.data.expose();
        for part in key.windows(4).filter(|part| part.iter().all(|byte| *byte != 0)) {
            assert!(!lower.contains(&hex(part)), "{context}: {text}");
            let listed = part.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
            assert!(!text.contains(&listed), "{context}: {text}");
        }
    }
}

fn open_damaged(path: &Path) -> KeyringError {
    let context = path.display().to_string();
    let error = KeyringFile::open(path).expect_err(&context);
    let text = whole_text(&error);
    assert!(text.contains(&context), "the file is named: {text}");
    assert_no_key(&format!("{text} {error:?}"), &context);
    error
}

const V1_0: PluginVersion = PluginVersion::V1_0;
const V2_0: PluginVersion = PluginVersion::V2_0;

fn damaged_at_the_ends() -> Vec<(&'static str, PluginError)> {
    let mismatch = PluginError::DigestMismatch { offset: 1187, end: 1184 };
    let no_eof = |offset, version| PluginError::NoEof { offset, version };
    let trailing = |offset, available| PluginError::TrailingBytes { offset, available };
    let cut = |what, offset, needed, available| PluginError::Truncated {
        what,
        offset,
        needed,
        available,
    };
    let digest = "the digest after `EOF`";
    let found = "3.0".to_owned();
    vec![
        ("digest-mismatch", mismatch.clone()),
        ("key-byte-flipped", mismatch),
        ("no-eof", no_eof(1184, V2_0)),
        ("no-eof-v1.0", no_eof(1181, V1_0)),
        ("truncated-in-version", cut("the version line", 0, 24, 22)),
        ("truncated-in-record", no_eof(265, V2_0)),
        ("truncated-in-digest", cut(digest, 1187, 32, 25)),
        ("truncated-before-digest", cut(digest, 1187, 32, 0)),
        ("trailing-bytes", trailing(1219, 1)),
        ("trailing-bytes-v1.0", trailing(967, 4)),
        ("unknown-version", PluginError::UnsupportedVersion { found }),
    ]
}

/// Record 1 starts at 24 + 136 with 64-bit words and takes 134 bytes and padding: 5 words, 59 bytes
/// of key id, 3 of type, 32 of key. With 32-bit words it starts at 24 + 116.
fn damaged_records() -> Vec<(&'static str, PluginError)> {
    let record =
        |record, offset, word, defect| PluginError::Record { record, offset, word, defect };
    let second = |defect| record(1, 160, Word::Le64, defect);
    let past_end = |needed, available| RecordDefect::PastEnd { needed, available };
    let parts = |needed, available| RecordDefect::PartsPastRecord { needed, available };
    let excess = RecordDefect::ExcessPadding { used: 118, length: 136 };
    let lengths = RecordDefect::LengthsCut { needed: 40, available: 16 };
    let huge_32 = past_end(u64::from(u32::MAX) - 3, 824);
    let id = KeyId::for_server(UUID, 9);
    vec![
        ("record-length-huge", second(past_end(u64::MAX - 7, 1024))),
        ("record-length-huge-32", record(1, 140, Word::Le32, huge_32)),
        ("record-length-zero", second(parts(134, 0))),
        ("record-length-unaligned", second(RecordDefect::Unaligned { length: 133, width: 8 })),
        ("record-length-past-end", second(past_end(4096, 1024))),
        ("key-length-past-record", second(parts(166, 136))),
        ("key-length-short", second(excess)),
        ("part-lengths-overflow", second(parts(u64::MAX, 136))),
        ("lengths-cut", record(10, 1184, Word::Le64, lengths)),
        ("duplicate-id", PluginError::Duplicate { id, first: 0, second: 10, offset: 1184 }),
    ]
}

/// Of readings that fail alike, the one that the server tries first is told.
#[test]
fn records_that_fit_no_machine_are_told_as_the_first_would_read_them() {
    let file = [&b"Keyring file version:1.0"[..], &[0xFF; 8], b"EOF"].concat();
    let error = plugin::parse(&file).unwrap_err();
    let lengths = RecordDefect::LengthsCut { needed: 40, available: 8 };
    let expected = PluginError::Record { record: 0, offset: 24, word: Word::Le64, defect: lengths };
    assert_eq!(error, expected);
}

#[test]
fn every_malformed_plugin_keyring_has_its_error() {
    let folder = fixture("malformed/keyring-plugin");
    let mut seen = BTreeSet::from(["signature-damaged.keyring".to_owned()]);
    for (name, expected) in damaged_at_the_ends().into_iter().chain(damaged_records()) {
        let file = format!("{name}.keyring");
        let error = open_damaged(&folder.join(&file));
        let text = whole_text(&error);
        assert!(error.is_damage() && text.contains("offset "), "{name}: {text}");
        let KeyringError::Plugin { source, .. } = error else { panic!("{name}: {text}") };
        assert_eq!(source, expected, "{name}");
        seen.insert(file);
    }
    let error = open_damaged(&folder.join("signature-damaged.keyring"));
    assert!(
        matches!(error, KeyringError::Unrecognized { looks_like: LooksLike::Unknown, .. }),
        "{error}"
    );
    assert!(error.is_damage());
    assert_eq!(names(&folder), seen, "no file is left out");
}

/// File, variant, and the member it names.
const DAMAGED_COMPONENTS: [(&str, &str, Option<usize>, &str); 25] = [
    ("bad-hex", "BadHex", Some(1), "data"),
    ("configuration", "OtherJson", None, ""),
    ("control-character", "Syntax", None, ""),
    ("data-a-number", "WrongType", Some(1), "data"),
    ("data-an-array", "WrongType", Some(1), "data"),
    ("document-an-array", "WrongType", None, "the document"),
    ("duplicate-id", "Duplicate", None, ""),
    ("element-a-string", "WrongType", Some(1), "the element itself"),
    ("elements-an-object", "WrongType", None, "elements"),
    ("extension-a-string", "WrongType", Some(1), "extension"),
    ("manifest", "OtherJson", None, ""),
    ("member-twice", "RepeatedMember", Some(0), "data"),
    ("missing-data", "MissingMember", Some(1), "data"),
    ("missing-data_id", "MissingMember", Some(1), "data_id"),
    ("missing-data_type", "MissingMember", Some(1), "data_type"),
    ("missing-elements", "MissingMember", None, "elements"),
    ("missing-extension", "MissingMember", Some(1), "extension"),
    ("missing-user", "MissingMember", Some(1), "user"),
    ("missing-version", "MissingMember", None, "version"),
    ("odd-hex", "OddHex", Some(1), "data"),
    ("other-json", "OtherJson", None, ""),
    ("trailing-text", "Syntax", None, ""),
    ("truncated", "Truncated", None, ""),
    ("version-a-number", "WrongType", None, "version"),
    ("wrong-version", "UnsupportedVersion", None, ""),
];

fn member_of(error: &ComponentError) -> Member {
    match error {
        ComponentError::MissingMember { member, .. }
        | ComponentError::RepeatedMember { member, .. }
        | ComponentError::WrongType { member, .. }
        | ComponentError::OddHex { member, .. }
        | ComponentError::BadHex { member, .. } => *member,
        _ => Member { element: None, name: "" },
    }
}

#[test]
fn every_malformed_component_keyring_has_its_error() {
    let folder = fixture("malformed/keyring-component");
    let files = DAMAGED_COMPONENTS.map(|(file, ..)| format!("{file}.json"));
    assert_eq!(names(&folder), BTreeSet::from(files), "no file is left out");
    for (file, variant, element, name) in DAMAGED_COMPONENTS {
        let error = open_damaged(&folder.join(format!("{file}.json")));
        let text = whole_text(&error);
        assert_eq!(error.is_damage(), variant != "OtherJson", "{file}: {text}");
        let KeyringError::Component { source, .. } = error else { panic!("{file}: {text}") };
        let debug = format!("{source:?}");
        assert_eq!(debug.split(' ').next(), Some(variant), "{file}: {debug}");
        assert_eq!(member_of(&source), Member { element, name }, "{file}: {debug}");
        let has_place = !matches!(variant, "OtherJson" | "UnsupportedVersion" | "Duplicate");
        assert_eq!(text.contains("offset "), has_place, "{file}: {text}");
    }
}

#[test]
fn figures_of_component_errors_are_those_of_the_files() {
    let error = |name: &str| {
        let path = fixture("malformed/keyring-component").join(name);
        component::parse(&fs::read(path).unwrap()).unwrap_err()
    };
    let odd = error("odd-hex.json");
    assert!(matches!(odd, ComponentError::OddHex { digits: 63, .. }), "{odd}");
    let cut = error("truncated.json");
    assert!(matches!(cut, ComponentError::Truncated { at } if at.offset == 333), "{cut}");
    let twice = error("duplicate-id.json");
    assert!(matches!(twice, ComponentError::Duplicate { first: 9, second: 10, .. }), "{twice}");
    let other = error("configuration.json");
    assert!(other.to_string().contains("configuration"), "{other}");
}

/// The places of values in messages are those of the file.
#[test]
fn a_component_errors_offset_is_the_values_end() {
    let path = fixture("malformed/keyring-component/bad-hex.json");
    let bytes = fs::read(&path).unwrap();
    let error = component::parse(&bytes).unwrap_err();
    let ComponentError::BadHex { at, character, .. } = error else { panic!("{error}") };
    let value = at.offset - 64;
    assert_eq!(bytes[value - 1], b'"');
    assert_eq!((bytes[value + character], bytes[at.offset]), (b'G', b'"'));
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_plugin_keyring_is_noticed() {
    let good = fs::read(fixture("keyring-plugin/v2.0-le64.keyring")).unwrap();
    let mut damaged = good.clone();
    for position in 0..good.len() {
        for flip in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
            damaged[position] ^= flip;
            let result = plugin::parse(&damaged);
            assert!(result.is_err(), "byte {position} flipped by {flip:#x}");
            damaged[position] ^= flip;
        }
        assert!(plugin::parse(&good[..position]).is_err(), "cut at {position}");
    }
    assert!(plugin::parse(&good).is_ok());
}

/// JSON carries no digest, so a damage can be another valid keyring; it must then be the one that
/// stands in the file, which writing it again shows.
#[test]
fn every_flipped_bit_and_every_cut_of_a_component_keyring_is_noticed_or_harmless() {
    let good = fs::read(fixture("mysql-9.7/rotation-interrupted/component_keyring_file")).unwrap();
    let mut damaged = good.clone();
    let mut harmless = 0;
    for position in 0..good.len() {
        for flip in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
            damaged[position] ^= flip;
            if let Ok(keyring) = component::parse(&damaged) {
                let written = component::serialize(&keyring.entries);
                assert!(
                    written.eq_ignore_ascii_case(&damaged),
                    "byte {position} flipped by {flip:#x} is read as something else"
                );
                harmless += 1;
            }
            damaged[position] ^= flip;
        }
        assert!(component::parse(&good[..position]).is_err(), "cut at {position}");
    }
    assert!(harmless > 0, "a flipped bit in a name is a valid file");
    assert_eq!(*component::serialize(&component::parse(&good).unwrap().entries), good);
}

#[test]
fn the_fixtures_are_what_their_script_makes() {
    let folder = tempfile::tempdir().unwrap();
    let script = fixture("keyring-plugin/make.py");
    match Command::new("python3").arg(script).arg(folder.path()).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => return println!("skipped: python3 cannot be started: {error}"),
    }
    for made in ["keyring-plugin", "malformed/keyring-plugin", "malformed/keyring-component"] {
        let (from, here) = (folder.path().join(made), fixture(made));
        let files = names(&from);
        let mut present = names(&here);
        present.retain(|name| !matches!(name.as_str(), "make.py" | "README.md"));
        assert_eq!(files, present, "{made}");
        for name in files {
            let same = fs::read(from.join(&name)).unwrap() == fs::read(here.join(&name)).unwrap();
            assert!(same, "{made}/{name}");
        }
    }
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn candidates_come_from_all_sources_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let id = KeyId::for_server(UUID, 10);
    let bound_key = write(folder.path(), "bound", "11".repeat(32));
    let any_key = write(folder.path(), "any", [0x22; 32]);
    let empty = write(folder.path(), "empty", "");

    let mut keyring = Keyring::open(fixture("keyring-plugin/v2.0-be64.keyring")).unwrap();
    keyring.add_file(fixture("keyring-plugin/v1.0-le32.keyring")).unwrap();
    keyring.add_file(&empty).unwrap();
    keyring.set_key_command("false {key_id}").unwrap();
    assert_eq!(keyring.candidates(&id).unwrap().len(), 1, "the same key of two files, once");

    keyring.add_key_file(&any_key).unwrap();
    keyring.add_key_file(format!("{id}={}", bound_key.display())).unwrap();
    let keys = keyring.candidates(&id).unwrap();
    assert_eq!(keys.len(), 3);
    assert_eq!((keys[1].expose()[0], keys[2].expose()[0]), (0x11, 0x22), "bound ones first");
    let other = keyring.candidates(&KeyId::for_server(UUID, 11)).unwrap();
    assert_eq!((other.len(), other[0].expose()[0]), (1, 0x22));
    assert!(keyring.candidates(&KeyId::new(b"\xff")).unwrap().len() == 1);

    let sources = keyring.describe_sources();
    for part in [
        "v2.0-be64.keyring (10 entries), ",
        "empty (empty), ",
        &format!("bound (the key for {id})"),
        "any (a key for any id)",
        "the key command false",
    ] {
        assert!(sources.contains(part), "{part}: {sources}");
    }
    assert!(!format!("{keyring:?}").contains("34, 34"), "Debug shows no key");
}

#[test]
fn the_command_is_asked_last_and_only_for_ids_of_the_servers_form() {
    let id = KeyId::for_server(UUID, 11);
    let mut keyring = Keyring::open(fixture("keyring-plugin/v2.0-le64.keyring")).unwrap();
    assert!(keyring.candidates(&id).unwrap().is_empty(), "missing is no error");
    keyring.set_key_command("false").unwrap();
    let error = keyring.candidates(&id).unwrap_err();
    assert!(whole_text(&error).contains("exit status: 1") && !error.is_damage(), "{error}");
    assert!(keyring.candidates(&KeyId::new(b"--help")).unwrap().is_empty());
    assert!(keyring.set_key_command("'").is_err());
}

#[test]
fn an_entry_that_can_be_no_binary_log_key_is_an_error_of_its_own() {
    let keyring = Keyring::open(fixture("keyring-plugin/v2.0-le64.keyring")).unwrap();
    let error = keyring.candidates(&KeyId::new(b"x")).unwrap_err();
    assert!(
        matches!(error, KeyringError::WrongLength { needed: 32, available: 24, .. }),
        "the one without a user: {error}"
    );
    assert!(error.is_damage() && error.to_string().contains("24 bytes"), "{error}");
    assert!(keyring.candidates(&KeyId::new(b"rsa")).unwrap().is_empty(), "it has a user");

    let folder = tempfile::tempdir().unwrap();
    let text =
        component::serialize(KeyringFile::open(keyring.files()[0].path()).unwrap().entries());
    let text = String::from_utf8(text.to_vec()).unwrap().replace("\"AES\"", "\"DSA\"");
    let keyring = Keyring::open(write(folder.path(), "keyring", text)).unwrap();
    let error = keyring.candidates(&KeyId::for_server(UUID, 9)).unwrap_err();
    assert!(matches!(error, KeyringError::WrongType { .. }), "{error}");
}

#[test]
fn files_of_other_kinds_are_named_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for (content, part, is_damage) in [
        (&b"\xFDbin\x01"[..], "an encrypted binary log", false),
        (b"\xFEbin", "a plaintext binary log", false),
        (b"[mysqld]\nport=3306\n", "an option file", false),
        (b"-----BEGIN PRIVATE KEY-----\n", "a PEM file", false),
        (&[0x77; 32], "one bare key", false),
        (b"1;770A8A65DA156D24EE2A093277530142\n1;77\n", "MariaDB key file", true),
        (b"Salted__\x01\x02\x03", "MariaDB key file", false),
        (b"rubbish", "of no known kind", true),
    ] {
        let path = write(folder.path(), "file", content);
        let error = KeyringFile::open(&path).unwrap_err();
        let text = whole_text(&error);
        assert!(text.contains(part) && text.contains(path.to_str().unwrap()), "{text}");
        assert!(!text.contains("770A8A65"), "{text}");
        assert_eq!(error.is_damage(), is_damage, "{text}");
    }
}

#[test]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let error = KeyringFile::open(folder.path()).unwrap_err();
    assert!(matches!(error, KeyringError::NotRegularFile { kind: "a directory", .. }), "{error}");
    let error = KeyringFile::open(folder.path().join("none")).unwrap_err();
    assert!(matches!(error, KeyringError::Open { .. }) && !error.is_damage(), "{error}");
    assert!(whole_text(&error).contains("No such file"), "{error}");
    let large = folder.path().join("large");
    fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    let error = KeyringFile::open(&large).unwrap_err();
    assert!(matches!(error, KeyringError::TooLarge { .. }) && !error.is_damage(), "{error}");
}

#[test]
fn pipes_devices_and_sockets_never_block() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, expected) in
        [(pipe.as_path(), "a pipe"), (&socket, "a socket"), (Path::new("/dev/zero"), "a device")]
    {
        let error = KeyringFile::open(path).unwrap_err();
        assert!(
            matches!(error, KeyringError::NotRegularFile { kind, .. } if kind == expected),
            "{error}"
        );
        assert!(Keyring::new().add_key_file(path).is_err());
    }
}

#[test]
fn an_empty_file_is_an_empty_keyring_and_a_backup_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "keyring", "");
    let file = KeyringFile::open(&path).unwrap();
    assert_eq!(file.format(), KeyringFormat::Empty);
    assert!(file.entries().is_empty() && file.notes().is_empty());
    let full = fixture("mysql-9.7/mixed-key3-running/component_keyring_file");
    let full = KeyringFile::open(full).unwrap();
    let ids: Vec<_> = full.entries().iter().map(|entry| entry.id.clone()).collect();
    let taken: Vec<_> = full.into_entries().into_iter().map(|e| e.id).collect();
    assert!(!ids.is_empty() && taken == ids);
    let backup = write(folder.path(), "keyring.backup", "anything");
    let file = KeyringFile::open(&path).unwrap();
    assert_eq!(file.notes(), [KeyringNote::BackupPresent { path: backup }]);
    assert!(file.notes()[0].to_string().contains("keyring.backup"));
}

#[test]
fn a_key_file_without_a_key_says_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "key", "C0FFEEC0FFEE");
    let error = Keyring::new().add_key_file(&path).unwrap_err();
    let text = whole_text(&error);
    assert!(text.contains("12 hexadecimal digits") && !text.contains("C0FFEE"), "{text}");
    let KeyringError::KeyFile { source, .. } = error else { panic!("{text}") };
    assert_eq!(source, RawKeyError::HexLength { needed: 64, available: 12 });
}

#[test]
fn the_interrupted_rotation_of_a_real_server_is_seen() {
    let path = fixture("mysql-9.7/rotation-interrupted/component_keyring_file");
    let file = KeyringFile::open(path).unwrap();
    let [server] = rotation::survey(file.entries()).try_into().unwrap();
    assert_eq!(server.state, RotationState::Interrupted(RotationStage::LogsNotReencrypted));
    assert_eq!((server.generations, server.current), (vec![3, 4], Some(4)));
    assert_eq!((server.old, server.new, server.last_purged), (Some(3), Some(4), Some(2)));
}

#[test]
fn real_keyrings_are_read_and_written_again() {
    let Some(corpus) = common::corpus() else {
        return println!("skipped: no corpus (set BINLOGSEC_CORPUS)");
    };
    let mut ran = 0;
    for name in names(&corpus.join("mysql-9.7")) {
        let path = corpus.join("mysql-9.7").join(&name).join("component_keyring_file");
        if !path.exists() {
            continue;
        }
        ran += 1;
        let bytes = fs::read(&path).unwrap();
        let file = KeyringFile::open(&path).unwrap_or_else(|e| panic!("{}", whole_text(&e)));
        if bytes.is_empty() {
            assert_eq!(file.format(), KeyringFormat::Empty, "{name}");
            continue;
        }
        assert_eq!(*component::serialize(file.entries()), bytes, "{name}");
        let [server] = rotation::survey(file.entries()).try_into().unwrap();
        let expected = match name.starts_with("13-") {
            true => RotationState::Interrupted(RotationStage::LogsNotReencrypted),
            false => RotationState::Clean,
        };
        assert_eq!(server.state, expected, "{name}");
        assert_eq!(server.current.as_ref(), server.generations.last(), "{name}");
    }
    println!("{ran} keyrings of component_keyring_file");
    assert!(ran > 0, "the corpus has keyrings");
    let sample = corpus.join("keyring-plugin-1.0/keyring");
    if sample.exists() {
        read_plugin_sample(&sample);
        println!("1 keyring of the keyring_file plugin");
    }
}

fn read_plugin_sample(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let keyring = plugin::parse(&bytes).unwrap();
    assert_eq!(keyring.word, Some(Word::Le64));
    let [x, innodb, of_root] = keyring.entries.as_slice() else { panic!("three records") };
    assert_eq!((x.id.as_bytes(), &*x.user, x.data.len()), (&b"x"[..], &b"root@%"[..], 16));
    assert!(innodb.id.as_bytes().starts_with(b"INNODBKey-") && innodb.user.is_empty());
    assert_eq!(innodb.data.len(), 32);
    assert_eq!((&*of_root.user, of_root.data.len()), (&b"root@%"[..], 32));
    assert_eq!(innodb.data, of_root.data, "the same bytes under both names");
    let written = plugin::serialize(keyring.version, Word::Le64, &keyring.entries).unwrap();
    assert_eq!(*written, bytes);
}
