//! Key stores, asked through a server of the test's own, which counts and misbehaves. What a real
//! store answers: tests/interop, scenario `keystores`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it did not expect"
)]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::tls::{Authority, GOOD, Wanted};
use crate::common::{fixture, mixed, mixed_keyring, program};
use crate::vault_server::{
    Answer, Request, Server, TOKEN, configured, log, missing, ok, reply, run, secrets, store, text,
};

/// Decrypts a log by a store that answers so, and gives what came of it.
fn decrypt_by(answer: Arc<Answer>) -> (Output, Server, bool) {
    let server = Server::start(answer);
    let (folder, path) = configured(&server.url(), &json!({}));
    let target = folder.path().join("plain");
    let (path, plain) = (path.to_str().unwrap(), target.to_str().unwrap());
    let output = run(&["decrypt", &log(), "-o", plain, "--keyring", path, "--allow-http"]);
    let is_there = target.exists();
    (output, server, is_there)
}

#[test]
fn ten_thousand_logs_are_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let start = std::fs::read(log()).unwrap();
    for number in 0..10_000 {
        let path = folder.path().join(format!("binlog.{number:06}"));
        std::fs::write(path, &start[..4096]).unwrap();
    }
    let server = Server::start(store(&[mixed_keyring()]));
    let (_folder, path) = configured(&server.url(), &json!({}));
    let logs = folder.path().to_str().unwrap();
    let path = path.to_str().unwrap();
    let arguments =
        ["inspect", logs, "--keyring", path, "--allow-http", "--format", "json", "-j", "8"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 10_000);
    assert!(files.iter().all(|file| file["key_status"] == "present"));
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].contains(&format!("X-Vault-Token: {TOKEN}\r\n")));
}

#[test]
fn different_keys_are_asked_for_at_the_same_time() {
    let other = fixture("mysql-9.7/replica-relay-running");
    let answer = store(&[mixed_keyring(), other.join("component_keyring_file")]);
    let (inside, changed) = (Mutex::new(0_usize), Condvar::new());
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    // Each waits for the other, or for a second in vain.
    let both = move |request: &Request| {
        let mut count = inside.lock().unwrap();
        *count += 1;
        seen.fetch_max(*count, Ordering::SeqCst);
        changed.notify_all();
        let patience = Duration::from_secs(1);
        let (mut count, _) = changed.wait_timeout_while(count, patience, |it| *it < 2).unwrap();
        *count -= 1;
        drop(count);
        answer(request)
    };
    let server = Server::start(Arc::new(both));
    let (_folder, path) = configured(&server.url(), &json!({}));
    let (one, two) = (log(), other.join("replica-relay-bin.000001").display().to_string());
    let path = path.to_str().unwrap();
    let output = run(&["inspect", &one, &two, "--keyring", path, "--allow-http", "-j", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(server.requests().len(), 2);
    assert_eq!(most.load(Ordering::SeqCst), 2, "asked one after the other");
}

#[test]
fn a_key_that_the_store_does_not_have_is_missing_and_nothing_is_written() {
    let (output, server, is_there) = decrypt_by(Arc::new(|_: &Request| missing()));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("is not in the Vault at http://127.0.0.1"), "{}", text(&output));
    assert!(!is_there);
    assert_eq!(server.requests().len(), 1, "what is not there is not asked for again");
}

/// Answers that are none, and what is said of them.
#[test]
fn a_store_that_misbehaves_is_told_as_what_it_does() {
    let endless = || {
        let mut bytes = b"HTTP/1.1 200 x\r\n\r\n".to_vec();
        bytes.resize(20 << 20, b' ');
        bytes
    };
    let echo = |request: &Request| reply(400, &format!("{{\"errors\":[{:?}]}}", request.head));
    let no_json = |request: &Request| reply(200, &format!("{{\"data\":{:?}", request.head));
    let cases: Vec<(&str, Arc<Answer>, &str, usize)> = vec![
        ("rubbish", Arc::new(|_: &Request| vec![0xFF; 5000]), "does not speak HTTP", 1),
        ("nothing", Arc::new(|_: &Request| Vec::new()), "does not speak HTTP", 1),
        ("an endless head", Arc::new(|_: &Request| vec![b'x'; 1 << 20]), "goes on beyond", 1),
        ("an endless body", Arc::new(move |_: &Request| endless()), "goes on beyond", 1),
        (
            "a huge length",
            Arc::new(|_: &Request| {
                b"HTTP/1.1 200 x\r\nContent-Length: 99999999999\r\n\r\n".to_vec()
            }),
            "goes on beyond",
            1,
        ),
        (
            "a length that is cut short",
            Arc::new(|_: &Request| b"HTTP/1.1 200 x\r\nContent-Length: 90\r\n\r\n{}".to_vec()),
            "ends before its announced length",
            1,
        ),
        (
            "a chunk without a length",
            Arc::new(|_: &Request| {
                b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()
            }),
            "a chunk without a length",
            1,
        ),
        ("a refused token", Arc::new(|_: &Request| reply(403, "{}")), "refuses the token", 1),
        ("its own request", Arc::new(echo), "refuses the token", 1),
        ("JSON that is cut", Arc::new(no_json), "no key as the server stores it", 1),
        (
            "no base64",
            Arc::new(|_: &Request| ok(&json!({"data": {"type": "AES", "value": "%%%"}}))),
            "no key as the server stores it",
            1,
        ),
        ("a sealed store", Arc::new(|_: &Request| reply(503, "")), "it is sealed", 3),
        (
            "no mount",
            Arc::new(|_: &Request| reply(404, "{\"errors\":[\"no handler for route\"]}")),
            "nothing mounted at",
            1,
        ),
        ("a teapot", Arc::new(|_: &Request| reply(418, "")), "with the status 418", 1),
    ];
    for (what, answer, said, requests) in cases {
        let (output, server, is_there) = decrypt_by(answer);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(2), "{what}: {told}");
        assert!(told.contains(said), "{what}: {told}");
        assert!(!is_there, "{what}");
        assert_eq!(server.requests().len(), requests, "{what}");
    }
}

