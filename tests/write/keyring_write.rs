//! `keyring new`, `add-key` and `convert`: what is written is what independent writers write, and
//! no key is ever lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use binlogsec_core::keyring::KeyringFile;
use common::system::is_given_to;
use common::{corpus, fixture, mixed_keyring, names, openssl, said, scenarios};
use serde_json::Value;

const UUID: &str = "0f1e2d3c-4b5a-11ef-8a69-7887a6b5c4d3";
const FIXTURE_UUID: &str = "2bc92730-e533-11f1-b7bc-02fc00000001";

fn run(directory: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
    command.current_dir(directory).args(arguments.split(' '));
    command.output().unwrap()
}

fn succeeds(directory: &Path, arguments: &str) -> Value {
    let output = run(directory, &format!("{arguments} --format json"));
    assert!(output.status.success(), "{}", said(&output, directory));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fails(directory: &Path, arguments: &str, code: i32, message: &str) {
    let output = run(directory, arguments);
    assert_eq!(said(&output, directory), format!("error: {message}\n"));
    assert_eq!(output.status.code(), Some(code), "{arguments}");
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

#[test]
fn a_new_keyring_encrypts_and_decrypts() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let log = common::mixed().join("binlog.000001");
    for kind in ["component", "plugin"] {
        let report = succeeds(at, &format!("keyring new {kind} --server-uuid {UUID} --as {kind}"));
        assert_eq!(report["schema"], "binlogsec.keyring-change/1");
        assert_eq!(report["key_id"], format!("MySQLReplicationKey_{UUID}_1"));
        assert_eq!(
            (report["status"].as_str(), report["entries"].as_u64()),
            (Some("created"), Some(2))
        );
        assert_eq!(mode(&at.join(kind)), 0o600);
        let log = log.display();
        assert!(
            run(at, &format!("encrypt {log} -o log --force --keyring {kind}")).status.success()
        );
        let plain = run(at, &format!("decrypt log -o - --keyring {kind}")).stdout;
        assert!(plain == std::fs::read(common::mixed().join("binlog.000001")).unwrap());
    }
    let both = ["component", "plugin"].map(|kind| KeyringFile::open(at.join(kind)).unwrap());
    assert_ne!(both[0].entries()[0].data, both[1].entries()[0].data, "fresh keys");
    if openssl::is_here() {
        assert!(
            run(at, &format!("encrypt {} -o log --force --keyring component", log.display()))
                .status
                .success()
        );
        let encrypted = std::fs::read(at.join("log")).unwrap();
        assert!(
            openssl::decrypt(&encrypted, &at.join("component")) == std::fs::read(&log).unwrap()
        );
    }
}

/// `make.py` and the server itself are the other writers.
#[test]
fn converting_gives_what_other_writers_write() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let native = std::fs::read(fixture("keyring-plugin/v2.0-le64.keyring")).unwrap();
    for version in ["v1.0", "v2.0"] {
        for word in ["le64", "le32", "be64", "be32"] {
            let from = fixture(&format!("keyring-plugin/{version}-{word}.keyring"));
            let from = from.display();
            succeeds(at, &format!("keyring convert {from} {version}{word} --as plugin"));
            succeeds(at, &format!("keyring convert {from} json --as component --force"));
            succeeds(at, "keyring convert json back --as plugin --force");
            if cfg!(all(target_endian = "little", target_pointer_width = "64")) {
                assert!(std::fs::read(at.join(format!("{version}{word}"))).unwrap() == native);
                assert!(std::fs::read(at.join("back")).unwrap() == native);
            }
            assert_eq!(mode(&at.join("json")), 0o600);
        }
    }
    let mut files = 0;
    for (scenario, _) in scenarios("mysql-9.7") {
        let keyring = scenario.join("component_keyring_file");
        let content = std::fs::read(&keyring).unwrap();
        if !content.is_empty() {
            succeeds(
                at,
                &format!("keyring convert {} plugin --as plugin --force", keyring.display()),
            );
            succeeds(at, "keyring convert plugin json --as component --force");
            assert!(std::fs::read(at.join("json")).unwrap() == content, "{}", keyring.display());
            files += 1;
        }
    }
    println!("{files} keyrings of a server came back byte for byte");
    assert!(files > 3);
}

