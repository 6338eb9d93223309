//! What several test programs share: where real files are, and how they are compared.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

pub(crate) mod checks;
pub(crate) mod logs;
pub(crate) mod measure;
pub(crate) mod openssl;
pub(crate) mod rotation;
pub(crate) mod shim;
pub(crate) mod system;
pub(crate) mod tls;
pub(crate) mod workdir;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A path below `fixtures/`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    static KEYS_CLOSED: std::sync::Once = std::sync::Once::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    KEYS_CLOSED.call_once(|| close_keys(&fixtures));
    fixtures.join(path)
}

/// Makes files of keys their owner's alone, as a checkout does not: the command warns of others.
fn close_keys(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            close_keys(&path);
        } else if name.contains("key") && !name.contains("binlog.") {
            // Somebody else's checkout stays as it is.
            let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600));
        }
    }
}

/// The directory of fixtures that most tests work on: two plaintext logs and four encrypted ones.
pub(crate) fn mixed() -> PathBuf {
    fixture("mysql-9.7/mixed-key3-running")
}

/// The keyring of that directory.
pub(crate) fn mixed_keyring() -> PathBuf {
    mixed().join("component_keyring_file")
}

/// The larger collection of real files, if it is at hand: `BINLOGSEC_CORPUS`, or a folder beside
/// the checkout.
pub(crate) fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("BINLOGSEC_CORPUS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    match named {
        Some(path) => {
            assert!(path.is_dir(), "BINLOGSEC_CORPUS names no directory: {}", path.display());
            Some(path)
        }
        None => beside.is_dir().then_some(beside),
    }
}

/// Every scenario with a manifest below the fixtures and the corpus, for one writer.
pub(crate) fn scenarios(writer: &str) -> Vec<(PathBuf, Value)> {
    let roots = [Some(fixture("")), corpus()];
    let mut scenarios = Vec::new();
    for root in roots.into_iter().flatten() {
        let mut directories: Vec<_> = std::fs::read_dir(root.join(writer))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("manifest.json").is_file())
            .collect();
        directories.sort();
        for directory in directories {
            let manifest = std::fs::read(directory.join("manifest.json")).unwrap();
            scenarios.push((directory, serde_json::from_slice(&manifest).unwrap()));
        }
    }
    scenarios
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The command's path. Tests of the library alone build without it.
pub(crate) fn program() -> &'static str {
    let built = option_env!("CARGO_BIN_EXE_binlogsec");
    built.expect("the feature `cli` builds the command")
}

/// A command that finds nothing of the caller's environment but what it needs to run.
pub(crate) fn binlogsec() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("binlogsec").unwrap();
    command.env_remove("BINLOGSEC_KEYRING");
    command
}

/// What a finished command said on standard error, which every test's paths are cut from.
pub(crate) fn said(output: &std::process::Output, directory: &Path) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.replace(&format!("{}/", directory.display()), "").replace(directory.to_str().unwrap(), ".")
}

/// Plaintext logs below the fixtures and the corpus, as they are on disk or out of encrypted ones.
pub(crate) fn plaintexts() -> Vec<(String, Vec<u8>)> {
    let mut logs = Vec::new();
    for (directory, manifest) in scenarios("mysql-9.7") {
        let keyring = directory.join("component_keyring_file");
        for entry in manifest["files"].as_array().unwrap() {
            if !["binlog", "relaylog"].contains(&entry["kind"].as_str().unwrap()) {
                continue;
            }
            let path = directory.join(entry["name"].as_str().unwrap());
            let plain = plaintext(&path, &keyring);
            assert_eq!(sha256(&plain), entry["plaintext_sha256"]);
            logs.push((path.display().to_string(), plain));
        }
    }
    logs
}

/// What MySQL's own `mysqlbinlog` says of a plaintext log; `None`, with a word on it, where there
/// is none. `BINLOGSEC_MYSQLBINLOG` names another command than the one on the path, with arguments
/// separated by blanks.
pub(crate) fn mysqlbinlog(arguments: &[&str], plain: &[u8]) -> Option<(bool, String)> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let command = std::env::var("BINLOGSEC_MYSQLBINLOG").unwrap_or("mysqlbinlog".to_owned());
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    let words: Vec<_> = words.collect();
    let version = Command::new(program).args(&words).arg("--version").output();
    let is_mysql = version.is_ok_and(|version| {
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        text.contains("Ver 8.") || text.contains("Ver 9.")
    });
    if !is_mysql {
        println!("no mysqlbinlog of MySQL at hand: not compared (BINLOGSEC_MYSQLBINLOG)");
        return None;
    }
    let mut child = Command::new(program)
        .args(words)
        .args(arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let plain = plain.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&plain);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        println!("mysqlbinlog: {errors}");
    }
    if errors.contains("is not a compiled character set") {
        println!("mysqlbinlog lacks its character set files: not compared");
        return None;
    }
    Some((output.status.success(), text))
}

/// The plaintext of a log.
pub(crate) fn plaintext(path: &Path, keyring: &Path) -> Vec<u8> {
    use std::io::Read as _;
    let keys = binlogsec_core::keyring::Keyring::open(keyring).unwrap();
    let log = binlogsec_core::log::open::OpenLog::open(path, &keys).unwrap();
    let mut plain = Vec::new();
    log.reader().read_to_end(&mut plain).unwrap();
    plain
}

/// The published schema of SARIF has a pattern with a bracket too many, for members that no report
/// here has.
pub(crate) fn mend_sarif_schema(schema: &mut Value) {
    for place in ["run", "toolComponent"] {
        let language = format!("/definitions/{place}/properties/language");
        let language = schema.pointer_mut(&language).unwrap();
        language.as_object_mut().unwrap().remove("pattern").unwrap();
    }
}
