//! `binlogsec check` and `binlogsec explain` as a user meets them: real directories of real
//! servers first, then what an attacker, an accident or a careless backup leaves on a disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::mysql::file_key::FileKey;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::password;
use binlogsec_core::mysql::stream::CtrStream;
use serde_json::Value;
use tempfile::TempDir;

use common::checks::{check, encrypted_logs, findings, found, log, reheaded, run, set, write};
use common::{fixture, mixed, mixed_keyring, scenarios};

#[test]
fn exactly_the_plaintext_logs_of_real_servers_are_reported() {
    let (mut directories, mut clean) = (0, 0);
    for (directory, manifest) in scenarios("mysql-9.7") {
        let expected: BTreeSet<_> = manifest["files"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|file| ["binlog", "relaylog"].contains(&file["kind"].as_str().unwrap()))
            .filter(|file| {
                file["encrypted"] == false
                    && directory.join(file["name"].as_str().unwrap()).is_file()
            })
            .map(|file| format!("BLS001 {}", file["name"].as_str().unwrap()))
            .collect();
        let keyring = directory.join("component_keyring_file");
        let without = check(&[&directory]);
        let with = check(&[&directory, &"--keyring", &keyring]);
        for (code, report) in [without, with] {
            let name = directory.display();
            let summary = &report["summary"]["text"];
            assert_eq!(found(&report, &[]), expected, "{name}: {summary}");
            assert_eq!(code, i32::from(!expected.is_empty()), "{name}: {summary}");
        }
        directories += 1;
        clean += usize::from(expected.is_empty());
    }
    println!("{directories} directories, {clean} of them all encrypted");
    assert!(directories >= 7 && clean >= 4, "{directories} {clean}");
}

#[test]
fn mariadb_logs_are_encrypted_unproven_or_plain() {
    for (directory, manifest) in scenarios("mariadb-10.11") {
        let Some(logs) = manifest["logs"].as_array() else {
            continue;
        };
        let expected: BTreeSet<_> = logs
            .iter()
            .filter(|log| {
                log["encrypted"] == false && directory.join(log["file"].as_str().unwrap()).is_file()
            })
            .map(|log| {
                format!("BLS001 {}", log["file"].as_str().unwrap().trim_start_matches("logs/"))
            })
            .collect();
        let (code, report) = check(&[&directory.join("logs")]);
        assert_eq!(found(&report, &[]), expected, "{}", directory.display());
        assert_eq!(code, i32::from(!expected.is_empty()));
        assert_eq!(report["summary"]["by_status"]["proven"], 0);
    }
}

#[test]
fn with_a_keyring_encrypted_means_proven_and_without_the_report_says_so() {
    let logs = encrypted_logs();
    let (code, report) = check(&[&logs.path()]);
    assert_eq!((code, &report["summary"]["by_status"]["unproven"]), (0, &Value::from(4)));
    assert!(report["summary"]["text"].as_str().unwrap().contains("unproven: no key was given"));
    let (code, report) = check(&[&logs.path(), &"--keyring", &mixed_keyring()]);
    assert_eq!((code, &report["summary"]["by_status"]["proven"]), (0, &Value::from(4)));
}