#[test]
fn a_key_of_another_length_is_damage() {
    let short = json!({"data": {"type": "AES", "value": "AAECAw=="}});
    let (output, ..) = decrypt_by(Arc::new(move |_: &Request| ok(&short)));
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("has 4 bytes"), "{}", text(&output));
}

#[test]
fn a_store_that_fails_twice_and_then_answers_is_asked_three_times() {
    let good = store(&[mixed_keyring()]);
    let (output, server, is_there) =
        decrypt_by(Arc::new(
            move |request: &Request| {
                if request.number < 3 { reply(500, "") } else { good(request) }
            },
        ));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(is_there);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_answer_in_chunks_is_read() {
    let good = store(&[mixed_keyring()]);
    let (output, ..) = decrypt_by(Arc::new(move |request: &Request| {
        let whole = good(request);
        let at = whole.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in whole[at..].chunks(7) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_redirect_is_not_followed_and_the_token_stays() {
    let other = Server::start(store(&[mixed_keyring()]));
    let location = format!("{}/v1/secret", other.url());
    for status in [301, 302, 307, 308] {
        let location = location.clone();
        let (output, ..) = decrypt_by(Arc::new(move |_: &Request| {
            format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                .into_bytes()
        }));
        let told = text(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("redirect") && told.contains(&other.port.to_string()), "{told}");
    }
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[test]
fn a_store_that_never_answers_ends_in_time() {
    let begun = Instant::now();
    let silent = |_: &Request| {
        std::thread::sleep(Duration::from_secs(60));
        Vec::new()
    };
    let (output, server, _) = decrypt_by(Arc::new(silent));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no whole answer within 2 s, 3 times"), "{}", text(&output));
    assert_eq!(server.requests().len(), 3);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn a_store_that_cannot_be_reached_is_not_tried_for_every_log() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_folder, path) = configured(&format!("http://127.0.0.1:{port}"), &json!({}));
    let logs = mixed().display().to_string();
    let begun = Instant::now();
    let output = run(&["inspect", &logs, "--keyring", path.to_str().unwrap(), "--allow-http"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("cannot be reached after 3 attempts"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn plain_http_and_a_missing_token_are_refused_before_anything_is_sent() {
    let server = Server::start(store(&[mixed_keyring()]));
    let (_folder, path) = configured(&server.url(), &json!({}));
    let output = run(&["inspect", &log(), "--keyring", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("--allow-http"), "{}", text(&output));
    let (_folder, path) = configured(&server.url(), &json!({"token": ""}));
    let arguments = ["inspect", &log(), "--keyring", path.to_str().unwrap(), "--allow-http"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("VAULT_TOKEN"), "{}", text(&output));
    let (_folder, path) = configured(&server.url(), &json!({"token": "a\r\nX-Evil: b"}));
    let output = run(&["inspect", &log(), "--keyring", path.to_str().unwrap(), "--allow-http"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[test]
fn the_token_of_the_environment_is_taken_where_the_configuration_has_none() {
    let server = Server::start(store(&[mixed_keyring()]));
    let (_folder, path) =
        configured(&server.url(), &json!({"token": "", "vault_namespace": "team"}));
    let output = Command::new(program())
        .env("VAULT_TOKEN", TOKEN)
        .args(["inspect", &log(), "--keyring", path.to_str().unwrap(), "--allow-http"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let requests = server.requests();
    assert!(requests[0].contains(&format!("X-Vault-Token: {TOKEN}\r\n")), "{requests:?}");
    assert!(requests[0].contains("X-Vault-Namespace: team\r\n"), "{requests:?}");
}

/// A store behind TLS by the `openssl` command, which serves one file for every path.
struct TlsStore {
    child: std::process::Child,
    port: u16,
}

impl Drop for TlsStore {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tls_store(folder: &Path) -> TlsStore {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // `-HTTP` sends a file that has its own head, by the path of the request.
    let child = Command::new("openssl")
        .args(["s_server", "-quiet", "-HTTP", "-cert", "server-cert.pem", "-key", "server-key.pem"])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "openssl s_server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    TlsStore { child, port }
}

#[test]
fn only_the_configured_authority_is_trusted() {
    if !crate::common::openssl::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (folder.path().join("good"), folder.path().join("other"));
    for directory in [&good, &other] {
        std::fs::create_dir(directory).unwrap();
    }
    let authority = Authority::new(&good, "the right one");
    Authority::new(&other, "another one");
    let wanted = Wanted { alternative_name: "IP:127.0.0.1", ..GOOD };
    authority.sign(&wanted);
    for (name, secret) in secrets(&mixed_keyring()) {
        let directory = good.join("v1/secret/mysql");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(name), ok(&json!({"data": secret}))).unwrap();
    }
    let server = tls_store(&good);
    let url = format!("https://127.0.0.1:{}", server.port);
    let by = |authority: &Path| {
        let (_folder, path) = configured(&url, &json!({"vault_ca": authority.join("ca.pem")}));
        run(&["inspect", &log(), "--keyring", path.to_str().unwrap()])
    };
    let output = by(&good);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = by(&other);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("not trusted"), "{}", text(&output));
    // A name that the certificate is not for.
    let url = format!("https://localhost:{}", server.port);
    let (_folder, path) = configured(&url, &json!({"vault_ca": good.join("ca.pem")}));
    let output = run(&["inspect", &log(), "--keyring", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("not trusted"), "{}", text(&output));
}

#[test]
fn a_configuration_that_no_server_takes_is_told_without_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("component_keyring_vault.cnf");
    for (content, said) in [
        (
            format!("{{\"vault_url\":\"https://v\",\"token\":\"{TOKEN}\"}}"),
            "`secret_mount_point` is missing",
        ),
        (
            format!(
                "{{\"vault_url\":\"https://v\",\"secret_mount_point\":\"/a\",\"token\":\"{TOKEN}\"}}"
            ),
            "without a slash",
        ),
        (
            format!(
                "{{\"vault_url\":\"https://v\",\"secret_mount_point\":\"a\",\
                 \"secret_mount_point_version\":\"3\",\"token\":\"{TOKEN}\"}}"
            ),
            "AUTO, 1 or 2",
        ),
        (
            format!("{{\"vault_url\":7,\"secret_mount_point\":\"a\",\"token\":\"{TOKEN}\"}}"),
            "line 1",
        ),
        (format!("{{\"vault_url\":\"{TOKEN}"), "line 1"),
        (format!("vault_url = https://v\ntoken = {TOKEN}\n"), "`secret_mount_point` is missing"),
        (format!("vault_url = https://v\n{TOKEN}\n"), "line 2"),
        ("{\"read_local_config\": true}".to_owned(), "--datadir"),
        ("{\"components\": \"file://component_keyring_vault\"}".to_owned(), "--datadir"),
    ] {
        std::fs::write(&path, &content).unwrap();
        let output = run(&["inspect", &log(), "--keyring", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{content}: {}", text(&output));
        assert!(text(&output).contains(said), "{content}: {}", text(&output));
    }
}

/// The findings of `check` by their rules, and how it ended.
fn check(arguments: &[&str]) -> (Option<i32>, Vec<(String, String, String)>, String) {
    let output = run(&[&["check", &log(), "--format", "json"], arguments].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings =
        report["findings"].as_array().unwrap().iter().map(|finding| {
            (text(finding, "id"), text(finding, "severity"), text(finding, "message"))
        });
    (output.status.code(), findings.collect(), self::text(&output))
}

#[test]
fn check_judges_a_store_by_its_address_its_configuration_and_its_servers() {
    let other = fixture("mysql-9.7/replica-relay-running").join("component_keyring_file");
    let server = Server::start(store(&[mixed_keyring(), other]));
    let (_folder, path) = configured(&server.url(), &json!({}));
    let shown = path.to_str().unwrap();
    let (code, findings, said) = check(&["--keyring", shown, "--allow-http"]);
    assert_eq!(code, Some(0), "{said}");
    let rules: Vec<_> = findings.iter().map(|(rule, severity, _)| (&**rule, &**severity)).collect();
    assert!(rules.contains(&("BLS018", "note")), "{findings:?}");
    assert!(rules.contains(&("BLS020", "note")), "{findings:?}");
    assert!(!rules.iter().any(|(rule, _)| ["BLS013", "BLS019"].contains(rule)), "{findings:?}");
    let is_of_token = |(rule, _, message): &(String, String, String)| {
        rule == "BLS010" && message.contains("token")
    };
    assert!(!findings.iter().any(is_of_token), "{findings:?}");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (_, findings, _) = check(&["--keyring", shown, "--allow-http"]);
    assert!(findings.iter().any(is_of_token), "{findings:?}");
}

/// What version 2 says of a secret: number, time of deletion or nothing, whether it is destroyed.
fn versions(all: &[(&str, &str, bool)]) -> Vec<u8> {
    let one = |(number, deleted, destroyed): &(&str, &str, bool)| {
        let created = "2020-02-03T04:05:06.789Z";
        let what =
            json!({"created_time": created, "deletion_time": deleted, "destroyed": destroyed});
        ((*number).to_owned(), what)
    };
    let all: serde_json::Map<String, Value> = all.iter().map(one).collect();
    ok(&json!({"data": {"versions": all}}))
}

#[test]
fn check_tells_keys_that_were_deleted_and_can_be_brought_back() {
    const DELETED: &str = "2020-03-03T04:05:06.789Z";
    type Metadata = fn() -> Vec<u8>;
    let cases: [(Metadata, Option<&str>); 6] = [
        (|| versions(&[("1", "", false)]), None),
        (|| versions(&[("1", "", true), ("2", "", false)]), None),
        (|| versions(&[("1", DELETED, true)]), None),
        (|| versions(&[("1", DELETED, false)]), Some("vault kv metadata delete -mount=secret ")),
        (
            || versions(&[("1", "", false), ("2", DELETED, false), ("10", "", false)]),
            Some("vault kv destroy -mount=secret -versions=1,2 "),
        ),
        (|| reply(403, "{\"errors\":[\"permission denied\"]}"), Some("vault kv metadata get")),
    ];
    for (number, (answer, remedy)) in cases.into_iter().enumerate() {
        let secrets = secrets(&mixed_keyring());
        let server = Server::start(Arc::new(move |request: &Request| {
            let path = request.path();
            if path.ends_with("/config") {
                return ok(&json!({"data": {"max_versions": 0, "cas_required": false}}));
            }
            if path.ends_with("?list=true") {
                let names: Vec<_> = secrets.iter().map(|(name, _)| name).collect();
                return ok(&json!({"data": {"keys": names}}));
            }
            if path.contains("/metadata/") {
                return answer();
            }
            let name = path.rsplit('/').next().unwrap();
            let found = secrets.iter().find(|(known, _)| known == name);
            found.map_or_else(missing, |(_, secret)| ok(&json!({"data": {"data": secret}})))
        }));
        let (_folder, path) =
            configured(&server.url(), &json!({"secret_mount_point_version": "2"}));
        let (log, path) = (log(), path.to_str().unwrap());
        let output = run(&["check", &log, "--keyring", path, "--allow-http", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{number}: {}", text(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap().iter();
        let found: Vec<_> = findings.filter(|finding| finding["id"] == "BLS021").collect();
        assert_eq!(found.len(), usize::from(remedy.is_some()), "{number}: {found:?}");
        if let Some(remedy) = remedy {
            let printed = found[0]["remedy"].as_str().unwrap();
            assert!(printed.contains(remedy), "{number}: {printed}");
            let destroys = remedy.contains("delete") || remedy.contains("destroy");
            assert_eq!(printed.starts_with("# destroys keys for ever"), destroys, "{printed}");
        }
    }
}

#[test]
fn check_tells_a_key_that_is_older_than_allowed_by_what_the_store_says() {
    let secrets = secrets(&mixed_keyring());
    let answer = move |request: &Request| {
        let path = request.path();
        if path.ends_with("/config") {
            return ok(&json!({"data": {"max_versions": 0, "cas_required": false}}));
        }
        if path.ends_with("?list=true") {
            let names: Vec<_> = secrets.iter().map(|(name, _)| name).collect();
            return ok(&json!({"data": {"keys": names}}));
        }
        if path.contains("/metadata/") {
            return versions(&[("1", "", false)]);
        }
        let name = path.rsplit('/').next().unwrap();
        let Some((_, secret)) = secrets.iter().find(|(known, _)| known == name) else {
            return missing();
        };
        let metadata = json!({"created_time": "2020-02-03T04:05:06.789Z", "version": 1});
        ok(&json!({"data": {"data": secret, "metadata": metadata}}))
    };
    let server = Server::start(Arc::new(answer));
    let (_folder, path) = configured(&server.url(), &json!({"secret_mount_point_version": "2"}));
    let keys = ["--keyring", path.to_str().unwrap(), "--allow-http"];
    let old = |more: &[&str]| {
        let (code, findings, _) = check(&[&keys[..], more].concat());
        let old: Vec<_> = findings.into_iter().filter(|(rule, ..)| rule == "BLS019").collect();
        (code, old)
    };
    assert_eq!(old(&[]), (Some(0), Vec::new()));
    assert_eq!(old(&["--max-key-age", "36500"]), (Some(0), Vec::new()));
    let (code, found) = old(&["--max-key-age", "365"]);
    assert_eq!((code, found.len()), (Some(1), 1), "{found:?}");
    assert!(found[0].2.contains("_3 was stored") && found[0].2.contains("365"), "{found:?}");
}

#[test]
fn check_tells_a_keyring_file_that_was_not_changed_for_longer_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = folder.path().join("keyring");
    std::fs::copy(mixed_keyring(), &keyring).unwrap();
    let path = keyring.to_str().unwrap().to_owned();
    let old = |days: &str| {
        let (code, findings, _) = check(&["--keyring", &path, "--max-key-age", days]);
        (code, findings.iter().any(|(rule, ..)| rule == "BLS019"))
    };
    let file = std::fs::File::options().append(true).open(&keyring).unwrap();
    let day = Duration::from_secs(86_400);
    file.set_modified(std::time::SystemTime::now() - 40 * day).unwrap();
    assert_eq!(old("30"), (Some(1), true));
    assert_eq!(old("40"), (Some(0), false));
    file.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(old("0"), (Some(0), false));
}

#[test]
fn check_is_not_whole_where_a_store_does_not_answer() {
    let server = Server::start(Arc::new(|_: &Request| reply(403, "")));
    let (_folder, path) = configured(&server.url(), &json!({}));
    let (code, findings, said) = check(&["--keyring", path.to_str().unwrap(), "--allow-http"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(findings.iter().any(|(rule, ..)| rule == "BLS009"), "{findings:?}");
}
