//! A KMIP server of the test's own, which answers as the specification says, or as it is told. What
//! a real one answers: tests/interop, scenario `kmip`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::tls::{Authority, GOOD, Wanted};
use crate::common::{mixed, mixed_keyring, openssl};
use crate::vault_server::{log, run, text};

/// What the server sends for a message: whole, as it goes over the line.
type Answer = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// An authority, the certificates that it signed, and who asks.
struct Lab {
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "the lab's");
        for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
            let usage = format!("extendedKeyUsage={usage}");
            let extensions = [usage.as_str()];
            authority.sign(&Wanted {
                common_name: name,
                alternative_name: "IP:127.0.0.1",
                extensions: &extensions,
                ..GOOD
            });
            for (from, to) in [("server-cert.pem", "cert"), ("server-key.pem", "key")] {
                let to = folder.path().join(format!("{name}.{to}"));
                std::fs::rename(folder.path().join(from), to).unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Serves until the test ends; gives its port and the messages that came.
    fn serve(&self, answer: Arc<Answer>) -> (u16, Arc<Mutex<Vec<Vec<u8>>>>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let chain = vec![CertificateDer::from_pem_file(self.path("server.cert")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&messages);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, socket);
                while let Some(message) = read_message(&mut stream) {
                    seen.lock().unwrap().push(message.clone());
                    if stream.write_all(&answer(&message)).and_then(|()| stream.flush()).is_err() {
                        break;
                    }
                }
            }
        });
        (port, messages)
    }

    /// Runs the command with a configuration for that port.
    fn inspect(&self, port: u16, more: &Value, arguments: &[&str]) -> Output {
        let path = self.path("component_keyring_kmip.cnf");
        let mut members = json!({
            "server_addr": "127.0.0.1", "server_port": port.to_string(), "client_ca": "client.cert",
            "client_key": "client.key", "server_ca": "ca.pem", "object_group": "",
            "kmip_timeout_ms": 2000,
        });
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(&path, members.to_string()).unwrap();
        let log = log();
        let mut all = vec!["inspect", &log, "--keyring", path.to_str().unwrap()];
        all.extend(arguments);
        run(&all)
    }
}

fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut message = vec![0; 8];
    stream.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(message[4..].try_into().unwrap());
    message.resize(8 + length as usize, 0);
    stream.read_exact(&mut message[8..]).ok()?;
    Some(message)
}

