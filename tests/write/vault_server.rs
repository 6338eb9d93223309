//! A key store of the test's own, which counts its requests and answers as it is told.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{mixed, program};

/// What must appear nowhere.
pub(crate) const TOKEN: &str = "hvs.VERY-SECRET-TOKEN-0123456789";

/// What the server sends for a request, head and body.
pub(crate) type Answer = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// A request as it came.
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

/// Listens on a port of its own until the test ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(socket, &*answer, &log));
            }
        });
        Self { port, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

pub(crate) fn serve(mut socket: TcpStream, answer: &Answer, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let number = {
        let mut log = log.lock().unwrap();
        log.push(head.clone());
        log.len()
    };
    let bytes = answer(&Request { line, head, number });
    let _ = socket.write_all(&bytes);
}

pub(crate) fn ok(body: &Value) -> Vec<u8> {
    reply(200, &body.to_string())
}

pub(crate) fn reply(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

pub(crate) fn missing() -> Vec<u8> {
    reply(404, "{\"errors\":[]}")
}

/// The entries of a keyring, as Percona's layout of version 1 names and stores them.
pub(crate) fn secrets(keyring: &Path) -> Vec<(String, Value)> {
    let document: Value = serde_json::from_slice(&std::fs::read(keyring).unwrap()).unwrap();
    let secret = |element: &Value| {
        let text = |name: &str| element[name].as_str().unwrap().to_owned();
        let (id, user, digits) = (text("data_id"), text("user"), text("data"));
        let pairs = digits.as_bytes().chunks(2);
        let bytes: Vec<u8> = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let name = format!("{}_{id}{}_{user}", id.len(), user.len());
        let value = BASE64_STANDARD.encode(bytes);
        (BASE64_STANDARD.encode(name), json!({"type": text("data_type"), "value": value}))
    };
    document["elements"].as_array().unwrap().iter().map(secret).collect()
}

/// A well-behaved store.
pub(crate) fn store(keyrings: &[PathBuf]) -> Arc<Answer> {
    let secrets: Vec<_> = keyrings.iter().flat_map(|path| secrets(path)).collect();
    Arc::new(move |request: &Request| {
        if request.path().ends_with("?list=true") {
            let names: Vec<_> = secrets.iter().map(|(name, _)| name).collect();
            return ok(&json!({"data": {"keys": names}}));
        }
        let name = request.path().rsplit('/').next().unwrap();
        let found = secrets.iter().find(|(known, _)| known == name);
        found.map_or_else(missing, |(_, secret)| ok(&json!({"data": secret})))
    })
}

/// A folder with a configuration for this address.
pub(crate) fn configured(url: &str, more: &Value) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("component_keyring_vault.cnf");
    let mut members = json!({
        "timeout": 2, "vault_url": url, "secret_mount_point": "secret/mysql",
        "secret_mount_point_version": "1", "token": TOKEN,
    });
    let members_now = members.as_object_mut().unwrap();
    members_now.extend(more.as_object().unwrap().clone());
    std::fs::write(&path, members.to_string()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    (folder, path)
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    for variable in ["BINLOGSEC_KEYRING", "VAULT_TOKEN", "VAULT_ADDR", "VAULT_CACERT"] {
        command.env_remove(variable);
    }
    let output = command.env("NO_COLOR", "1").args(arguments).output().unwrap();
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        assert!(!text.contains("VERY-SECRET"), "the token is shown: {text}");
    }
    output
}

pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

pub(crate) fn log() -> String {
    mixed().join("binlog.000003").display().to_string()
}
