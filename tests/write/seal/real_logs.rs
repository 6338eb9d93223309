//! Every log of real servers that there is: none gives an alarm.

use crate::common;

use std::path::{Path, PathBuf};

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::seal::{self, Manifest, SealOptions, Signer, Standing, VerifyOptions};
use common::{binlogsec, corpus, fixture};
use serde_json::Value;
use tempfile::TempDir;

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

/// How many logs were held against a manifest, by what had been done to them since it was made.
#[derive(Debug, Default)]
struct Held {
    /// Nothing.
    as_written: usize,
    rekeyed: usize,
    encrypted: usize,
    decrypted: usize,
}

#[test]
fn no_real_log_gives_an_alarm_whatever_is_done_to_it_without_changing_its_plaintext() {
    let (_lab, other) = other_keyring();
    let mut held = Held::default();
    for (directory, keys) in real_directories() {
        hold(&directory, &keys, &other, &mut held);
    }
    let all = held.as_written + held.rekeyed + held.encrypted + held.decrypted;
    println!("{all} logs: {held:?}");
    assert!(held.as_written >= 20 && held.rekeyed >= 4 && held.decrypted >= 10, "{held:?}");
    if corpus().is_some() {
        assert!(held.as_written >= 250 && all >= 500, "{held:?}");
    }
}

/// Seals the logs of a directory, and compares them as they are, and after what leaves plaintext as it
/// is.
fn hold(directory: &Path, keys: &Keyring, other: &Path, held: &mut Held) {
    let signer =
        Signer::Hmac(Keyring::open(common::mixed_keyring()).unwrap().choose(None).unwrap());
    let lab = tempfile::tempdir().unwrap();
    copy_logs(directory, lab.path());
    let manifest = lab.path().join("m");
    let options = SealOptions {
        signer: &signer,
        public_keys: &[],
        allow_in_use: true,
        stop_position: None,
        shard: None,
    };
    let paths = [lab.path().to_owned()];
    let sealed = match seal::seal(&manifest, &paths, keys, &options, &NoProgress) {
        Ok(sealed) if sealed.sealed.is_empty() => return,
        Ok(sealed) => sealed,
        // Keys that lie elsewhere, or that nobody has any more.
        Err(error) if error.class() == binlogsec_core::log::error_class::ErrorClass::Key => return,
        Err(error) => panic!("{}: {error:?}", directory.display()),
    };
    held.as_written += sealed.sealed.len();
    let manifest = Manifest::open(&manifest, &[]).unwrap();
    let check = |keys: &Keyring, what: &str| {
        let options = VerifyOptions::default();
        let verified = seal::verify(&manifest, &paths, keys, &options, &NoProgress).unwrap();
        assert_eq!(verified.logs.len(), sealed.sealed.len(), "{what}");
        for log in &verified.logs {
            let place = directory.display();
            assert_eq!(log.standing, Standing::Unchanged, "{what}, {place}: {log:?}");
        }
        assert!(verified.failures.is_empty());
    };
    check(keys, "as written");
    check(&Keyring::new(), "as written, without a key");
    let own = ["component_keyring_file", "keys.txt"].map(|name| directory.join(name));
    let Some(own) = own.iter().find(|path| path.is_file()) else { return };
    let is_mysql = own.ends_with("component_keyring_file");
    if is_mysql {
        let mut both = Keyring::open(own).unwrap();
        both.add_file(other).unwrap();
        held.rekeyed += count(lab.path(), &["rekey"], own, &["--new-keyring", text(other)]);
        check(&Keyring::new(), "rekeyed, without a key");
        check(&both, "rekeyed");
        held.encrypted += count(lab.path(), &["encrypt", "--in-place"], other, &[]);
        check(&both, "encrypted");
    }
    // Plaintext needs no key to be held against what was sealed.
    let plain = tempfile::tempdir().unwrap();
    let mut more = vec!["--output-dir", text(plain.path())];
    if is_mysql {
        more.extend(["--keyring", text(other)]);
    }
    held.decrypted += count(lab.path(), &["decrypt"], own, &more);
    copy_logs(plain.path(), &logs_of(lab.path()));
    check(&Keyring::new(), "decrypted");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Where the logs of a copied directory are.
fn logs_of(directory: &Path) -> PathBuf {
    let below = directory.join("logs");
    if below.is_dir() { below } else { directory.to_owned() }
}

/// Runs a command over a directory; the number of logs that it has made anew.
fn count(directory: &Path, command: &[&str], keyring: &Path, more: &[&str]) -> usize {
    let mut binlogsec = binlogsec();
    binlogsec.args(command).arg(logs_of(directory));
    let is_mariadb = keyring.ends_with("keys.txt");
    binlogsec.arg(if is_mariadb { "--mariadb-keys" } else { "--keyring" }).arg(keyring);
    let output = binlogsec.args(more).args(["--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let files = report["files"].as_array().cloned().unwrap_or_default();
    let made = ["rekeyed", "encrypted", "decrypted"];
    files.iter().filter(|file| made.iter().any(|it| file["status"] == *it)).count()
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
