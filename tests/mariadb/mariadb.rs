//! MariaDB's encrypted logs, held against what real servers wrote: every log of the corpus, without
//! being told cipher or key, and the damaged ones with their verdicts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use binlogsec_core::batch::transfer::{Input, Output};
use binlogsec_core::event::checksum::{self, ChecksumAlgorithm};
use binlogsec_core::event::format_description::FormatDescription;
use binlogsec_core::event::header::EventHeader;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::{Keyring, MariadbOptions};
use binlogsec_core::log::error::Error;
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::log::log_error::LogError;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::log::probe::{KeyStatus, Probe};
use binlogsec_core::mariadb::cipher::Mode;
use binlogsec_core::mariadb::error::MariadbError;
use binlogsec_core::mariadb::key_file::{self, DerivationDigest, KeyFileError, Unlock};
use binlogsec_core::read::decrypt::{self, DecryptOptions, Decrypted};
use binlogsec_core::read::inspect::inspect_file;
use binlogsec_core::read::salvage::{SalvageOptions, salvage};
use binlogsec_core::read::verify::verify;
use binlogsec_core::write::encrypt::EncryptOptions;
use binlogsec_core::write::encrypt_mariadb;
use serde_json::Value;

use common::{corpus, fixture, logs, scenarios, sha256};

/// Encrypted MariaDB logs among the fixtures.
const FIXTURE_LOGS: usize = 4;

/// All keys of a scenario, under the settings of its manifest.
fn keys_of(directory: &Path, manifest: &Value, scratch: &Path) -> Keyring {
    let mut keyring = Keyring::new();
    let key_files = manifest["key_files"].as_array().cloned().unwrap_or_default();
    let password = key_files.iter().find_map(|file| file["password"].as_str());
    let from_files = key_files.iter().all(|file| file["file"].is_string());
    keyring.set_mariadb_options(MariadbOptions {
        unlock: password.map(|password| Unlock::new(password.as_bytes())),
        any_key_version: !from_files,
        ..MariadbOptions::default()
    });
    if from_files && !key_files.is_empty() {
        for file in &key_files {
            let path = directory.join(file["file"].as_str().unwrap());
            // The format is told by content, too.
            keyring.add_file(path).unwrap();
        }
        return keyring;
    }
    // Of a plugin without a file: every key of the manifest, in a file made for this.
    let mut keys: Vec<_> = manifest["logs"].as_array().unwrap().iter().collect();
    keys.dedup_by_key(|log| log["key"].clone());
    let lines = keys
        .iter()
        .zip(1..)
        .filter_map(|(log, id)| Some(format!("{id};{}\n", log["key"].as_str()?)));
    let path = scratch.join("keys.txt");
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    keyring.add_mariadb_keys(path).unwrap();
    keyring
}

fn read_to_end(path: &Path, keys: &Keyring) -> Vec<u8> {
    let mut plain = Vec::new();
    let log = OpenLog::open(path, keys).unwrap_or_else(|error| panic!("{error:?}"));
    log.reader().read_to_end(&mut plain).unwrap();
    plain
}

fn to_file(path: &Path, target: &Path, keys: &Keyring) -> Result<Decrypted, Error> {
    let options = SinkOptions { force: true, sync: false, ..SinkOptions::default() };
    let input = Input::File(FileSource::open(path)?);
    let output = Output::File(target, options);
    decrypt::decrypt(input, output, keys, DecryptOptions::default(), &NoProgress)
}

fn to_stream(input: Input, keys: &Keyring) -> Result<(Vec<u8>, Decrypted), Error> {
    let mut plain = Vec::new();
    let output = Output::Stream(&mut plain, Path::new("-"));
    let decrypted = decrypt::decrypt(input, output, keys, DecryptOptions::default(), &NoProgress)?;
    Ok((plain, decrypted))
}

/// A pipe that gives few bytes at a time.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(1000);
        self.0.read(&mut buffer[..length])
    }
}