#[test]
fn a_real_plugin_keyring_becomes_json_with_the_same_keys() {
    let Some(real) = corpus().map(|corpus| corpus.join("keyring-plugin-1.0/keyring")) else {
        println!("skipped: the corpus is not at hand");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeeds(at, &format!("keyring convert {} json --as component", real.display()));
    let (from, to) =
        (KeyringFile::open(&real).unwrap(), KeyringFile::open(at.join("json")).unwrap());
    assert!(!from.entries().is_empty());
    assert_eq!(from.entries(), to.entries());
    let document: Value = serde_json::from_slice(&std::fs::read(at.join("json")).unwrap()).unwrap();
    assert_eq!(document["version"], "1.0");
    assert_eq!(document["elements"][0]["extension"], Value::Array(Vec::new()));
}

#[test]
fn a_key_more_keeps_all_others_and_the_format() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (from, id) in [
        (mixed_keyring(), format!("MySQLReplicationKey_{FIXTURE_UUID}_4")),
        (fixture("keyring-plugin/v1.0-be32.keyring"), format!("MySQLReplicationKey_{UUID}_11")),
        (fixture("keyring-plugin/v2.0-le64.keyring"), format!("MySQLReplicationKey_{UUID}_11")),
    ] {
        let path = at.join("keyring");
        std::fs::copy(&from, &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let is_given = is_given_to(&path, 990, Some(991));
        let report = succeeds(at, "keyring add-key keyring");
        assert_eq!(
            (&report["key_id"], &report["status"]),
            (&Value::from(id.clone()), &"key-added".into())
        );
        assert_eq!(report["notes"][0], "it was readable by others; now it is for its owner alone");
        let (before, after) =
            (KeyringFile::open(&from).unwrap(), KeyringFile::open(&path).unwrap());
        assert_eq!(after.format(), before.format());
        let (number_id, _) = id.rsplit_once('_').unwrap();
        let kept = before.entries().iter().filter(|entry| entry.id.to_string() != number_id);
        for entry in kept {
            assert!(after.entries().contains(entry), "{entry:?}");
        }
        assert_eq!(after.entries().len(), before.entries().len() + 1);
        assert_eq!(mode(&path), 0o600);
        if is_given {
            let metadata = path.metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (990, 991));
        }
        let log = common::mixed().join("binlog.000001");
        assert!(
            run(
                at,
                &format!(
                    "encrypt {} -o log --force --keyring keyring --key-id {id}",
                    log.display()
                )
            )
            .status
            .success()
        );
    }
}

#[test]
fn a_key_for_a_server_that_has_none_yet() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::copy(mixed_keyring(), at.join("keyring")).unwrap();
    std::fs::write(at.join("empty"), "").unwrap();
    let arguments = format!("keyring add-key keyring --server-uuid {UUID}");
    assert_eq!(succeeds(at, &arguments)["key_id"], format!("MySQLReplicationKey_{UUID}_1"));
    assert_eq!(succeeds(at, &arguments)["key_id"], format!("MySQLReplicationKey_{UUID}_2"));
    fails(
        at,
        "keyring add-key keyring",
        2,
        &format!(
            "keyring keyring: it has keys of several servers: name one by --server-uuid: {UUID}, {FIXTURE_UUID}"
        ),
    );
    let log = common::mixed().join("binlog.000001");
    fails(
        at,
        &format!("encrypt {} -o log --keyring keyring", log.display()),
        2,
        &format!(
            "keys of several servers are in use: name one by --key-id: MySQLReplicationKey_{UUID}_2, MySQLReplicationKey_{FIXTURE_UUID}_3"
        ),
    );
    fails(
        at,
        &format!("keyring add-key empty --server-uuid {UUID}"),
        2,
        "keyring empty: it is empty, and so of no kind yet: say which by --as component or --as plugin",
    );
    fails(
        at,
        "keyring add-key empty --as plugin",
        2,
        "keyring empty: it has no binary log key of any server yet: name the server by --server-uuid",
    );
    succeeds(at, &format!("keyring add-key empty --as plugin --server-uuid {UUID}"));
    assert_eq!(KeyringFile::open(at.join("empty")).unwrap().entries().len(), 2);
}

