//! What `binlogsec check` looks at: whatever is named, lies in a directory that is named, or is
//! listed by an index, each once, and nothing is passed over in silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use common::checks::{check, encrypted_logs, found, log, run, set, write};

/// A data directory with an index, and the directory outside it where the index says logs are.
fn data_and_logs() -> (TempDir, TempDir) {
    let (data, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut index = String::new();
    for name in ["binlog.000001", "binlog.000003"] {
        write(&logs.path().join(name), &log(name));
        index.push_str(&format!("{}\n", logs.path().join(name).display()));
    }
    write(&logs.path().join("notes.txt"), b"nothing of a log");
    write(&data.path().join("binlog.index"), index.as_bytes());
    (data, logs)
}

#[test]
fn logs_that_an_index_in_a_directory_lists_are_looked_at_wherever_they_are() {
    let (data, logs) = data_and_logs();
    let expected = (1, set(&["BLS001 binlog.000001"]));
    let (code, report) = check(&[&data.path()]);
    assert_eq!((code, found(&report, &[])), expected);
    assert_eq!(report["summary"]["logs"], 2, "and nothing else out there");
    // Each once: whatever else names it or lists it, or is followed to it.
    let again = data.path().join("again.index");
    std::fs::copy(data.path().join("binlog.index"), &again).unwrap();
    std::os::unix::fs::symlink(logs.path(), data.path().join("link")).unwrap();
    let named = logs.path().join("binlog.000001");
    let runs: [&[&dyn AsRef<OsStr>]; 6] = [
        &[&data.path()],
        &[&data.path(), &"--follow"],
        &[&data.path(), &named],
        &[&data.path(), &named, &again],
        &[&data.path(), &logs.path()],
        &[&data.path(), &logs.path(), &named, &again],
    ];
    for more in runs {
        let (code, report) = check(more);
        assert_eq!((code, found(&report, &[])), expected);
        let summary = &report["summary"];
        assert_eq!((&summary["logs"], &summary["errors"]), (&2.into(), &1.into()));
    }
    // What is left out of directories is not fetched by an index in them either.
    let (code, report) = check(&[&data.path(), &"--exclude", &"*.000001"]);
    assert_eq!((code, found(&report, &[])), (0, set(&[])));
}

#[test]
fn a_listed_log_that_is_a_link_out_of_the_tree_is_looked_at() {
    let (data, logs) = data_and_logs();
    let link = data.path().join("relay.000001");
    std::os::unix::fs::symlink(logs.path().join("binlog.000001"), &link).unwrap();
    write(&data.path().join("binlog.index"), b"./relay.000001\n");
    let (code, report) = check(&[&data.path()]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 relay.000001"])));
}

#[test]
fn shards_share_what_indexes_list() {
    let (data, logs) = data_and_logs();
    std::fs::copy(data.path().join("binlog.index"), data.path().join("again.index")).unwrap();
    let (_, whole) = check(&[&data.path()]);
    let mut reports = Vec::new();
    for shard in 0..5 {
        let path = logs.path().join(format!("{shard}.json"));
        let report = format!("json={}", path.display());
        let shard = format!("{shard}/5");
        let done = run(&[&"check", &data.path(), &"--shard", &shard, &"--report", &report]);
        assert_eq!(done.0, 0, "{}", done.2);
        reports.push(path);
    }
    let mut merge: Vec<&dyn AsRef<OsStr>> = vec![&"report", &"merge", &"--format", &"json"];
    merge.extend(reports.iter().map(|path| path as &dyn AsRef<OsStr>));
    let (code, merged, stderr) = run(&merge);
    assert_eq!(code, 1, "{stderr}");
    let merged: serde_json::Value = serde_json::from_str(&merged).unwrap();
    for member in ["findings", "files", "indexes", "summary"] {
        assert_eq!(merged[member], whole[member], "{member}");
    }
}

#[test]
fn what_is_named_is_looked_at_although_a_pattern_leaves_it_out_of_its_directory() {
    let logs = encrypted_logs();
    std::fs::create_dir(logs.path().join("sub")).unwrap();
    let plain = logs.path().join("sub/plain");
    write(&plain, &log("binlog.000001"));
    let expected = (1, set(&["BLS001 plain"]));
    for pattern in [
        ["--exclude", "plain"],
        ["--exclude", "sub"],
        ["--include", "binlog.*"],
        ["--exclude", "nothing"],
    ] {
        for more in [&[][..], &["--follow"]] {
            let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"--datadir"];
            let (root, named) = (logs.path(), &plain);
            arguments.extend([&root as &dyn AsRef<OsStr>, named]);
            arguments.extend(pattern.iter().chain(more).map(|it| it as &dyn AsRef<_>));
            let (code, report) = check(&arguments);
            assert_eq!((code, found(&report, &[])), expected, "{pattern:?}");
            assert_eq!(report["summary"]["errors"], 1, "{pattern:?}: said once");
        }
    }
    // What an index that is named lists is named, too.
    let index = logs.path().join("sub/binlog.index");
    write(&index, b"./plain\n");
    let (code, report) = check(&[&logs.path(), &index, &"--exclude", &"sub"]);
    assert_eq!((code, found(&report, &[])), expected);
}

#[test]
fn what_is_named_must_be_a_log_in_a_directory_that_is_walked_too() {
    let logs = encrypted_logs();
    write(&logs.path().join("notes.txt"), b"nothing of a log");
    let named = logs.path().join("notes.txt");
    let (code, report) = check(&[&logs.path(), &named]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS009 notes.txt"])));
}

#[test]
fn a_plaintext_log_named_as_an_index_is_a_plaintext_log_and_none_of_it_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.index");
    write(&path, &log("binlog.000001"));
    for target in [directory.path(), &path] {
        let (code, report) = check(&[&target]);
        assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 binlog.index"])));
    }
    let (code, stdout, stderr) = run(&[&"inspect", &path]);
    assert!(code == 0 && stdout.contains("plain"), "{stdout} {stderr}");
}

#[test]
fn what_cannot_be_an_index_is_none_and_none_of_it_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.index");
    let long = [b"./SECRET.000001\n".as_slice(), &[b'S'; 5000]].concat();
    for content in [b"./SECRET.000001\nSEC\0RET\n".as_slice(), &long] {
        write(&path, content);
        let (code, report) = check(&[&path]);
        assert_eq!((code, found(&report, &[])), (1, set(&["BLS009 binlog.index"])));
        assert!(!report.to_string().contains("SECRET"), "{report}");
        let (code, stdout, stderr) = run(&[&"inspect", &path]);
        assert_eq!(code, 2, "{stdout}");
        assert!(stderr.contains("no index") && !stderr.contains("SECRET"), "{stderr}");
    }
}