fn from_pipe(bytes: Vec<u8>) -> Input {
    Input::Stream(Box::new(Trickle(Cursor::new(bytes))), PathBuf::from("-"))
}

/// Walks the events: their count, and the first one with a wrong checksum.
fn walk(plain: &[u8]) -> (usize, Option<usize>) {
    let (mut at, mut count, mut bad) = (4, 0, None);
    let mut algorithm = ChecksumAlgorithm::None;
    while let Ok(header) = EventHeader::parse(plain.get(at..).unwrap_or_default()) {
        let Some(event) = header.byte_length().and_then(|length| plain.get(at..at + length)) else {
            break;
        };
        let description = FormatDescription::parse(event);
        if let Ok(description) = &description {
            algorithm = description.checksum;
        }
        let is_description = description.is_ok();
        let is_right = checksum::verify(event, is_description).is_ok();
        if algorithm == ChecksumAlgorithm::Crc32 && !is_right {
            bad = bad.or(Some(at));
        }
        (at, count) = (at + event.len(), count + 1);
    }
    (count, bad)
}

#[test]
fn every_log_decrypts_to_what_its_server_serves() {
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("plain");
    let mut logs = 0;
    for (directory, manifest) in scenarios("mariadb-10.11") {
        let logs_of = manifest["logs"].as_array().cloned().unwrap_or_default();
        if logs_of.iter().all(|log| log["encrypted"] != true) {
            continue;
        }
        let keys = keys_of(&directory, &manifest, scratch.path());
        for entry in &logs_of {
            if entry["encrypted"] != true {
                continue;
            }
            let path = directory.join(entry["file"].as_str().unwrap());
            let name = path.display().to_string();
            let found = inspect_file(&path, &keys).unwrap();
            assert_eq!(found.obstacle, None, "{name}");
            assert_eq!(found.key_status, KeyStatus::Present, "{name}");
            assert_eq!(found.mariadb_key.unwrap().0, entry["cipher"], "{name}");

            let plain = read_to_end(&path, &keys);
            assert_eq!(sha256(&plain), entry["plain_file_sha256"], "{name}");
            let (count, bad) = walk(&plain);
            assert_eq!((Some(count as u64), bad), (entry["event_count"].as_u64(), None), "{name}");

            let decrypted = to_file(&path, &target, &keys).unwrap();
            assert!(std::fs::read(&target).unwrap() == plain, "{name}: file to file");
            assert_eq!((decrypted.damage, decrypted.plain_length), (None, plain.len() as u64));
            let file = Input::File(FileSource::open(&path).unwrap());
            assert!(to_stream(file, &keys).unwrap().0 == plain, "{name}: file to stream");
            let pipe = from_pipe(std::fs::read(&path).unwrap());
            assert!(to_stream(pipe, &keys).unwrap().0 == plain, "{name}: pipe to stream");
            logs += 1;
        }
    }
    println!("{logs} encrypted MariaDB logs decrypt to what their manifests say");
    assert!(logs >= FIXTURE_LOGS, "{logs}");
}

