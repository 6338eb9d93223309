//! Archives without plaintext: age files that their recipients open, and nothing else written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice
)]

use crate::common;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use tempfile::TempDir;

use common::system::{can_look_into, can_trace};
use common::{binlogsec, fixture, mixed, mixed_keyring, names, plaintext};

/// A log, its keyring, a folder for outputs, and somebody to write for.
struct Archive {
    directory: TempDir,
    identity: Identity,
}

impl Archive {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), identity: Identity::generate() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn recipient(&self) -> String {
        self.identity.to_public().to_string()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, log: &Path, arguments: &[&str]) -> Output {
        self.run_with(log, &mixed_keyring(), arguments)
    }

    fn run_with(&self, log: &Path, keyring: &Path, arguments: &[&str]) -> Output {
        binlogsec()
            .current_dir(self.directory.path())
            .arg("decrypt")
            .arg(log)
            .arg("--keyring")
            .arg(keyring)
            .args(arguments)
            .output()
            .unwrap()
    }
}

fn log() -> PathBuf {
    mixed().join("binlog.000003")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn refused(output: &Output, code: i32, word: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(said(output).contains(word), "{word}: {}", said(output));
}

/// What somebody else's reader makes of an age file.
fn open(sealed: &[u8], identity: &Identity) -> Vec<u8> {
    let decryptor = age::Decryptor::new(sealed).unwrap();
    let identities = std::iter::once(identity as &dyn age::Identity);
    let mut plain = Vec::new();
    let mut reader = decryptor.decrypt(identities).unwrap();
    reader.read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn every_recipient_opens_what_was_written_and_nobody_else() {
    let archive = Archive::new();
    let colleagues = [Identity::generate(), Identity::generate()];
    let list: String = colleagues
        .iter()
        .map(|identity| format!("# somebody\n\n  {}  \r\n", identity.to_public()))
        .collect();
    archive.file("team.txt", &list);
    let recipient = archive.recipient();
    let output = archive.run(
        &log(),
        &[
            "-o",
            "log.age",
            "--recipient",
            &recipient,
            "--recipient",
            "team.txt",
            "--format",
            "json",
        ],
    );
    done(&output);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let entry = &report["files"][0];
    assert_eq!(entry["status"], "sealed");
    assert_eq!(entry["recipients"], 3);
    let sealed = std::fs::read(archive.path("log.age")).unwrap();
    let plain = plaintext(&log(), &mixed_keyring());
    for identity in colleagues.iter().chain([&archive.identity]) {
        assert!(open(&sealed, identity) == plain);
    }
    let stranger = Identity::generate();
    let identities = std::iter::once(&stranger as &dyn age::Identity);
    let decryptor = age::Decryptor::new(&*sealed).unwrap();
    assert!(decryptor.decrypt(identities).is_err());
    let mode = archive.path("log.age").metadata().unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(names(archive.directory.path()), ["log.age", "team.txt"]);
}

#[test]
fn pipes_and_slices_are_sealed_too() {
    let archive = Archive::new();
    let recipient = archive.recipient();
    let sealed_as = ["-o", "-", "--recipient", &recipient];
    let plain = plaintext(&log(), &mixed_keyring());
    let output = archive.run(&log(), &sealed_as);
    done(&output);
    assert!(open(&output.stdout, &archive.identity) == plain);
    let pipe = |log: &Path, keyring: &Path, arguments: &[&str]| {
        binlogsec()
            .args(["decrypt", "-", "--keyring"])
            .arg(keyring)
            .args(arguments)
            .write_stdin(std::fs::read(log).unwrap())
            .output()
            .unwrap()
    };
    let output = pipe(&log(), &mixed_keyring(), &sealed_as);
    done(&output);
    assert!(open(&output.stdout, &archive.identity) == plain);
    let slice = ["--start-position", "127", "--stop-position", "70000"];
    let unsealed = archive.run(&log(), &[&["-o", "-"], &slice[..]].concat());
    done(&unsealed);
    let output = archive.run(&log(), &[&sealed_as[..], &slice].concat());
    done(&output);
    let opened = open(&output.stdout, &archive.identity);
    assert!(opened == unsealed.stdout && opened.len() < plain.len());
    // What MariaDB encrypted, event by event.
    let folder = fixture("mariadb-10.11/cbc128-crc32-row");
    let (keys, log) = (folder.join("keys.txt"), folder.join("logs/binlog.000002"));
    let plain = plaintext(&log, &keys);
    let output = archive.run_with(&log, &keys, &sealed_as);
    done(&output);
    assert!(open(&output.stdout, &archive.identity) == plain);
    let output = pipe(&log, &keys, &sealed_as);
    done(&output);
    assert!(open(&output.stdout, &archive.identity) == plain);
}

#[test]
fn a_directory_of_age_files_is_resumed() {
    let archive = Archive::new();
    let recipient = archive.recipient();
    let arguments = ["--output-dir", "archive", "--recipient", &recipient];
    done(&archive.run(&mixed(), &arguments));
    let sealed = names(&archive.path("archive"));
    let encrypted = ["binlog.000003.age", "binlog.000004.age"];
    assert!(encrypted.iter().all(|name| sealed.contains(&(*name).to_owned())), "{sealed:?}");
    for name in &sealed {
        let sealed = std::fs::read(archive.path("archive").join(name)).unwrap();
        let log = mixed().join(name.strip_suffix(".age").unwrap());
        assert!(open(&sealed, &archive.identity) == plaintext(&log, &mixed_keyring()), "{name}");
    }
    refused(&archive.run(&mixed(), &arguments), 2, "exists already");
    let one = archive.path("archive").join("binlog.000003.age");
    let before = std::fs::read(&one).unwrap();
    std::fs::remove_file(archive.path("archive").join("binlog.000004.age")).unwrap();
    let resumed = [&arguments[..], &["--resume"]].concat();
    let output = archive.run(&mixed(), &resumed);
    done(&output);
    assert_eq!(said(&output).matches(" sealed ").count(), 1, "{}", said(&output));
    assert_eq!(said(&output).matches(" kept ").count(), sealed.len() - 1, "{}", said(&output));
    assert!(std::fs::read(&one).unwrap() == before);
    assert_eq!(names(&archive.path("archive")), sealed);
    // What is cut, or no age file, is not taken for one.
    for content in [&before[..before.len() - 1], b"something else"] {
        std::fs::write(&one, content).unwrap();
        refused(&archive.run(&mixed(), &resumed), 2, "exists already");
    }
}

#[test]
fn what_is_no_recipient_is_refused_before_anything_is_written() {
    let archive = Archive::new();
    let secret = archive.identity.to_string().expose_secret().to_owned();
    let recipient = archive.recipient();
    archive.file("identity.txt", &format!("# public key: {recipient}\n{secret}\n"));
    archive.file("empty.txt", "# nobody\n");
    archive.file("wrong.txt", &format!("{recipient}\nhunter2\n"));
    let mut typo = recipient.clone();
    typo.replace_range(10..11, if &typo[10..11] == "q" { "p" } else { "q" });
    let lower = secret.to_lowercase();
    let files = names(archive.directory.path());
    for (names, word) in [
        (&*secret, "the argument of --recipient is an identity"),
        (&lower, "is an identity"),
        ("identity.txt", "line 2 of identity.txt is an identity"),
        ("empty.txt", "empty.txt has no recipient"),
        ("wrong.txt", "line 2 of wrong.txt is no recipient"),
        ("missing.txt", "cannot read recipients from missing.txt"),
        (".", "cannot read recipients from ."),
        (&typo, "is no recipient"),
        ("age1yubikey1qqqqqq", "kind that is not supported"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "kind that is not supported"),
    ] {
        for target in [["-o", "out"], ["-o", "-"], ["--output-dir", "out"]] {
            let good = ["--recipient", &recipient, "--recipient", names];
            let output = archive.run(&log(), &[&target[..], &good].concat());
            refused(&output, 2, word);
            let text = said(&output).to_lowercase();
            assert!(!text.contains(&lower) && !text.contains("hunter2"), "{text}");
            assert_eq!(self::names(archive.directory.path()), files, "{names}");
        }
    }
}

#[test]
fn recipients_on_hardware_tokens_are_taken() {
    let archive = Archive::new();
    let token = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
    done(&archive.run(&log(), &["-o", "out", "--recipient", token]));
    let sealed = std::fs::read(archive.path("out")).unwrap();
    let header = String::from_utf8_lossy(&sealed[..200]).into_owned();
    assert!(header.contains("-> p256tag "), "{header}");
}

#[test]
fn a_damaged_log_gives_no_age_file() {
    let archive = Archive::new();
    let recipient = archive.recipient();
    let mut bytes = std::fs::read(log()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = archive.path("damaged");
    std::fs::write(&damaged, bytes).unwrap();
    let arguments = ["-o", "out", "--recipient", &recipient, "--verify"];
    refused(&archive.run(&damaged, &arguments), 4, "checksum");
    assert_eq!(names(archive.directory.path()), ["damaged"]);
    done(&archive.run(&log(), &arguments));
    let sealed = std::fs::read(archive.path("out")).unwrap();
    assert!(open(&sealed, &archive.identity) == plaintext(&log(), &mixed_keyring()));
    // Of a stream nothing could be verified before it is written.
    let output = binlogsec()
        .args(["decrypt", "-", "-o", "-", "--verify", "--recipient", &recipient, "--keyring"])
        .arg(mixed_keyring())
        .write_stdin(std::fs::read(log()).unwrap())
        .output()
        .unwrap();
    refused(&output, 2, "cannot be verified on the way");
    assert!(output.stdout.is_empty());
}

/// Every byte that the process gives to the system is looked at.
#[test]
fn plaintext_is_never_written() {
    // Of a process that it may not look into, strace shows addresses in place of bytes.
    if !can_trace() || !can_look_into() {
        return;
    }
    let archive = Archive::new();
    let recipient = archive.recipient();
    let trace = archive.path("trace");
    let run = |arguments: &[&str]| {
        let status = Command::new("strace")
            .args(["-f", "-qq", "-s", "100000000", "-e", "trace=%desc"])
            .args(["-e", "abbrev=none", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_binlogsec"))
            .arg("decrypt")
            .arg(log())
            .args(arguments)
            .arg("--keyring")
            .arg(mixed_keyring())
            .arg("--quiet")
            .current_dir(archive.directory.path())
            .status()
            .unwrap();
        assert!(status.success());
        let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
        let writes = text.lines().filter(|line| line.contains("write"));
        writes.collect::<Vec<_>>().join("\n")
    };
    // The server's version stands in the log's first event, COMMIT and table names behind it.
    let marks = ["9.7.4", "BEGIN"];
    let sealed = run(&["-o", "out.age", "--recipient", &recipient]);
    assert!(sealed.contains("age-encryption.org"));
    for mark in marks {
        assert!(!sealed.contains(mark), "{mark} was written");
    }
    let plain = run(&["-o", "out"]);
    assert!(marks.iter().all(|mark| plain.contains(mark)));
}

#[test]
fn the_age_command_opens_what_was_written() {
    let version = Command::new("age").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        println!("skipped: no age command to open them with (Debian package age)");
        return;
    }
    let archive = Archive::new();
    let identity = archive.path("identity.txt");
    let made = Command::new("age-keygen").arg("-o").arg(&identity).output();
    done(&made.unwrap());
    let public = Command::new("age-keygen").arg("-y").arg(&identity).output().unwrap();
    done(&public);
    let recipient = String::from_utf8(public.stdout).unwrap();
    archive.file("recipients.txt", &format!("# from age-keygen -y\n{recipient}"));
    let plain = plaintext(&log(), &mixed_keyring());
    for recipient in [recipient.trim(), "recipients.txt"] {
        let output = archive.run(&log(), &["-o", "log.age", "--force", "--recipient", recipient]);
        done(&output);
        let opened = Command::new("age")
            .args(["--decrypt", "-i"])
            .arg(&identity)
            .arg(archive.path("log.age"))
            .output()
            .unwrap();
        assert!(opened.status.success() && opened.stdout == plain, "{}", said(&opened));
    }
}