fn piped(program: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program[0]));
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn a_compressed_copy_that_says_nothing_is_not_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let whole = piped(&["gzip", "-c"], &log("binlog.000001"));
    write(&at("binlog.000001.gz"), &whole[..12]);
    write(&at("binlog.000002.gz"), &piped(&["gzip", "-c"], b""));
    write(&at("binlog.000003.zst"), b"\x28\xb5\x2f\xfd\xff\xff\xff\xff");
    write(&at("holiday.gz"), &whole[..12]);
    write(&at("binlog.000004.gz"), &piped(&["gzip", "-c"], b"some other text"));
    let (code, report) = check(&[&directory.path()]);
    let expected =
        ["BLS009 binlog.000001.gz", "BLS009 binlog.000002.gz", "BLS009 binlog.000003.zst"];
    assert_eq!((code, found(&report, &[])), (1, set(&expected)));
}

#[test]
fn old_logs_are_looked_for_where_a_server_wrote_them_once() {
    let (data, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&data.path().join("ibdata1"), b"tables");
    write(&logs.path().join("b.000001"), &log("binlog.000001"));
    let options = data.path().join("my.cnf");
    let (data, logs) = (data.path().display(), logs.path().display());
    let text = format!("[mysqld]\ndatadir={data}\nlog_bin={logs}/b\nskip_log_bin\n");
    write(&options, text.as_bytes());
    let (code, report) = check(&[&"--defaults-file", &options]);
    assert_eq!((code, found(&report, &[])), (1, set(&["BLS001 b.000001"])));
    // What is not written any more need not be there.
    let text = format!("[mysqld]\ndatadir={data}\nlog_bin=/nowhere/at/all/b\nskip_log_bin\n");
    write(&options, text.as_bytes());
    assert_eq!(check(&[&"--defaults-file", &options]).0, 0);
}

