//! Manifests that are changed, cut and signed with other keys, and what else reads them.

use super::{Lab, SEAL, VERIFY};
use crate::common;

use std::path::Path;

use common::{binlogsec, fixture, logs, openssl, plaintext, sha256};
use serde_json::Value;

#[test]
fn every_change_of_a_manifest_is_found() {
    let lab = Lab::new();
    lab.done("seal keygen key");
    lab.done("seal binlog.index -o e --sign-key key --keyring keyring");
    lab.done(SEAL);
    for (name, verify) in
        [("m", VERIFY), ("e", "seal verify e binlog.index --public-key key.pub --keyring keyring")]
    {
        lab.done(verify);
        let whole = String::from_utf8(lab.read(name)).unwrap();
        let lines: Vec<_> = whole.lines().collect();
        let fails = |lines: &[&str], what: &str| {
            lab.write(name, format!("{}\n", lines.join("\n")).as_bytes());
            let code = lab.run(verify).status.code().unwrap();
            assert!(code == 4 || code == 3, "{name}, {what}: {code}");
        };
        for number in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(number);
            fails(&without, "a line taken out");
            let mut twice = lines.clone();
            twice.insert(number, lines[number]);
            fails(&twice, "a line put in twice");
            if number + 1 < lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(number, number + 1);
                fails(&swapped, "two lines swapped");
                fails(&lines[..=number], "cut");
            }
            // A digit of each line, at many places.
            let digits: Vec<_> =
                lines[number].match_indices(|sign: char| sign.is_ascii_digit()).collect();
            for (at, digit) in digits.iter().step_by(digits.len() / 12 + 1) {
                let other = if *digit == "1" { "2" } else { "1" };
                let mut line = lines[number].to_owned();
                line.replace_range(*at..at + 1, other);
                let mut edited = lines.clone();
                edited[number] = &line;
                fails(&edited, "a digit changed");
            }
        }
        lab.write(name, &whole.as_bytes()[..whole.len() - 1]);
        lab.ends(verify, 4);
        lab.write(name, whole.as_bytes());
        lab.done(verify);
    }
}

/// Changes a record, and makes the chain behind it anew, as whoever has no key can.
fn forged_manifest(manifest: &str, change: impl Fn(&str) -> String) -> String {
    let (mut text, mut previous) = (String::new(), String::new());
    for line in manifest.lines() {
        let mut line = change(line);
        if let Some(at) = line.find("\"previous\":\"").map(|at| at + 12) {
            line.replace_range(at..at + 64, &previous);
        }
        previous = sha256(line.as_bytes());
        text += &(line + "\n");
    }
    text
}