#[test]
fn key_files_of_every_derivation_open() {
    let Some(directory) = corpus().map(|corpus| corpus.join("mariadb-10.11/_keyfiles")) else {
        println!("skipped: no corpus at hand");
        return;
    };
    let manifest = std::fs::read(directory.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for entry in manifest.as_array().unwrap() {
        let file = std::fs::read(directory.join(entry["file"].as_str().unwrap())).unwrap();
        let mut unlock = Unlock::new(entry["password"].as_str().unwrap().as_bytes());
        unlock.digest = match entry["digest"].as_str().unwrap() {
            "sha1" => DerivationDigest::Sha1,
            "sha224" => DerivationDigest::Sha224,
            "sha256" => DerivationDigest::Sha256,
            "sha384" => DerivationDigest::Sha384,
            _ => DerivationDigest::Sha512,
        };
        unlock.iterations = u32::try_from(entry["pbkdf2_iterations"].as_u64().unwrap()).unwrap();
        let keys = key_file::parse(&file, Some(&unlock)).unwrap();
        let wanted = entry["keys"].as_object().unwrap();
        assert_eq!(keys.len(), wanted.len());
        for key in &keys {
            let hex: String = key.key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(wanted[&key.id.to_string()], hex, "{}", entry["file"]);
        }
        unlock.iterations += 1;
        assert_eq!(key_file::parse(&file, Some(&unlock)), Err(KeyFileError::WrongPassword));
    }
}

/// The key file of a negative's manifest entry.
fn single_key(key: &str, scratch: &Path) -> Keyring {
    let path = scratch.join("single.txt");
    std::fs::write(&path, format!("1;{key}\n")).unwrap();
    let mut keyring = Keyring::new();
    keyring.add_mariadb_keys(path).unwrap();
    keyring
}

fn log_error(error: Error) -> LogError {
    match error {
        Error::Log { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// The offset that a description of the corpus names: `… at 13096 …`.
fn offset_in(text: &str) -> Option<u64> {
    let after = text.split(" at ").nth(1)?.trim_start_matches("offset ");
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn damaged_logs_have_their_verdicts() {
    let Some(directory) = corpus().map(|corpus| corpus.join("mariadb-10.11/_negatives")) else {
        println!("skipped: no corpus at hand");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let manifest = std::fs::read(directory.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let entries = manifest.as_array().unwrap();
    for entry in entries {
        let name = entry["file"].as_str().unwrap();
        let path = directory.join(name);
        let key = entry["key"].as_str().unwrap_or("00000000000000000000000000000000");
        let keys = single_key(key, scratch.path());
        let target = scratch.path().join("out");
        let from_file = to_file(&path, &target, &keys);
        let from_pipe = to_stream(from_pipe(std::fs::read(&path).unwrap()), &keys);
        let case = name.trim_end_matches(".bin").splitn(3, '-').nth(2).unwrap();
        let wanted = offset_in(entry["expect"].as_str().unwrap());
        let is_checked = name.contains("crc32");
        match case {
            "neutralised" | "after-start" | "flip-body" | "trunc-header" | "trunc-body" => {
                check_readable(case, (from_file, from_pipe), &target, (wanted, is_checked));
            }
            _ => check_refused(case, (from_file, from_pipe), (wanted, is_checked)),
        }
        // `verify` tells where a log is damaged of which only a part can be deciphered.
        if let Ok(log) = OpenLog::open(&path, &keys)
            && !matches!(case, "neutralised" | "after-start" | "flip-nonce")
        {
            let verified = verify(&log, &NoProgress).unwrap();
            let first = verified.damages.first().map(|damage| damage.plain_offset);
            match case {
                // Without a checksum, and where the header is untouched, nobody can tell.
                "flip-body" if !is_checked => {}
                "flip-body" | "len7" | "lenhuge" => assert_eq!(first, wanted, "{name}"),
                _ => assert!(!verified.is_whole(), "{name}: {verified:?}"),
            }
        }
        let _ = std::fs::remove_file(&target);
    }
    assert_eq!(entries.len(), 52);
}

type Results = (Result<Decrypted, Error>, Result<(Vec<u8>, Decrypted), Error>);

fn check_readable(
    case: &str,
    results: Results,
    target: &Path,
    (wanted, is_checked): (Option<u64>, bool),
) {
    if case == "neutralised" {
        assert_eq!(log_error(results.0.unwrap_err()), LogError::NotEncrypted);
        return;
    }
    // The flipped bit may make a header that cannot be: then that is said.
    let results = match results {
        (Err(file), Err(pipe)) if case == "flip-body" => {
            let offset = wanted.unwrap();
            let expected = LogError::Mariadb(MariadbError::Implausible { offset });
            assert_eq!([log_error(file), log_error(pipe)], [expected.clone(), expected]);
            return;
        }
        others => others,
    };
    let unwrap = |error| panic!("{case}: {error:?}");
    let decrypted = results.0.unwrap_or_else(unwrap);
    let (piped, pipe) = results.1.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    let plain = std::fs::read(target).unwrap();
    assert!(plain == piped, "{case}: file and pipe agree");
    assert_eq!(decrypted.damage, pipe.damage);
    let (count, bad) = walk(&plain);
    match case {
        "after-start" => assert_eq!((count, decrypted.mariadb_key), (2, None)),
        // Without a checksum nobody can tell.
        "flip-body" => assert_eq!(bad.map(|at| at as u64), wanted.filter(|_| is_checked)),
        _ => {
            let Some(LogError::Mariadb(MariadbError::Cut { offset, .. })) =
                decrypted.damage.as_deref()
            else {
                panic!("{case}: {:?}", decrypted.damage);
            };
            assert!(plain.len() as u64 >= *offset && bad.is_none(), "{case}");
        }
    }
}

fn check_refused(case: &str, results: Results, (wanted, is_checked): (Option<u64>, bool)) {
    let errors = [results.0.unwrap_err(), results.1.unwrap_err()];
    for error in errors {
        let class = error.class();
        let error = log_error(error);
        let LogError::Mariadb(error) = &error else {
            panic!("{case}: {error:?}");
        };
        use MariadbError as E;
        let is_right = match case {
            "wrongkey" => matches!(error, E::WrongKey { .. }),
            "flip-nonce" if is_checked => matches!(error, E::StartDamaged { offset: 256, .. }),
            // In CBC a bit of the nonce is one of the event's type: other events follow.
            "flip-nonce" => matches!(error, E::WrongKey { .. } | E::Implausible { .. }),
            "scheme2" => matches!(error, E::UnknownScheme { scheme: 2, .. }),
            "keyversion9" => matches!(error, E::KeyVersion { version: 9, .. }),
            "len7" => {
                matches!(error, E::BadLength { offset, length: 7 } if Some(*offset) == wanted)
            }
            "lenhuge" => {
                matches!(error, E::BadLength { offset, length: 0x7FFF_FFFF } if Some(*offset) == wanted)
            }
            "event-removed" => {
                matches!(error, E::Implausible { offset } if Some(*offset) >= wanted)
            }
            "plain-after-start" => matches!(error, E::NotEncrypted { .. }),
            other => panic!("{other}"),
        };
        assert!(is_right, "{case}: {error:?}");
        let is_key = error.is_about_keys();
        let expected = if is_key { ErrorClass::Key } else { ErrorClass::Damage };
        assert_eq!(class, expected, "{case}");
    }
}

fn crc_log() -> (Vec<u8>, Keyring) {
    let directory = fixture("mariadb-10.11/cbc128-crc32-row");
    let bytes = std::fs::read(directory.join("logs/binlog.000002")).unwrap();
    (bytes, Keyring::open(directory.join("keys.txt")).unwrap())
}

#[test]
fn any_offset_and_length_reads_as_the_whole_does() {
    let directory = fixture("mariadb-10.11/cbc128-crc32-row");
    let (bytes, keys) = crc_log();
    let log = OpenLog::open(directory.join("logs/binlog.000002"), &keys).unwrap();
    let whole = to_stream(from_pipe(bytes), &keys).unwrap().0;
    for offset in (0..whole.len()).step_by(7) {
        for length in [1, 15, 16, 17, 40, 300] {
            let mut piece = vec![0; length];
            let read = log.read_at(offset as u64, &mut piece).unwrap();
            assert_eq!(read, length.min(whole.len() - offset));
            assert_eq!(piece[..read], whole[offset..offset + read], "{length} at {offset}");
        }
    }
    assert_eq!(log.read_at(whole.len() as u64, &mut [0; 8]).unwrap(), 0);
}

#[test]
fn every_cut_is_decrypted_as_far_as_it_goes() {
    let scratch = tempfile::tempdir().unwrap();
    let (bytes, keys) = crc_log();
    let whole = to_stream(from_pipe(bytes.clone()), &keys).unwrap().0;
    let path = scratch.path().join("cut");
    for length in (300..bytes.len()).step_by(3) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let piped = to_stream(from_pipe(bytes[..length].to_vec()), &keys);
        let Ok(log) = OpenLog::open(&path, &keys) else {
            assert!(length < 296 + 20, "{length}");
            assert!(piped.is_err());
            continue;
        };
        let plain = read_to_end(&path, &keys);
        assert!(plain.len() <= length && plain.len() + 35 > length, "{length}");
        assert!(plain == whole[..plain.len()], "{length}");
        let (piped, decrypted) = piped.unwrap();
        assert!(piped == plain, "{length}");
        assert_eq!(decrypted.damage.map(|damage| *damage), log.tail_damage(), "{length}");
    }
}

#[test]
fn no_bit_of_the_beginning_makes_a_panic_or_a_silent_lie() {
    let (mut bytes, keys) = crc_log();
    bytes.truncate(700);
    let (good, decrypted) = to_stream(from_pipe(bytes.clone()), &keys).unwrap();
    let Some(LogError::Mariadb(MariadbError::Cut { offset, .. })) = decrypted.damage.as_deref()
    else {
        panic!("{:?}", decrypted.damage);
    };
    let cut = usize::try_from(*offset).unwrap();
    for bit in 252 * 8..700 * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = Probe::new(&flipped, &keys).unwrap();
        if let Ok((plain, _)) = to_stream(from_pipe(flipped), &keys) {
            let is_told = walk(&plain).1.is_some() || plain.len() != good.len();
            // What is left: the flag that says that nothing is encrypted, and the cut last event.
            assert!(is_told || plain == good || bit / 8 >= cut, "bit {bit}");
        }
    }
}

#[test]
fn keys_that_cannot_be_the_right_ones_are_said_to_be_so() {
    let (bytes, keys) = crc_log();
    let status = |keys: &Keyring| {
        let probe = Probe::new(&bytes[..4096], keys).unwrap();
        (probe.key_status(), probe.obstacle().cloned())
    };
    assert_eq!(status(&keys), (KeyStatus::Present, None));
    let none = LogError::Mariadb(MariadbError::NoKeys);
    assert_eq!(status(&Keyring::new()), (KeyStatus::Unchecked, Some(none.clone())));
    let mysql = Keyring::open(common::mixed_keyring()).unwrap();
    assert_eq!(status(&mysql), (KeyStatus::Unchecked, Some(none)));
    let scratch = tempfile::tempdir().unwrap();
    let other = single_key("00112233445566778899aabbccddeeff", scratch.path());
    assert!(matches!(
        status(&other),
        (KeyStatus::Wrong, Some(LogError::Mariadb(MariadbError::WrongKey { .. })))
    ));
}

#[test]
fn a_tie_is_told_and_not_guessed() {
    // Two keys that differ cannot both fit; the same one under two ids is no tie.
    let (bytes, keys) = crc_log();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("twice");
    let text = std::fs::read_to_string(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt")).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("1;")).unwrap();
    std::fs::write(&path, format!("2;{key}\n1;{key}\n")).unwrap();
    let twice = Keyring::open(&path).unwrap();
    let key = |keys| Probe::new(&bytes[..4096], keys).unwrap().mariadb_key();
    assert_eq!(key(&twice), Some(("AES-128-CBC".to_owned(), Some(1))));
    assert_eq!(key(&twice), key(&keys));
}

fn encrypt(plain: &[u8], keys: &Keyring) -> Result<Vec<u8>, Error> {
    let mut encrypted = Vec::new();
    let output = Output::Stream(&mut encrypted, Path::new("-"));
    let options = EncryptOptions { allow_in_use: true, ..EncryptOptions::default() };
    let input = from_pipe(plain.to_vec());
    encrypt_mariadb::encrypt(input, output, keys, options, &NoProgress)?;
    Ok(encrypted)
}

/// A keyring of one key, for one mode.
fn keys_for(mode: Mode, length: usize, scratch: &Path) -> Keyring {
    let path = scratch.join("mode.txt");
    let key: String = (0..length).map(|n| format!("{:02x}", n * 7 + 3)).collect();
    std::fs::write(&path, format!("1;{key}\n")).unwrap();
    let mut keys = Keyring::new();
    keys.set_mariadb_options(MariadbOptions { mode: Some(mode), ..MariadbOptions::default() });
    keys.add_mariadb_keys(path).unwrap();
    keys
}

#[test]
fn what_is_encrypted_again_decrypts_to_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let mut logs = 0;
    for (directory, manifest) in scenarios("mariadb-10.11") {
        for entry in manifest["logs"].as_array().cloned().unwrap_or_default() {
            let Some(plain) = entry["plain"].as_str().map(|plain| directory.join(plain)) else {
                continue;
            };
            let Ok(plain) = std::fs::read(plain) else {
                continue;
            };
            for mode in Mode::ALL {
                let keys = keys_for(mode, [16, 24, 32][logs % 3], scratch.path());
                let encrypted = encrypt(&plain, &keys).unwrap();
                let (back, decrypted) = to_stream(from_pipe(encrypted), &keys).unwrap();
                assert_eq!(decrypted.damage, None);
                assert_eq!(walk(&back).1, None);
                let is_copy = entry["encrypted"] == true;
                if is_copy {
                    // But for the nonce, which is a fresh one, with what follows from it.
                    let start = entry["start_encryption_offset"].as_u64().unwrap();
                    let at = usize::try_from(start).unwrap() + 20;
                    let is_same = back[..at] == plain[..at] && back[at + 20..] == plain[at + 20..];
                    assert!(is_same, "{directory:?} {}", entry["file"]);
                } else {
                    // The event that starts encryption was put in: all that follows has moved.
                    let log = scratch.path().join("moved");
                    std::fs::write(&log, &back).unwrap();
                    let log = OpenLog::open(&log, &Keyring::new()).unwrap();
                    let verified = verify(&log, &NoProgress).unwrap();
                    assert!(verified.is_whole(), "{verified:?}");
                    assert_eq!(walk(&back).0, walk(&plain).0 + 1);
                }
                logs += 1;
            }
        }
    }
    println!("{logs} encryptions come back");
}

#[test]
fn long_events_are_enciphered_piece_by_piece() {
    let scratch = tempfile::tempdir().unwrap();
    let start = std::fs::read(fixture("mariadb-10.11/plain-crc32/logs/binlog.000003")).unwrap();
    for length in [19 + 4, 40, 65_556, 65_572, 65_573, 131_092, 131_095, 1_000_003] {
        let mut plain = start.clone();
        let offset = plain.len();
        let mut event: Vec<u8> = (0..251_u8).cycle().take(length).collect();
        event[4] = 2;
        event[9..13].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        let end = u32::try_from(offset + length).unwrap();
        event[13..17].copy_from_slice(&end.to_le_bytes());
        event[17..19].fill(0);
        let sum = crc32fast::hash(&event[..length - 4]).to_le_bytes();
        event[length - 4..].copy_from_slice(&sum);
        plain.extend(event);
        for mode in Mode::ALL {
            let keys = keys_for(mode, 32, scratch.path());
            let encrypted = encrypt(&plain, &keys).unwrap();
            let path = scratch.path().join("long");
            std::fs::write(&path, &encrypted).unwrap();
            let file = read_to_end(&path, &keys);
            assert_eq!(walk(&file), (walk(&plain).0 + 1, None), "{length} {mode}");
            let target = scratch.path().join("plain");
            to_file(&path, &target, &keys).unwrap();
            assert!(std::fs::read(&target).unwrap() == file, "{length} {mode}");
            assert!(to_stream(from_pipe(encrypted), &keys).unwrap().0 == file);
        }
        for cut in [1, 5, length / 2, length - 1] {
            let keys = keys_for(Mode::Cbc, 16, scratch.path());
            let error = encrypt(&plain[..plain.len() - cut], &keys).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Damage, "{length} {cut}");
        }
    }
}

/// A file's events are hopped over beside the deciphering, window by window, and its end is known
/// last; a stream's are known before.
#[test]
fn a_log_of_many_windows_ends_where_it_does() {
    let scratch = tempfile::tempdir().unwrap();
    let plain = std::fs::read(fixture("mariadb-10.11/plain-crc32/logs/binlog.000003")).unwrap();
    let plain = logs::grow(&plain, 14 << 20);
    let keys = keys_for(Mode::Cbc, 16, scratch.path());
    let whole = encrypt(&plain, &keys).unwrap();
    let (path, target) = (scratch.path().join("log"), scratch.path().join("plain"));
    let offsets = offsets(&whole);
    let last = *offsets.last().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    let pool = pool.unwrap();
    let decrypt_both = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let _ = std::fs::remove_file(&target);
        let file = pool.install(|| to_file(&path, &target, &keys));
        let from_file = FileSource::open(&path).unwrap();
        (file, to_stream(Input::File(from_file), &keys))
    };
    for length in [whole.len(), last + 20, last + 7, last, 9 << 20] {
        let (file, stream) = decrypt_both(&whole[..length]);
        let (expected, decrypted) = stream.unwrap();
        assert_eq!(file.unwrap().damage, decrypted.damage, "{length}");
        assert!(std::fs::read(&target).unwrap() == expected, "{length}");
        assert!(expected.len() <= length && length - expected.len() < 80);
    }
    for (length, before) in [(7, last), (7, 5 << 20), (u32::MAX, last)] {
        let mut bytes = whole.clone();
        let at = *offsets.iter().rfind(|&&at| at <= before).unwrap();
        bytes[at + 9..at + 13].copy_from_slice(&length.to_le_bytes());
        let (file, stream) = decrypt_both(&bytes);
        let expected = MariadbError::BadLength { offset: at as u64, length };
        for error in [file.map(drop).unwrap_err(), stream.map(drop).unwrap_err()] {
            assert_eq!(log_error(error), LogError::Mariadb(expected.clone()));
        }
        assert!(!target.exists());
    }
}

/// Offsets of events, by their lengths, from the first encrypted one on.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    const FIRST: usize = 256 + 40;
    let next = |&at: &usize| {
        let length = bytes[at + 9..at + 13].try_into().unwrap();
        Some(at + usize::try_from(u32::from_le_bytes(length)).unwrap())
            .filter(|&at| at < bytes.len())
    };
    std::iter::successors(Some(FIRST), next).collect()
}

#[test]
fn what_is_whole_of_a_damaged_log_is_salvaged() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut bytes, keys) = crc_log();
    let whole = to_stream(from_pipe(bytes.clone()), &keys).unwrap().0;
    let (path, target) = (scratch.path().join("log"), scratch.path().join("saved"));
    // One event in the middle, and the end.
    bytes[2000] ^= 1;
    bytes.truncate(4400);
    std::fs::write(&path, &bytes).unwrap();
    let source = FileSource::open(&path).unwrap();
    let sink = SinkOptions::default();
    let options = SalvageOptions::default();
    let salvaged = salvage(&source, &target, sink, &keys, &options, &NoProgress).unwrap();
    let saved = std::fs::read(&target).unwrap();
    let ((count, bad), all) = (walk(&saved), walk(&whole).0);
    assert!(!salvaged.is_whole() && bad.is_none(), "{salvaged:?}");
    assert!(count + 4 >= all && count < all, "{count} of {all}: {salvaged:?}");
}
