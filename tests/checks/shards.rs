//! Work spread over processes: the parts come to the very report that one process makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use common::checks::age_tree;
use common::{fixture, mixed, mixed_keyring};

fn run(arguments: &[&str]) -> (i32, String, String) {
    run_with(arguments, &[])
}

fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
        .args(arguments)
        .env_remove("BINLOGSEC_KEYRING")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A report but for when it was made.
fn timeless(report: &str) -> String {
    let is_time = |line: &&str| line.starts_with("  \"time\": \"20");
    let lines: Vec<_> = report.lines().collect();
    let kept: Vec<_> = lines.iter().copied().filter(|line| !is_time(line)).collect();
    assert!(kept.len() + 1 >= lines.len());
    kept.join("\n")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A tree in which every rule over several files finds something: two servers' logs, an index, a
/// log that no index names, two logs of one file key and different contents, names that are no
/// UTF-8.
fn tree() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    };
    copy(&mixed(), &root.join("one"));
    copy(&fixture("mysql-9.7/mixed-key1-running"), &root.join("two/deep"));
    copy(&fixture("mysql-9.7/replica-relay-running"), &root.join("relay"));
    copy(&fixture("malformed"), &root.join("malformed"));
    let log = std::fs::read(root.join("one/binlog.000004")).unwrap();
    let mut other = log.clone();
    other[700] ^= 1;
    std::fs::write(root.join("two/binlog.000004"), &other).unwrap();
    std::fs::write(root.join("one/binlog.000099"), &log).unwrap();
    let mut older = log.clone();
    let at = log.windows(2).position(|two| two == b"_3").unwrap();
    older[at + 1] = b'1';
    std::fs::write(root.join("two/binlog.000001"), &older).unwrap();
    // Another server's: a digit of the UUID in its key id.
    let digit = &mut older[at - 1];
    *digit = if *digit == b'2' { b'3' } else { b'2' };
    std::fs::write(root.join("one/binlog.000098"), &older).unwrap();
    let odd = [&b"binlog-\xff.000001"[..], b"binlog-\\xff.000001"];
    for name in odd {
        std::fs::write(root.join(OsStr::from_bytes(name)), &other).unwrap();
    }
    std::fs::write(root.join("empty.000001"), b"").unwrap();
    std::os::unix::fs::symlink("one", root.join("link")).unwrap();
    age_tree(root);
    directory
}

struct Sharded {
    reports: TempDir,
    count: u32,
}

impl Sharded {
    fn path(&self, index: u32) -> PathBuf {
        self.reports.path().join(format!("{index}.json"))
    }

    fn paths(&self) -> Vec<String> {
        (0..self.count).map(|index| self.path(index).to_str().unwrap().to_owned()).collect()
    }

    fn run_one(&self, command: &str, arguments: &[&str], index: u32) -> i32 {
        let shard = format!("{index}/{}", self.count);
        let report = format!("json={}", self.path(index).display());
        let mut all = vec![command, "--shard", &shard, "--report", &report, "--quiet"];
        all.extend(arguments);
        let (code, _, stderr) = run(&all);
        assert!(code != 2, "{stderr}");
        code
    }

    fn run(command: &str, arguments: &[&str], count: u32) -> Self {
        let sharded = Self { reports: tempfile::tempdir().unwrap(), count };
        for index in 0..count {
            sharded.run_one(command, arguments, index);
        }
        sharded
    }

    fn merge(&self, options: &[&str]) -> (i32, String, String) {
        let paths = self.paths();
        let mut all = vec!["report", "merge"];
        // In any order.
        all.extend(paths.iter().rev().map(String::as_str));
        all.extend(options);
        run(&all)
    }
}

