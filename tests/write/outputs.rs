//! No output of any command takes the place of a file that the run reads, not even with `--force`, by
//! whatever name it goes; and none takes the place of a keyring or a log by surprise.
//!
//! Commands and options are taken from the command's own help: one that is not in the table here
//! fails the test, so that a new one is not forgotten.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use binlogsec_core::keyring::Keyring;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::password;
use common::{fixture, mixed, mixed_keyring, names, program, said};
use tempfile::TempDir;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const KEY_ID: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_9";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// What an option or a positional argument stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file that is read; the one of the table is a good one. What else it takes stands behind it.
    Reads(&'static str, &'static str),
    /// The file that is written.
    Writes,
    /// A directory that outputs are written into, under the inputs' names.
    WritesInto,
    /// `FORMAT=FILE`, written.
    Reports,
    /// No file.
    Other,
}

use Kind::{Other, Reads, Reports, Writes, WritesInto};

/// The first key pair of RFC 8032, section 7.1.
const SEAL_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const SEAL_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

static MANIFEST: OnceLock<Vec<u8>> = OnceLock::new();
static PART: OnceLock<Vec<u8>> = OnceLock::new();

/// A manifest of `log`, signed with that key.
fn manifest(directory: &Path, made: &OnceLock<Vec<u8>>, more: &str) -> Vec<u8> {
    let make = || {
        let arguments = "seal log --keyring keyring --sign-key seal.key --output made";
        let arguments = format!("{arguments}{more}");
        let output = run(directory, &arguments.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{}", said(&output, directory));
        let made = std::fs::read(directory.join("made")).unwrap();
        std::fs::remove_file(directory.join("made")).unwrap();
        made
    };
    made.get_or_init(make).clone()
}

/// Options that mean the same with every command.
const OPTIONS: &[(&str, Kind)] = &[
    ("--keyring", Reads("keyring", "")),
    ("--new-keyring", Reads("other", "")),
    ("--key-file", Reads("key", "")),
    ("--key-command", Other),
    ("--mariadb-keys", Reads("keys.txt", "")),
    ("--mariadb-keys-password-file", Reads("keys.password", "--mariadb-keys keys.txt")),
    ("--mariadb-keys-digest", Other),
    ("--mariadb-keys-pbkdf2", Other),
    ("--mariadb-cipher", Other),
    ("--mariadb-key-id", Other),
    ("--recipient", Reads("recipients", "")),
    ("--header", Reads("header", "")),
    ("--description-from", Reads("plain", "")),
    ("--policy", Reads("policy.toml", "")),
    ("--baseline", Reads("baseline.toml", "")),
    ("--defaults-file", Reads("server.cnf", "")),
    ("--keyring-password-file", Reads("keyring.password", "")),
    ("--datadir", Other),
    ("--server-ca", Reads("ca.pem", "--server mysql://a@127.0.0.1:1/")),
    ("--client-cert", Reads("cert.pem", "--client-key ca.pem --server mysql://a@127.0.0.1:1/")),
    ("--client-key", Reads("cert.key", "--client-cert ca.pem --server mysql://a@127.0.0.1:1/")),
    ("--server", Other),
    ("--server-version", Other),
    ("--output", Writes),
    ("--backup-header", Writes),
    ("--write-baseline", Writes),
    ("--reason", Other),
    ("--expires", Other),
    ("--save", Writes),
    ("--compare", Reads("before.json", "--server mysql://a@127.0.0.1:1/")),
    ("--output-dir", WritesInto),
    ("--report", Reports),
    ("--format", Other),
    ("--shard", Other),
    ("--color", Other),
    ("--jobs", Other),
    ("--concurrency", Other),
    ("--start-position", Other),
    ("--stop-position", Other),
    ("--time-zone", Other),
    ("--exclude-gtid", Other),
    ("--type", Other),
    ("--from", Other),
    ("--to", Other),
    ("--to-before", Other),
    ("--find", Other),
    ("--grep", Other),
    ("--allow-gap", Other),
    ("--apply", Other),
    ("--gtid", Other),
    ("--table", Other),
    ("--server-id", Other),
    ("--domain-id", Other),
    ("--key-command-timeout", Other),
    ("--max-shift", Other),
    ("--include", Other),
    ("--exclude", Other),
    ("--server-uuid", Other),
    ("--as", Other),
    ("--key-id", Other),
    ("--sign-key", Reads("seal.key", "")),
    ("--public-key", Reads("seal.pub", "")),
    ("--anchor", Other),
    ("--purged-to", Other),
    ("--sealed", Reads("manifest", "--seal-public-key seal.pub")),
    ("--seal-public-key", Reads("seal.pub", "--sealed manifest")),
    ("--seal-anchor", Other),
    ("--schema", Reads("tables.sql", "")),
    ("--database", Other),
    ("--thread-id", Other),
    ("--op", Other),
    ("--where", Other),
    ("--changed", Other),
    ("--max-event", Other),
    ("--check", Other),
    ("--max-key-age", Other),
    ("--inventory", Reads("fleet.toml", "")),
    ("--cluster-config", Reads("config.ini", "")),
];

/// Every command, how it is run on good files, and the file among them that is its input.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("inspect", "inspect log", "log"),
    ("decrypt", "decrypt log --keyring keyring", "log"),
    ("encrypt", "encrypt plain --keyring keyring", "plain"),
    ("rekey", "rekey log --keyring keyring --new-keyring other", "log"),
    ("header dump", "header dump log", "log"),
    ("header restore", "", ""),
    ("config show", "", ""),
    ("events", "", ""),
    ("rows", "rows shop.log --keyring shop.keyring --keyring keyring", "shop.log"),
    (
        "undo",
        "undo shop.log --keyring shop.keyring --keyring keyring --schema tables.sql --op delete",
        "shop.log",
    ),
    ("verify", "verify log", "log"),
    ("salvage", "salvage log --keyring keyring", "log"),
    (
        "recover",
        "recover log --from 2bc92730-e533-11f1-b7bc-02fc00000001:1-41 --keyring keyring",
        "log",
    ),
    ("check", "check log", "log"),
    ("report merge", "report merge shard.json --policy policy.toml", "shard.json"),
    ("audit", "audit --defaults-file my.cnf", "my.cnf"),
    ("explain", "", ""),
    ("keyring", "", ""),
    ("keyring list", "", ""),
    ("keyring coverage", "keyring coverage log --keyring keyring", "log"),
    ("keyring new", "", ""),
    ("keyring add-key", "", ""),
    ("keyring convert", "", ""),
    ("seal", "seal log --keyring keyring --sign-key seal.key", "log"),
    ("seal verify", "seal verify manifest log --public-key seal.pub", "log"),
    ("seal merge", "seal merge part --sign-key seal.key", "part"),
    ("seal anchor", "", ""),
    ("seal keygen", "", ""),
    ("completions", "", ""),
    ("man", "", ""),
];

