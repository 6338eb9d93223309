//! Text of others in every format: none of it is obeyed by a terminal, by a runner of continuous
//! integration, by a page, by a spreadsheet.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use binlogsec_core::text::unseen::is_unseen;
use serde_json::Value;

use super::server;
use crate::common::{self, fixture, logs, mixed, mixed_keyring};

/// As bytes, as a file may have them for a name.
const HOSTILE: [&[u8]; 22] = [
    b"\x1b[31mred",
    "c1\u{9b}31m".as_bytes(),
    "bidi\u{202e}gpj".as_bytes(),
    "isolate\u{2066}x".as_bytes(),
    "marks\u{200e}\u{200f}\u{61c}".as_bytes(),
    b"new\nline",
    b"::error file=a::pwn",
    b"  ::warning::x",
    "\u{3000}::add-mask::x".as_bytes(),
    b"a\n::error::b",
    b"a\r::error::b",
    "\u{2028}::error::b".as_bytes(),
    b"##[error]x",
    b"x##vso[task.setvariable variable=x]y",
    b"##teamcity[x]",
    b"=1+1",
    b"@SUM(1)",
    b"+1",
    b"q'\"`$(id)<script>alert(1)<img src=x onerror=alert(1)>",
    b"\xff\xfe%0A::error::x",
    b"\t=2",
    b"-2+3",
];

/// Whether a runner of GitHub would take a line for a command: by its newer form.
fn is_command(line: &str) -> bool {
    line.trim_start()
        .strip_prefix("::")
        .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_alphabetic()))
}

/// Nothing in what a command printed is obeyed by anybody.
#[track_caller]
fn assert_inert(what: &str, printed: &[u8]) {
    let text = std::str::from_utf8(printed).unwrap_or_else(|_| panic!("{what}: no UTF-8"));
    for (number, line) in text.split('\n').enumerate() {
        let unseen = line.chars().find(|it| is_unseen(*it));
        assert_eq!(unseen, None, "{what}, line {number}: {line:?}");
        // Our own: each is about a file, or has a title.
        let is_ours = what.contains("github")
            && ["error", "warning", "notice"].iter().any(|kind| {
                line.starts_with(&format!("::{kind} file="))
                    || line.starts_with(&format!("::{kind} title="))
            });
        assert!(is_ours || !is_command(line), "{what}, line {number}: {line}");
        for marker in ["##[", "##vso[", "##teamcity["] {
            assert!(!line.contains(marker), "{what}, line {number}: {line}");
        }
    }
    if what.contains("html") {
        assert!(!text.contains("<script") && !text.contains("<img"), "{what}");
    }
    if !text.is_empty() && (what.contains("json") || what.contains("sarif")) {
        let parsed: Result<Value, _> = serde_json::from_str(text);
        assert!(parsed.is_ok(), "{what}: {text}");
    }
}

fn binlogsec(directory: &Path, arguments: &[&OsStr]) -> std::process::Output {
    Command::new(common::program())
        .args(arguments)
        .current_dir(directory)
        .env_remove("BINLOGSEC_KEYRING")
        .output()
        .unwrap()
}

/// Runs a command and looks at all that it prints.
fn assert_run(directory: &Path, what: &str, arguments: &[&OsStr]) {
    let output = binlogsec(directory, arguments);
    assert_inert(what, &output.stdout);
    assert_inert("standard error", &output.stderr);
    let code = output.status.code();
    assert!(code.is_some_and(|code| code < 5), "{what}: {output:?}");
}

fn file(directory: &Path, name: &[u8], bytes: &[u8]) {
    std::fs::write(directory.join(OsStr::from_bytes(name)), bytes).unwrap();
}

/// A directory with a plaintext log, an encrypted one and no log under each name, and an index.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let plain = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let encrypted = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let mut index = Vec::new();
    for name in HOSTILE {
        for (end, bytes) in [
            (&b".000001"[..], &plain[..]),
            (b".000002", &encrypted),
            (b".000003", &plain[..plain.len() - 7]),
            (b"", b"no log"),
        ] {
            file(directory.path(), &[name, end].concat(), bytes);
        }
        index.extend_from_slice(&[b"./", name, b".000009\n"].concat());
    }
    file(directory.path(), b"binlog.index", &index);
    common::checks::age_tree(directory.path());
    directory
}

