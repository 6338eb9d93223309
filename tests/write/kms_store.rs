//! MariaDB's keys under AWS KMS, through a server of the test's own. What a server answers that was
//! not made for these tests, and signatures that are verified: tests/interop, scenario `kms`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::common::{fixture, program};
use crate::vault_server::{Answer, Request, Server, ok, reply, text};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY-VERY-SECRET";

fn directory() -> PathBuf {
    fixture("mariadb-10.11/cbc128-crc32-row")
}

fn encrypted_log() -> PathBuf {
    directory().join("logs/binlog.000002")
}

/// The server's key, as it stands in its key file.
fn key() -> Vec<u8> {
    let keys = std::fs::read_to_string(directory().join("keys.txt")).unwrap();
    let digits = keys.lines().find_map(|line| line.strip_prefix("1;")).unwrap().trim().to_owned();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap()).collect()
}

fn decrypted() -> Arc<Answer> {
    let body = json!({"KeyId": "arn:aws:kms:x", "Plaintext": BASE64_STANDARD.encode(key())});
    Arc::new(move |_: &Request| ok(&body))
}

fn refused(kind: &str) -> Arc<Answer> {
    let body = json!({"__type": kind, "message": format!("nothing for {SECRET}")}).to_string();
    Arc::new(move |_: &Request| reply(400, &body))
}

fn folder_with(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, b"what KMS encrypted").unwrap();
    (folder, path)
}

fn run(url: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", "/nowhere").env("NO_COLOR", "1").env("AWS_ENDPOINT_URL_KMS", url);
    let known = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", "a-session-token"),
        ("AWS_REGION", "eu-west-1"),
    ];
    command.envs(known).envs(variables.iter().copied());
    let output = command.args(arguments).output().unwrap();
    assert!(!text(&output).contains("VERY-SECRET"), "{}", text(&output));
    output
}

fn inspect(url: &str, variables: &[(&str, &str)], keyring: &Path) -> Output {
    let (log, keyring) = (encrypted_log(), keyring.to_str().unwrap());
    run(url, variables, &["inspect", log.to_str().unwrap(), "--keyring", keyring, "--allow-http"])
}

#[test]
fn a_file_of_aws_key_management_is_decrypted_by_kms_once() {
    let server = Server::start(decrypted());
    let (_folder, path) = folder_with("aws-kms-key.1.1");
    let (all, keyring) = (directory().join("logs"), path.to_str().unwrap());
    let arguments = ["inspect", all.to_str().unwrap(), "--keyring", keyring, "--allow-http"];
    let output = run(&server.url(), &[], &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("present"), "{}", text(&output));
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("POST / HTTP/1.1\r\n"), "{requests:?}");
    for header in [
        "Content-Type: application/x-amz-json-1.1\r\n",
        "X-Amz-Target: TrentService.Decrypt\r\n",
        "X-Amz-Security-Token: a-session-token\r\n",
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/",
        "/eu-west-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;\
         x-amz-security-token;x-amz-target, Signature=",
    ] {
        assert!(requests[0].contains(header), "{header}: {requests:?}");
    }
    assert!(!requests[0].contains("X-Vault"), "{requests:?}");
}

#[test]
fn what_kms_refuses_is_told_by_its_kind() {
    let (_folder, path) = folder_with("aws-kms-key.1.1");
    let short = json!({"Plaintext": BASE64_STANDARD.encode([7; 5])});
    let garbled: Arc<Answer> = Arc::new(|request: &Request| reply(200, &request.head));
    let cases: Vec<(Arc<Answer>, i32, &str)> = vec![
        (refused("InvalidCiphertextException"), 3, "it is damaged"),
        (refused("com.amazonaws.kms#NotFoundException"), 3, "is not in this account and region"),
        (refused("DisabledException"), 3, "is disabled"),
        (refused("KMSInvalidStateException"), 3, "is to be deleted"),
        (refused("AccessDeniedException"), 2, "no right kms:Decrypt"),
        (refused("ExpiredTokenException"), 2, "have expired"),
        (refused("UnrecognizedClientException"), 2, "does not know these credentials"),
        (refused("InvalidSignatureException"), 2, "the secret does not belong to the id"),
        (refused("SomethingElse"), 2, "with the status 400"),
        (Arc::new(move |_: &Request| ok(&short)), 2, "has not 16, 24 or 32 bytes"),
        (garbled, 2, "JSON with `Plaintext`"),
        (Arc::new(|_: &Request| reply(307, "")), 2, "which is not followed"),
    ];
    for (answer, code, said) in cases {
        let server = Server::start(answer);
        let output = inspect(&server.url(), &[], &path);
        assert_eq!(output.status.code(), Some(code), "{said}: {}", text(&output));
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
        assert_eq!(server.requests().len(), 1, "{said}");
    }
    let throttled = Server::start(refused("ThrottlingException"));
    let output = inspect(&throttled.url(), &[], &path);
    assert_eq!(
        (output.status.code(), throttled.requests().len()),
        (Some(2), 3),
        "{}",
        text(&output)
    );
}

#[test]
fn nothing_is_asked_without_credentials_region_or_an_allowed_address() {
    let server = Server::start(decrypted());
    let url = server.url();
    let (folder, path) = folder_with("aws-kms-key.1.1");
    let file = folder.path().join("credentials");
    std::fs::write(&file, "[default]\naws_access_key_id=AKID\n").unwrap();
    let file = file.to_str().unwrap();
    for (variables, said) in [
        (vec![("AWS_ACCESS_KEY_ID", "")], "there are no credentials"),
        (vec![("AWS_ACCESS_KEY_ID", ""), ("AWS_SHARED_CREDENTIALS_FILE", file)], file),
        (vec![("AWS_REGION", "")], "no region is named"),
        (vec![("AWS_REGION", "eu west/1")], "no region is named"),
        (vec![("AWS_SECRET_ACCESS_KEY", "a\nb")], "that a request cannot carry"),
        (vec![("AWS_ENDPOINT_URL_KMS", "ftp://x")], "no address"),
    ] {
        let output = inspect(&url, &variables, &path);
        assert_eq!(output.status.code(), Some(2), "{said}: {}", text(&output));
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
    }
    let (log, keyring) = (encrypted_log(), path.to_str().unwrap());
    let output = run(&url, &[], &["inspect", log.to_str().unwrap(), "--keyring", keyring]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("--allow-http"), "{}", text(&output));
    // Another key, and another version of it: there is nothing that KMS could decrypt.
    for name in ["aws-kms-key.2.1", "aws-kms-key.1.2"] {
        let (_folder, other) = folder_with(name);
        let output = inspect(&url, &[], &other);
        assert_eq!(output.status.code(), Some(3), "{name}: {}", text(&output));
        assert!(text(&output).contains("version 1 of key 1"), "{name}: {}", text(&output));
    }
    assert!(server.requests().is_empty());
}
