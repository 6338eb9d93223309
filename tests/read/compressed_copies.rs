//! Compressed copies of logs, as archives keep them: read as the logs that they have.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{binlogsec, mixed, mixed_keyring};
use serde_json::Value;

/// Programs that make copies, and what they put behind a name.
const PROGRAMS: [(&str, &[&str], &str); 6] = [
    ("gzip", &["-c"], "gz"),
    ("zstd", &["-qc"], "zst"),
    ("bzip2", &["-c"], "bz2"),
    ("xz", &["-c"], "xz"),
    ("lz4", &["-qc"], "lz4"),
    ("zstd", &["-qc", "--ultra", "-20", "--long=27"], "zst"),
];
const LOGS: u32 = 6;

fn name(number: u32) -> String {
    format!("binlog.{number:06}")
}

fn compressed(program: &(&str, &[&str], &str), file: &Path) -> Option<Vec<u8>> {
    let output = Command::new(program.0).args(program.1).arg(file).output();
    let Ok(output) = output else {
        println!("skipped: {} is not here", program.0);
        return None;
    };
    assert!(output.status.success(), "{program:?}");
    Some(output.stdout)
}

/// The mixed logs, each as a copy of `program` where `as_copy` says so.
fn archive(
    program: &(&str, &[&str], &str),
    as_copy: impl Fn(u32) -> bool,
) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=LOGS {
        let (log, to) = (mixed().join(name(number)), folder.path().join(name(number)));
        if as_copy(number) {
            let copy = PathBuf::from(format!("{}.{}", to.display(), program.2));
            std::fs::write(copy, compressed(program, &log)?).unwrap();
        } else {
            std::fs::copy(log, to).unwrap();
        }
    }
    Some(folder)
}

fn recover(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = binlogsec();
    command.arg("recover").arg(folder).args(["--from", "beginning", "--keyring"]);
    command.arg(mixed_keyring()).args(arguments).output().unwrap()
}

#[test]
fn recovery_reads_the_copies_of_every_program_as_the_logs_that_they_have() {
    let plain = archive(&PROGRAMS[0], |_| false).unwrap();
    let expected = recover(plain.path(), &["-o", "-"]);
    assert!(expected.status.success() && expected.stdout.len() > 100_000);
    for program in &PROGRAMS {
        let alternate = archive(program, |number| number % 2 == 0);
        for folder in [alternate, archive(program, |_| true)].into_iter().flatten() {
            let found = recover(folder.path(), &["-o", "-"]);
            let told = String::from_utf8_lossy(&found.stderr);
            assert_eq!(found.status.code(), Some(0), "{program:?}: {told}");
            assert!(found.stdout == expected.stdout, "{program:?}: {told}");
        }
    }
}

#[test]
fn a_copy_that_cannot_be_unpacked_is_a_gap_and_never_left_out_in_silence() {
    for program in &PROGRAMS {
        let Some(folder) = archive(program, |_| true) else { continue };
        let copy = |number| folder.path().join(format!("{}.{}", name(number), program.2));
        for number in [3, LOGS] {
            let whole = std::fs::read(copy(number)).unwrap();
            for keep in [12, whole.len() / 2, whole.len() - 1] {
                std::fs::write(copy(number), &whole[..keep]).unwrap();
                let found = recover(folder.path(), &["-o", "-"]);
                let told = String::from_utf8_lossy(&found.stderr);
                assert_eq!(found.status.code(), Some(4), "{program:?} {number} {keep}: {told}");
                assert_eq!(found.stdout, b"", "{program:?} {number} {keep}: {told}");
                assert!(told.contains(&name(number)), "{program:?} {number} {keep}: {told}");
            }
            std::fs::write(copy(number), whole).unwrap();
        }
    }
}

#[test]
fn of_a_log_and_a_copy_of_it_the_longer_counts() {
    let program = &PROGRAMS[0];
    let folder = archive(program, |_| false).unwrap();
    let cut = mixed().join(name(5));
    let bytes = std::fs::read(&cut).unwrap();
    let early = folder.path().join("early");
    std::fs::create_dir(&early).unwrap();
    let packed = |from: &Path| compressed(program, from).unwrap();
    // The copy is the shorter one in the file system, and the longer log.
    std::fs::write(folder.path().join(name(5)), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(early.join(format!("{}.gz", name(5))), packed(&cut)).unwrap();
    let found = recover(folder.path(), &["--plan", "--format", "json"]);
    let plan: Value = serde_json::from_slice(&found.stdout).unwrap();
    let used = plan["doubled"][0]["used"].as_str().unwrap();
    assert!(used.ends_with("early/binlog.000005.gz"), "{plan}");
}

#[test]
fn copies_are_decrypted_listed_and_verified_under_the_names_of_their_logs() {
    for program in &PROGRAMS {
        let Some(folder) = archive(program, |_| true) else { continue };
        let copy = |number| folder.path().join(format!("{}.{}", name(number), program.2));
        let run = |arguments: &[&str], files: &[PathBuf]| {
            let mut command = binlogsec();
            command.args(arguments).args(files).arg("--keyring").arg(mixed_keyring());
            command.output().unwrap()
        };
        let logs: Vec<_> = (3..=LOGS).map(|number| mixed().join(name(number))).collect();
        let copies: Vec<_> = (3..=LOGS).map(copy).collect();
        let output = |arguments: &[&str], files: &[PathBuf]| {
            let output = run(arguments, files);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{arguments:?} {files:?}: {told}");
            output.stdout
        };
        let listing = ["events", "--format", "csv"];
        let columns = |text: Vec<u8>| {
            let lines = String::from_utf8(text).unwrap();
            lines.lines().map(|line| line.split_once(',').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(columns(output(&listing, &copies)), columns(output(&listing, &logs)));
        let decrypted = folder.path().join("out");
        let decrypt = ["decrypt", "--output-dir", decrypted.to_str().unwrap()];
        output(&decrypt, &copies);
        for (number, log) in (3..=LOGS).zip(&logs) {
            let there = std::fs::read(decrypted.join(name(number))).unwrap();
            assert!(there == common::plaintext(log, &mixed_keyring()), "{program:?} {number}");
        }
        output(&["verify"], &copies);
        // One is not there: the others do not follow one another.
        let missing = run(&["verify"], &[copy(3), copy(5)]);
        assert_eq!(missing.status.code(), Some(1), "{program:?}");
        let told = String::from_utf8_lossy(&missing.stdout).into_owned();
        assert!(told.contains("1 in between is missing"), "{told}");
    }
}

#[test]
fn copies_of_several_frames_or_members_are_read_to_their_end() {
    let skipped = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, b'x', b'y', b'z'];
    for program in &PROGRAMS {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::read(mixed().join(name(5))).unwrap();
        let mut copy = Vec::new();
        for part in [&log[..log.len() / 3], &log[log.len() / 3..]] {
            let file = folder.path().join("part");
            std::fs::write(&file, part).unwrap();
            let Some(bytes) = compressed(program, &file) else { break };
            copy.extend(bytes);
            if program.0 == "zstd" {
                copy.extend(skipped);
            }
        }
        if copy.is_empty() {
            continue;
        }
        let file = folder.path().join(format!("{}.{}", name(5), program.2));
        std::fs::write(&file, copy).unwrap();
        let output = binlogsec()
            .arg("decrypt")
            .arg(&file)
            .args(["-o", "-", "--keyring"])
            .arg(mixed_keyring())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program:?}: {told}");
        let plain = common::plaintext(&mixed().join(name(5)), &mixed_keyring());
        assert!(output.stdout == plain, "{program:?}: {told}");
    }
}
