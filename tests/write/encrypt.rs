//! `encrypt`: what it writes is read back by decryptors that share no code with it, and what it
//! refuses it refuses before any output exists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use binlogsec_core::batch::transfer::{Input as From, Output as To};
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::kind::PROBE_LENGTH;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::mysql::password;
use binlogsec_core::read::decrypt::{DecryptOptions, decrypt};
use binlogsec_core::secret::Secret32;
use binlogsec_core::write::encrypt::{EncryptOptions, encrypt};
use common::{binlogsec, fixture, mixed, mixed_keyring, names, openssl, plaintexts, said};
use proptest::prelude::*;
use serde_json::Value;

const CURRENT: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3";
const IN_USE: EncryptOptions = EncryptOptions { allow_in_use: true, resume: false };

/// A plaintext log that is closed.
fn plain_log() -> PathBuf {
    mixed().join("binlog.000001")
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = binlogsec();
    command.current_dir(directory).args(arguments);
    command.output().unwrap()
}

/// Encrypts bytes by way of streams.
fn encrypted(plain: &[u8]) -> Vec<u8> {
    let key = Keyring::open(mixed_keyring()).unwrap().choose(None).unwrap();
    let mut out = Vec::new();
    let input = From::Stream(Box::new(std::io::Cursor::new(plain.to_vec())), "in".into());
    let output = To::Stream(&mut out, Path::new("out"));
    let done = encrypt(input, output, &key, IN_USE, &NoProgress).unwrap();
    assert_eq!(done.plain_length, plain.len() as u64);
    out
}

#[test]
fn every_log_comes_back_from_another_decryptor() {
    if !openssl::is_here() {
        return;
    }
    let logs = plaintexts();
    for (name, plain) in &logs {
        let log = encrypted(plain);
        assert_eq!(log.len(), plain.len() + 512, "{name}");
        assert!(openssl::decrypt(&log, &mixed_keyring()) == *plain, "{name}");
    }
    println!("{} logs were encrypted and came back from OpenSSL", logs.len());
    assert!(logs.len() >= 16);
}

#[test]
fn every_way_in_and_out_gives_a_log_of_the_same_plaintext() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let plain = std::fs::read(plain_log()).unwrap();
    let (log, keyring) = (plain_log(), mixed_keyring());
    let (log, keyring) = (log.to_str().unwrap(), keyring.to_str().unwrap());
    let to_file = run(at, &["encrypt", log, "-o", "file", "--keyring", keyring]);
    assert!(to_file.status.success(), "{}", said(&to_file, at));
    let to_directory = ["encrypt", log, "--output-dir", "many", "--keyring", keyring];
    assert!(run(at, &to_directory).status.success());
    let to_stdout = run(at, &["encrypt", log, "-o", "-", "--keyring", keyring]);
    assert!(to_stdout.status.success() && to_stdout.stderr.is_empty());
    let from_stdin = binlogsec()
        .args(["encrypt", "-", "-o", "-", "--keyring", keyring])
        .write_stdin(plain.clone())
        .output()
        .unwrap();
    let results = [
        std::fs::read(at.join("file")).unwrap(),
        std::fs::read(at.join("many/binlog.000001")).unwrap(),
        to_stdout.stdout,
        from_stdin.stdout,
    ];
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let mut passwords = BTreeSet::new();
    for result in results {
        let header = EncryptionHeader::parse(&result).unwrap();
        assert_eq!(header.serialize().unwrap(), result[..512]);
        assert_eq!(header.key_id.to_string(), CURRENT);
        assert!(passwords.insert((header.iv, header.wrapped_password)), "reused");
        let mut out = Vec::new();
        let input = From::Stream(Box::new(std::io::Cursor::new(result)), "in".into());
        decrypt(
            input,
            To::Stream(&mut out, Path::new("out")),
            &keys,
            DecryptOptions::default(),
            &NoProgress,
        )
        .unwrap();
        assert!(out == plain);
    }
}