#[test]
fn content_decides_and_not_the_name() {
    let logs = encrypted_logs();
    write(&logs.path().join("foo.bak"), &log("binlog.000001"));
    write(&logs.path().join("holiday.jpg"), b"\xff\xd8\xff not a log");
    write(&logs.path().join("dump.20240101"), b"-- MySQL dump");
    let (code, report) = check(&[&logs.path()]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 foo.bak"])));
}

#[test]
fn one_changed_byte_of_the_header_is_found() {
    let (keyring, original) = (mixed_keyring(), log("binlog.000003"));
    // Magic, version, field type, length of the key id; and, provable with the key alone, wrapped
    // password and IV. The padding may hold anything.
    let without = [0, 1, 2, 3, 4, 5, 6];
    let used = 7 + usize::from(original[6]) + 1 + 32 + 1 + 16;
    for offset in 0..used {
        let logs = encrypted_logs();
        let mut changed = original.clone();
        changed[offset] ^= 0x10;
        write(&logs.path().join("binlog.000003"), &changed);
        if without.contains(&offset) {
            let (code, report) = check(&[&logs.path()]);
            assert_eq!(
                (code, found(&report, &[])),
                (1, set(&["BLS009 binlog.000003"])),
                "{offset}"
            );
        }
        let (code, report) = check(&[&logs.path(), &"--keyring", &keyring]);
        let findings = found(&report, &[]);
        assert_eq!(code, 1, "{offset}");
        assert!(
            findings.iter().all(|text| text.ends_with("binlog.000003")),
            "{offset}: {findings:?}"
        );
    }
}

#[test]
fn compressed_plaintext_is_found_and_compressed_ciphertext_proven() {
    for (program, extension) in [
        (&["gzip", "-c"][..], "gz"),
        (&["zstd", "-qc"], "zst"),
        (&["xz", "-c"], "xz"),
        (&["bzip2", "-c"], "bz2"),
        (&["lz4", "-qc"], "lz4"),
    ] {
        let logs = tempfile::tempdir().unwrap();
        for (name, source) in [("plain", "binlog.000001"), ("encrypted", "binlog.000003")] {
            let Ok(output) = Command::new(program[0])
                .args(&program[1..])
                .stdin(std::fs::File::open(mixed().join(source)).unwrap())
                .stdout(Stdio::piped())
                .output()
            else {
                println!("{} is not installed: not tried", program[0]);
                continue;
            };
            write(&logs.path().join(name), &output.stdout);
        }
        if common::names(logs.path()).is_empty() {
            continue;
        }
        let (code, report) = check(&[&logs.path(), &"--keyring", &mixed_keyring()]);
        assert_eq!((code, found(&report, &[])), (1, set(&["BLS002 plain"])), "{extension}");
        assert_eq!(report["summary"]["by_status"]["proven"], 1, "{extension}");
    }
}

#[test]
fn a_header_on_another_logs_body_is_key_reuse() {
    let logs = encrypted_logs();
    write(&logs.path().join("binlog.000004"), &reheaded("binlog.000003", "binlog.000004"));
    let (code, report) = check(&[&logs.path()]);
    let both = ["BLS006 binlog.000003", "BLS006 binlog.000004"];
    assert_eq!((code, found(&report, &[])), (1, set(&both)));
    let (_, report) = check(&[&logs.path(), &"--keyring", &mixed_keyring()]);
    assert_eq!(found(&report, &[]), set(&[both[0], both[1], "BLS003 binlog.000004"]));
}

#[test]
fn copies_of_a_log_are_no_key_reuse() {
    let logs = encrypted_logs();
    let bytes = log("binlog.000003");
    std::fs::create_dir(logs.path().join("copy")).unwrap();
    write(&logs.path().join("copy/binlog.000003"), &bytes);
    write(&logs.path().join("copy/shorter"), &bytes[..2000]);
    let (code, report) = check(&[&logs.path(), &"--keyring", &mixed_keyring()]);
    assert_eq!((code, found(&report, &[])), (0, set(&[])));
}

#[test]
fn one_file_key_behind_two_wrappings_is_found_with_a_keyring() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let log = log("binlog.000003");
    let header = EncryptionHeader::parse(&log).unwrap();
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let key = keys.candidates(&header.key_id).unwrap().remove(0);
    let file_password = password::unwrap(&key, &header.iv, &header.wrapped_password);
    // Another log under the same file key, its password wrapped with another IV.
    let iv = [7; 16];
    let wrapped_anew = EncryptionHeader {
        wrapped_password: password::wrap(&key, &iv, &file_password),
        iv,
        ..header
    };
    let mut body = common::plaintext(&mixed().join("binlog.000004"), &mixed_keyring());
    CtrStream::new(FileKey::derive(&file_password)).apply(0, &mut body);
    write(&at("binlog.000003"), &log);
    let other = [&wrapped_anew.serialize().unwrap()[..], &body].concat();
    write(&at("binlog.000004"), &other);
    // A copy of the first, wrapped anew as `rekey` does, gives nothing away.
    let copy = [&wrapped_anew.serialize().unwrap()[..], &log[512..]].concat();
    write(&at("copy"), &copy);

    let keyring = mixed_keyring();
    let (code, report) = check(&[&directory.path(), &"--keyring", &keyring]);
    let expected = ["BLS006 binlog.000003", "BLS006 binlog.000004", "BLS006 copy"];
    assert_eq!(found(&report, &[]), set(&expected));
    assert_eq!((code, &report["summary"]["by_status"]["proven"]), (1, &3.into()));
    let messages: Vec<_> =
        findings(&report, "BLS006").map(|finding| finding["message"].as_str().unwrap()).collect();
    assert!(
        messages[0].starts_with("the same file key and nonce, behind another wrapping, as"),
        "{messages:?}"
    );
    std::fs::remove_file(at("binlog.000004")).unwrap();
    let (code, report) = check(&[&directory.path(), &"--keyring", &keyring]);
    assert_eq!((code, found(&report, &[])), (0, set(&[])), "copies alone");
    write(&at("binlog.000004"), &other);
    std::fs::remove_file(at("copy")).unwrap();
    let (code, report) = check(&[&directory.path()]);
    assert_eq!((code, found(&report, &[])), (0, set(&[])), "without a key");
}

/// Every remedy for this machine runs as it is printed, for the most awkward of names.
#[test]
fn remedies_can_be_pasted() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("it's -here $(id)");
    std::fs::create_dir(&logs).unwrap();
    let at = |name: &str| logs.join(name);
    for name in ["binlog.000003", "binlog.000004"] {
        write(&at(name), &log(name));
        std::fs::set_permissions(at(name), Permissions::from_mode(0o666)).unwrap();
    }
    write(&at("a b"), &log("binlog.000001"));
    write(&at("empty.000001"), b"");
    write(&at("not ciphertext"), &reheaded("binlog.000003", "binlog.000004"));
    write(&at("binlog.index"), b"./binlog.000003\n./binlog.000009\n");
    std::fs::copy(mixed_keyring(), at("keyring")).unwrap();
    let mut ids = BTreeSet::new();
    let keyring = at("keyring");
    let (_, report) = check(&[&logs, &"--keyring", &keyring]);
    let path = Path::new(env!("CARGO_BIN_EXE_binlogsec")).parent().unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    for finding in report["findings"].as_array().unwrap() {
        let remedy = finding["remedy"].as_str().unwrap();
        if remedy.starts_with("mysql ") || remedy.starts_with("shred ") {
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", remedy])
            .env("PATH", &path)
            .env_remove("BINLOGSEC_KEYRING")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().unwrap();
        assert!([0, 1, 3, 4].contains(&code), "{remedy}: {code} {said}");
        ids.insert(finding["id"].as_str().unwrap());
    }
    assert_eq!(
        ids.into_iter().collect::<Vec<_>>(),
        ["BLS003", "BLS006", "BLS008", "BLS009", "BLS010", "BLS011"]
    );
    let (_, report) = check(&[&logs]);
    assert_eq!(found(&report, &["BLS010"]), set(&[]), "the remedies helped");
}

