//! A machine's worth of files, audited by the command.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::tls::{Authority, GOOD, Wanted};
use crate::common::{fixture, mixed, mixed_keyring, names};

/// A machine's worth of files: `my.cnf`, `data`, `tls`, `keys`, `conf.d`.
pub(crate) struct Machine {
    directory: TempDir,
    version: &'static str,
}

/// The files of an authority and of a good certificate, made once: keys of RSA take their time.
fn authority() -> &'static [(String, String)] {
    static MADE: OnceLock<Vec<(String, String)>> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        Authority::new(directory.path(), "Test CA").sign(&GOOD);
        let mut files = Vec::new();
        // An authority's key has no business beside the certificate.
        for (from, to) in [("", "tls"), ("ca", "authority")] {
            let from = directory.path().join(from);
            for name in names(&from).into_iter().filter(|name| from.join(name).is_file()) {
                let content = std::fs::read_to_string(from.join(&name)).unwrap();
                files.push((format!("{to}/{name}"), content));
            }
        }
        files
    })
}

impl Machine {
    pub(crate) fn new(options: &str, version: &'static str) -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap(), version };
        for name in ["data", "tls", "keys", "conf.d"] {
            std::fs::create_dir(machine.path(name)).unwrap();
        }
        machine.place(&format!("audit/{options}.cnf"), "my.cnf");
        machine.place("audit/conf.d/replica.cnf", "conf.d/replica.cnf");
        if version.contains("MariaDB") {
            machine.mariadb_data();
        } else if !version.starts_with("5.7") {
            machine.mysql_data();
        }
        std::fs::create_dir(machine.path("authority")).unwrap();
        for (name, content) in authority() {
            machine.write(name, content);
        }
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn place(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(fixture(from)).unwrap();
        let directory = self.directory.path().to_str().unwrap();
        self.write(to, &text.replace("@DIR@", directory));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.set_mode(name, 0o600);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Encrypted logs of a real server, its keyring elsewhere.
    fn mysql_data(&self) {
        let mut index = String::new();
        for number in 3..=6 {
            let name = format!("binlog.{number:06}");
            std::fs::copy(mixed().join(&name), self.path("data").join(&name)).unwrap();
            self.set_mode(&format!("data/{name}"), 0o640);
            index.push_str(&format!("./{name}\n"));
        }
        self.write("data/binlog.index", &index);
        self.write("data/auto.cnf", "[auto]\nserver-uuid=2bc92730-e533-11f1-b7bc-02fc00000001\n");
        std::fs::copy(mixed_keyring(), self.path("keys/keyring")).unwrap();
        self.set_mode("keys/keyring", 0o600);
        self.write("data/mysqld.my", "{\"components\": \"file://component_keyring_file\"}");
        let keyring = self.path("keys/keyring");
        self.write(
            "data/component_keyring_file.cnf",
            &format!("{{\"path\": {keyring:?}, \"read_only\": false}}"),
        );
    }

    fn mariadb_data(&self) {
        let logs = fixture("mariadb-10.11/cbc128-crc32-row/logs");
        for name in ["binlog.000002", "binlog.000003"] {
            std::fs::copy(logs.join(name), self.path("data").join(name)).unwrap();
            self.set_mode(&format!("data/{name}"), 0o640);
        }
        self.write("keys/keyfile.enc", "Salted__");
        self.write("keys/password", "password\n");
    }

    pub(crate) fn replace(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replace(old, new));
    }

    pub(crate) fn add_option(&self, lines: &str) {
        let text = std::fs::read_to_string(self.path("my.cnf")).unwrap();
        self.write("my.cnf", &format!("{text}\n[mysqld]\n{lines}\n"));
    }

    /// A certificate of another make in place of the good one, of the same authority.
    pub(crate) fn sign(&self, wanted: &Wanted<'_>) {
        let tls = self.path("tls");
        std::fs::rename(self.path("authority"), tls.join("ca")).unwrap();
        // The authority is reached by a path from `ca`.
        let authority = Authority::at(&tls);
        authority.sign(wanted);
        std::fs::rename(tls.join("ca"), self.path("authority")).unwrap();
    }

    pub(crate) fn run(&self, format: &str, more: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
            .arg("audit")
            .arg("--defaults-file")
            .arg(self.path("my.cnf"))
            .args(["--server-version", self.version, "--format", format])
            .args(more)
            .env_remove("BINLOGSEC_KEYRING")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    pub(crate) fn report(&self) -> Value {
        let (_, stdout, stderr) = self.run("json", &[]);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
    }

    /// Ids of the findings; of those that count, where notes are not asked for.
    pub(crate) fn found(&self, with_notes: bool) -> BTreeSet<String> {
        ids(&self.report(), with_notes)
    }

    /// Does what a finding's remedy says, where that can be done with files alone.
    pub(crate) fn apply(&self, report: &Value, id: &str) {
        let findings = report["findings"].as_array().unwrap();
        for finding in findings.iter().filter(|finding| finding["id"] == id) {
            let remedy = finding["remedy"].as_str().unwrap();
            match finding["remedy_language"].as_str().unwrap() {
                "options" => self.add_option(remedy),
                "shell" => {
                    let status = Command::new("sh").args(["-c", remedy]).status().unwrap();
                    assert!(status.success(), "{remedy}");
                }
                other => panic!("{id}: a remedy in {other}: {remedy}"),
            }
        }
    }
}

pub(crate) fn ids(report: &Value, with_notes: bool) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| with_notes || finding["counts"] == true)
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

pub(crate) const SOURCE: (&str, &str) = ("mysql-8.4-source", "8.4.3");
pub(crate) const REPLICA: (&str, &str) = ("mysql-8.4-replica", "8.4.3");
pub(crate) const OLD: (&str, &str) = ("mysql-5.7-source", "5.7.44");
pub(crate) const NDB: (&str, &str) = ("ndb-8.4-sql-node", "8.4.3");
pub(crate) const MARIADB: (&str, &str) = ("mariadb-10.11-source", "10.11.6-MariaDB");
/// The last of its series that takes TLS 1.1 where nobody says otherwise.
pub(crate) const OLD_MARIADB: (&str, &str) = ("mariadb-10.11-source", "10.11.5-MariaDB");

pub(crate) fn machine((options, version): (&'static str, &'static str)) -> Machine {
    Machine::new(options, version)
}

/// TLS as it should be, with a password.
pub(crate) const MASTER_INFO: &str = "25\nbinlog.000004\n154\nsource.example\nrepl\nsecret\n3306\n60\n1\n\
    \n/etc/mysql/certs\n\n\n\n1\n30.000\n\n0\n2bc92730-e533-11f1-b7bc-02fc00000001\n86400\n\n\n1\n\nTLSv1.2\n";
