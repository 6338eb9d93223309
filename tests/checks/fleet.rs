//! Many servers in one run (`audit --inventory`), and reports of many runs as one (`report merge`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stub::{channel, of, server, user, variables};

fn binlogsec(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.args(arguments).env("BINLOGSEC_SERVER_PASSWORD", "x");
    command.output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = binlogsec(arguments);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn refusal(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.toml");
    std::fs::write(&path, text).unwrap();
    let output = binlogsec(&["audit", "--inventory", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{text}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The entry of a stub's URL.
fn entry(url: &str) -> String {
    format!("[[server]]\nurl = \"{url}\"\n")
}

/// Listeners that take a connection and never say a word.
fn silent(count: usize) -> (Vec<TcpListener>, String) {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let entries = listeners.iter().map(|listener| {
        let port = listener.local_addr().unwrap().port();
        format!("[[server]]\nhost = \"127.0.0.1\"\nport = {port}\n")
    });
    let text = entries.collect();
    (listeners, text)
}

#[test]
fn twenty_silent_servers_take_as_long_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.toml");
    let (listeners, entries) = silent(20);
    let text =
        format!("[defaults]\nuser = \"audit\"\nssl-mode = \"DISABLED\"\ntimeout = 1\n{entries}");
    std::fs::write(&path, text).unwrap();
    let begin = Instant::now();
    let output = binlogsec(&["audit", "--inventory", path.to_str().unwrap(), "-j", "1"]);
    let took = begin.elapsed();
    drop(listeners);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no answer in time"), "{said}");
    // One after another they would take twenty seconds.
    assert!((Duration::from_secs(1)..Duration::from_secs(15)).contains(&took), "{took:?}");
}

#[test]
fn one_run_has_many_servers_files_and_sockets_and_one_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("off/data")).unwrap();
    std::fs::write(
        at("off/my.cnf"),
        "[mysqld]\nbinlog_encryption=OFF\nrequire_secure_transport=ON\n",
    )
    .unwrap();
    std::fs::write(at("password"), "x\n").unwrap();
    let source = server("9.7.0", "MySQL", vec![variables(&[("server_uuid", "u-1")])]);
    let replica = server(
        "9.7.0",
        "MySQL",
        vec![variables(&[("server_uuid", "u-2")]), channel(&[("Source_UUID", "u-1")])],
    );
    let text = format!(
        "[defaults]\npassword-file = \"password\"\n{}{}\n[[server]]\ndefaults-file = \"off/my.cnf\"\n\
         datadir = \"off/data\"\nserver-version = \"8.4.3\"\n",
        entry(&source),
        entry(&replica)
    );
    std::fs::write(at("fleet.toml"), text).unwrap();
    let path = at("fleet.toml");
    let page = at("fleet.html");
    let html = format!("html={}", page.display());
    let report = json(&[
        "audit",
        "--inventory",
        path.to_str().unwrap(),
        "--format",
        "json",
        "--report",
        &html,
    ]);
    assert_eq!(report["summary"]["verdict"], "fail");
    assert_eq!(report["facts"]["servers"].as_array().unwrap().len(), 2);
    let file = at("off/my.cnf");
    let areas = report["areas"].as_array().unwrap();
    let of_file: Vec<_> =
        areas.iter().filter(|it| it["server"] == file.to_str().unwrap()).collect();
    assert_eq!(of_file.len(), 6, "the server of files has a line of its own");
    let at_rest = |server: &str| {
        let area = areas.iter().find(|it| it["server"] == server && it["area"] == "at-rest");
        area.unwrap()["result"].clone()
    };
    assert_eq!(at_rest(file.to_str().unwrap()), "no");
    let live = report["facts"]["servers"][0]["address"].as_str().unwrap();
    assert_ne!(at_rest(live), "no", "what a file says is said of nobody else");
    // Who replicates from whom, as a table.
    let table = &report["cross_table"];
    assert_eq!(table["sources"][0], live);
    let edge = &report["topology"]["edges"][0];
    let parts = ["in_transit", "verified", "source_at_rest", "replica_at_rest", "ends"];
    let states: Vec<_> = parts.iter().map(|part| edge[part].as_str().unwrap()).collect();
    let whole = ["no", "unknown", "yes"].into_iter().find(|state| states.contains(state));
    assert_eq!(table["rows"][0][0].as_str(), whole, "{states:?}");
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("data-cross-table") && html.contains("id=\"areas\""), "{html}");
    assert!(html.contains("id=\"plan\""));
    // The plan says whose each step is.
    let steps = report["plan"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["server"] == file.to_str().unwrap()), "{steps:?}");
}