#[test]
fn many_open_logs_have_one_remedy_that_fits_on_a_line() {
    let directory = tempfile::tempdir().unwrap();
    for number in 1..=30 {
        let path = directory.path().join(format!("binlog.{number:06}"));
        std::fs::write(&path, log("binlog.000003")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }
    let (_, report) = check(&[&directory.path()]);
    let remedy = findings(&report, "BLS010").next().unwrap()["remedy"].clone();
    let remedy = remedy.as_str().unwrap();
    assert!(remedy.len() < 200, "{remedy}");
    assert!(Command::new("sh").args(["-c", remedy]).status().unwrap().success());
    let (_, report) = check(&[&directory.path()]);
    assert_eq!(found(&report, &["BLS010"]), set(&[]), "{remedy}");
}

#[test]
fn a_plaintext_body_behind_an_encrypted_header_is_found_without_a_key() {
    let logs = encrypted_logs();
    let (header, plain) = (log("binlog.000003"), log("binlog.000001"));
    write(&logs.path().join("a"), &[&header[..512], &plain].concat());
    write(&logs.path().join("b"), &[&header[..512], b"xxxx", &plain[4..]].concat());
    write(&logs.path().join("c"), &[&header[..512], &vec![0; 5000]].concat());
    let (code, report) = check(&[&logs.path()]);
    assert_eq!(
        (code, found(&report, &["BLS003"])),
        (1, set(&["BLS003 a", "BLS003 b", "BLS003 c"]))
    );
}

#[test]
fn a_key_that_is_not_there_is_told_from_a_wrong_one() {
    let logs = encrypted_logs();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    let (code, report) = check(&[&logs.path(), &"--keyring", &other]);
    let expected: Vec<_> = (3..=6).map(|number| format!("BLS004 binlog.{number:06}")).collect();
    assert_eq!((code, found(&report, &[])), (1, expected.into_iter().collect()));
}

#[test]
fn what_cannot_be_told_is_never_compliant() {
    let logs = encrypted_logs();
    let bytes = log("binlog.000003");
    let path = |name: &str| logs.path().join(name);
    write(&path("binlog.000010"), b"");
    write(&path("binlog.000011"), &bytes[..300]);
    write(&path("binlog.000012"), &bytes[..512]);
    write(&path("binlog.000013"), &[&bytes[..4], &[9], &bytes[5..]].concat());
    write(&path("binlog.000014"), b"something else");
    write(&path("binlog.000015"), &log("binlog.000001")[..40]);
    write(&path("empty.txt"), b"");
    let (code, report) = check(&[&logs.path()]);
    let expected: Vec<_> = (10..=15).map(|number| format!("BLS009 binlog.{number:06}")).collect();
    assert_eq!((code, found(&report, &[])), (1, expected.into_iter().collect()));
    // What is named is expected to be a log, whatever it is called.
    let (code, report) = check(&[&path("empty.txt")]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS009 empty.txt"])));
}

#[test]
fn indexes_are_held_against_what_is_there() {
    let logs = encrypted_logs();
    let absolute = logs.path().join("binlog.000006");
    let index = format!(
        "./binlog.000003\r\n\r\nbinlog.000004\n\n{}\n./binlog.000099\n",
        absolute.display()
    );
    write(&logs.path().join("binlog.index"), index.as_bytes());
    let expected = set(&["BLS007 binlog.index", "BLS008 binlog.000005"]);
    let (code, report) = check(&[&logs.path()]);
    assert_eq!((code, found(&report, &[])), (1, expected));
    // The index alone: what it lists is looked at, each once.
    let (_, report) = check(&[&logs.path().join("binlog.index")]);
    assert_eq!(report["summary"]["logs"], 3);
    let (_, report) = check(&[&logs.path().join("binlog.index"), &logs.path(), &absolute]);
    assert_eq!(report["summary"]["logs"], 4, "nothing is counted twice");
}

#[test]
fn a_server_is_found_by_its_option_file() {
    let data = tempfile::tempdir().unwrap();
    let logs = encrypted_logs();
    write(&logs.path().join("binlog.000001"), &log("binlog.000001"));
    let options = format!(
        "[client]\ndatadir=/nowhere\n[mysqld-9.7]\nloose-datadir = \"{}\"\nlog-bin={}/binlog\n",
        data.path().display(),
        logs.path().display()
    );
    std::fs::create_dir(data.path().join("conf.d")).unwrap();
    write(&data.path().join("conf.d/logs.cnf"), options.as_bytes());
    write(
        &data.path().join("my.cnf"),
        format!("!includedir {}/conf.d\n", data.path().display()).as_bytes(),
    );
    let (code, report) = check(&[&"--defaults-file", &data.path().join("my.cnf")]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 binlog.000001"])));
    let (code, report) = check(&[&"--datadir", &logs.path()]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 binlog.000001"])));
}

#[test]
fn logs_of_another_server_are_found() {
    let logs = encrypted_logs();
    let uuid = b"2bc92730-e533-11f1-b7bc-02fc00000001";
    let mut foreign = log("binlog.000003");
    assert_eq!(&foreign[27..63], uuid);
    foreign[27] = b'9';
    write(&logs.path().join("binlog.000003"), &foreign);
    let (code, report) = check(&[&logs.path()]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS012 binlog.000003"])));
    write(
        &logs.path().join("auto.cnf"),
        b"[auto]\nserver-uuid=9bc92730-e533-11f1-b7bc-02fc00000001\n",
    );
    let (_, report) = check(&[&logs.path()]);
    let others: Vec<_> = (4..=6).map(|number| format!("BLS012 binlog.{number:06}")).collect();
    assert_eq!(found(&report, &[]), others.into_iter().collect());
    let policy = logs.path().join("policy.toml");
    write(&policy, b"allowed_server_uuids = [\"9bc92730-e533-11f1-b7bc-02fc00000001\", \"2bc92730-e533-11f1-b7bc-02fc00000001\"]");
    let (code, _) = check(&[&logs.path(), &"--policy", &policy]);
    assert_eq!(code, 0);
}

#[test]
fn modes_and_keyrings_in_the_tree_are_notes_that_a_policy_raises() {
    let logs = encrypted_logs();
    let keyring = logs.path().join("keys");
    write(&keyring, &std::fs::read(mixed_keyring()).unwrap());
    let open = logs.path().join("binlog.000003");
    std::fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let notes = ["BLS010 binlog.000003", "BLS010 keys", "BLS011 keys"];
    for (code, report) in [check(&[&logs.path()]), check(&[&logs.path(), &"--keyring", &keyring])] {
        let found = found(&report, &["BLS010", "BLS011"]);
        assert_eq!((code, found), (0, set(&notes)));
    }
    let policy = logs.path().join("policy.toml");
    write(&policy, b"[rules]\nBLS010 = \"error\"\nBLS011 = \"off\"\n");
    let (code, report) = check(&[&logs.path(), &"--policy", &policy]);
    assert_eq!((code, found(&report, &[])), (1, set(&notes[..2])));
    assert_eq!(found(&report, &["BLS011"]), set(&[]));
}

#[test]
fn old_generations_count_beyond_what_the_policy_allows() {
    let directory = fixture("mysql-9.7/rotation-interrupted");
    let keyring = directory.join("component_keyring_file");
    let (code, report) = check(&[&directory, &"--keyring", &keyring]);
    let found_old = found(&report, &["BLS005", "BLS014"]);
    assert!(code == 0 && found_old.contains("BLS014 component_keyring_file"), "{found_old:?}");
    let old = found(&report, &["BLS005"]);
    assert!(!old.is_empty());
    let policies = tempfile::tempdir().unwrap();
    let policy = policies.path().join("policy.toml");
    write(&policy, b"max_generations_behind = 0");
    let (code, report) = check(&[&directory, &"--keyring", &keyring, &"--policy", &policy]);
    assert_eq!((code, found(&report, &[])), (1, old));
    write(&policy, b"max_generations_behind = 1");
    let (code, report) = check(&[&directory, &"--keyring", &keyring, &"--policy", &policy]);
    assert_eq!((code, found(&report, &["BLS005"])), (0, set(&[])));
}

#[test]
fn a_baseline_accepts_until_its_day_and_proof_can_be_demanded() {
    let logs = encrypted_logs();
    write(&logs.path().join("old"), &log("binlog.000001"));
    let baseline = logs.path().join("baseline.toml");
    let entry = |expires: &str| {
        format!(
            "[[finding]]\nid = \"BLS001\"\npath = \"**/old\"\nreason = \"to be purged\"\nexpires = {expires}\n"
        )
    };
    write(&baseline, entry("9999-01-01").as_bytes());
    let (code, report) = check(&[&logs.path(), &"--baseline", &baseline]);
    assert_eq!((code, &report["summary"]["accepted"]), (0, &Value::from(1)));
    write(&baseline, entry("2020-01-01").as_bytes());
    let (code, report) = check(&[&logs.path(), &"--baseline", &baseline]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 old"])));
    write(&baseline, b"[[finding]]\nid = \"BLS001\"\nunknown = 1\n");
    let (code, _, stderr) = run(&[&"check", &logs.path(), &"--baseline", &baseline]);
    assert!(code == 2 && stderr.contains("baseline.toml"), "{stderr}");
    let policy = logs.path().join("policy.toml");
    write(&policy, b"require_proof = true");
    let (code, _, stderr) = run(&[&"check", &logs.path(), &"--policy", &policy]);
    assert!(code == 2 && stderr.contains("--keyring"), "{stderr}");
}

#[test]
fn a_baseline_that_was_written_accepts_what_was_there_and_nothing_else() {
    let logs = encrypted_logs();
    write(&logs.path().join("old [1]"), &log("binlog.000001"));
    let baseline = logs.path().join("baseline.toml");
    let of_what_is_there: [&dyn AsRef<OsStr>; 6] =
        [&"--write-baseline", &baseline, &"--reason", &"known", &"--expires", &"9999-01-01"];
    let all = |more: &[&dyn AsRef<OsStr>]| {
        let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"check"];
        let path = logs.path();
        arguments.push(&path);
        arguments.extend(more);
        run(&arguments)
    };
    let (code, out, stderr) = all(&of_what_is_there);
    assert!(code == 0 && out.contains("BLS001"), "{out}{stderr}");
    assert!(stderr.contains("1 finding accepted until 9999-01-01"), "{stderr}");
    // It is there now.
    let (code, _, stderr) = all(&of_what_is_there);
    assert!(code == 2 && stderr.contains("--force"), "{stderr}");
    // Renewed from itself: the entry is kept, once.
    let mut again: Vec<&dyn AsRef<OsStr>> = of_what_is_there.to_vec();
    again.extend([&"--force" as &dyn AsRef<OsStr>, &"--baseline", &baseline]);
    assert_eq!(all(&again).0, 0);
    let text = std::fs::read_to_string(&baseline).unwrap();
    assert_eq!(text.matches("[[finding]]").count(), 1, "{text}");
    // However the path is spelled.
    for path in [
        logs.path().to_owned(),
        logs.path().join("."),
        logs.path().join("../x/..").join(logs.path()),
    ] {
        let (code, report) = check(&[&path, &"--baseline", &baseline]);
        assert_eq!((code, &report["summary"]["accepted"]), (0, &Value::from(1)), "{path:?}");
    }
    write(&logs.path().join("old 1"), &log("binlog.000001"));
    let (code, report) = check(&[&logs.path(), &"--baseline", &baseline]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 old 1"])));
    // Never in the place of a log, and not without a reason or a day.
    let place = logs.path().join("old 1");
    let (code, ..) = run(&[
        &"check",
        &logs.path(),
        &"--write-baseline",
        &place,
        &"--reason",
        &"r",
        &"--expires",
        &"9999-01-01",
        &"--force",
    ]);
    assert_eq!((code, std::fs::read(&place).unwrap()), (2, log("binlog.000001")));
    assert_eq!(all(&of_what_is_there[..4]).0, 2);
}

#[test]
fn exit_codes_are_those_of_the_manual() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(check(&[&empty.path()]).0, 2, "nothing scanned");
    assert_eq!(check(&[&"/nowhere/at/all"]).0, 2, "a name that is not there");
    let (_, _, stderr) = run(&[&"check", &"/nowhere/at/all"]);
    assert!(stderr.contains("/nowhere/at/all: No such file"), "{stderr}");
    let logs = encrypted_logs();
    write(&logs.path().join("plain"), &log("binlog.000001"));
    let (code, report) = check(&[&logs.path(), &"/nowhere/at/all"]);
    assert_eq!((code, found(&report, &[])), (2, set(&["BLS001 plain"])), "the rest is reported");
    assert_eq!(check(&[&logs.path(), &"--exclude", &"plain"]).0, 0);
    assert_eq!(check(&[&logs.path(), &"--include", &"*.000003"]).0, 0);
    assert_eq!(check(&[&logs.path(), &"--exclude", &"*"]).0, 2, "nothing is left");
    let damaged = fixture("malformed/keyring-component/truncated.json");
    assert_eq!(run(&[&"check", &logs.path(), &"--keyring", &damaged]).0, 4);
    assert_eq!(run(&[&"check"]).0, 2);
}

#[test]
fn links_lead_out_of_the_tree_on_demand_only_and_circles_end() {
    let logs = encrypted_logs();
    symlink(mixed().join("binlog.000001"), logs.path().join("binlog.000001")).unwrap();
    symlink(".", logs.path().join("circle")).unwrap();
    symlink("endless", logs.path().join("endless")).unwrap();
    let (code, report) = check(&[&logs.path()]);
    assert_eq!((code, &report["summary"]["links"]), (0, &Value::from(3)));
    let (code, report) = check(&[&logs.path(), &"--follow"]);
    assert_eq!((code, found(&report, &["BLS001"])), (1, set(&["BLS001 binlog.000001"])));
    assert_eq!(report["summary"]["logs"], 5);
}

#[test]
fn pipes_do_not_block() {
    let logs = encrypted_logs();
    let pipe = logs.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (code, report) = check(&[&logs.path()]);
    assert_eq!((code, &report["summary"]["special_files"]), (0, &Value::from(1)));
    let (code, report) = check(&[&pipe]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS009 pipe"])));
}

#[test]
fn an_unreadable_file_is_never_compliant() {
    let logs = encrypted_logs();
    let everybody = Permissions::from_mode(0o755);
    std::fs::set_permissions(logs.path(), everybody.clone()).unwrap();
    for name in ["binlog.000003", "binlog.000004", "binlog.000005", "binlog.000006"] {
        std::fs::set_permissions(logs.path().join(name), Permissions::from_mode(0o644)).unwrap();
    }
    std::fs::set_permissions(logs.path().join("binlog.000003"), Permissions::from_mode(0o000))
        .unwrap();
    std::fs::create_dir(logs.path().join("closed")).unwrap();
    std::fs::set_permissions(logs.path().join("closed"), Permissions::from_mode(0o000)).unwrap();
    let is_root = std::fs::read(logs.path().join("binlog.000003")).is_ok();
    // Root may read everything: somebody else has to try.
    let own = || Some(Command::new(common::program()));
    let Some(mut command) = (if is_root { common::system::nobody() } else { own() }) else {
        return;
    };
    let output = command.args(["check", "--format", "json"]).arg(logs.path()).output().unwrap();
    std::fs::set_permissions(logs.path().join("closed"), everybody).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(found(&report, &[]), set(&["BLS009 binlog.000003", "BLS009 closed"]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_large_tree_is_checked_whole_while_files_vanish() {
    let directory = tempfile::tempdir().unwrap();
    let (encrypted, plain) =
        (log("binlog.000003")[..700].to_vec(), log("binlog.000001")[..700].to_vec());
    let mut expected = BTreeSet::new();
    for number in 0..3000_u32 {
        let folder = directory.path().join(format!("{:02}/{:02}", number % 7, number % 50));
        if number < 350 {
            std::fs::create_dir_all(&folder).unwrap();
        }
        let is_plain = number % 300 == 17;
        write(&folder.join(format!("f{number}")), if is_plain { &plain } else { &encrypted });
        if is_plain {
            expected.insert(format!("BLS001 f{number}"));
        }
    }
    let (code, report) = check(&[&directory.path()]);
    assert_eq!((code, found(&report, &[])), (1, expected));
    assert_eq!(
        (&report["summary"]["files"], &report["summary"]["logs"]),
        (&3000.into(), &3000.into())
    );
    let root = directory.path().to_owned();
    let remover = std::thread::spawn(move || std::fs::remove_dir_all(root.join("03")).unwrap());
    let (_, report) = check(&[&directory.path()]);
    remover.join().unwrap();
    assert_eq!(found(&report, &["BLS009"]), set(&[]), "a file that is gone is no finding");
}

/// A directory whose findings have every kind of awkward name.
fn awkward() -> TempDir {
    let logs = encrypted_logs();
    let plain = log("binlog.000001");
    let names: [&[u8]; 5] = [
        b"caf\xc3\xa9 <&\"'>.bak",
        b"\xff\xfe",
        b"a\x1b[31mred",
        b"new\nline,::error::x",
        b"]]>%41",
    ];
    for name in names {
        write(&logs.path().join(OsStr::from_bytes(name)), &plain);
    }
    logs
}

fn report(directory: &Path, format: &str) -> String {
    let (code, stdout, stderr) = run(&[&"check", &directory, &"--format", &format]);
    assert_eq!(code, 1, "{stderr}");
    stdout
}

#[test]
fn awkward_names_are_escaped_in_every_format() {
    let logs = awkward();
    for format in ["text", "json", "sarif", "junit", "github", "prometheus"] {
        let text = report(logs.path(), format);
        let forbidden = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(forbidden), "{format}: {text:?}");
        if ["text", "json", "junit"].contains(&format) {
            assert!(
                text.contains("\\xff\\xfe") || text.contains("\\\\xff\\\\xfe"),
                "{format}: {text}"
            );
        }
        assert!(!text.lines().any(|line| line.starts_with("line,::error")), "{format}: {text}");
    }
    assert_eq!(report(logs.path(), "github").matches("::error file=").count(), 5);
}

#[test]
fn sarif_is_valid_and_points_to_the_files() {
    let mut schema: Value =
        serde_json::from_str(include_str!("../schemas/sarif-2.1.0.json")).unwrap();
    common::mend_sarif_schema(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let logs = awkward();
    let sarif: Value = serde_json::from_str(&report(logs.path(), "sarif")).unwrap();
    let errors: Vec<_> = validator.iter_errors(&sarif).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let run = &sarif["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 14);
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        let uri =
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.starts_with("file:///") && uri.is_ascii() && !uri.contains(' '), "{uri}");
    }
    // The validator does reject: an empty assurance would pass everything.
    assert!(!validator.is_valid(&serde_json::json!({"version": "2.1.0"})));
}

#[test]
fn gitlab_gets_an_issue_for_each_finding_under_a_name_that_stays() {
    let logs = encrypted_logs();
    write(&logs.path().join("old"), &log("binlog.000001"));
    let issues = |path: &str| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
        command.current_dir(logs.path()).args(["check", path, "--format", "gitlab"]);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    let dotted = issues(".");
    let plain = dotted.as_array().unwrap().iter().find(|it| it["check_name"] == "BLS001").unwrap();
    assert_eq!(plain["location"], serde_json::json!({"path": "old", "lines": {"begin": 1}}));
    assert_eq!(plain["severity"], "critical");
    assert_eq!(plain["fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!(issues("old").as_array().unwrap()[0]["fingerprint"], plain["fingerprint"]);
    let sound = tempfile::tempdir().unwrap();
    write(&sound.path().join("text"), b"no log");
    let (code, out, _) = run(&[&"check", &sound.path(), &"--format", &"gitlab"]);
    assert_eq!((code, out.trim()), (0, "[]"));
}

#[test]
fn junit_is_valid() {
    let logs = awkward();
    let path = logs.path().join("report.xml");
    write(&path, report(logs.path(), "junit").as_bytes());
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/junit-10.xsd");
    let Ok(output) =
        Command::new("xmllint").args(["--noout", "--schema"]).args([&schema, &path]).output()
    else {
        println!("xmllint is not installed: the report is not validated here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn several_reports_are_written_at_once_and_whole() {
    let logs = encrypted_logs();
    let reports = tempfile::tempdir().unwrap();
    let target = |format: &str| reports.path().join(format!("check.{format}"));
    let arguments: Vec<_> = ["json", "sarif", "junit", "github", "prometheus", "text"]
        .iter()
        .map(|format| format!("--report={format}={}", target(format).display()))
        .collect();
    let path = logs.path();
    let mut all: Vec<&dyn AsRef<OsStr>> = vec![&"check", &path, &"--color=always"];
    all.extend(arguments.iter().map(|argument| argument as &dyn AsRef<OsStr>));
    assert_eq!(run(&all).0, 0);
    let mode = target("prometheus").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "the collector is another user");
    assert_eq!(common::names(reports.path()).len(), 6, "nothing else is left");
    let text = std::fs::read_to_string(target("text")).unwrap();
    assert!(
        !text.contains('\x1b') && text.lines().last().unwrap().starts_with("PASS: 4 logs"),
        "{text}"
    );
    let success = |metrics: &str| {
        let name = "binlogsec_check_last_success_timestamp_seconds ";
        metrics.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))
    };
    let first = std::fs::read_to_string(target("prometheus")).unwrap();
    assert!(
        first.contains("binlogsec_check_findings{id=\"BLS001\",severity=\"error\"} 0\n"),
        "{first}"
    );
    assert!(first.contains("binlogsec_check_logs{kind=\"mysql-encrypted\"} 4\n"), "{first}");
    write(&logs.path().join("plain"), &log("binlog.000001"));
    assert_eq!(run(&all).0, 1);
    let second = std::fs::read_to_string(target("prometheus")).unwrap();
    assert!(
        second.contains("binlogsec_check_findings{id=\"BLS001\",severity=\"error\"} 1\n"),
        "{second}"
    );
    assert!(success(&first).is_some() && success(&first) == success(&second), "a failure keeps it");
}

/// What differs from run to run is replaced.
fn golden(name: &str, found: &str, directory: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/check").join(name);
    let found = found.replace(directory.to_str().unwrap(), "/logs");
    let found: String = found
        .lines()
        .map(|line| match line.split_once("timestamp_seconds ") {
            Some((name, _)) if !line.starts_with('#') => format!("{name}timestamp_seconds TIME\n"),
            _ if line.starts_with("  \"time\": ") => "  \"time\": \"TIME\",\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    let found = found.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    if std::env::var_os("BINLOGSEC_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    // Of JSON the members' order is no matter; it depends on what else is built.
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    let same = found == expected || json(&found).is_some_and(|it| Some(it) == json(&expected));
    let path = path.display();
    assert!(same, "{path} differs; BINLOGSEC_UPDATE_GOLDEN=1 renews it:\n{found}");
}

#[test]
fn reports_are_as_they_were() {
    let logs = encrypted_logs();
    let path = |name: &str| logs.path().join(name);
    write(&path("foo.bak"), &log("binlog.000001"));
    write(&path("binlog.000007"), &log("binlog.000003")[..100]);
    write(&path("binlog.index"), b"./binlog.000003\n./binlog.000004\n./binlog.000005\n./binlog.000006\n./binlog.000007\n./binlog.000008\n");
    let keyring = path("keyring");
    write(&keyring, &std::fs::read(mixed_keyring()).unwrap());
    for (format, name) in [
        ("text", "report.txt"),
        ("json", "report.json"),
        ("sarif", "report.sarif"),
        ("junit", "report.xml"),
        ("github", "report.github"),
        ("prometheus", "report.prom"),
    ] {
        let (_, stdout, _) =
            run(&[&"check", &logs.path(), &"--format", &format, &"--keyring", &keyring]);
        golden(name, &stdout, logs.path());
    }
}

#[test]
fn explain_and_the_page_of_checks_say_the_same() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
    let (code, markdown, _) = run(&[&"explain", &"--markdown"]);
    assert_eq!(code, 0);
    if std::env::var_os("BINLOGSEC_UPDATE_GOLDEN").is_some() {
        std::fs::write(&page, &markdown).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap();
    assert!(markdown == written, "renew it: binlogsec explain --markdown > docs/checks.md");
    for number in 1..=14 {
        let id = format!("BLS{number:03}");
        let (code, text, _) = run(&[&"explain", &id]);
        assert!(code == 0 && text.starts_with(&id) && text.contains("Controls"), "{text}");
    }
    let (code, _, stderr) = run(&[&"explain", &"BLS999"]);
    assert!(code == 2 && stderr.contains("BLS999") && stderr.contains("explain"), "{stderr}");
}

/// Shards of one set of logs, scanned apart, are judged together from their facts.
#[test]
fn facts_of_several_reports_can_be_judged_together() {
    use binlogsec_checks::check::{Facts, judge};
    use binlogsec_checks::finding::Policy;
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (log("binlog.000003"), log("binlog.000004"));
    write(&one.path().join("a"), &first);
    write(&other.path().join("b"), &[&first[..512], &second[512..]].concat());
    let facts = |directory: &Path| -> Facts {
        let (code, report) = check(&[&directory]);
        assert_eq!(code, 0, "each by itself is well");
        serde_json::from_value(report).unwrap()
    };
    let mut together = facts(one.path());
    together.logs.extend(facts(other.path()).logs);
    together.logs.sort_by(|one, other| one.path.cmp(&other.path));
    let findings = judge(&together, &Policy::default());
    let ids: Vec<_> = findings.iter().map(|finding| finding.rule.to_string()).collect();
    assert_eq!(ids, ["BLS006", "BLS006"]);
}

/// The step of the GitHub action that checks, run as the runner does.
#[test]
fn the_actions_script_checks_and_writes_sarif() {
    let action =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    let (_, script) = action.rsplit_once("      run: |\n").unwrap();
    let logs = encrypted_logs();
    let sarif = logs.path().join("report.sarif");
    let other = tempfile::tempdir().unwrap();
    write(&other.path().join("notes.txt"), b"nothing of a log");
    let paths = format!("{}\n{}\n", other.path().display(), logs.path().display());
    // Where the step before has put the program.
    let temporary = tempfile::tempdir().unwrap();
    let place = temporary.path().join("binlogsec");
    std::fs::create_dir(&place).unwrap();
    symlink(env!("CARGO_BIN_EXE_binlogsec"), place.join("binlogsec")).unwrap();
    let run = |keyring: &Path| {
        let output = Command::new("bash")
            .args(["-c", script])
            .env("RUNNER_TEMP", temporary.path())
            .env("EXCLUDE", "")
            .env("PATHS", &paths)
            .env("KEYRING", keyring)
            .env("POLICY", "")
            .env("BASELINE", "")
            .env("SARIF", &sarif)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, stdout) = run(&mixed_keyring());
    assert!(code == Some(0) && stdout.contains("(proven)"), "{stdout}");
    write(&logs.path().join("plain"), &log("binlog.000001"));
    let (code, stdout) = run(Path::new(""));
    assert!(code == Some(1) && stdout.starts_with("::error file="), "{stdout}");
    let report: Value = serde_json::from_slice(&std::fs::read(&sarif).unwrap()).unwrap();
    assert_eq!(report["runs"][0]["results"][0]["ruleId"], "BLS001");
}

#[test]
fn a_key_file_of_mariadb_is_asked_about_as_its_server_is() {
    let scenario = fixture("mariadb-10.11/cbc128-crc32-row");
    let (_, report) = check(&[&scenario.join("logs"), &"--keyring", &scenario.join("keys.txt")]);
    let findings = report["findings"].as_array().unwrap();
    let store = findings.iter().find(|finding| finding["id"] == "BLS013");
    let remedy = store.unwrap()["remedy"].to_string();
    assert!(remedy.contains("mariadb -e") && !remedy.contains("mysql"), "{remedy}");
}

#[test]
fn a_log_that_a_server_has_just_made_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000007");
    std::fs::write(&path, b"").unwrap();
    let server = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::write(path, log("binlog.000003")).unwrap();
    });
    let (code, report) = check(&[&directory.path()]);
    server.join().unwrap();
    assert_eq!((code, found(&report, &[])), (0, set(&[])));
    assert_eq!(report["summary"]["logs"], 1);
}

/// A server with little of the processor makes a log long before it lists it, and takes one out of
/// the index long before it removes it.
#[test]
fn a_log_that_a_server_is_about_to_list_or_to_remove_is_not_unlisted() {
    for is_purged in [false, true] {
        let logs = encrypted_logs();
        let path = |name: &str| logs.path().join(name);
        let index = path("binlog.index");
        let listed = "./binlog.000003\n./binlog.000004\n./binlog.000006\n";
        // Written just now, as by a server that is at work.
        std::fs::write(&index, listed).unwrap();
        let server = std::thread::spawn({
            let (log, next) = (path("binlog.000005"), path("next"));
            move || {
                std::thread::sleep(std::time::Duration::from_millis(500));
                if is_purged {
                    std::fs::remove_file(log).unwrap();
                } else {
                    write(&next, format!("{listed}./binlog.000005\n").as_bytes());
                    std::fs::rename(next, index).unwrap();
                }
            }
        });
        let (code, report) = check(&[&logs.path()]);
        server.join().unwrap();
        assert_eq!((code, found(&report, &[])), (0, set(&[])), "{is_purged}");
    }
}

/// The header page of a log that MariaDB 12.3 keeps in pages of InnoDB, and an empty page.
fn innodb_log() -> Vec<u8> {
    let mut page = vec![0; 16 << 10];
    page[..4].copy_from_slice(&0x010D_FEFE_u32.to_le_bytes());
    page[4..8].copy_from_slice(&14_u32.to_le_bytes());
    page[8..12].copy_from_slice(&1_u32.to_le_bytes());
    page.resize(32 << 10, 0);
    page
}

#[test]
fn an_innodb_binary_log_is_plaintext_whatever_its_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["binlog-000000.ibb", "binlog.000001", "copy"] {
        let path = directory.path().join(name);
        std::fs::write(&path, innodb_log()).unwrap();
        let output = common::binlogsec()
            .args(["check", "--format", "json"])
            .arg(directory.path())
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{report}");
        let file = &report["files"][0];
        assert_eq!(
            (&file["kind"], &file["status"]),
            (&"mariadb-innodb-plain".into(), &"plain".into())
        );
        let finding = &report["findings"][0];
        assert_eq!(finding["id"], "BLS001", "{report}");
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains("InnoDB binary log of MariaDB 12.3"), "{message}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn every_command_names_an_innodb_binary_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog-000000.ibb");
    std::fs::write(&path, innodb_log()).unwrap();
    let words = "an InnoDB binary log of MariaDB 12.3 or later: always plaintext, not read";
    let out = directory.path().join("out");
    let out = out.to_str().unwrap();
    for arguments in [
        &["verify"][..],
        &["events"],
        &["decrypt", "-o", out],
        &["salvage", "-o", out],
        &["encrypt", "-o", out],
    ] {
        let keyring = mixed_keyring();
        let mut command = common::binlogsec();
        command.args(arguments).arg(&path);
        if arguments[0] == "encrypt" {
            command.arg("--keyring").arg(keyring);
            command.env_remove("BINLOGSEC_KEYRING");
        }
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        let is_encrypt = arguments[0] == "encrypt";
        assert!(is_encrypt || message.contains(words), "{arguments:?}: {message}");
    }
    let output = common::binlogsec().arg("inspect").arg(&path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(words) && text.contains("mariadb-innodb-plain"), "{text}");
}