#[test]
fn hostile_file_names_are_inert_in_every_format_of_every_command() {
    let directory = directory();
    let (at, keyring) = (directory.path(), mixed_keyring());
    let formats: [(&str, &[&str]); 7] = [
        ("check", &["text", "json", "sarif", "junit", "github", "prometheus"]),
        ("inspect", &["text", "json"]),
        ("verify", &["text", "json"]),
        ("events", &["text", "json", "csv"]),
        ("audit", &["text", "json", "sarif", "junit", "github", "html"]),
        ("decrypt", &["text", "json"]),
        ("encrypt", &["text", "json"]),
    ];
    for (command, formats) in formats {
        for format in formats {
            let what = format!("{command} --format {format}");
            let start = [command, "--format", format].map(OsStr::new);
            let output = ["--output-dir", "out", "--force"].map(OsStr::new);
            match command {
                "audit" => {
                    let more = ["--datadir", "."].map(OsStr::new);
                    assert_run(at, &what, &[&start[..], &more].concat());
                }
                "decrypt" | "encrypt" => {
                    let key = [OsStr::new("--keyring"), keyring.as_os_str()];
                    let more = [&output[..], &key, &[OsStr::new(".")]].concat();
                    assert_run(at, &what, &[&start[..], &more].concat());
                }
                _ => {
                    assert_run(at, &what, &[&start[..], &[OsStr::new(".")]].concat());
                    // Each by its own name as well: then a line may begin with it.
                    let own = HOSTILE.iter().flat_map(|name| {
                        [&b".000001"[..], b".000002", b".000003", b"", b".absent"]
                            .map(|end| OsString::from(OsStr::from_bytes(&[name, end].concat())))
                    });
                    let own: Vec<_> = own.collect();
                    let own: Vec<_> = own.iter().map(|it| &**it).collect();
                    let more = [&[OsStr::new("--")][..], &own].concat();
                    assert_run(at, &what, &[&start[..], &more].concat());
                }
            }
        }
    }
    assert_run(at, "check binlog.index", &["check", "binlog.index"].map(OsStr::new));
}

#[test]
fn hostile_arguments_are_inert_in_what_is_said_of_them() {
    let directory = directory();
    for name in HOSTILE {
        let name = OsStr::from_bytes(name);
        let option = OsString::from([b"--", name.as_bytes()].concat().escape_ascii().to_string());
        for arguments in [
            &[OsStr::new("inspect"), OsStr::new("--"), name][..],
            &[OsStr::new("inspect"), name],
            &[name],
            &[OsStr::new("inspect"), &option],
            &[OsStr::new("check"), OsStr::new("."), OsStr::new("--policy"), name],
            &[OsStr::new("check"), OsStr::new("."), OsStr::new("--format"), name],
            &[OsStr::new("inspect"), OsStr::new("x"), OsStr::new("--key-command"), name],
            &[OsStr::new("keyring"), OsStr::new("--"), name],
            &[OsStr::new("audit"), OsStr::new("--server"), name],
        ] {
            assert_run(directory.path(), &format!("{arguments:?}"), arguments);
        }
    }
}

/// A log whose databases, tables and statements have these names.
fn hostile_log() -> Vec<u8> {
    let real = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let all = logs::events(&real);
    let (offset, length, _) = all[0];
    let mut log = real[..offset + length].to_vec();
    for name in HOSTILE {
        let mut event = vec![0; 19];
        event[4] = 2; // QUERY
        // Thread, seconds, length of the database's name, error, length of the variables.
        event.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, name.len() as u8, 0, 0, 0, 0]);
        event.extend_from_slice(name);
        event.push(0);
        event.extend_from_slice(name);
        event.extend_from_slice(&[0; 4]);
        let size = (event.len() as u32).to_le_bytes();
        event[9..13].copy_from_slice(&size);
        logs::append(&mut log, &event);
    }
    log
}

