//! Certificates: what is wrong with one, with each of a bundle, with a chain.

use std::path::Path;
use std::process::Command;

use crate::audit::machine::{Machine, SOURCE, ids, machine, set};
use crate::common::tls::{self, Authority, EC, GOOD, Wanted};
use crate::common::{fixture, openssl};

/// What `sign` is to make otherwise than the good certificate, and what is found then.
const CERTIFICATES: &[(Wanted<'static>, &[&str])] = &[
    (Wanted { end: "210101000000Z", ..GOOD }, &["BLR030"]),
    (Wanted { end: "10", key: EC, ..GOOD }, &["BLR031"]),
    (Wanted { alternative_name: "", key: EC, ..GOOD }, &["BLR036"]),
    (Wanted { alternative_name: "DNS:other.example", key: EC, ..GOOD }, &["BLR036"]),
    (
        Wanted {
            common_name: "MySQL_Server_8.4.3_Auto_Generated_Server_Certificate",
            key: EC,
            ..GOOD
        },
        &["BLR034"],
    ),
    // These are as good as the first one.
    (Wanted { key: EC, ..GOOD }, &[]),
    (Wanted { alternative_name: "DNS:*.example", ..GOOD }, &[]),
];

type Change = fn(&Machine);

/// Other changes.
const FILES: &[(Change, &[&str])] = &[
    // Ready-made: not every openssl makes such.
    (|it| weak(it, "short"), &["BLR032"]),
    (|it| weak(it, "sha1"), &["BLR033"]),
    (|it| tls::self_signed(&it.path("tls"), "source.example"), &["BLR034"]),
    (
        // Another authority of the same name.
        |it| {
            std::fs::create_dir(it.path("other")).unwrap();
            Authority::with_key(&it.path("other"), "Test CA", EC);
            std::fs::copy(it.path("other/ca.pem"), it.path("tls/ca.pem")).unwrap();
        },
        &["BLR035"],
    ),
    (
        |it| {
            std::fs::create_dir(it.path("other")).unwrap();
            tls::self_signed(&it.path("other"), "x");
            let key = "server-key.pem";
            std::fs::copy(it.path("other").join(key), it.path("tls").join(key)).unwrap();
        },
        &["BLR038"],
    ),
    (|it| it.write("tls/server-cert.pem", "no PEM"), &["BLR039"]),
    (|it| std::fs::remove_file(it.path("tls/server-key.pem")).unwrap(), &["BLR039"]),
    // Behind the first certificate of a file.
    (|it| append(it, "server-cert.pem", &[weak_file("short-cert.pem")]), &["BLR032"]),
    (|it| append(it, "server-cert.pem", &[weak_file("sha1-cert.pem")]), &["BLR033"]),
    (|it| append(it, "ca.pem", &[weak_file("expired-cert.pem")]), &["BLR030"]),
    (
        |it| {
            let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
            append(it, "ca.pem", &[weak_file("ca.pem"), broken.to_owned()]);
        },
        &["BLR039"],
    ),
    (|it| append(it, "ca.pem", &[weak_file("ca.pem")]), &[]),
];

fn weak_file(name: &str) -> String {
    std::fs::read_to_string(fixture("audit/weak").join(name)).unwrap()
}

/// A certificate with a weakness, its key and its authority in place of the good ones.
fn weak(machine: &Machine, name: &str) {
    for (from, to) in [
        ("ca.pem".to_owned(), "ca.pem"),
        (format!("{name}-cert.pem"), "server-cert.pem"),
        (format!("{name}-key.pem"), "server-key.pem"),
    ] {
        machine.write(&format!("tls/{to}"), &weak_file(&from));
    }
}

fn append(machine: &Machine, name: &str, certificates: &[String]) {
    let name = format!("tls/{name}");
    let text = std::fs::read_to_string(machine.path(&name)).unwrap();
    machine.write(&name, &(text + &certificates.concat()));
}

#[test]
fn certificates_are_held_against_what_replicas_need() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    let keep = machine.path("keep");
    copy_directory(&machine.path("tls"), &keep);
    let expect = |number: usize, expected: &[&str]| {
        let report = machine.report();
        let (_, text, _) = machine.run("text", &[]);
        assert_eq!(ids(&report, false), set(expected), "{number}: {text}");
        let _ = std::fs::remove_dir_all(machine.path("other"));
        std::fs::remove_dir_all(machine.path("tls")).unwrap();
        copy_directory(&keep, &machine.path("tls"));
        assert_eq!(machine.found(false), set(&[]), "{number} is undone");
    };
    for (number, (wanted, expected)) in CERTIFICATES.iter().enumerate() {
        machine.sign(wanted);
        expect(number, expected);
    }
    for (number, (change, expected)) in FILES.iter().enumerate() {
        change(&machine);
        expect(CERTIFICATES.len() + number, expected);
    }
}

