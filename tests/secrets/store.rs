//! Memory of a process that asked a key store: neither its token nor a key is left.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_keystores::aws::{AwsEnvironment, DEFAULT_TIMEOUT, Kms, KmsSettings};
use binlogsec_keystores::vault::Vault;
use binlogsec_keystores::{Configuration, Transport};

use crate::common::mixed_keyring;
use crate::search::{Needle, in_memory, needles};

/// Tells the second process of this test what to look for, and where the configuration is.
const NEEDLES: &str = "BINLOGSEC_TEST_STORE_NEEDLES";
const CONFIGURATION: &str = "BINLOGSEC_TEST_STORE_CONFIGURATION";
const ID: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3";

/// The key as a store of Percona's layout gives it, in pieces, so that buffers have to be joined.
fn serve(mut socket: TcpStream, key: &[u8]) {
    read_head(&mut socket);
    let value = BASE64_STANDARD.encode(key);
    let body = format!("{{\"data\":{{\"type\":\"AES\",\"value\":\"{value}\"}}}}");
    let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.as_bytes().chunks(20) {
        let _ = socket.write_all(format!("{:x}\r\n", piece.len()).as_bytes());
        let _ = socket.write_all(piece);
        let _ = socket.write_all(b"\r\n");
    }
    let _ = socket.write_all(b"0\r\n\r\n");
}

/// What KMS answers, in one piece.
fn serve_kms(mut socket: TcpStream, key: &[u8]) {
    read_head(&mut socket);
    let body = format!("{{\"Plaintext\":\"{}\"}}", BASE64_STANDARD.encode(key));
    let _ = write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn read_head(socket: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
}

/// A store at a port of its own, which answers everybody with the key.
fn start(answer: fn(TcpStream, &[u8])) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let key = keys.candidates(&KeyId::new(ID.as_bytes())).unwrap().pop().unwrap();
    std::thread::spawn(move || {
        listener.incoming().map_while(Result::ok).for_each(|socket| answer(socket, key.expose()));
    });
    port
}

/// Runs a test of this program once more, in a process of its own, which has never had the secrets but
/// through the library.
fn run_again(test: &str, token: &str, configuration: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = needles();
    all.push(Needle::new("token-text", token.as_bytes()));
    let list = folder.path().join("needles");
    std::fs::write(&list, all.iter().map(Needle::to_line).collect::<String>()).unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    again.env(NEEDLES, list).env(CONFIGURATION, configuration);
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("while held"), "the second process did its part");
}

/// Looks for what `list` names while a keyring is there that has asked its store, and after it.
fn look_and_drop(list: &Path, keyring: Keyring) {
    let lines = std::fs::read_to_string(list).unwrap();
    let needles: Vec<_> = lines.lines().map(Needle::from_line).collect();
    let count = |found: &[(String, usize)], start: &str| -> usize {
        found.iter().filter(|(name, _)| name.starts_with(start)).map(|(_, count)| count).sum()
    };
    let held = in_memory("self", &needles);
    println!("while held: {held:?}");
    assert!(count(&held, "key-raw") > 0 && count(&held, "token") == 1, "{held:?}");
    assert_eq!(count(&held, "key-base64"), 0, "the answer's text is gone: {held:?}");
    drop(keyring);
    let dropped = in_memory("self", &needles);
    println!("after drop: {dropped:?}");
    assert_eq!(count(&dropped, ""), 0, "{dropped:?}");
}

#[test]
fn a_process_that_asked_a_store_keeps_neither_token_nor_key() {
    if let Some(list) = std::env::var_os(NEEDLES) {
        look_and_drop(Path::new(&list), asked_vault());
        return;
    }
    // Made here, so that it stands in no program.
    let token: String = (0..40).map(|at| char::from(b'a' + (at % 26 * 7 % 26))).collect();
    let port = start(serve);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.cnf");
    let configuration = format!(
        "{{\"vault_url\":\"http://127.0.0.1:{port}\",\"secret_mount_point\":\"a\",\
         \"secret_mount_point_version\":\"1\",\"token\":\"{token}\"}}"
    );
    std::fs::write(&file, configuration).unwrap();
    let name = "store::a_process_that_asked_a_store_keeps_neither_token_nor_key";
    run_again(name, &token, &file);
}

fn asked_vault() -> Keyring {
    let file = std::env::var_os(CONFIGURATION).unwrap();
    let file = Path::new(&file);
    let bytes = zeroize::Zeroizing::new(std::fs::read(file).unwrap());
    let parsed = Configuration::parse(&bytes, file, Path::new("")).unwrap().unwrap();
    drop(bytes);
    let Configuration::Vault(settings) = parsed else { panic!("no Vault") };
    let transport = Transport { allow_http: true, ..Transport::default() };
    let mut keyring = Keyring::new();
    keyring.add_store(Box::new(Vault::new(settings, &transport).unwrap()));
    let id = KeyId::new(ID.as_bytes());
    assert_eq!(keyring.candidates(&id).unwrap().len(), 1);
    keyring
}

/// The same of KMS: the secret of its credentials, which signs, and a key.
#[test]
fn a_process_that_asked_kms_keeps_neither_its_secret_nor_a_key() {
    if let Some(list) = std::env::var_os(NEEDLES) {
        look_and_drop(Path::new(&list), asked_kms());
        return;
    }
    let secret: String = (0..40).map(|at| char::from(b'a' + (at % 20 * 11 % 26))).collect();
    let port = start(serve_kms);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("aws-kms-key.1.1"), "what KMS encrypted").unwrap();
    let credentials =
        format!("[default]\naws_access_key_id = AKID\naws_secret_access_key = {secret}\n");
    std::fs::write(at("credentials"), credentials).unwrap();
    std::fs::write(at("port"), port.to_string()).unwrap();
    let name = "store::a_process_that_asked_kms_keeps_neither_its_secret_nor_a_key";
    run_again(name, &secret, folder.path());
}

fn asked_kms() -> Keyring {
    let folder = std::path::PathBuf::from(std::env::var_os(CONFIGURATION).unwrap());
    let port = std::fs::read_to_string(folder.join("port")).unwrap();
    let environment = AwsEnvironment::new(|name| match name {
        "AWS_SHARED_CREDENTIALS_FILE" => Some(folder.join("credentials").into_os_string()),
        "AWS_REGION" => Some("eu-west-1".into()),
        "AWS_ENDPOINT_URL_KMS" => Some(format!("http://127.0.0.1:{port}").into()),
        _ => None,
    });
    let file = folder.join("aws-kms-key.1.1");
    let settings = KmsSettings {
        path: file.clone(),
        files: vec![file],
        region: None,
        endpoint: None,
        timeout: DEFAULT_TIMEOUT,
    };
    let transport = Transport { allow_http: true, ..Transport::default() };
    let kms = Kms::new(settings, environment.unwrap(), &transport).unwrap();
    let mut keyring = Keyring::new();
    keyring.add_store(Box::new(kms));
    assert_eq!(keyring.mariadb_candidates(1).unwrap().candidates().len(), 1);
    keyring
}