#[test]
fn hostile_databases_and_statements_are_inert_and_no_formulas_where_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    file(directory.path(), b"::error::log.000001", &hostile_log());
    let list = |more: &[&str]| {
        let start = ["events", "::error::log.000001", "--format"];
        let arguments: Vec<_> = start.iter().chain(more).map(OsStr::new).collect();
        let output = binlogsec(directory.path(), &arguments);
        assert!(output.status.success(), "{output:?}");
        assert_inert(&format!("events as {more:?}"), &output.stdout);
        output.stdout
    };
    list(&["text"]);
    let json: Value = serde_json::from_slice(&list(&["json"])).unwrap();
    let events = json["files"][0]["events"].as_array().unwrap();
    let names: Vec<_> = events.iter().filter_map(|it| it["database"].as_str()).collect();
    let expected = HOSTILE.iter().map(|name| String::from_utf8_lossy(name));
    assert_eq!(names, expected.collect::<Vec<_>>(), "JSON keeps every name");
    for (more, has_formulas) in [(&["csv"][..], true), (&["csv", "--csv-safe"], false)] {
        let written = list(more);
        let mut reader = csv::Reader::from_reader(&*written);
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), HOSTILE.len() + 1);
        let cells = records.iter().flat_map(csv::StringRecord::iter);
        let formulas = cells.filter(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
        assert_eq!(formulas.count() > 0, has_formulas, "{more:?}");
        assert_eq!(written.split(|it| *it == b'\n').count(), HOSTILE.len() + 3);
    }
    // A tab is shown, and guarded where it would be one.
    let safe = String::from_utf8(list(&["csv", "--csv-safe"])).unwrap();
    assert!(safe.contains("'\\t=2") && safe.contains("'=1+1"), "{safe}");
    let refused = ["events", "::error::log.000001", "--csv-safe"].map(OsStr::new);
    let refused = binlogsec(directory.path(), &refused);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[test]
fn what_a_hostile_server_says_is_inert_in_every_format() {
    let hostile = HOSTILE.map(|name| String::from_utf8_lossy(name).into_owned());
    let everything = format!("{}]]> -- \\' ; DROP USER root; #", hostile.join("|"));
    let url = server::hostile(hostile.iter().cloned().chain([everything]).collect());
    let directory = tempfile::tempdir().unwrap();
    for format in ["text", "json", "sarif", "junit", "github", "html"] {
        let arguments = ["audit", "--server", &url, "--format", format].map(OsStr::new);
        let output = binlogsec(directory.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{format}: {output:?}");
        assert_inert(&format!("audit of a server as {format}"), &output.stdout);
        let text = String::from_utf8(output.stdout).unwrap();
        // Names that cannot be written are told in words; others have their statements.
        assert!(text.contains("No statement can be shown"), "{format}: {text}");
        if format == "text" {
            assert!(text.contains("FOR CHANNEL "), "{text}");
        }
    }
}

#[test]
fn a_key_in_the_wrong_place_is_shown_by_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let log = fixture("mysql-9.7/mixed-key3-running/binlog.000003");
    let log = log.to_str().unwrap();
    for key in [hex, base64, &hex[..32], &hex[..48]] {
        for arguments in [
            &["inspect", log, "--key-file", key][..],
            &["inspect", log, &format!("--key-file={key}")],
            &["inspect", log, "--key-file", &format!("an-id={key}")],
            &["inspect", log, "--keyring", key],
            &["inspect", log, "--mariadb-keys", &format!("1;{key}")],
            &["inspect", key],
            &["decrypt", log, "-o", "x", key],
            &["no-command", key],
        ] {
            let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
            let output = binlogsec(directory.path(), &arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains("looks like a key"), "{arguments:?}: {said}");
            assert!(!said.contains(&key[4..20]), "{arguments:?}: {said}");
        }
    }
    // A file that is there may have any name.
    file(directory.path(), hex.as_bytes(), &std::fs::read(log).unwrap());
    let output = binlogsec(directory.path(), &["inspect", hex].map(OsStr::new));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains(hex));
}

#[test]
fn too_many_option_files_are_called_so() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("conf.d");
    std::fs::create_dir(&place).unwrap();
    for number in 0..1001 {
        file(&place, format!("{number:04}.cnf").as_bytes(), b"[mysqld]\n");
    }
    let text = format!("!includedir {}\n", place.display());
    file(directory.path(), b"my.cnf", text.as_bytes());
    let arguments = ["audit", "--defaults-file", "my.cnf"].map(OsStr::new);
    let output = binlogsec(directory.path(), &arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("more than 1000 option files"), "{said}");
    assert!(!said.contains("too large"), "{said}");
}
