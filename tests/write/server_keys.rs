//! `--datadir`: from a server's configuration to its keys; and the file that needs a password.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::openssl::{self, openssl};
use crate::common::{fixture, mixed, mixed_keyring, program};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    for variable in ["BINLOGSEC_KEYRING", "BINLOGSEC_KEYRING_PASSWORD", "VAULT_TOKEN"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1").envs(variables.iter().copied()).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn log() -> String {
    mixed().join("binlog.000003").display().to_string()
}

/// A data directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    directory
}

/// The status of a log's key by a data directory, and what was said.
fn status(log: &str, directory: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let arguments = ["inspect", log, "--format", "json", "--datadir", directory.to_str().unwrap()];
    let output = run(&[&arguments[..], more].concat(), &[]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let status = report["files"][0]["key_status"].as_str().unwrap_or_default().to_owned();
    (output.status.code(), status, text(&output))
}

fn present(log: &str, directory: &Path, more: &[&str]) {
    let (code, status, said) = status(log, directory, more);
    assert_eq!((code, status.as_str()), (Some(0), "present"), "{said}");
}

const MANIFEST: &str =
    "{\"components\": \"file://component_validate_password,file://component_keyring_file\"}";

#[test]
fn a_manifest_leads_to_the_keyring_by_an_absolute_and_by_a_relative_path() {
    let keyring = mixed_keyring().display().to_string();
    let absolute = format!("{{\"path\": \"{keyring}\", \"read_only\": false}}");
    let found = directory(&[("mysqld.my", MANIFEST), ("component_keyring_file.cnf", &absolute)]);
    present(&log(), found.path(), &[]);
    // The server takes it from its data directory, which is where it is started in.
    let content = std::fs::read_to_string(&keyring).unwrap();
    let found = directory(&[
        ("mysqld.my", MANIFEST),
        ("component_keyring_file.cnf", "{\"path\": \"keys/keyring\", \"read_only\": true}"),
        ("keys/keyring", &content),
    ]);
    present(&log(), found.path(), &[]);
}

#[test]
fn check_proves_logs_by_the_keys_of_their_server_where_it_is_told_to() {
    let keyring = std::fs::read_to_string(mixed_keyring()).unwrap();
    let elsewhere = directory(&[("keyring", &keyring)]);
    let at = elsewhere.path().join("keyring").display().to_string();
    let configuration = format!("{{\"path\": \"{at}\", \"read_only\": false}}");
    let found =
        directory(&[("mysqld.my", MANIFEST), ("component_keyring_file.cnf", &configuration)]);
    std::fs::copy(log(), found.path().join("binlog.000003")).unwrap();
    let path = found.path().display().to_string();
    let check = |more: &[&str]| {
        let arguments = ["check", "--datadir", &path, "--format", "json"];
        let output = run(&[&arguments[..], more].concat(), &[]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rules = report["findings"].as_array().unwrap().iter();
        let has_keys = rules.into_iter().any(|finding| finding["id"] == "BLS013");
        (output.status.code(), has_keys)
    };
    assert_eq!(check(&[]), (Some(0), false));
    assert_eq!(check(&["--server-keys"]), (Some(0), true));
    std::fs::write(&at, keyring.replace("\"data\":\"", "\"data\":\"0")).unwrap();
    assert_eq!(run(&["check", "--datadir", &path, "--server-keys"], &[]).status.code(), Some(4));
}

#[test]
fn an_option_file_leads_to_the_keyring_of_a_plugin() {
    let found = directory(&[]);
    let keyring = found.path().join("keyring");
    let (from, to) = (mixed_keyring().display().to_string(), keyring.display().to_string());
    let output = run(&["keyring", "convert", &from, &to, "--as", "plugin"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let options = "[mysqld]\nearly-plugin-load=keyring_file.so\nkeyring_file_data=keyring\n";
    std::fs::write(found.path().join("my.cnf"), options).unwrap();
    present(&log(), found.path(), &[]);
    // One that is named counts, and no other.
    let other = directory(&[("other.cnf", "[mysqld]\nport=3307\n")]);
    let other = other.path().join("other.cnf").display().to_string();
    let (code, _, said) = status(&log(), found.path(), &["--defaults-file", &other]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("nothing says where this server has its keys") && said.contains(&other),
        "{said}"
    );
}

#[test]
fn an_option_file_alone_names_the_data_directory() {
    let keyring = mixed_keyring().display().to_string();
    let configuration = format!("{{\"path\": \"{keyring}\", \"read_only\": false}}");
    let found =
        directory(&[("mysqld.my", MANIFEST), ("component_keyring_file.cnf", &configuration)]);
    let options = format!("[mysqld]\ndatadir={}\n", found.path().display());
    let elsewhere = directory(&[("server.cnf", &options)]);
    let file = elsewhere.path().join("server.cnf").display().to_string();
    let target = elsewhere.path().join("plain").display().to_string();
    let output = run(&["decrypt", &log(), "-o", &target, "--defaults-file", &file], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn options_of_mariadb_lead_to_a_key_file_that_is_encrypted() {
    let logs = fixture("mariadb-10.11/cbc128-crc32-row");
    let key_file = std::fs::read(logs.join("keys.txt")).unwrap();
    let found = directory(&[("secret", "made-up password\n")]);
    if !openssl::is_here() {
        return;
    }
    let options = ["enc", "-aes-256-cbc", "-md", "sha1", "-pass", "pass:made-up password"];
    std::fs::write(found.path().join("keys.enc"), openssl(&options, &key_file)).unwrap();
    let my_cnf = "[mariadb]\nplugin-load-add=file_key_management\n\
                  file-key-management-filename=keys.enc\n\
                  loose-file-key-management-filekey=FILE:secret\n";
    std::fs::write(found.path().join("my.cnf"), my_cnf).unwrap();
    let log = logs.join("logs/binlog.000002").display().to_string();
    present(&log, found.path(), &[]);
    // The same options, named in the place of a keyring.
    let my_cnf = found.path().join("my.cnf").display().to_string();
    let output = run(&["inspect", &log, "--keyring", &my_cnf], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("present"), "{}", text(&output));
}

#[test]
fn stores_that_cannot_be_read_are_named_with_the_way_that_works() {
    let named = |component: &str| format!("{{\"components\": \"file://{component}\"}}");
    for component in [
        "component_keyring_okv",
        "component_keyring_oci",
        "component_keyring_aws",
        "component_keyring_kms",
        "component_keyring_hashicorp",
        "component_keyring_encrypted_file",
    ] {
        let configuration = format!("{component}.cnf");
        for files in [
            vec![("mysqld.my", named(component))],
            vec![("mysqld.my", named(component)), (configuration.as_str(), "{\"x\": 1}".into())],
        ] {
            let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let found = directory(&files);
            let (code, _, said) = status(&log(), found.path(), &[]);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains(component) && said.contains("is not read here"), "{said}");
            assert!(said.contains("mysql_migrate_keyring"), "{said}");
        }
    }
    for (plugin, options) in [
        ("keyring_okv", "[mysqld]\nearly-plugin-load=keyring_okv.so\n"),
        ("keyring_aws", "[mysqld]\nearly-plugin-load='keyring_udf=x.so;keyring_aws.so'\n"),
    ] {
        let found = directory(&[("my.cnf", options)]);
        let (code, _, said) = status(&log(), found.path(), &[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("docs/keys.md"), "{said}");
        assert!(said.contains(plugin) && said.contains("is not read here"), "{said}");
    }
}

/// Enterprise's file has a configuration with the same members as Percona's, and another form.
#[test]
fn enterprises_encrypted_file_is_not_taken_for_perconas() {
    let found = directory(&[
        ("mysqld.my", "{\"components\": \"file://component_keyring_encrypted_file\"}"),
        (
            "component_keyring_encrypted_file.cnf",
            "{\"path\": \"keyring\", \"read_only\": false, \"password\": \"made up\"}",
        ),
        ("keyring", "\u{2}something that nobody has published, of some length"),
    ]);
    let (code, _, said) = status(&log(), found.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("component_keyring_encrypted_file is not read here"), "{said}");
    assert!(!said.contains("made up"), "{said}");
}

#[test]
fn a_directory_that_says_nothing_is_told_with_what_was_looked_at() {
    let found = directory(&[("my.cnf", "[mysqld]\nport=3306\n")]);
    let (code, _, said) = status(&log(), found.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("my.cnf") && said.contains("--keyring FILE"), "{said}");
    let found = directory(&[("mysqld.my", MANIFEST)]);
    let (code, _, said) = status(&log(), found.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("component_keyring_file") && said.contains("was looked for in"),
        "{said}"
    );
    let found = directory(&[("mysqld.my", "{\"components\": 7}")]);
    let (code, _, said) = status(&log(), found.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("mysqld.my: no manifest: line 1"), "{said}");
}

const ITERATIONS: u32 = 1000;

/// What Percona's component would write, made by the `openssl` command alone.
fn encrypted(content: &[u8], password: &str) -> Vec<u8> {
    let (salt, iv) = ([0xA5; 32], [0x5A; 16]);
    let options = [
        "kdf",
        "-keylen",
        "32",
        "-binary",
        "-kdfopt",
        "digest:SHA256",
        "-kdfopt",
        &format!("pass:{password}"),
        "-kdfopt",
        &format!("hexsalt:{}", openssl::hex(&salt)),
        "-kdfopt",
        &format!("iter:{ITERATIONS}"),
        "PBKDF2",
    ];
    let key = openssl(&options, b"");
    let (key, hex_iv) = (openssl::hex(&key), openssl::hex(&iv));
    let body = openssl(&["enc", "-aes-256-cbc", "-K", &key, "-iv", &hex_iv], content);
    [&[1][..], &salt, &ITERATIONS.to_be_bytes(), &iv, &body].concat()
}

fn encrypted_in(directory: &Path, password: &str) -> PathBuf {
    let path = directory.join("keyring");
    std::fs::write(&path, encrypted(&std::fs::read(mixed_keyring()).unwrap(), password)).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

#[test]
fn perconas_encrypted_file_opens_by_its_configuration_a_file_and_the_environment() {
    if !openssl::is_here() {
        return;
    }
    const PASSWORD: &str = "made-up pass phrase";
    let component = "component_percona_keyring_encrypted_file";
    let found = directory(&[
        ("mysqld.my", &format!("{{\"components\": \"file://{component}\"}}")),
        (
            &format!("{component}.cnf"),
            "{\"path\": \"keyring\", \"read_only\": false, \"password_file\": \"secret\"}",
        ),
        ("secret", PASSWORD),
        ("with-a-line-end", &format!("{PASSWORD}\n")),
        ("wrong", "another"),
    ]);
    let keyring = encrypted_in(found.path(), PASSWORD).display().to_string();
    let at = |name: &str| found.path().join(name).display().to_string();
    present(&log(), found.path(), &[]);
    for arguments in [
        vec!["--keyring", &at(&format!("{component}.cnf"))],
        vec!["--keyring", &keyring, "--keyring-password-file", &at("secret")],
        vec!["--keyring", &keyring, "--keyring-password-file", &at("with-a-line-end")],
    ] {
        let output = run(&[&["inspect", &log()][..], &arguments].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
    let by_variable = [("BINLOGSEC_KEYRING_PASSWORD", PASSWORD)];
    let output = run(&["inspect", &log(), "--keyring", &keyring], &by_variable);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    // Without a password, and with another one, a key is what lacks.
    let output = run(&["inspect", &log(), "--keyring", &keyring], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("--keyring-password-file"), "{}", text(&output));
    let wrong = ["inspect", &log(), "--keyring", &keyring, "--keyring-password-file", &at("wrong")];
    let output = run(&wrong, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(!text(&output).contains("another"), "{}", text(&output));
}

#[test]
fn a_damaged_encrypted_file_is_told_and_no_iterations_keep_it_busy() {
    if !openssl::is_here() {
        return;
    }
    let found = directory(&[("password", "it")]);
    let password = found.path().join("password").display().to_string();
    let keyring = encrypted_in(found.path(), "it");
    let whole = std::fs::read(&keyring).unwrap();
    let path = keyring.display().to_string();
    let arguments = ["inspect", &log(), "--keyring", &path, "--keyring-password-file", &password];
    // What is no whole number of blocks is not of this form any more.
    for length in [1, 40, 53, 60, whole.len() - 1] {
        std::fs::write(&keyring, &whole[..length]).unwrap();
        let output = run(&arguments, &[]);
        assert_eq!(output.status.code(), Some(4), "{length}: {}", text(&output));
    }
    let mut endless = whole.clone();
    endless[33..37].copy_from_slice(&u32::MAX.to_be_bytes());
    std::fs::write(&keyring, &endless).unwrap();
    let output = run(&arguments, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    // JSON that is damaged under the right password.
    std::fs::write(&keyring, encrypted(b"{\"version\":\"1.0\",\"elements\":[7]}", "it")).unwrap();
    let output = run(&arguments, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("what it holds is damaged"), "{}", text(&output));
}

#[test]
fn coverage_tells_what_opens_what_is_needed_and_what_is_lost_with_a_key() {
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    let (logs, keyring) = (mixed().display().to_string(), mixed_keyring().display().to_string());
    let other = other.display().to_string();
    let arguments = ["keyring", "coverage", &logs, "--format", "json", "--keyring"];
    let both = run(&[&arguments[..], &[&keyring, "--keyring", &other]].concat(), &[]);
    assert_eq!(both.status.code(), Some(0), "{}", text(&both));
    let report: Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!(report["schema"], "binlogsec.keyring-coverage/1");
    let summary = &report["summary"];
    assert_eq!((&summary["logs"], &summary["plaintext"]), (&6.into(), &2.into()));
    assert_eq!((&summary["readable"], &summary["unreadable"]), (&4.into(), &0.into()));
    let [key] = report["keys"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert!(key["key_id"].as_str().unwrap().ends_with("_3"), "{key}");
    assert_eq!((&key["lost_without_it"], &key["current"]), (&4.into(), &true.into()));
    assert_eq!(key["held_in"], serde_json::json!([keyring]));
    let [unused] = report["unused_keys"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert!(unused["key_id"].as_str().unwrap().ends_with("_1"), "{unused}");
    // Without its key every encrypted log is lost.
    let without = run(&[&arguments[..], &[&other]].concat(), &[]);
    assert_eq!(without.status.code(), Some(3), "{}", text(&without));
    let report: Value = serde_json::from_slice(&without.stdout).unwrap();
    assert_eq!(
        (&report["summary"]["unreadable"], &report["keys"][0]["status"]),
        (&4.into(), &"missing".into())
    );
    assert_eq!(report["keys"][0]["lost_without_it"], 0);
    let shown = run(&["keyring", "coverage", &logs, "--keyring", &keyring], &[]);
    let said = text(&shown);
    assert!(said.contains("makes 4 logs unreadable"), "{said}");
}