#[test]
fn the_shards_of_a_check_come_to_the_report_of_one_run() {
    let tree = tree();
    let root = tree.path().to_str().unwrap();
    let keyring = mixed_keyring();
    for keys in [&["--keyring", keyring.to_str().unwrap()][..], &[]] {
        let arguments = [&[root], keys].concat();
        let whole = run(&[&["check", "--format", "json"][..], &arguments].concat());
        let report: Value = serde_json::from_str(&whole.1).unwrap();
        let ids: Vec<_> = report["findings"].as_array().unwrap().iter().collect();
        for id in ["BLS001", "BLS005", "BLS006", "BLS008", "BLS009", "BLS012"] {
            assert!(ids.iter().any(|finding| finding["id"] == id), "no {id}");
        }
        for count in [1, 2, 3, 7] {
            let sharded = Sharded::run("check", &arguments, count);
            let merged = sharded.merge(&["--format", "json"]);
            assert_eq!(timeless(&merged.1), timeless(&whole.1), "{count} shards");
            assert_eq!((merged.0, whole.0), (1, 1));
        }
        let sharded = Sharded::run("check", &arguments, 2);
        for format in ["text", "sarif", "junit", "github"] {
            let whole = run(&[&["check", "--format", format][..], &arguments].concat());
            assert_eq!(sharded.merge(&["--format", format]).1, whole.1, "{format}");
        }
    }
}

#[test]
fn the_shards_of_inspect_and_verify_come_to_the_report_of_one_run() {
    let tree = tree();
    let root = tree.path().to_str().unwrap();
    let keyring = mixed_keyring();
    let index = tree.path().join("one/binlog.index");
    let arguments =
        [root, index.to_str().unwrap(), "/nowhere", "--keyring", keyring.to_str().unwrap()];
    for command in ["inspect", "verify"] {
        let whole = run(&[&[command, "--format", "json"][..], &arguments].concat());
        let text = run(&[&[command][..], &arguments].concat());
        for count in [1, 3] {
            let reports = Sharded { reports: tempfile::tempdir().unwrap(), count };
            for shard in 0..count {
                let report = format!("json={}", reports.path(shard).display());
                let shard = format!("{shard}/{count}");
                run(&[&[command, "--shard", &shard, "--report", &report][..], &arguments].concat());
            }
            let merged = reports.merge(&["--format", "json"]);
            assert_eq!(merged.1, whole.1, "{command}, {count} shards");
            assert_eq!(merged.0, whole.0, "{command}");
            assert_eq!(reports.merge(&[]).1, text.1, "{command}");
            assert_eq!(reports.merge(&["--format", "sarif"]).0, 2, "{command}");
        }
    }
    // A gap between two logs shows when both are there, whichever shards they came from.
    let verified =
        run(&["verify", "--format", "json", root, "--keyring", keyring.to_str().unwrap()]);
    let report: Value = serde_json::from_str(&verified.1).unwrap();
    assert!(!report["gaps"].as_array().unwrap().is_empty());
}

