//! Certificates for tests, made by the `openssl` command when they are needed.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a certificate should be like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) common_name: &'a str,
    /// As openssl takes it; empty for none.
    pub(crate) alternative_name: &'a str,
    /// Arguments of `openssl req -newkey`.
    pub(crate) key: &'a [&'a str],
    /// `YYMMDDHHMMSSZ`, or a number of days from now.
    pub(crate) end: &'a str,
    pub(crate) digest: &'a str,
    /// More extensions, as openssl takes them.
    pub(crate) extensions: &'a [&'a str],
}

/// Keys that are made in no time, as those of RSA are not.
pub(crate) const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// What `sign` makes as it should be.
pub(crate) const GOOD: Wanted<'static> = Wanted {
    common_name: "source.example",
    alternative_name: "DNS:source.example,DNS:*.replicas.example,IP:10.0.0.1",
    key: &["rsa:2048"],
    end: "365",
    digest: "sha256",
    extensions: &[],
};

/// An authority in a directory: `ca.pem`, its key apart in `ca/`.
pub(crate) struct Authority {
    directory: PathBuf,
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(directory).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Authority {
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self::with_key(directory, name, &["rsa:2048"])
    }

    /// The same, with another kind of key.
    pub(crate) fn with_key(directory: &Path, name: &str, key: &[&str]) -> Self {
        let own = directory.join("ca");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(
            own.join("ca.cnf"),
            "[ca]\ndefault_ca=it\n[it]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n\
             certificate=../ca.pem\nprivate_key=key.pem\npolicy=any\nunique_subject=no\n\
             copy_extensions=copy\n[any]\ncommonName=supplied\n",
        )
        .unwrap();
        std::fs::write(own.join("index.txt"), "").unwrap();
        std::fs::write(own.join("serial"), "01\n").unwrap();
        let subject = format!("/CN={name}");
        let mut request = vec!["req", "-x509", "-newkey"];
        request.extend(key);
        request.extend(["-nodes", "-keyout", "key.pem", "-out", "../ca.pem"]);
        request.extend(["-days", "3650", "-subj", &subject]);
        openssl(&own, &request);
        Self { directory: directory.to_owned() }
    }

    /// One that was made before.
    pub(crate) fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Where `sign` puts what it makes.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts `server-cert.pem` and `server-key.pem` into the directory.
    pub(crate) fn sign(&self, wanted: &Wanted<'_>) {
        let own = self.directory.join("ca");
        let subject = format!("/CN={}", wanted.common_name);
        let name = format!("subjectAltName={}", wanted.alternative_name);
        let mut request = vec!["req", "-new", "-newkey"];
        request.extend(wanted.key);
        request.extend(["-nodes", "-keyout", "../server-key.pem", "-out", "request.pem"]);
        request.extend(["-subj", &subject]);
        if !wanted.alternative_name.is_empty() {
            request.extend(["-addext", &name]);
        }
        for extension in wanted.extensions {
            request.extend(["-addext", extension]);
        }
        openssl(&own, &request);
        let mut sign = vec!["ca", "-batch", "-notext", "-config", "ca.cnf"];
        sign.extend(["-in", "request.pem", "-out", "../server-cert.pem"]);
        sign.extend(["-md", wanted.digest]);
        if wanted.end.ends_with('Z') {
            sign.extend(["-startdate", "200101000000Z", "-enddate", wanted.end]);
        } else {
            sign.extend(["-days", wanted.end]);
        }
        openssl(&own, &sign);
    }
}

/// A certificate that signs itself.
pub(crate) fn self_signed(directory: &Path, common_name: &str) {
    openssl(
        directory,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "server-key.pem",
            "-out",
            "server-cert.pem",
            "-days",
            "365",
            "-subj",
            &format!("/CN={common_name}"),
            "-addext",
            "subjectAltName=DNS:source.example",
        ],
    );
}
