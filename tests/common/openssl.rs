//! A decryptor that shares no code with the crate: the header is read by hand, keyrings as JSON,
//! and every step of the cipher path is OpenSSL's command line.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Whether there is an `openssl` to ask. A test without one says so and passes.
pub(crate) fn is_here() -> bool {
    let found = Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("skipped: no openssl command to decrypt with");
    }
    found
}

/// The plaintext of an encrypted log under a key of a `component_keyring_file` keyring.
pub(crate) fn decrypt(log: &[u8], keyring: &Path) -> Vec<u8> {
    assert_eq!(&log[..5], b"\xFDbin\x01");
    let (mut rest, mut key_id, mut wrapped, mut iv) = (&log[5..512], None, None, None);
    while let [kind @ 1..=3, tail @ ..] = rest {
        let (length, tail) = match kind {
            1 => (usize::from(tail[0]), &tail[1..]),
            2 => (32, tail),
            _ => (16, tail),
        };
        let (value, tail) = tail.split_at(length);
        match kind {
            1 => key_id = Some(String::from_utf8(value.to_vec()).unwrap()),
            2 => wrapped = Some(value),
            _ => iv = Some(value),
        }
        rest = tail;
    }
    assert!(rest.iter().all(|&byte| byte == 0), "padding as the server writes it");
    let key = key_of(keyring, &key_id.unwrap());
    let options = ["enc", "-d", "-aes-256-cbc", "-nopad", "-K", &key, "-iv", &hex(iv.unwrap())];
    let password = openssl(&options, wrapped.unwrap());
    let digest = openssl(&["dgst", "-sha512", "-binary"], &password);
    let (file_key, counter) = (hex(&digest[..32]), hex(&digest[32..40]) + "0000000000000000");
    let options = ["enc", "-d", "-aes-256-ctr", "-K", &file_key, "-iv", &counter];
    openssl(&options, &log[512..])
}

/// The key under an id, as the hexadecimal digits in the file.
pub(crate) fn key_of(keyring: &Path, key_id: &str) -> String {
    let document: Value = serde_json::from_slice(&std::fs::read(keyring).unwrap()).unwrap();
    let elements = document["elements"].as_array().unwrap();
    let found = elements.iter().find(|e| e["data_id"] == key_id && e["user"] == "");
    found.unwrap_or_else(|| panic!("no {key_id}"))["data"].as_str().unwrap().to_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs the command. The keys are those of fixtures, so that arguments do no harm.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "openssl {}", arguments[0]);
    output.stdout
}