#[test]
fn a_set_that_is_not_whole_is_refused() {
    let tree = tree();
    let root = tree.path().to_str().unwrap();
    let sharded = Sharded::run("check", &[root], 3);
    let merge = |paths: &[&str]| run(&[&["report", "merge"][..], paths].concat());
    let paths = sharded.paths();
    let [zero, one, two] = [0, 1, 2].map(|index| paths[index].as_str());
    for (files, word) in [
        (&[zero, two][..], "of 3 shards one is missing: 1"),
        (&[one], "of 3 shards some are missing: 0, 2"),
        (&[zero, one, two, one], "are both of shard 1"),
    ] {
        let (code, stdout, stderr) = merge(files);
        assert_eq!((code, &*stdout), (2, ""), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
    let others = [
        (Sharded::run("check", &[root], 2), "the numbers of shards differ"),
        (Sharded::run("inspect", &[root], 3), "the commands differ"),
        (
            Sharded::run("check", &[root, "--exclude", "x"], 3),
            "what was named, or the options, differ",
        ),
    ];
    for (other, word) in &others {
        let (code, _, stderr) = merge(&[zero, one, other.path(1).to_str().unwrap()]);
        assert!(code == 2 && stderr.contains(word), "{stderr}");
    }
    let policy = tree.path().join("policy.toml");
    std::fs::write(&policy, "max_log_mode = \"0600\"\n").unwrap();
    let (code, _, stderr) = sharded.merge(&["--policy", policy.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains("another policy"), "{stderr}");
    let whole = tree.path().join("whole.json");
    std::fs::write(&whole, run(&["check", "--format", "json", root]).1).unwrap();
    let (code, _, stderr) = merge(&[whole.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains("the report of a whole run"), "{stderr}");
    std::fs::write(&whole, "{").unwrap();
    let (code, _, stderr) = merge(&[whole.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains("no report that can be read"), "{stderr}");
}

#[test]
fn policy_and_baseline_weigh_the_whole() {
    let tree = tree();
    let root = tree.path().to_str().unwrap();
    let files = tempfile::tempdir().unwrap();
    let policy = files.path().join("policy.toml");
    std::fs::write(
        &policy,
        "max_log_mode = \"0600\"\n[rules]\nBLS012 = \"error\"\nBLS001 = \"note\"\n",
    )
    .unwrap();
    let baseline = files.path().join("baseline.toml");
    let accept = |date| {
        format!(
            "[[finding]]\nid = \"BLS009\"\npath = \"**\"\nreason = \"known\"\nexpires = {date}\n"
        )
    };
    for date in ["2001-01-01", "2999-01-01"] {
        std::fs::write(&baseline, accept(date)).unwrap();
        let options = [
            "--policy",
            policy.to_str().unwrap(),
            "--baseline",
            baseline.to_str().unwrap(),
            "--format",
            "json",
        ];
        let whole = run(&[&["check", root][..], &options].concat());
        let sharded = Sharded::run("check", &[root, "--policy", policy.to_str().unwrap()], 3);
        let merged = sharded.merge(&options);
        assert!(whole.1.contains("known"), "{}", whole.2);
        assert_eq!(timeless(&merged.1), timeless(&whole.1));
        assert_eq!(merged.0, whole.0);
    }
    let refused = run(&["check", root, "--shard", "0/2", "--baseline", baseline.to_str().unwrap()]);
    assert_eq!(refused.0, 2);
}

#[test]
fn a_shard_that_is_done_is_not_done_again() {
    let tree = tree();
    let root = tree.path().to_str().unwrap();
    let sharded = Sharded::run("check", &[root], 4);
    let before: Vec<_> = (0..4).map(|index| json(&sharded.path(index))).collect();
    // Killed before it wrote its report, and while an older program wrote one.
    std::fs::remove_file(sharded.path(1)).unwrap();
    std::fs::write(sharded.path(2), "{\"schema\": \"binlogsec.check/1\", \"sha").unwrap();
    // What is read again would show.
    let log = std::fs::read(mixed().join("binlog.000001")).unwrap();
    for number in 0..32 {
        std::fs::write(tree.path().join(format!("new.{number:06}")), &log).unwrap();
    }
    for index in 0..4 {
        sharded.run_one("check", &[root, "--resume"], index);
    }
    let after: Vec<_> = (0..4).map(|index| json(&sharded.path(index))).collect();
    assert!(before[0] == after[0] && before[3] == after[3]);
    assert!(before[1] != after[1] && before[2] != after[2]);
    // What was not done today is not passed off as done today.
    let mut yesterday = json(&sharded.path(0));
    yesterday["time"] = "2026-01-02T03:04:05Z".into();
    std::fs::write(sharded.path(0), yesterday.to_string()).unwrap();
    let report = format!("json={}", sharded.path(0).display());
    let again = ["check", "--shard", "0/4", "--report", &report, root, "--resume"];
    let (code, _, stderr) = run(&again);
    assert!(
        code == 0 && stderr.contains("taken from a report of 2026-01-02T03:04:05Z"),
        "{stderr}"
    );
    assert_eq!(json(&sharded.path(0))["time"], "2026-01-02T03:04:05Z");
    let (_, merged, _) = sharded.merge(&["--format", "json"]);
    let merged: Value = serde_json::from_str(&merged).unwrap();
    assert_eq!(merged["time"], "2026-01-02T03:04:05Z", "the oldest part's");
    // Of other keys is of another run, and so is anything else that differs.
    let keyring = mixed_keyring();
    let keyring = keyring.to_str().unwrap();
    sharded.run_one("check", &[root, "--resume", "--keyring", keyring], 0);
    let proven = json(&sharded.path(0));
    assert_ne!(proven, yesterday);
    let copy = tree.path().join("copy-of-keys");
    std::fs::copy(keyring, &copy).unwrap();
    let copy = copy.to_str().unwrap();
    sharded.run_one("check", &[root, "--resume", "--keyring", copy], 0);
    assert_ne!(json(&sharded.path(0))["shard"], proven["shard"]);
    sharded.run_one("check", &[root, "--resume", "--exclude", "x"], 0);
    assert_ne!(json(&sharded.path(0)), before[0]);
    let (code, _, stderr) = run(&["check", root, "--resume"]);
    assert!(code == 2 && stderr.contains("--shard"), "{stderr}");
}

#[test]
#[allow(clippy::too_many_lines)] // one story, of what a run leaves to the next
fn outputs_that_match_are_kept_and_others_are_not() {
    let output = tempfile::tempdir().unwrap();
    let keyring = mixed_keyring();
    let directory = output.path().join("plain");
    let decrypt = |more: &[&str]| {
        let input = mixed();
        let arguments = [
            &[
                "decrypt",
                input.to_str().unwrap(),
                "--output-dir",
                directory.to_str().unwrap(),
                "--keyring",
                keyring.to_str().unwrap(),
                "--format",
                "json",
            ][..],
            more,
        ]
        .concat();
        let (code, stdout, stderr) = run(&arguments);
        let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        let statuses = report["files"].as_array().unwrap().iter();
        let statuses = statuses.filter(|file| file["status"] != "left-out");
        let statuses: Vec<_> =
            statuses.map(|file| file["status"].as_str().unwrap().to_owned()).collect();
        (code, statuses)
    };
    let mut done = 0;
    for shard in ["0/3", "1/3", "2/3"] {
        let (code, statuses) = decrypt(&["--shard", shard]);
        assert_eq!(code, 0);
        done += statuses.len();
    }
    assert_eq!(done, 4, "each log in one shard");
    let expected = std::fs::read(directory.join("binlog.000004")).unwrap();
    assert_eq!(decrypt(&["--resume"]), (0, vec!["kept".to_owned(); 4]));
    std::fs::remove_file(directory.join("binlog.000003")).unwrap();
    // As long, and another log's: at its end.
    let mut other = expected.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(directory.join("binlog.000004"), &other).unwrap();
    let (code, statuses) = decrypt(&["--resume"]);
    assert_eq!(code, 2);
    assert_eq!(statuses, ["decrypted", "failed", "kept", "kept"]);
    assert_eq!(decrypt(&["--resume", "--force"]).1, ["kept", "decrypted", "kept", "kept"]);
    assert_eq!(std::fs::read(directory.join("binlog.000004")).unwrap(), expected);

    let encrypted = output.path().join("encrypted");
    let encrypt = |more: &[&str]| {
        let arguments = [
            &[
                "encrypt",
                directory.to_str().unwrap(),
                "--output-dir",
                encrypted.to_str().unwrap(),
                "--keyring",
                keyring.to_str().unwrap(),
                "--allow-in-use",
            ][..],
            more,
        ]
        .concat();
        run(&arguments)
    };
    assert_eq!(encrypt(&[]).0, 0);
    let first = std::fs::read(encrypted.join("binlog.000003")).unwrap();
    std::fs::remove_file(encrypted.join("binlog.000004")).unwrap();
    let (code, stdout, stderr) = encrypt(&["--resume"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout.matches("kept").count(), 3, "{stdout}");
    assert_eq!(std::fs::read(encrypted.join("binlog.000003")).unwrap(), first);
    std::fs::copy(encrypted.join("binlog.000004"), encrypted.join("binlog.000005")).unwrap();
    assert_eq!(encrypt(&["--resume"]).0, 2);
}

#[test]
fn a_scheduler_may_say_which_shard_it_is() {
    let root = mixed();
    let root = root.to_str().unwrap();
    let arguments = ["inspect", root, "--shard", "auto", "--format", "json"];
    let from = |variables: &[(&str, &str)]| {
        let (code, stdout, stderr) = run_with(&arguments, variables);
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str::<Value>(&stdout).unwrap()["shard"].clone()
    };
    let shard = from(&[("JOB_COMPLETION_INDEX", "2"), ("BINLOGSEC_SHARDS", "5")]);
    assert_eq!((&shard["index"], &shard["count"]), (&2.into(), &5.into()));
    let shard = from(&[("SLURM_ARRAY_TASK_ID", "0"), ("BINLOGSEC_SHARDS", "5")]);
    assert_eq!((&shard["index"], &shard["count"]), (&0.into(), &5.into()));
    let (code, _, stderr) = run(&arguments);
    assert!(code == 2 && stderr.contains("JOB_COMPLETION_INDEX is not set"), "{stderr}");
}

#[test]
fn a_report_of_any_claimed_length_is_refused_and_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let (code, stdout, stderr) = run(&["report", "merge", path.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("report.json has 1099511627776 bytes"), "{stderr}");
}