/// `--password-file` is a file password, in any form, or a server's.
fn kind(command: &str, option: &str) -> Kind {
    match (command, option) {
        ("audit" | "check", "--defaults-file") => Reads("my.cnf", ""),
        ("salvage", "--password-file") => Reads("password", ""),
        ("audit", "--password-file") => Reads("keys.password", "--server mysql://a@127.0.0.1:1/"),
        _ => {
            let found = OPTIONS.iter().find(|(name, _)| *name == option);
            let (_, kind) = found.unwrap_or_else(|| {
                panic!("{command} has {option}, of which this test does not know what it is")
            });
            *kind
        }
    }
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
    command.current_dir(directory).args(arguments).output().unwrap()
}

/// The options with a value of a command, and its subcommands.
fn help(command: &str) -> (Vec<String>, Vec<String>) {
    let arguments: Vec<_> = command.split(' ').filter(|it| !it.is_empty()).collect();
    let output = run(Path::new("."), &[&arguments[..], &["--help"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut options, mut commands, mut in_commands) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        if !line.starts_with(' ') {
            in_commands = line == "Commands:";
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let is_option = line.starts_with("      --") || line.starts_with("  -");
        if is_option && line.contains('<') {
            let name = words.iter().find(|word| word.starts_with("--")).unwrap();
            options.push((*name).to_owned());
        } else if in_commands && line.starts_with("  ") && !line.starts_with("   ") {
            commands.push(words[0].to_owned());
        }
    }
    (options, commands)
}

/// One good file of each kind, for their owner alone.
fn files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let copy = |from: PathBuf, to: &str| {
        std::fs::copy(from, at(to)).unwrap();
    };
    copy(mixed().join("binlog.000003"), "log");
    copy(mixed().join("binlog.000001"), "plain");
    copy(fixture("forensics/binlog.000002"), "shop.log");
    copy(fixture("forensics/component_keyring_file"), "shop.keyring");
    copy(fixture("forensics/tables.sql"), "tables.sql");
    copy(mixed_keyring(), "keyring");
    copy(fixture("mysql-9.7/mixed-key1-running/component_keyring_file"), "other");
    copy(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt"), "keys.txt");
    let keyring = at("keyring").display().to_string();
    let options =
        format!("[mysqld]\ndatadir={}\nkeyring_file_data={keyring}\n", directory.path().display());
    std::fs::write(at("server.cnf"), options).unwrap();
    let log = std::fs::read(at("log")).unwrap();
    let header = EncryptionHeader::parse(&log).unwrap();
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let key = keys.candidates(&header.key_id).unwrap().pop().unwrap();
    let password = password::unwrap(&key, &header.iv, &header.wrapped_password);
    for (name, content) in [
        ("seal.key", SEAL_KEY.as_bytes()),
        ("seal.pub", SEAL_PUBLIC_KEY.as_bytes()),
        ("keyring.password", b"made up"),
        ("password", &password.expose()[..]),
        ("header", &log[..512]),
        ("key", KEY.as_bytes()),
        ("keys.password", b"a password\n"),
        ("recipients", RECIPIENT.as_bytes()),
        ("policy.toml", b"[rules]\n"),
        ("baseline.toml", b""),
        ("before.json", b"{\"schema\":\"binlogsec.audit/1\",\"facts\":{\"servers\":[]}}"),
        ("my.cnf", b"[mysqld]\nbinlog_encryption=ON\n"),
        ("fleet.toml", b"[[server]]\ndefaults-file = \"my.cnf\"\n"),
        ("config.ini", b"[ndbd default]\nRequireTls=1\n"),
        ("ca.pem", b"-----BEGIN CERTIFICATE-----\n"),
        ("cert.pem", b"-----BEGIN CERTIFICATE-----\n"),
        ("cert.key", b"-----BEGIN PRIVATE KEY-----\n"),
    ] {
        std::fs::write(at(name), content).unwrap();
    }
    static SHARD: OnceLock<Vec<u8>> = OnceLock::new();
    let shard = SHARD.get_or_init(|| {
        let arguments = "check log --shard 0/1 --policy policy.toml --report json=shard.json";
        run(directory.path(), &arguments.split(' ').collect::<Vec<_>>());
        std::fs::read(at("shard.json")).unwrap()
    });
    std::fs::write(at("shard.json"), shard).unwrap();
    std::fs::write(at("manifest"), manifest(directory.path(), &MANIFEST, "")).unwrap();
    std::fs::write(at("part"), manifest(directory.path(), &PART, " --shard 0/1")).unwrap();
    for name in names(directory.path()) {
        std::fs::set_permissions(at(&name), Permissions::from_mode(0o600)).unwrap();
    }
    directory
}

/// Ways to lead to a file: its name, a link, a hard link.
const WAYS: [&str; 3] = ["name", "link", "hard link"];

/// A name that leads to `file`.
fn way(directory: &Path, file: &str, name: &str, way: &str) {
    let (from, to) = (directory.join(file), directory.join(name));
    match way {
        "link" => std::os::unix::fs::symlink(from, to).unwrap(),
        _ => std::fs::hard_link(from, to).unwrap(),
    }
}

struct Case<'a> {
    base: &'a str,
    main_input: &'a str,
    output: (&'a str, Kind),
    /// The file that is read, and the arguments by which.
    reads: (&'a str, String),
    way: &'a str,
}

impl Case<'_> {
    /// Runs the command with an output at `target`, or at a new name.
    fn run(&self, directory: &Path, target: Option<&str>) -> Output {
        let (option, kind) = self.output;
        // A manifest is gone on with, and never replaces anything else.
        let is_seal = self.base.starts_with("seal ");
        let is_baseline = option == "--write-baseline";
        let forces = is_baseline || ["--output", "--output-dir"].contains(&option) && !is_seal;
        let mut arguments: Vec<String> = self.base.split(' ').map(str::to_owned).collect();
        let more = self.reads.1.split(' ').filter(|word| !word.is_empty());
        arguments.extend(more.map(str::to_owned));
        if forces {
            arguments.push("--force".to_owned());
        }
        if is_baseline {
            let why = ["--reason", "known", "--expires", "9999-01-01"];
            arguments.extend(why.map(str::to_owned));
        }
        arguments.push(option.to_owned());
        let target = target.unwrap_or("new");
        arguments.push(match kind {
            Reports => format!("json={target}"),
            _ => target.to_owned(),
        });
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run(directory, &arguments)
    }

    /// That it works with another output.
    fn makes_another(&self, what: &str) {
        let lab = files();
        let output = self.run(lab.path(), None);
        let text = said(&output, lab.path());
        let is_made = match self.output.1 {
            WritesInto => {
                lab.path().join("new").join(self.main_input).exists()
                    || lab.path().join(format!("new/{}.age", self.main_input)).exists()
            }
            _ => lab.path().join("new").exists(),
        };
        assert!(is_made, "{what} makes nothing: {text}");
    }

    fn check(&self) {
        let what = format!("{} {:?} {}", self.base, self.output, self.way);
        let what = format!("{what}, which reads {} by {}", self.reads.0, self.reads.1);
        if self.way == "name" {
            self.makes_another(&what);
        }
        let lab = files();
        let (directory, file) = (lab.path(), self.reads.0);
        let before = std::fs::read(directory.join(file)).unwrap();
        let target = if self.output.1 == WritesInto {
            let name = match self.reads.1.contains("--recipient") {
                true => format!("{}.age", self.main_input),
                false => self.main_input.to_owned(),
            };
            std::fs::create_dir(directory.join("outs")).unwrap();
            way(directory, file, &format!("outs/{name}"), self.way);
            "outs".to_owned()
        } else if self.way == "name" {
            file.to_owned()
        } else {
            way(directory, file, "second", self.way);
            "second".to_owned()
        };
        let output = self.run(directory, Some(&target));
        let text = said(&output, directory);
        let after = std::fs::read(directory.join(file)).unwrap();
        assert!(after == before, "{what}: it was replaced: {text}");
        assert_eq!(output.status.code(), Some(2), "{what}: {text}");
        assert!(!names(directory).iter().any(|name| name.starts_with('.')), "{what}");
    }
}

/// Outputs whose names no input can have: pages of a manual, files of tables.
fn is_named_by_content(command: &str, option: &str) -> bool {
    ["man", "rows"].contains(&command) && option == "--output-dir"
}

#[test]
fn no_command_replaces_what_it_reads_by_any_option_or_name() {
    let mut cases = 0;
    for &(command, base, main_input) in COMMANDS {
        let (options, _) = help(command);
        let kinds: Vec<_> =
            options.iter().map(|option| (option.as_str(), kind(command, option))).collect();
        let outputs =
            kinds.iter().filter(|(_, kind)| matches!(kind, Writes | WritesInto | Reports));
        for &output in outputs.filter(|(option, _)| !is_named_by_content(command, option)) {
            let mut reads = vec![(main_input, String::new())];
            for (option, kind) in &kinds {
                // A build without age files has the option, and refuses it.
                let is_left_out = *option == "--recipient" && !cfg!(feature = "age");
                if let (Reads(file, more), false) = (kind, is_left_out) {
                    let is_there = base.contains(&format!("{option} "));
                    let by = if is_there {
                        (*more).to_owned()
                    } else if *option == "--key-file" {
                        // Of another id than the keyring's: so there is no doubt which key is meant.
                        format!("{option} {KEY_ID}={file}")
                    } else {
                        format!("{option} {file} {more}")
                    };
                    reads.push((*file, by));
                }
            }
            for reads in reads {
                // The one file that a command is made to renew.
                if output.0 == "--write-baseline" && reads.0 == "baseline.toml" {
                    continue;
                }
                for way in WAYS {
                    let reads = reads.clone();
                    let case = Case { base, main_input, output, reads, way };
                    case.check();
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} outputs over inputs");
    assert!(cases > if cfg!(feature = "age") { 200 } else { 180 });
}

/// So that a new command is not forgotten.
#[test]
fn every_command_is_in_the_table() {
    let (_, commands) = help("");
    let mut all = BTreeSet::new();
    for command in commands.into_iter().filter(|it| it != "help") {
        let (_, below) = help(&command);
        let below: Vec<_> = below.into_iter().filter(|it| it != "help").collect();
        if below.is_empty() || command == "keyring" || command == "seal" {
            all.insert(command.clone());
        }
        all.extend(below.iter().map(|it| format!("{command} {it}")));
    }
    let table: BTreeSet<_> = COMMANDS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(all, table);
}

#[test]
fn the_environment_names_inputs_too() {
    let lab = files();
    let before = std::fs::read(lab.path().join("keyring")).unwrap();
    let mut command = Command::new(program());
    command.current_dir(lab.path()).env("BINLOGSEC_KEYRING", "keyring");
    command.env("BINLOGSEC_MARIADB_KEYS_PASSWORD_FILE", "keys.password");
    for target in ["keyring", "keys.password"] {
        let before_it = std::fs::read(lab.path().join(target)).unwrap();
        let mut command = Command::new(program());
        command.current_dir(lab.path()).env("BINLOGSEC_KEYRING", "keyring");
        command.env("BINLOGSEC_MARIADB_KEYS_PASSWORD_FILE", "keys.password");
        let output = command.args(["decrypt", "log", "--force", "-o", target]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output, lab.path()));
        assert!(std::fs::read(lab.path().join(target)).unwrap() == before_it, "{target}");
    }
    assert!(std::fs::read(lab.path().join("keyring")).unwrap() == before);
}

fn refuses(lab: &TempDir, arguments: &str, target: &str, reason: &str) {
    let before = std::fs::read(lab.path().join(target)).unwrap();
    let arguments: Vec<_> = arguments.split(' ').collect();
    let output = run(lab.path(), &arguments);
    let text = said(&output, lab.path());
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(text.contains(reason), "{arguments:?}: {text}");
    let after = std::fs::read(lab.path().join(target)).unwrap();
    assert!(after == before, "{arguments:?}: it was replaced");
}

/// Files that the run does not read, and that it must not replace by surprise.
#[test]
fn logs_and_keyrings_are_replaced_by_what_is_made_for_them_alone() {
    let lab = files();
    for keys in ["other", "keys.txt", "key"] {
        let reason = "is a file of keys, and is not replaced";
        for arguments in [
            "decrypt log --keyring keyring --force -o",
            "encrypt plain --keyring keyring --force -o",
            "salvage log --keyring keyring --force -o",
            "header dump log --force -o",
        ] {
            refuses(&lab, &format!("{arguments} {keys}"), keys, reason);
        }
    }
    for log in ["plain", "log"] {
        let reason = "is a log, and is not replaced";
        std::fs::copy(lab.path().join(log), lab.path().join("third")).unwrap();
        for arguments in [
            "header dump log --force -o third",
            "keyring convert keyring third --as plugin --force",
            "keyring new third --server-uuid 2bc92730-e533-11f1-b7bc-02fc00000001 --force",
        ] {
            refuses(&lab, arguments, "third", reason);
        }
    }
    // An older output, and a header that was put aside, are replaced.
    std::fs::copy(lab.path().join("plain"), lab.path().join("third")).unwrap();
    for arguments in [
        "decrypt log --keyring keyring --force -o third",
        "salvage log --keyring keyring --force -o third",
        "header dump log --force -o header",
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let output = run(lab.path(), &arguments);
        assert!(output.status.success(), "{}", said(&output, lab.path()));
    }
}

/// Files of a data directory, of which `binlog.index` lists the log.
fn data() -> TempDir {
    let lab = files();
    let data = lab.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for (from, to) in [("log", "binlog.000001"), ("keyring", "keyring"), ("my.cnf", "notes")] {
        std::fs::copy(lab.path().join(from), data.join(to)).unwrap();
    }
    std::fs::write(data.join("binlog.index"), "./binlog.000001\n").unwrap();
    std::fs::write(data.join("image"), [0x89, b'P', b'N', b'G', 0, 1, 2]).unwrap();
    lab
}

/// Files that nobody names: they are listed by an index, or lie in a tree.
#[test]
fn reports_replace_reports_alone() {
    let lab = data();
    let data = lab.path().join("data");
    for target in ["binlog.000001", "keyring", "notes", "binlog.index", "image"] {
        let before = std::fs::read(data.join(target)).unwrap();
        for command in ["check data", "verify data", "inspect data", "check data/binlog.index"] {
            let arguments = format!("{command} --report json=data/{target}");
            let output = run(lab.path(), &arguments.split(' ').collect::<Vec<_>>());
            let text = said(&output, lab.path());
            assert_eq!(output.status.code(), Some(2), "{arguments}: {text}");
            assert!(text.contains("is not replaced") || text.contains("is read"), "{text}");
        }
        let audit = format!("audit --datadir data --report html=data/{target}");
        let output = run(lab.path(), &audit.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output, lab.path()));
        assert!(std::fs::read(data.join(target)).unwrap() == before, "{target}");
    }
}

/// Also one that lies in the tree that is looked through.
#[test]
fn a_report_of_every_format_takes_the_place_of_every_other() {
    let lab = data();
    let data = lab.path().join("data");
    let formats = [
        ("check data", &["text", "json", "sarif", "junit", "github", "gitlab", "prometheus"][..]),
        ("audit --datadir data", &["text", "json", "sarif", "html", "junit", "github"]),
        ("verify data", &["text", "json"]),
        ("inspect data", &["text", "json"]),
    ];
    let mut times = 0;
    for (command, formats) in formats {
        for format in formats {
            let arguments = format!("{command} --report {format}=data/report");
            let output = run(lab.path(), &arguments.split(' ').collect::<Vec<_>>());
            let text = said(&output, lab.path());
            assert!(!text.contains("not replaced"), "{arguments}: {text}");
            assert!(data.join("report").metadata().unwrap().len() > 0);
            let output = run(lab.path(), &arguments.split(' ').collect::<Vec<_>>());
            let text = said(&output, lab.path());
            assert!(!text.contains("not replaced"), "{arguments}, again: {text}");
            times += 1;
        }
    }
    assert_eq!(times, 17);
    std::fs::write(data.join("report"), "").unwrap();
    let output = run(lab.path(), &["check", "log", "--report", "json=data/report"]);
    assert_eq!(said(&output, lab.path()), "");
    assert!(data.join("report").metadata().unwrap().len() > 0);
}

#[test]
fn a_keyring_that_is_replaced_is_kept_beside_the_new_one() {
    let lab = files();
    let old = std::fs::read(lab.path().join("other")).unwrap();
    let old_key = std::fs::read(lab.path().join("keyring")).unwrap();
    for (arguments, kept, before) in [
        ("keyring convert keyring other --as component --force", "other.replaced", &old),
        ("keyring add-key keyring", "keyring.replaced", &old_key),
    ] {
        let output = run(lab.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{}", said(&output, lab.path()));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("is kept as ") && text.contains(kept), "{text}");
        assert!(std::fs::read(lab.path().join(kept)).unwrap() == *before);
    }
    let second = std::fs::read(lab.path().join("other")).unwrap();
    let new = "keyring new other --server-uuid 2bc92730-e533-11f1-b7bc-02fc00000001 --force";
    let output = run(lab.path(), &new.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{}", said(&output, lab.path()));
    assert!(std::fs::read(lab.path().join("other.replaced")).unwrap() == old);
    assert!(std::fs::read(lab.path().join("other.replaced-2")).unwrap() == second);
    refuses(&lab, "keyring convert keyring other --as component", "other", "exists already");
}