#[test]
fn a_chain_that_was_made_anew_does_not_fit_its_signature() {
    let lab = Lab::sealed();
    let manifest = String::from_utf8(lab.read("m")).unwrap();
    let anchor = lab.done("seal anchor m");
    let same = forged_manifest(&manifest, str::to_owned);
    assert_eq!(same, manifest, "the test's own chain is right");
    let forged = forged_manifest(&manifest, |line| {
        line.replace("\"kind\":\"mysql-plain\"", "\"kind\":\"mysql-pla1n\"")
    });
    lab.write("m", forged.as_bytes());
    let (_, said) = lab.ends(VERIFY, 4);
    assert!(said.contains("the signature in line 7 does not fit under"), "{said}");
    let output = binlogsec()
        .current_dir(lab.0.path())
        .args(["seal", "verify", "m", "binlog.index", "--anchor", anchor.trim()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    // Nothing is added to it.
    lab.ends(SEAL, 4);
    assert_eq!(lab.read("m"), forged.as_bytes());
}

#[test]
fn another_key_proves_nothing() {
    let lab = Lab::sealed();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    std::fs::copy(other, lab.at("other")).unwrap();
    let (_, said) = lab.ends("seal verify m binlog.index --keyring other", 3);
    assert!(said.contains("is not in other"), "{said}");
    // The same id, other bytes.
    let text = String::from_utf8(lab.read("keyring")).unwrap();
    let mut keyring: Value = serde_json::from_str(&text).unwrap();
    for element in keyring["elements"].as_array_mut().unwrap() {
        if element["data"].as_str().unwrap().len() == 64 {
            element["data"] = "00".repeat(32).into();
        }
    }
    lab.write("forged", serde_json::to_string(&keyring).unwrap().as_bytes());
    let (_, said) = lab.ends("seal verify m binlog.index --keyring forged", 3);
    assert!(said.contains("is another one than it was signed with"), "{said}");
    lab.done("seal keygen one");
    lab.done("seal keygen two");
    lab.done("seal binlog.index -o e --sign-key one --keyring keyring");
    lab.ends("seal verify e binlog.index --public-key two.pub", 3);
    lab.done("seal verify e binlog.index --public-key one.pub");
    // A manifest of one key is gone on with by another only if its own is named.
    lab.ends("seal binlog.000006 -o e --sign-key two --keyring keyring --allow-in-use", 3);
    let named = "seal binlog.000006 -o e --sign-key two --public-key one.pub --keyring keyring --allow-in-use";
    lab.done(named);
    lab.done("seal verify e binlog.index --public-key two.pub");
}

#[test]
fn keys_are_private_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let said = lab.done("seal keygen key");
    let mode = |name| lab.at(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key"), mode("key.pub")), (0o600, 0o644));
    let private = String::from_utf8(lab.read("key")).unwrap();
    let secret = private.lines().nth(1).unwrap();
    assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n") && secret.len() == 64);
    assert!(!said.contains(&secret[24..40]));
    lab.ends("seal keygen key", 2);
    std::fs::remove_file(lab.at("key")).unwrap();
    lab.ends("seal keygen key", 2);
    assert!(!lab.at("key").exists(), "half a pair is none");
    // What is no key is told, and not shown.
    let (_, said) = lab.ends("seal binlog.index -o m --sign-key key.pub --keyring keyring", 3);
    assert!(said.contains("an Ed25519 private key in PEM form"), "{said}");
    if openssl::is_here() {
        openssl::openssl(
            &["genpkey", "-algorithm", "ed25519", "-out", lab.at("o").to_str().unwrap()],
            b"",
        );
        let public =
            openssl::openssl(&["pkey", "-in", lab.at("o").to_str().unwrap(), "-pubout"], b"");
        lab.write("o.pub", &public);
        lab.done("seal binlog.index -o m --sign-key o --keyring keyring");
        lab.done("seal verify m binlog.index --public-key o.pub");
    }
}

#[test]
fn a_manifest_that_was_cut_back_to_an_earlier_signature_is_found_by_an_anchor() {
    let lab = Lab::new();
    lab.done("seal binlog.000001 binlog.000002 binlog.000003 -o m --hmac --keyring keyring");
    let early = lab.read("m");
    lab.done(SEAL);
    let late = lab.done("seal anchor m");
    assert!(lab.read("m").starts_with(&early), "lines are added, and none is changed");
    // Back to what it was, and the logs that it no longer has are gone: all that is left fits.
    lab.write("m", &early);
    std::fs::remove_file(lab.at("binlog.000004")).unwrap();
    std::fs::remove_file(lab.at("binlog.000005")).unwrap();
    std::fs::remove_file(lab.at("binlog.000006")).unwrap();
    lab.write("binlog.index", b"./binlog.000001\n./binlog.000002\n./binlog.000003\n");
    lab.done(VERIFY);
    let with = |anchor: &str| {
        let arguments = ["seal", "verify", "m", "binlog.index", "--keyring", "keyring", "--anchor"];
        let mut command = binlogsec();
        let output =
            command.current_dir(lab.0.path()).args(arguments).arg(anchor).output().unwrap();
        (output.status.code().unwrap(), common::said(&output, lab.0.path()))
    };
    let (code, said) = with(late.trim());
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("the manifest was cut, changed or replaced"), "{said}");
    let earlier = lab.done("seal anchor m");
    assert_eq!(with(earlier.trim()).0, 0);
    assert_eq!(with("binlogsec.seal/1 what").0, 2);
    // Somebody seals anew with the key: a right signature, and not the manifest that was anchored.
    std::fs::remove_file(lab.at("m")).unwrap();
    lab.done(SEAL);
    assert_eq!(with(earlier.trim()).0, 4);
}

#[test]
fn another_program_checks_a_manifest() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/write/seal_verify.py");
    let is_here = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !is_here || !openssl::is_here() {
        println!("skipped: no python3 or no openssl");
        return;
    }
    assert!(std::fs::read_to_string(&script).unwrap().lines().count() <= 60);
    let lab = Lab::new();
    lab.done("seal keygen key");
    lab.done("seal binlog.index -o e --sign-key key --keyring keyring");
    let plain = plaintext(&lab.at("binlog.000006"), &lab.at("keyring"));
    let (position, _, _) = logs::events(&plain)[9];
    lab.done(&format!("{SEAL} --stop-position {position}"));
    let key = openssl::key_of(
        &lab.at("keyring"),
        "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3",
    );
    let python = |manifest: &str, key: &str| {
        let mut command = std::process::Command::new("python3");
        let output = command.arg(&script).arg(lab.at(manifest)).arg(lab.0.path()).arg(key);
        let output = output.current_dir(lab.0.path()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let hex = format!("hex:{key}");
    assert_eq!(python("e", "key.pub"), (0, "unchanged\n".to_owned()));
    assert_eq!(python("m", &hex), (0, "unchanged\n".to_owned()));
    let wrong = format!("hex:{}", "00".repeat(32));
    assert_eq!(python("m", &wrong).0, 1);
    let mut log = lab.read("binlog.000003");
    log[90_000] ^= 4;
    lab.write("binlog.000003", &log);
    assert_eq!(python("e", "key.pub"), (1, "binlog.000003\n".to_owned()));
}

/// Those of docs/seal.md, as they stand there.
#[test]
fn the_commands_of_the_page_run() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/seal.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lab = Lab::new();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    std::fs::copy(other, lab.at("other")).unwrap();
    let folder = Path::new(common::program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let blocks = page.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let commands: Vec<_> =
        blocks.flat_map(str::lines).map(|line| line.strip_prefix("$ ").unwrap()).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        if ["openssl", "python3"].iter().any(|name| command.contains(name)) && !openssl::is_here() {
            continue;
        }
        let mut shell = std::process::Command::new("sh");
        shell.env_remove("BINLOGSEC_KEYRING").env("PATH", &path).current_dir(lab.0.path());
        let output = shell.args(["-c", command]).output().unwrap();
        let code = i32::from(command.ends_with("# ends with 1"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        let written = String::from_utf8_lossy(&output.stdout);
        if code == 1 {
            assert!(
                written.contains("binlog.000004: chunk 0 changed: file offsets 512 to"),
                "{written}"
            );
        }
        if command.contains("--keyring other") {
            assert!(
                written.contains("its header is new (rekeyed), and the plaintext is"),
                "{written}"
            );
        }
    }
}