#[test]
fn refusals_say_why_and_write_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::copy(mixed_keyring(), at.join("keyring")).unwrap();
    let rotating = fixture("mysql-9.7/rotation-interrupted/component_keyring_file");
    std::fs::copy(rotating, at.join("rotating")).unwrap();
    std::fs::copy(mixed_keyring(), at.join("changing")).unwrap();
    std::fs::copy(mixed_keyring(), at.join("changing.backup")).unwrap();
    std::os::unix::fs::symlink("keyring", at.join("link")).unwrap();
    let before = names(at);
    let content =
        || names(at).iter().map(|name| std::fs::read(at.join(name)).unwrap()).collect::<Vec<_>>();
    let contents = content();
    for (arguments, code, message) in [
        (
            format!("keyring new keyring --server-uuid {UUID}"),
            2,
            "keyring exists already; it is replaced with --force only",
        ),
        (
            "keyring new x --server-uuid none".to_owned(),
            2,
            "keyring x: `none` is no server UUID: it has 36 characters, see auto.cnf in the data directory",
        ),
        (
            "keyring add-key rotating".to_owned(),
            2,
            "keyring rotating: a key rotation was interrupted: the new key is in use, but older logs may still need the old one; let the server start once, which sets this right",
        ),
        (
            "keyring add-key changing".to_owned(),
            2,
            "changing is refused: changing.backup is there: the server was interrupted while it changed the keyring, and takes that file at its next start; let it start once, or work on a copy of that file",
        ),
        (
            "keyring add-key nowhere".to_owned(),
            2,
            "cannot open nowhere: No such file or directory (os error 2)",
        ),
        (
            "keyring convert keyring keyring --as plugin --force".to_owned(),
            2,
            "keyring is the input itself; name another output",
        ),
        (
            "keyring convert keyring link --as plugin --force".to_owned(),
            2,
            "link is the input itself; name another output",
        ),
        (
            "keyring convert keyring rotating --as plugin".to_owned(),
            2,
            "rotating exists already; it is replaced with --force only",
        ),
    ] {
        fails(at, &arguments, code, message);
        assert_eq!(names(at), before);
        assert_eq!(content(), contents);
    }
}

#[test]
fn the_list_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::copy(mixed_keyring(), at.join("list")).unwrap();
    std::fs::copy(mixed_keyring(), at.join("keyring")).unwrap();
    let plain = run(at, "keyring keyring");
    assert!(plain.status.success());
    assert_eq!(run(at, "keyring list keyring").stdout, plain.stdout);
    let shadowed = String::from_utf8(run(at, "keyring ./list").stdout).unwrap();
    assert_eq!(shadowed.replace("./list", "keyring").as_bytes(), plain.stdout);
    assert_eq!(run(at, "keyring").status.code(), Some(2));
    let text = String::from_utf8(run(at, "keyring add-key keyring").stdout).unwrap();
    assert!(text.contains(": key added; component_keyring_file, version 1.0, 4 entries\nnew key, in use from now on: MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_4\n"), "{text}");
}

#[test]
fn two_keys_are_never_added_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::copy(mixed_keyring(), at.join("keyring")).unwrap();
    let lock = std::fs::File::open(at.join("keyring")).unwrap();
    lock.lock().unwrap();
    let busy = "keyring is refused: another binlogsec is at work on it";
    fails(at, "keyring add-key keyring", 2, busy);
    drop(lock);
    succeeds(at, "keyring add-key keyring");
}

/// The file of Percona's component: opened by the password that it was written under, and no other.
#[test]
fn a_keyring_goes_under_a_password_and_out_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let keyring = mixed_keyring();
    let keyring = keyring.display();
    std::fs::write(at.join("password"), "made up").unwrap();
    std::fs::write(at.join("other"), "made-up").unwrap();
    std::fs::write(at.join("empty"), "").unwrap();
    let by = "--keyring-password-file password";
    let made = format!("keyring convert {keyring} made --as encrypted");
    let report = succeeds(at, &format!("{made} {by}"));
    assert_eq!(
        (report["status"].as_str(), report["entries"].as_u64()),
        (Some("converted"), Some(3))
    );
    assert_eq!(mode(&at.join("made")), 0o600);
    let list = |arguments: &str| {
        succeeds(at, &format!("keyring list {arguments}"))["files"][0]["keys"].clone()
    };
    assert_eq!(list(&format!("made {by}")), list(&keyring.to_string()));
    let wrong = run(at, "keyring list made --keyring-password-file other");
    assert_eq!(wrong.status.code(), Some(3), "{}", said(&wrong, at));
    let first = std::fs::read(at.join("made")).unwrap();
    let again = run(at, &format!("{made} {by}"));
    assert_eq!(again.status.code(), Some(2), "{}", said(&again, at));
    succeeds(at, &format!("{made} --force {by}"));
    let second = std::fs::read(at.join("made")).unwrap();
    assert!(first[..37] != second[..37] && first[37..] != second[37..], "salt and IV are fresh");
    succeeds(at, &format!("keyring convert made back --as component {by}"));
    assert_eq!(list("back"), list(&keyring.to_string()));
    for (arguments, message) in [
        (String::new(), "a password is needed to write it"),
        ("--keyring-password-file empty".to_owned(), "the password is empty"),
    ] {
        let output = run(
            at,
            format!("keyring convert {keyring} none --as encrypted {arguments}").trim_end(),
        );
        assert_eq!(output.status.code(), Some(2), "{}", said(&output, at));
        assert!(said(&output, at).contains(message), "{}", said(&output, at));
        assert!(!at.join("none").exists());
    }
    let added = run(at, &format!("keyring add-key made {by}"));
    assert!(said(&added, at).contains("are not changed, but made anew"), "{}", said(&added, at));
}