/// The files of a directory.
fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn a_finding_says_which_certificate_of_a_bundle_it_means() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    append(&machine, "server-cert.pem", &[weak_file("sha1-cert.pem")]);
    let report = machine.report();
    let message = report["findings"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("(certificate 2: CN=sha1.example)"), "{message}");
    let certificates = report["facts"]["certificates"].as_array().unwrap();
    let listed: Vec<_> = certificates
        .iter()
        .map(|it| (it["position"].as_u64().unwrap(), it["role"].as_str().unwrap()))
        .collect();
    assert_eq!(listed, [(1, "server"), (2, "authority"), (1, "authority")]);
}

/// An authority below another one, or what poses as one.
fn below(above: &Authority, directory: &Path, extensions: &[&str], end: &str) -> Authority {
    std::fs::create_dir(directory).unwrap();
    let authority = Authority::with_key(directory, "x", EC);
    let name = directory.file_name().unwrap().to_str().unwrap();
    above.sign(&Wanted {
        common_name: name,
        alternative_name: "",
        key: EC,
        end,
        digest: "sha256",
        extensions,
    });
    let made = above.directory();
    std::fs::rename(made.join("server-cert.pem"), directory.join("ca.pem")).unwrap();
    std::fs::rename(made.join("server-key.pem"), directory.join("ca/key.pem")).unwrap();
    authority
}

const CA: &str = "basicConstraints=critical,CA:TRUE";
const LAST_CA: &str = "basicConstraints=critical,CA:TRUE,pathlen:0";

/// Extensions and end of an authority.
type Level = (&'static [&'static str], &'static str);

/// Authorities below a root, from above, and whether they make a chain.
const CHAINS: &[(&[Level], bool)] = &[
    (&[(&[CA], "365")], true),
    (&[(&[LAST_CA], "365")], true),
    (&[(&[CA], "365"), (&[LAST_CA], "365")], true),
    (&[(&[LAST_CA], "365"), (&[CA], "365")], false),
    (&[(&["basicConstraints=CA:FALSE"], "365")], false),
    (&[(&[], "365")], false),
    (&[(&[CA, "keyUsage=digitalSignature"], "365")], false),
    (&[(&[CA, "keyUsage=keyCertSign"], "365")], true),
    (&[(&[CA], "210101000000Z")], false),
];

/// Held against what openssl says.
#[test]
fn every_certificate_of_a_chain_may_sign_and_is_valid() {
    if !openssl::is_here() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    Authority::new(root.path(), "Root");
    for (levels, verifies) in CHAINS {
        let machine = machine(SOURCE);
        let chains = machine.path("chains");
        copy_directory(root.path(), &chains);
        copy_directory(&root.path().join("ca"), &chains.join("ca"));
        let mut authority = Authority::at(&chains);
        let mut bundle = String::new();
        for (number, (extensions, end)) in levels.iter().enumerate() {
            let directory = chains.join(format!("level{number}"));
            authority = below(&authority, &directory, extensions, end);
            let own = std::fs::read_to_string(directory.join("ca.pem")).unwrap();
            bundle.insert_str(0, &own);
        }
        authority.sign(&Wanted { key: EC, ..GOOD });
        let made = |name: &str| std::fs::read_to_string(authority.directory().join(name)).unwrap();
        machine.write("tls/server-key.pem", &made("server-key.pem"));
        let leaf = made("server-cert.pem");
        let root = std::fs::read_to_string(chains.join("ca.pem")).unwrap();
        for (certificate, authorities, verifies) in [
            (leaf.clone() + &bundle, root.clone(), *verifies),
            (leaf.clone(), bundle.clone() + &root, *verifies),
            // Servers and their clients want the root.
            (leaf, bundle, false),
        ] {
            machine.write("tls/server-cert.pem", &certificate);
            machine.write("tls/ca.pem", &authorities);
            assert_eq!(openssl_verifies(&machine), verifies, "openssl: {levels:?}");
            let report = machine.report();
            let chain = &report["facts"]["certificates"][0]["certificate"]["chain"];
            assert_eq!(chain, verifies, "{levels:?}");
            let found = ids(&report, false).contains("BLR035");
            assert_eq!(found, !verifies, "{levels:?}");
        }
    }
}

fn openssl_verifies(machine: &Machine) -> bool {
    let output = Command::new("openssl")
        .current_dir(machine.path("tls"))
        .args(["verify", "-CAfile", "ca.pem"])
        .args(["-untrusted", "server-cert.pem", "server-cert.pem"])
        .output()
        .unwrap();
    output.status.success()
}