#[test]
#[cfg(feature = "objects")]
fn a_store_that_cannot_be_reached_is_no_finding_but_a_check_that_was_not_made() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("notes.txt"), b"nothing of a log");
    let check = |target: &str, shard: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
            .args(["check", target])
            .arg(directory.path())
            .args(shard)
            .env("AWS_REGION", "nowhere")
            .env("AWS_ACCESS_KEY_ID", "nobody")
            .env("AWS_SECRET_ACCESS_KEY", "nothing")
            .env("AWS_ENDPOINT", "https://127.0.0.1:1")
            .env("SSL_CERT_FILE", "/nowhere")
            .env("SSL_CERT_DIR", "/nowhere")
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    for target in ["s3://bucket/binlog.000001", "s3://bucket/logs/"] {
        let (code, stderr) = check(target, &[]);
        assert_eq!(code, Some(2), "{stderr}");
        // The cause, and not only where it showed.
        assert!(stderr.contains("certificate"), "{stderr}");
    }
    // Every shard lists by itself.
    for shard in ["0/2", "1/2"] {
        for target in ["s3://bucket/logs/", "s3://bucket/binlog.index"] {
            let (code, stderr) = check(target, &["--shard", shard]);
            assert_eq!(code, Some(2), "{stderr}");
        }
    }
}

#[test]
fn a_report_never_replaces_what_it_reports_on() {
    let logs = encrypted_logs();
    let at = |name: &str| logs.path().join(name);
    let policy = at("policy.toml");
    write(&policy, b"");
    let unchanged = |path: &Path, before: &[u8]| std::fs::read(path).unwrap() == before;
    let before = log("binlog.000003");
    let named = at("binlog.000003");
    for command in ["check", "inspect", "verify"] {
        let report = format!("json={}/../{}/binlog.000003", logs.path().display(), {
            logs.path().file_name().unwrap().to_str().unwrap()
        });
        let (code, stdout, stderr) = run(&[&command, &named, &"--report", &report]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{command}: {stderr}");
        assert!(stderr.contains("binlog.000003"), "{stderr}");
        assert!(unchanged(&named, &before), "{command}");
        // Two that would be one.
        let twice = at("report");
        let [one, other] =
            [format!("json={}", twice.display()), format!("text={}", twice.display())];
        let (code, _, stderr) = run(&[&command, &named, &"--report", &one, &"--report", &other]);
        assert!(code == 2 && stderr.contains("report"), "{command}: {stderr}");
        assert!(!twice.exists(), "{command}");
    }
    let report = format!("sarif={}", policy.display());
    let (code, ..) = run(&[&"check", &named, &"--policy", &policy, &"--report", &report]);
    assert!(code == 2 && unchanged(&policy, b""));
    let shard = at("shard.json");
    let report = format!("json={}", shard.display());
    assert_eq!(run(&[&"check", &named, &"--shard", &"0/1", &"--report", &report]).0, 0);
    let before = std::fs::read(&shard).unwrap();
    let (code, ..) = run(&[&"report", &"merge", &shard, &"--report", &report]);
    assert!(code == 2 && unchanged(&shard, &before));
}