fn item(tag: u32, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((tag << 8) | u32::from(kind)).to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn structure(tag: u32, items: &[Vec<u8>]) -> Vec<u8> {
    item(tag, 1, &items.concat())
}

fn enumeration(tag: u32, value: u32) -> Vec<u8> {
    item(tag, 5, &value.to_be_bytes())
}

/// A response message with this result and what follows it.
fn response(status: u32, rest: &[Vec<u8>]) -> Vec<u8> {
    let mut items = vec![enumeration(0x42_00_7F, status)];
    items.extend_from_slice(rest);
    let batch = structure(0x42_00_0F, &items);
    structure(0x42_00_7B, &[structure(0x42_00_7A, &[]), batch])
}

fn failure(reason: u32) -> Vec<u8> {
    response(1, &[enumeration(0x42_00_7E, reason)])
}

fn success(payload: &[Vec<u8>]) -> Vec<u8> {
    response(0, &[structure(0x42_00_7C, payload)])
}

fn has(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

fn is_get(message: &[u8]) -> bool {
    has(message, &enumeration(0x42_00_5C, 0xA))
}

/// The key of the log that is asked for.
fn key() -> (String, Vec<u8>) {
    let document: Value = serde_json::from_slice(&std::fs::read(mixed_keyring()).unwrap()).unwrap();
    let element = document["elements"]
        .as_array()
        .unwrap()
        .iter()
        .find(|element| element["data"].as_str().is_some_and(|digits| digits.len() == 64));
    let text = |name: &str| element.unwrap()[name].as_str().unwrap().to_owned();
    let digits = text("data");
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap());
    (text("data_id"), bytes.collect())
}

fn located(ids: &[&str]) -> Vec<u8> {
    let ids: Vec<_> = ids.iter().map(|id| item(0x42_00_94, 7, id.as_bytes())).collect();
    success(&ids)
}

fn key_block(format: u32, material: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let value = structure(0x42_00_45, &[item(0x42_00_43, 8, material)]);
    let mut items = vec![enumeration(0x42_00_42, format), value];
    items.extend_from_slice(more);
    let block = structure(0x42_00_40, &items);
    let found = [
        enumeration(0x42_00_57, 2),
        item(0x42_00_94, 7, b"object-1"),
        structure(0x42_00_8F, &[block]),
    ];
    success(&found)
}

fn text_item(tag: u32, text: &str) -> Vec<u8> {
    item(tag, 7, text.as_bytes())
}

/// A server with all entries of the keyring, made at this time (seconds since 1970).
fn whole(message: &[u8], made: i64) -> Vec<u8> {
    let document: Value = serde_json::from_slice(&std::fs::read(mixed_keyring()).unwrap()).unwrap();
    let elements = document["elements"].as_array().unwrap();
    let ids: Vec<String> = (0..elements.len()).map(|at| format!("object-{at}")).collect();
    let found = ids.iter().position(|id| has(message, id.as_bytes()));
    let name = |at: usize| elements[at]["data_id"].as_str().unwrap();
    let Some(at) = found else {
        // Locate: all, or those of the name, which stands there with its length before it.
        let is_named = has(message, &0x42_00_55_07_u32.to_be_bytes());
        let named = |at: &usize| !is_named || has(message, &text_item(0x42_00_55, name(*at)));
        let found: Vec<_> = (0..ids.len()).filter(named).map(|at| ids[at].as_str()).collect();
        return located(&found);
    };
    let attribute = |name: &str, value: Vec<u8>| {
        success(&[structure(0x42_00_08, &[text_item(0x42_00_0A, name), value])])
    };
    if is_get(message) {
        let digits = elements[at]["data"].as_str().unwrap().as_bytes();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        key_block(1, &bytes, &[])
    } else if has(message, b"Initial Date") {
        attribute("Initial Date", item(0x42_00_0B, 9, &made.to_be_bytes()))
    } else {
        attribute("Name", structure(0x42_00_0B, &[text_item(0x42_00_55, name(at))]))
    }
}

/// A server that behaves, with the key of the log and no other.
fn good(message: &[u8]) -> Vec<u8> {
    let (name, bytes) = key();
    if is_get(message) {
        key_block(1, &bytes, &[])
    } else if has(message, name.as_bytes()) {
        located(&["object-1"])
    } else {
        located(&[])
    }
}

#[test]
fn a_key_of_a_kmip_server_opens_a_log_and_is_asked_for_once() {
    if !openssl::is_here() {
        return;
    }
    let lab = Lab::new();
    let (port, messages) = lab.serve(Arc::new(good));
    let all = mixed().display().to_string();
    let output =
        lab.inspect(port, &json!({"object_group": "mysql-a"}), &[&all, "--format", "json"]);
    let said = text(&output);
    assert!(said.contains("\"present\""), "{said}");
    let messages = messages.lock().unwrap();
    let gets = messages.iter().filter(|message| is_get(message)).count();
    assert_eq!(gets, 1, "asked for once, whatever the number of logs");
    let locate = &messages[0];
    // Object Type is Symmetric Key; the group is that of the configuration; version 1.0.
    assert!(has(locate, &enumeration(0x42_00_0B, 2)), "{locate:02x?}");
    assert!(has(locate, &item(0x42_00_0B, 7, b"mysql-a")), "{locate:02x?}");
    assert!(has(locate, &item(0x42_00_6A, 2, &[0, 0, 0, 1])), "{locate:02x?}");
}

#[test]
fn a_kmip_server_that_misbehaves_is_told_as_what_it_does() {
    if !openssl::is_here() {
        return;
    }
    let lab = Lab::new();
    let at_get = |answer: Vec<u8>| -> Arc<Answer> {
        Arc::new(move |message: &[u8]| if is_get(message) { answer.clone() } else { good(message) })
    };
    let always = |answer: Vec<u8>| -> Arc<Answer> { Arc::new(move |_: &[u8]| answer.clone()) };
    let huge = [&[0x42, 0, 0x7B, 1][..], &u32::MAX.to_be_bytes()].concat();
    let promised = [&[0x42, 0, 0x7B, 1][..], &(8_u32 << 20).to_be_bytes(), b"and no more"].concat();
    let wrapped = [structure(0x42_00_46, &[])];
    let cases: Vec<(&str, Arc<Answer>, i32, &str)> = vec![
        ("no key of this name", always(located(&[])), 3, "is not in the KMIP server at 127.0.0.1"),
        ("a key that is gone", at_get(failure(1)), 3, "is not in the KMIP server at"),
        ("no account", always(failure(3)), 2, "knows no client with this certificate"),
        ("no right", at_get(failure(0xC)), 2, "may not have it"),
        ("another failure", at_get(failure(0x100)), 2, "with the reason 0x100 of KMIP"),
        ("rubbish", always(vec![0xFF; 64]), 2, "does not speak KMIP"),
        ("a message without a result", always(structure(0x42_00_7B, &[])), 2, "has no result"),
        ("a huge length", always(huge), 2, "goes on beyond"),
        ("a length without the bytes", always(promised), 2, "no whole answer within 2 s"),
        ("a wrapped key", at_get(key_block(1, &[7; 32], &wrapped)), 2, "wrapped under another key"),
        ("another format", at_get(key_block(7, &[7; 32], &[])), 2, "another format than Raw"),
        ("no key", at_get(success(&[])), 2, "no symmetric key"),
        ("a short key", at_get(key_block(1, &[7; 16], &[])), 4, "has 16 bytes"),
        ("another key", at_get(key_block(1, &[7; 32], &[])), 3, "wrong"),
    ];
    for (what, answer, code, said) in cases {
        let (port, _) = lab.serve(answer);
        let output = lab.inspect(port, &json!({}), &[]);
        assert_eq!(output.status.code(), Some(code), "{what}: {}", text(&output));
        assert!(text(&output).contains(said), "{what}: {}", text(&output));
    }
}

#[test]
fn a_kmip_server_is_listed_and_its_keys_are_judged_by_their_age() {
    if !openssl::is_here() {
        return;
    }
    let lab = Lab::new();
    for (made, is_old) in [(1_000_000_000, true), (4_000_000_000, false)] {
        let (port, _) = lab.serve(Arc::new(move |message: &[u8]| whole(message, made)));
        lab.inspect(port, &json!({}), &[]);
        let path = lab.path("component_keyring_kmip.cnf");
        let path = path.to_str().unwrap();
        let list = |keyring: &str| {
            let output = run(&["keyring", "list", keyring, "--format", "json"]);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output));
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let mut keys = report["files"][0]["keys"].as_array().unwrap().clone();
            keys.sort_by_key(|key| key["key_id"].to_string());
            keys
        };
        assert_eq!(list(path), list(mixed_keyring().to_str().unwrap()));
        let logs = mixed().display().to_string();
        let output =
            run(&["check", &logs, "--keyring", path, "--max-key-age", "90", "--format", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let old: Vec<_> = findings.iter().filter(|it| it["id"] == "BLS019").collect();
        assert_eq!(!old.is_empty(), is_old, "{made}: {}", text(&output));
        assert!(!findings.iter().any(|it| it["id"] == "BLS018"), "{}", text(&output));
    }
}

#[test]
fn two_different_keys_of_one_name_are_refused() {
    if !openssl::is_here() {
        return;
    }
    let lab = Lab::new();
    let (_, bytes) = key();
    let two = move |message: &[u8]| {
        if has(message, b"object-2") {
            key_block(1, &[7; 32], &[])
        } else if is_get(message) {
            key_block(1, &bytes, &[])
        } else {
            located(&["object-1", "object-2"])
        }
    };
    let (port, _) = lab.serve(Arc::new(two));
    let output = lab.inspect(port, &json!({}), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("several different keys have this name"), "{}", text(&output));
}

#[test]
fn a_kmip_server_and_its_client_know_each_other_by_their_certificates() {
    if !openssl::is_here() {
        return;
    }
    let lab = Lab::new();
    let stranger = Lab::new();
    let (port, messages) = lab.serve(Arc::new(good));
    let of_stranger = |name: &str| stranger.path(name).display().to_string();
    let foreign =
        json!({"client_ca": of_stranger("client.cert"), "client_key": of_stranger("client.key")});
    let other_name = json!({"server_addr": "localhost"});
    let any_name = json!({"server_addr": "localhost", "tls_hostname_verification": false});
    let other_authority =
        json!({"server_ca": of_stranger("ca.pem"), "tls_hostname_verification": false});
    for (what, members, code, said) in [
        ("a client of another authority", &foreign, 2, "ends the connection by an alert of TLS"),
        ("a server of another authority", &other_authority, 2, "is not trusted"),
        (
            "a key of another certificate",
            &json!({"client_key": of_stranger("client.key")}),
            2,
            "does not go with",
        ),
        (
            "no file",
            &json!({"client_key": "nowhere.pem"}),
            2,
            "nowhere.pem: no certificate with its key",
        ),
        (
            "no certificate in it",
            &json!({"client_ca": "client.key"}),
            2,
            "no certificate in PEM is in it",
        ),
        ("another name", &other_name, 2, "is not trusted"),
        ("any name", &any_name, 0, "present"),
        ("no port", &json!({"server_port": "kmip"}), 2, "`server_port`: a port"),
        ("no authority", &json!({"server_ca": ""}), 2, "`server_ca` is missing"),
    ] {
        let output = lab.inspect(port, members, &[]);
        assert_eq!(output.status.code(), Some(code), "{what}: {}", text(&output));
        assert!(text(&output).contains(said), "{what}: {}", text(&output));
    }
    // The one that was let in asked; the others were not.
    assert_eq!(messages.lock().unwrap().len(), 2);
    assert!(Path::new(&lab.path("client.key")).is_file());
}