#[test]
fn an_inventory_with_a_mistake_is_refused_whole_and_shows_no_secret() {
    for (text, said) in [
        ("", "no server is in it"),
        ("[[server]]\n", "neither a host"),
        ("[[server]]\nport = 3306\n", "port has no effect"),
        ("[[server]]\nhost = \"a\"\nkeyring = [\"k\"]\n", "keyring has no effect"),
        ("[[server]]\nhost = \"a\"\npassword = \"s3cret\"\n", "a password has no place"),
        ("[[server]]\nurl = \"mysql://u:s3cret@h/\"\n", "a password has no place"),
        ("[[server]]\nhost = \"a\"\nurl = \"mysql://h/\"\n", "two ways"),
        ("[[server]]\nhost = \"a\"\nssl-mode = \"PREFERRED\"\n", "does not fall back"),
        ("[[server]]\nhost = \"a\"\nssl-moed = \"REQUIRED\"\n", "no parameter \"ssl-moed\""),
        ("[[server]]\nhost = s3cret\n", "line 2"),
        ("[[server]]\ndefaults-file = \"not-there.cnf\"\n", "not-there.cnf"),
        ("[[sever]]\nhost = \"a\"\n", "sever"),
    ] {
        let found = refusal(text);
        assert!(found.contains(said), "{text}: {found}");
        assert!(!found.contains("s3cret"), "{found}");
    }
}

fn saved(directory: &Path, name: &str, servers: &[&str]) -> String {
    let path = directory.join(name).to_str().unwrap().to_owned();
    let mut arguments = vec!["audit", "--save", &path];
    servers.iter().for_each(|server| arguments.extend(["--server", server]));
    binlogsec(&arguments);
    path
}

/// Two sites are audited each by itself; together, neither end of the way between them is unknown.
#[test]
fn reports_of_several_audits_are_judged_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let any = || {
        ("FROM mysql.user", vec![user("repl", &[("Repl_slave_priv", "Y"), ("ssl_type", "ANY")])])
    };
    let source = server("9.7.0", "MySQL", vec![variables(&[("server_uuid", "u-1")]), any()]);
    let replica = server(
        "9.7.0",
        "MySQL",
        vec![variables(&[("server_uuid", "u-2")]), channel(&[("Source_UUID", "u-1")]), any()],
    );
    let one = saved(directory.path(), "one.json", &[&source]);
    let other = saved(directory.path(), "other.json", &[&replica]);
    let options = directory.path().join("my.cnf");
    std::fs::write(&options, "[mysqld]\nbinlog_encryption=OFF\n").unwrap();
    let files = directory.path().join("files.json");
    binlogsec(&[
        "audit",
        "--defaults-file",
        options.to_str().unwrap(),
        "--save",
        files.to_str().unwrap(),
    ]);
    let alone: Value = serde_json::from_slice(&std::fs::read(&other).unwrap()).unwrap();
    assert_eq!(of(&alone, "BLR070").len(), 1);
    assert_eq!(of(&alone, "BLR052").len(), 1);
    let files = files.to_str().unwrap();
    let merged = json(&["report", "merge", &one, &other, files, "--format", "json"]);
    assert_eq!(merged["schema"], "binlogsec.audit/1");
    assert_eq!(of(&merged, "BLR070").len(), 0, "both ends are there");
    assert_eq!(merged["cross_table"]["rows"].as_array().unwrap().len(), 1);
    let remedies: Vec<_> =
        of(&merged, "BLR052").iter().map(|it| it["remedy"].as_str().unwrap().to_owned()).collect();
    assert_eq!(remedies.iter().filter(|it| it.contains("RENAME")).count(), 1, "{remedies:?}");
    assert!(remedies.iter().any(|it| it.starts_with("-- nothing here")), "{remedies:?}");
    // What files showed is there as it was.
    assert_eq!(of(&merged, "BLR001").len(), 1);
    assert_eq!(merged["facts"]["options"]["subject"], options.to_str().unwrap());
    // A merge can be merged again, and comes to the same.
    let again = directory.path().join("merged.json");
    std::fs::write(&again, merged.to_string()).unwrap();
    let twice =
        json(&["report", "merge", again.to_str().unwrap(), &one, files, "--format", "json"]);
    for part in ["findings", "areas", "topology", "summary"] {
        assert_eq!(twice[part], merged[part], "{part}");
    }
}

#[test]
fn a_report_of_an_audit_is_not_merged_with_others_or_as_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let url = server("9.7.0", "MySQL", vec![variables(&[])]);
    let one = saved(directory.path(), "one.json", &[&url]);
    let output = binlogsec(&["report", "merge", &one, "--format", "prometheus"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("text, json, sarif, html, junit, github"), "{said}");
    let policy = directory.path().join("policy.toml");
    std::fs::write(&policy, "[rules]\nBLR072 = \"error\"\nBLR001 = \"off\"\n").unwrap();
    let merged =
        json(&["report", "merge", &one, "--policy", policy.to_str().unwrap(), "--format", "json"]);
    let weights: Vec<_> = of(&merged, "BLR072").iter().map(|it| it["severity"].clone()).collect();
    assert!(!weights.is_empty() && weights.iter().all(|it| it == "error"), "{weights:?}");
}