#[test]
fn a_directory_and_an_index_stand_for_their_logs() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let keyring = mixed_keyring();
    for (number, name) in [mixed(), mixed().join("binlog.index")].iter().enumerate() {
        let (into, name) = (format!("out{number}"), name.to_str().unwrap());
        let arguments = ["encrypt", name, "--output-dir", &into, "--format", "json", "--keyring"];
        let output = run(at, &[&arguments[..], &[keyring.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", said(&output, at));
        assert_eq!(names(&at.join(&into)), ["binlog.000001", "binlog.000002"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["schema"], "binlogsec.encrypt/1");
        let files = report["files"].as_array().unwrap();
        let count = |status| files.iter().filter(|file| file["status"] == status).count();
        assert_eq!(count("encrypted"), 2);
        assert_eq!(count("encrypted") + count("left-out"), files.len());
        assert_eq!(files[0]["key_id"], CURRENT);
        assert_eq!(files[0]["size"].as_u64(), Some(75013 + 512));
    }
}

/// Arguments, exit code, message.
const REFUSALS: &[(&str, i32, &str)] = &[
    (
        "encrypted -o out --keyring keyring",
        2,
        "encrypted is refused: it is encrypted already, under key MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3; `rekey` puts it under another key",
    ),
    (
        "mariadb -o out --keyring keyring",
        2,
        "mariadb is refused: a MariaDB server wrote it, and no MariaDB server reads MySQL's encryption; such a server encrypts its logs itself (encrypt_binlog=ON)",
    ),
    (
        "in-use -o out --keyring keyring",
        2,
        "in-use is refused: its in-use flag is set: either its server is writing it, or that server crashed and trims the log at its next start; --allow-in-use takes it as it is",
    ),
    (
        "cut -o out --keyring keyring",
        4,
        "cut is refused: the log is cut short: it ends at offset 60, within its format description event",
    ),
    (
        "text -o out --keyring keyring",
        4,
        "text is refused: not a log: it starts neither with fe 62 69 6e (plaintext) nor with fd 62 69 6e (encrypted)",
    ),
    ("empty -o out --keyring keyring", 4, "empty is refused: the file is empty"),
    ("directory -o out --keyring keyring", 2, "directory is a directory, not a regular file"),
    (
        "nowhere -o out --keyring keyring",
        2,
        "cannot open nowhere: No such file or directory (os error 2)",
    ),
    (
        "plain -o out --keyring no-keys",
        3,
        "no-keys (empty): no entry says which key is in use; name a key by --key-id, or make one by `binlogsec keyring add-key`",
    ),
    (
        "plain -o out",
        3,
        "no replication encryption key was given: name a keyring by --keyring FILE",
    ),
    ("plain -o out --keyring keyring --key-id x", 3, "key x is not in keyring (3 entries)"),
    (
        "plain -o plain --force --keyring keyring",
        2,
        "plain is the input itself; name another output",
    ),
    ("plain -o text --keyring keyring", 2, "text exists already; it is replaced with --force only"),
    (
        "plain encrypted -o out --keyring keyring",
        2,
        "-o takes one input, 2 were named; use --output-dir DIR",
    ),
    (
        "- --output-dir out --keyring keyring",
        2,
        "standard input has no name for --output-dir; use -o FILE",
    ),
];

/// A directory with a file for each thing that may be wrong.
fn refused_files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let no_keys = "mysql-9.7/plain-before-running/component_keyring_file";
    let mariadb = "mariadb-10.11/plain-crc32/logs/binlog.000003";
    for (from, to) in [
        (plain_log(), "plain"),
        (mixed().join("binlog.000003"), "encrypted"),
        (fixture(mariadb), "mariadb"),
        (mixed_keyring(), "keyring"),
        (fixture(no_keys), "no-keys"),
    ] {
        std::fs::copy(from, at.join(to)).unwrap();
    }
    let plain = std::fs::read(plain_log()).unwrap();
    let mut in_use = plain.clone();
    in_use[21] |= 1;
    std::fs::write(at.join("in-use"), in_use).unwrap();
    std::fs::write(at.join("cut"), &plain[..60]).unwrap();
    std::fs::write(at.join("text"), "no log").unwrap();
    std::fs::write(at.join("empty"), "").unwrap();
    std::fs::create_dir(at.join("directory")).unwrap();
    directory
}

/// Every refusal in the words that a user sees, with its exit code, and nothing written.
#[test]
fn refusals_say_why_and_leave_nothing() {
    let directory = refused_files();
    let at = directory.path();
    let before = names(at);
    for (arguments, code, message) in REFUSALS {
        let arguments: Vec<&str> = ["encrypt"].into_iter().chain(arguments.split(' ')).collect();
        let output = run(at, &arguments);
        assert_eq!(said(&output, at), format!("error: {message}\n"));
        assert_eq!(output.status.code(), Some(*code), "{message}");
        assert_eq!(names(at), before, "{message}");
    }
}

#[test]
fn a_log_in_use_keeps_its_flag() {
    let mut plain = std::fs::read(plain_log()).unwrap();
    plain[21] |= 1;
    if openssl::is_here() {
        assert!(openssl::decrypt(&encrypted(&plain), &mixed_keyring()) == plain);
    }
}

#[test]
fn any_key_of_the_keyring_may_be_named() {
    let keyring = fixture("mysql-9.7/rotation-interrupted/component_keyring_file");
    let keys = Keyring::open(&keyring).unwrap();
    let ids: Vec<KeyId> = keys.files()[0]
        .entries()
        .iter()
        .filter(|entry| entry.id.parts().is_some())
        .map(|entry| entry.id.clone())
        .collect();
    assert!(ids.len() > 1);
    for id in ids {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let key = keys.choose(Some(&id)).unwrap();
        let input =
            From::File(binlogsec_core::file::source::FileSource::open(&plain_log()).unwrap());
        let output = To::File(&out, SinkOptions::default());
        encrypt(input, output, &key, IN_USE, &NoProgress).unwrap();
        let log = std::fs::read(&out).unwrap();
        assert_eq!(EncryptionHeader::parse(&log).unwrap().key_id, id);
        if openssl::is_here() {
            let plain = std::fs::read(plain_log()).unwrap();
            assert!(openssl::decrypt(&log, &keyring) == plain);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Lengths around the pieces in which the work is done, by file and by stream.
    #[test]
    fn encrypting_and_decrypting_is_identity(
        length in prop_oneof![0_usize..70_000, 262_000..263_000_usize, 4_193_000..4_195_600_usize],
        seed in any::<u64>(),
    ) {
        let mut plain = std::fs::read(plain_log()).unwrap();
        plain.truncate(PROBE_LENGTH);
        let noise = (0..length as u64).map(|n| n.wrapping_mul(seed | 1).to_le_bytes()[5]);
        plain.extend(noise);
        let directory = tempfile::tempdir().unwrap();
        let (input, output) = (directory.path().join("in"), directory.path().join("out"));
        std::fs::write(&input, &plain).unwrap();
        let keys = Keyring::open(mixed_keyring()).unwrap();
        let key = keys.choose(None).unwrap();
        let from = From::File(binlogsec_core::file::source::FileSource::open(&input).unwrap());
        encrypt(from, To::File(&output, SinkOptions::default()), &key, IN_USE, &NoProgress).unwrap();
        let mut by_file = Vec::new();
        let from = From::File(binlogsec_core::file::source::FileSource::open(&output).unwrap());
        decrypt(from, To::Stream(&mut by_file, Path::new("-")), &keys, DecryptOptions::default(), &NoProgress).unwrap();
        prop_assert!(by_file == plain);
        let streamed = encrypted(&plain);
        let mut back = Vec::new();
        let from = From::Stream(Box::new(std::io::Cursor::new(streamed)), "in".into());
        decrypt(from, To::Stream(&mut back, Path::new("-")), &keys, DecryptOptions::default(), &NoProgress).unwrap();
        prop_assert!(back == plain);
    }
}

proptest! {
    #[test]
    fn what_is_wrapped_comes_out_again(
        key in any::<[u8; 32]>(),
        iv in any::<[u8; 16]>(),
        password in any::<[u8; 32]>(),
    ) {
        let [key, password] = [key, password].map(|mut bytes| Secret32::take(&mut bytes));
        let wrapped = password::wrap(&key, &iv, &password);
        prop_assert_ne!(&wrapped, password.expose());
        prop_assert_eq!(password::unwrap(&key, &iv, &wrapped), password);
    }

    #[test]
    fn a_header_that_is_written_is_read(
        id in prop::collection::vec(any::<u8>(), 0..=255),
        wrapped_password in any::<[u8; 32]>(),
        iv in any::<[u8; 16]>(),
    ) {
        let header = EncryptionHeader { key_id: KeyId::new(&id), wrapped_password, iv };
        let bytes = header.serialize().unwrap();
        prop_assert_eq!(EncryptionHeader::parse(&bytes), Ok(header));
    }
}
