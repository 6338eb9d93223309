//! The configuration file: what it sets, what outweighs it, and whom it is believed from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use common::{mixed, mixed_keyring};

/// A directory with one plaintext log and one that is encrypted, and this configuration.
fn lab(configuration: &str) -> TempDir {
    let lab = tempfile::tempdir().unwrap();
    std::fs::create_dir(lab.path().join("logs")).unwrap();
    for name in ["binlog.000001", "binlog.000003"] {
        std::fs::copy(mixed().join(name), lab.path().join("logs").join(name)).unwrap();
    }
    std::fs::copy(mixed_keyring(), lab.path().join("keyring")).unwrap();
    write(&lab.path().join("binlogsec.toml"), configuration);
    write(&lab.path().join("off.toml"), "[rules]\nBLS001 = \"off\"\n");
    write(&lab.path().join("on.toml"), "[rules]\nBLS001 = \"error\"\n");
    lab
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// Exit code, standard output, standard error.
fn run(lab: &TempDir, arguments: &str) -> (i32, String, String) {
    with(lab, arguments, &[])
}

fn with(lab: &TempDir, arguments: &str, variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("binlogsec").unwrap();
    command.env_remove("BINLOGSEC_KEYRING").env_remove("BINLOGSEC_CONFIG").env("NO_COLOR", "1");
    command.current_dir(lab.path()).args(arguments.split(' ')).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_file_sets_what_the_command_line_does_not() {
    let lab = lab("policy = \"off.toml\"\nkeyring = \"keyring\"\n");
    let (code, out, stderr) = run(&lab, "check logs");
    assert_eq!(code, 0, "{out}{stderr}");
    assert_eq!(run(&lab, "check logs --policy on.toml").0, 1);
    let (code, _, stderr) = run(&lab, "decrypt logs/binlog.000003 -o plain");
    assert_eq!(code, 0, "{stderr}");
    // A keyring that is named, or that the environment names, stands alone.
    let (code, _, stderr) = run(&lab, "decrypt logs/binlog.000003 -o other --keyring nowhere");
    assert!(code == 2 && stderr.contains("nowhere"), "{code} {stderr}");
    let named = [("BINLOGSEC_KEYRING", "nothing.there")];
    let (code, _, stderr) = with(&lab, "decrypt logs/binlog.000003 -o other", &named);
    assert!(code == 2 && stderr.contains("nothing.there"), "{code} {stderr}");
}

#[test]
fn times_are_in_the_zone_of_the_file() {
    let lab = lab("time_zone = \"Asia/Tokyo\"\nkeyring = \"keyring\"\n");
    let arguments = "events logs/binlog.000003 --from 2026-11-21T07:00:00";
    assert!(
        run(&lab, arguments).2.contains("2026-11-20 22:00:00 UTC"),
        "{:?}",
        run(&lab, arguments)
    );
    let utc = format!("{arguments} --time-zone UTC");
    assert!(!run(&lab, &utc).2.contains("22:00:00 UTC"), "{:?}", run(&lab, &utc));
}

#[test]
fn a_file_that_is_not_right_is_an_error_and_the_help_is_still_there() {
    let lab = lab("keyrings = \"keyring\"\n");
    for command in ["check logs", "config show"] {
        let (code, out, stderr) = run(&lab, command);
        assert!(code == 2 && out.is_empty(), "{code} {out}");
        assert!(stderr.contains("binlogsec.toml") && stderr.contains("keyrings"), "{stderr}");
    }
    assert_eq!(run(&lab, "check --help").0, 0);
    let elsewhere = [("BINLOGSEC_CONFIG", "not/there.toml")];
    let (code, _, stderr) = with(&lab, "check logs", &elsewhere);
    assert!(code == 2 && stderr.contains("not/there.toml"), "{stderr}");
}

/// In a directory that all may write to, another user could switch rules off.
#[test]
fn a_file_that_others_may_write_is_not_believed() {
    let lab = lab("policy = \"off.toml\"\n");
    let file = lab.path().join("binlogsec.toml");
    for mode in [0o666, 0o664] {
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let (code, _, stderr) = run(&lab, "check logs");
        assert!(code == 1 && stderr.contains("binlogsec.toml is not read"), "{code} {stderr}");
        let (_, out, _) = run(&lab, "config show");
        assert!(out.contains("not read: binlogsec.toml"), "{out}");
        // Through a link of somebody's, neither.
        let link = lab.path().join("elsewhere");
        std::fs::create_dir_all(&link).unwrap();
        let name = link.join("binlogsec.toml");
        let _ = std::fs::remove_file(&name);
        std::os::unix::fs::symlink(lab.path().join("off.toml"), &name).unwrap();
        let mut linked = Command::cargo_bin("binlogsec").unwrap();
        linked.env_remove("BINLOGSEC_CONFIG").current_dir(&link).args(["config", "show"]);
        let said = String::from_utf8(linked.output().unwrap().stdout).unwrap();
        assert!(said.contains("it is a symbolic link") && said.contains("file: none"), "{said}");
        // Whoever names it has looked.
        assert_eq!(with(&lab, "check logs", &[("BINLOGSEC_CONFIG", "binlogsec.toml")]).0, 0);
    }
}

#[test]
fn every_setting_is_shown_with_where_it_comes_from() {
    let lab = lab("policy = \"off.toml\"\nkeyring = [\"a\", \"/b\"]\ncolor = \"never\"\n");
    let show = |variables: &[(&str, &str)]| -> Vec<(String, String, Value)> {
        let (code, out, _) = with(&lab, "config show --format json", variables);
        assert_eq!(code, 0);
        let report: Value = serde_json::from_str(&out).unwrap();
        let settings = report["settings"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entry = |it: &Value| (text(&it["name"]), text(&it["source"]), it["values"].clone());
        settings.iter().map(entry).collect()
    };
    let expected = |keyring: (&str, Value)| {
        let row = |name: &str, source: &str, values| (name.to_owned(), source.to_owned(), values);
        vec![
            row("keyring", keyring.0, keyring.1),
            row("policy", "file", serde_json::json!(["off.toml"])),
            row("baseline", "default", serde_json::json!([])),
            row("time_zone", "default", serde_json::json!(["UTC"])),
            row("color", "file", serde_json::json!(["never"])),
        ]
    };
    assert_eq!(show(&[]), expected(("file", serde_json::json!(["a", "/b"]))));
    let variable = [("BINLOGSEC_KEYRING", "/c:/d")];
    assert_eq!(show(&variable), expected(("environment", serde_json::json!(["/c", "/d"]))));
    let (_, out, _) = run(&lab, "config show");
    assert!(out.lines().all(|line| line.len() <= 80), "{out}");
}

/// A baseline of the file weighs nothing in a shard, which would refuse one that is named.
#[test]
fn a_shard_takes_no_notice_of_the_files_baseline() {
    let lab = lab("baseline = \"baseline.toml\"\n");
    let entry =
        "[[finding]]\nid = \"BLS001\"\npath = \"**\"\nreason = \"known\"\nexpires = 9999-01-01\n";
    write(&lab.path().join("baseline.toml"), entry);
    assert_eq!(run(&lab, "check logs").0, 0);
    let (code, out, stderr) = run(&lab, "check logs --shard 0/1 --report json=s.json");
    assert!(code == 0 && out.contains("BLS001"), "{out}{stderr}");
    assert_eq!(run(&lab, "check logs --shard 0/1 --baseline other.toml").0, 2);
}
