//! `binlogsec check` and what it reports, for all tests of it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use super::mixed;

fn binlogsec(arguments: &[&OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_binlogsec"))
        .args(arguments)
        .env_remove("BINLOGSEC_KEYRING")
        .output()
        .unwrap()
}

pub(crate) fn run(arguments: &[&dyn AsRef<OsStr>]) -> (i32, String, String) {
    let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).as_ref()).collect();
    let output = binlogsec(&arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Exit code and JSON report.
pub(crate) fn check(arguments: &[&dyn AsRef<OsStr>]) -> (i32, Value) {
    let (command, format): (&str, [&str; 2]) = ("check", ["--format", "json"]);
    let mut all: Vec<&dyn AsRef<OsStr>> = vec![&command, &format[0], &format[1]];
    all.extend(arguments);
    let (code, stdout, stderr) = run(&all);
    let report = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (code, report)
}

/// `BLS001 binlog.000001`, for every finding of these ids; all that count where none is named.
pub(crate) fn found(report: &Value, ids: &[&str]) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| match ids {
            [] => finding["counts"] == true,
            ids => ids.contains(&finding["id"].as_str().unwrap()),
        })
        .map(|finding| {
            let path = Path::new(finding["path"].as_str().unwrap());
            let name = path.file_name().unwrap().to_string_lossy();
            format!("{} {name}", finding["id"].as_str().unwrap())
        })
        .collect()
}

/// The findings of one id.
pub(crate) fn findings<'a>(report: &'a Value, id: &'a str) -> impl Iterator<Item = &'a Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(move |finding| finding["id"] == id)
}

pub(crate) fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(|&text| text.to_owned()).collect()
}

/// A file as a server left it long ago: what it has just written, a check waits for.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    age(path);
}

/// Makes a file one that nobody is likely to be writing.
pub(crate) fn age(path: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
}

/// The same of all files of a tree.
pub(crate) fn age_tree(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            age_tree(&path);
        } else if kind.is_file() {
            age(&path);
        }
    }
}

/// A log of the fixtures.
pub(crate) fn log(name: &str) -> Vec<u8> {
    std::fs::read(mixed().join(name)).unwrap()
}

/// The header of one log and the body of another.
pub(crate) fn reheaded(header: &str, body: &str) -> Vec<u8> {
    [&log(header)[..512], &log(body)[512..]].concat()
}

/// A directory with the four encrypted logs of the fixtures and nothing else, as a server has
/// them.
pub(crate) fn encrypted_logs() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for number in 3..=6 {
        let name = format!("binlog.{number:06}");
        write(&directory.path().join(&name), &log(&name));
    }
    directory
}
