//! `binlogsec audit` on files: set-ups as guides have them are green; each hole that is opened in
//! one of them is found, and nothing else; the remedy, applied as printed, closes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use common::tls::{self, Authority, GOOD, Wanted};
use common::{fixture, mixed, mixed_keyring, openssl};

/// A machine's worth of files: `my.cnf`, `data`, `tls`, `keys`, `conf.d`.
struct Machine {
    directory: TempDir,
    version: &'static str,
}

impl Machine {
    fn new(options: &str, version: &'static str) -> Self {
        let machine = Self {
            directory: tempfile::tempdir().unwrap(),
            version,
        };
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
        let tls = machine.path("tls");
        Authority::new(&tls, "Test CA").sign(&GOOD);
        // An authority's key has no business there.
        std::fs::rename(tls.join("ca"), machine.path("authority")).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn place(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(fixture(from)).unwrap();
        let directory = self.directory.path().to_str().unwrap();
        self.write(to, &text.replace("@DIR@", directory));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.set_mode(name, 0o600);
    }

    fn set_mode(&self, name: &str, mode: u32) {
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
        self.write(
            "data/auto.cnf",
            "[auto]\nserver-uuid=2bc92730-e533-11f1-b7bc-02fc00000001\n",
        );
        std::fs::copy(mixed_keyring(), self.path("keys/keyring")).unwrap();
        self.set_mode("keys/keyring", 0o600);
        self.write(
            "data/mysqld.my",
            "{\"components\": \"file://component_keyring_file\"}",
        );
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

    fn replace(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replace(old, new));
    }

    fn add_option(&self, lines: &str) {
        let text = std::fs::read_to_string(self.path("my.cnf")).unwrap();
        self.write("my.cnf", &format!("{text}\n[mysqld]\n{lines}\n"));
    }

    /// A certificate of another make in place of the good one, of the same authority.
    fn sign(&self, wanted: &Wanted<'_>) {
        let tls = self.path("tls");
        std::fs::rename(self.path("authority"), tls.join("ca")).unwrap();
        // The authority is reached by a path from `ca`.
        let authority = Authority::at(&tls);
        authority.sign(wanted);
        std::fs::rename(tls.join("ca"), self.path("authority")).unwrap();
    }

    fn run(&self, format: &str, more: &[&str]) -> (i32, String, String) {
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
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    fn report(&self) -> Value {
        let (_, stdout, stderr) = self.run("json", &[]);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
    }

    /// Ids of the findings; of those that count, where notes are not asked for.
    fn found(&self, with_notes: bool) -> BTreeSet<String> {
        ids(&self.report(), with_notes)
    }

    /// Does what a finding's remedy says, where that can be done with files alone.
    fn apply(&self, report: &Value, id: &str) {
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

fn ids(report: &Value, with_notes: bool) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| with_notes || finding["counts"] == true)
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

const SOURCE: (&str, &str) = ("mysql-8.4-source", "8.4.3");
const REPLICA: (&str, &str) = ("mysql-8.4-replica", "8.4.3");
const OLD: (&str, &str) = ("mysql-5.7-source", "5.7.44");
const NDB: (&str, &str) = ("ndb-8.4-sql-node", "8.4.3");
const MARIADB: (&str, &str) = ("mariadb-10.11-source", "10.11.6-MariaDB");

fn machine((options, version): (&'static str, &'static str)) -> Machine {
    Machine::new(options, version)
}

#[test]
fn set_ups_of_the_guides_are_green() {
    if !openssl::is_here() {
        return;
    }
    for (setup, counted, notes) in [
        (SOURCE, &[][..], &["BLS013"][..]),
        (REPLICA, &[], &["BLS013"]),
        (OLD, &["BLR002"], &[]),
        (NDB, &[], &["BLS013"]),
        (MARIADB, &[], &[]),
    ] {
        let machine = machine(setup);
        let (code, text, stderr) = machine.run("text", &[]);
        assert_eq!(
            machine.found(false),
            set(counted),
            "{}: {text}{stderr}",
            setup.0
        );
        assert_eq!(code, i32::from(!counted.is_empty()), "{text}");
        let all: BTreeSet<_> = set(counted).union(&set(notes)).cloned().collect();
        assert_eq!(machine.found(true), all, "{}: {text}", setup.0);
    }
}

type Open = fn(&Machine);

/// A hole that an option opens, and the option lines that are printed close again.
#[test]
#[allow(clippy::too_many_lines)] // a table of holes
fn holes_of_options_are_found_and_closed_by_what_is_printed() {
    if !openssl::is_here() {
        return;
    }
    let holes: &[((&str, &str), Open, &str)] = &[
        (
            SOURCE,
            |it| it.replace("my.cnf", "binlog_encryption        = ON", ""),
            "BLR001",
        ),
        (
            SOURCE,
            |it| it.add_option("skip-binlog-encryption"),
            "BLR001",
        ),
        (
            REPLICA,
            |it| it.replace("conf.d/replica.cnf", "binlog-encryption\n", "\n"),
            "BLR001",
        ),
        (
            SOURCE,
            |it| it.add_option("require_secure_transport=0"),
            "BLR020",
        ),
        (
            REPLICA,
            |it| it.replace("conf.d/replica.cnf", "require-secure-transport   = 1", ""),
            "BLR020",
        ),
        (
            SOURCE,
            |it| it.add_option("tls-version=TLSv1.1,TLSv1.2"),
            "BLR021",
        ),
        (
            OLD,
            |it| it.replace("my.cnf", "tls_version               = TLSv1.2", ""),
            "BLR021",
        ),
        (
            OLD,
            |it| it.add_option("master-info-repository=FILE"),
            "BLR011",
        ),
        (
            NDB,
            |it| it.add_option("require_secure_transport=OFF"),
            "BLR020",
        ),
        (MARIADB, |it| it.add_option("skip-encrypt-binlog"), "BLR001"),
        (MARIADB, |it| it.add_option("encrypt-tmp-files=0"), "BLR009"),
        (
            MARIADB,
            |it| it.add_option("require-secure-transport=OFF"),
            "BLR020",
        ),
        (MARIADB, |it| it.add_option("tls_version=TLSv1.0"), "BLR021"),
        (
            MARIADB,
            |it| it.replace("my.cnf", "tls_version               = TLSv1.2,TLSv1.3", ""),
            "BLR021",
        ),
    ];
    for (setup, open, id) in holes {
        let machine = machine(*setup);
        let before = machine.found(false);
        open(&machine);
        let report = machine.report();
        let opened: BTreeSet<_> = before.union(&set(&[id])).cloned().collect();
        assert_eq!(ids(&report, false), opened, "{} {id}", setup.0);
        machine.apply(&report, id);
        assert_eq!(machine.found(false), before, "{} {id} is closed", setup.0);
    }
}

#[test]
fn what_options_note_does_not_count() {
    if !openssl::is_here() {
        return;
    }
    for (setup, option, id) in [
        (
            SOURCE,
            "binlog_rotate_encryption_master_key_at_startup=OFF",
            "BLR006",
        ),
        (SOURCE, "binlog_format=STATEMENT", "BLR008"),
        (SOURCE, "disable-log-bin", "BLR010"),
        (SOURCE, "binlog_transaction_compression=ON", "BLR013"),
        (SOURCE, "binlog_row_metadata=FULL", "BLR014"),
        (NDB, "ndb-mgm-tls=relaxed", "BLR025"),
    ] {
        let machine = machine(setup);
        let before = machine.found(true);
        machine.add_option(option);
        let opened: BTreeSet<_> = before.union(&set(&[id])).cloned().collect();
        assert_eq!(machine.found(true), opened, "{option}");
        assert_eq!(machine.run("text", &[]).0, 0);
    }
}

/// Holes of keyrings, modes and files beside the logs; commands are run as they are printed.
#[test]
fn holes_of_files_are_found_and_closed_by_what_is_printed() {
    if !openssl::is_here() {
        return;
    }
    let holes: &[((&str, &str), Open, &str)] = &[
        (
            SOURCE,
            |it| std::fs::remove_file(it.path("data/mysqld.my")).unwrap(),
            "BLR003",
        ),
        (
            MARIADB,
            |it| {
                it.replace(
                    "my.cnf",
                    "plugin_load_add           = file_key_management",
                    "",
                );
                it.replace("my.cnf", "file_key_management_filename", "#");
            },
            "BLR003",
        ),
        (SOURCE, |it| it.set_mode("keys/keyring", 0o644), "BLS010"),
        (
            SOURCE,
            |it| it.set_mode("tls/server-key.pem", 0o644),
            "BLR037",
        ),
        (MARIADB, |it| it.set_mode("keys/password", 0o644), "BLR007"),
        (
            SOURCE,
            |it| {
                it.replace("my.cnf", "[client]", "[client]\npassword = x");
                it.set_mode("my.cnf", 0o644);
            },
            "BLR012",
        ),
        (
            SOURCE,
            |it| {
                std::fs::copy(it.path("tls/ca.pem"), it.path("data/ca.pem")).unwrap();
                std::fs::copy(it.path("authority/key.pem"), it.path("data/ca-key.pem")).unwrap();
            },
            "BLR040",
        ),
        (
            SOURCE,
            |it| it.write("data/master.info", MASTER_INFO),
            "BLR011",
        ),
    ];
    for (setup, open, id) in holes {
        let machine = machine(*setup);
        // A keyring that all can read is a note until the policy says otherwise.
        let policy = machine.path("policy.toml");
        std::fs::write(&policy, "[rules]\nBLS010 = \"error\"\n").unwrap();
        let found = || {
            let (_, stdout, _) = machine.run("json", &["--policy", policy.to_str().unwrap()]);
            serde_json::from_str::<Value>(&stdout).unwrap()
        };
        assert_eq!(ids(&found(), false), set(&[]), "{id}");
        open(&machine);
        let report = found();
        assert_eq!(ids(&report, false), set(&[id]), "{} {id}", setup.0);
        machine.apply(&report, id);
        assert_eq!(ids(&found(), false), set(&[]), "{} {id} is closed", setup.0);
    }
}

/// TLS as it should be, with a password.
const MASTER_INFO: &str = "25\nbinlog.000004\n154\nsource.example\nrepl\nsecret\n3306\n60\n1\n\
    \n\n\n\n\n1\n30.000\n\n0\n2bc92730-e533-11f1-b7bc-02fc00000001\n86400\n\n\n1\n\nTLSv1.2\n";

#[test]
fn channels_in_master_info_are_judged_and_drawn() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(OLD);
    for (old, new, counted) in [
        ("", "", &["BLR002", "BLR011"][..]),
        ("secret", "", &["BLR002"]),
        ("60\n1\n", "60\n0\n", &["BLR002", "BLR011", "BLR060"]),
        (
            "\n1\n30.000",
            "\n0\n30.000",
            &["BLR002", "BLR011", "BLR061"],
        ),
    ] {
        let text = if old.is_empty() {
            MASTER_INFO.to_owned()
        } else {
            MASTER_INFO.replace(old, new)
        };
        machine.write("data/master.info", &text);
        let report = machine.report();
        assert_eq!(ids(&report, false), set(counted), "{new}");
        let edge = &report["topology"]["edges"][0];
        assert_eq!(edge["in_transit"] == "no", counted.contains(&"BLR060"));
        assert_eq!(edge["verified"] == "yes", counted.len() < 3, "{edge}");
        assert!(!report.to_string().contains("secret"));
    }
}

type Change = fn(&Machine);

#[test]
#[allow(clippy::too_many_lines)] // a table of certificates
fn certificates_are_held_against_what_replicas_need() {
    if !openssl::is_here() {
        return;
    }
    let holes: &[(Change, &[&str])] = &[
        (
            |it| {
                it.sign(&Wanted {
                    end: "210101000000Z",
                    ..GOOD
                });
            },
            &["BLR030"],
        ),
        (|it| it.sign(&Wanted { end: "10", ..GOOD }), &["BLR031"]),
        (
            |it| {
                it.sign(&Wanted {
                    key: &["rsa:1024"],
                    ..GOOD
                });
            },
            &["BLR032"],
        ),
        (
            |it| {
                it.sign(&Wanted {
                    digest: "sha1",
                    ..GOOD
                });
            },
            &["BLR033"],
        ),
        (
            |it| {
                it.sign(&Wanted {
                    alternative_name: "",
                    ..GOOD
                });
            },
            &["BLR036"],
        ),
        (
            |it| {
                it.sign(&Wanted {
                    alternative_name: "DNS:other.example",
                    ..GOOD
                });
            },
            &["BLR036"],
        ),
        (
            |it| {
                it.sign(&Wanted {
                    common_name: "MySQL_Server_8.4.3_Auto_Generated_Server_Certificate",
                    ..GOOD
                });
            },
            &["BLR034"],
        ),
        (
            |it| tls::self_signed(&it.path("tls"), "source.example"),
            &["BLR034"],
        ),
        (
            // Another authority of the same name.
            |it| {
                std::fs::create_dir(it.path("other")).unwrap();
                Authority::new(&it.path("other"), "Test CA");
                std::fs::copy(it.path("other/ca.pem"), it.path("tls/ca.pem")).unwrap();
            },
            &["BLR035"],
        ),
        (
            |it| {
                std::fs::create_dir(it.path("other")).unwrap();
                tls::self_signed(&it.path("other"), "x");
                std::fs::copy(
                    it.path("other/server-key.pem"),
                    it.path("tls/server-key.pem"),
                )
                .unwrap();
            },
            &["BLR038"],
        ),
        (|it| it.write("tls/server-cert.pem", "no PEM"), &["BLR039"]),
        (
            |it| std::fs::remove_file(it.path("tls/server-key.pem")).unwrap(),
            &["BLR039"],
        ),
        // These are as good as the first one.
        (
            |it| {
                it.sign(&Wanted {
                    key: &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                    ..GOOD
                });
            },
            &[],
        ),
        (
            |it| {
                it.sign(&Wanted {
                    alternative_name: "DNS:*.example",
                    ..GOOD
                });
            },
            &[],
        ),
    ];
    let machine = machine(SOURCE);
    let keep = machine.path("keep");
    copy_directory(&machine.path("tls"), &keep);
    for (number, (open, expected)) in holes.iter().enumerate() {
        open(&machine);
        let report = machine.report();
        let (_, text, _) = machine.run("text", &[]);
        assert_eq!(ids(&report, false), set(expected), "{number}: {text}");
        let _ = std::fs::remove_dir_all(machine.path("other"));
        std::fs::remove_dir_all(machine.path("tls")).unwrap();
        copy_directory(&keep, &machine.path("tls"));
        assert_eq!(machine.found(false), set(&[]), "{number} is undone");
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn persisted_variables_and_plain_logs_in_the_data_directory_count() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.write(
        "data/mysqld-auto.cnf",
        "{\"Version\":2,\"mysql_dynamic_variables\":{\"binlog_encryption\":{\"Value\":\"OFF\"}}}",
    );
    assert_eq!(machine.found(false), set(&["BLR001"]));
    std::fs::remove_file(machine.path("data/mysqld-auto.cnf")).unwrap();
    std::fs::copy(mixed().join("binlog.000001"), machine.path("data/old")).unwrap();
    machine.set_mode("data/old", 0o640);
    assert_eq!(machine.found(false), set(&["BLS001"]));
}

#[test]
fn the_frame_is_that_of_check() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.add_option("require_secure_transport=OFF");
    let file = |name: &str| machine.path(name).to_str().unwrap().to_owned();
    machine.write("policy.toml", "[rules]\nBLR020 = \"off\"\n");
    assert_eq!(
        machine.run("text", &["--policy", &file("policy.toml")]).0,
        0
    );
    machine.write(
        "baseline.toml",
        "[[finding]]\nid = \"secure-transport-optional\"\npath = \"**/my.cnf\"\n\
         reason = \"clients first\"\nexpires = 2999-01-01\n",
    );
    let (code, text, _) = machine.run("text", &["--baseline", &file("baseline.toml")]);
    assert!(code == 0 && text.contains("clients first"), "{text}");
    let reports = ["json", "sarif", "junit", "html", "github"];
    let arguments: Vec<_> = reports
        .iter()
        .flat_map(|name| ["--report".to_owned(), format!("{name}={}", file(name))])
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (code, text, _) = machine.run("text", &arguments);
    assert_eq!(code, 1);
    assert!(text.lines().last().unwrap().starts_with("FAIL: "), "{text}");
    for name in reports {
        let report = std::fs::read_to_string(machine.path(name)).unwrap();
        assert!(report.contains("BLR020"), "{name}");
    }
    schema("docs/schema/audit.json", &machine.path("json"));
    schema("tests/schemas/sarif-2.1.0.json", &machine.path("sarif"));
    let nowhere = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
        .args(["audit", "--datadir", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
}

fn schema(schema: &str, report: &Path) {
    let json = |path: &Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut document = json(&root.join(schema));
    if schema.contains("sarif") {
        common::mend_sarif_schema(&mut document);
    }
    let validator = jsonschema::validator_for(&document).unwrap();
    let report = json(report);
    let errors: Vec<_> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}");
}

/// Where a browser is at hand.
fn chromium(arguments: &[&str]) -> Option<(String, String)> {
    let profile = tempfile::tempdir().unwrap();
    let program = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        })?;
    let output = Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

/// The page in a browser: nothing on the console, every finding to be seen, nothing to be scrolled
/// sideways at any width, and another background in the dark.
#[test]
fn the_page_works_in_a_browser() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(OLD);
    let hostile = "a<script>console.error(1)&\"'<b>.000001";
    std::fs::copy(
        mixed().join("binlog.000001"),
        machine.path("data").join(hostile),
    )
    .unwrap();
    machine.write(
        "data/master.info",
        &MASTER_INFO.replace("source.example", &"s".repeat(90)),
    );
    let page = machine.path("audit.html");
    machine.run("json", &["--report", &format!("html={}", page.display())]);
    let html = std::fs::read_to_string(&page).unwrap();
    let findings = machine.report()["findings"].as_array().unwrap().len();
    assert!(findings > 3);
    assert!(!html.contains("<script>") && !html.contains("secret"));
    let url = format!("file://{}", page.display());
    let picture = machine.path("page.png");
    let Some((_, log)) = chromium(&[
        "--enable-logging=stderr",
        "--window-size=1200,900",
        &format!("--screenshot={}", picture.display()),
        &url,
    ]) else {
        println!("skipped: no browser");
        return;
    };
    assert!(!log.contains("CONSOLE"), "{log}");
    let png = std::fs::read(&picture).unwrap();
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (1200, 900));
    let escaped = html.replace('&', "&amp;").replace('"', "&quot;");
    let mut backgrounds = BTreeSet::new();
    for (width, dark) in [(1200, false), (390, false), (390, true)] {
        let frame = format!(
            "<iframe id=f width={width} height=900 srcdoc=\"{escaped}\"></iframe><pre id=r></pre><script>\
             f.onload = () => {{ const d = f.contentDocument, e = d.documentElement;\
             const seen = [...d.querySelectorAll('[data-finding]')].filter(x => x.getBoundingClientRect().height > 10);\
             r.textContent = ['RESULT', e.scrollWidth <= e.clientWidth, seen.length, d.querySelectorAll('script').length,\
             f.contentWindow.getComputedStyle(d.body).backgroundColor].join('|'); }}</script>"
        );
        let wrapper = machine.path("frame.html");
        std::fs::write(&wrapper, frame).unwrap();
        let url = format!("file://{}", wrapper.display());
        let mut arguments = vec!["--virtual-time-budget=4000", "--dump-dom", &url];
        if dark {
            arguments.insert(0, "--blink-settings=preferredColorScheme=0");
        }
        let (dom, _) = chromium(&arguments).unwrap();
        let result = dom
            .split("RESULT|")
            .last()
            .unwrap()
            .split('<')
            .next()
            .unwrap();
        let parts: Vec<_> = result.split('|').collect();
        let expected = ["true", &findings.to_string(), "0"].map(str::to_owned);
        assert_eq!(parts[..3], expected, "{width}: {result}");
        backgrounds.insert(parts[3].to_owned());
    }
    assert_eq!(backgrounds.len(), 2, "{backgrounds:?}");
}
