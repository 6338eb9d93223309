//! `seal`: what an attacker does to logs and manifests is found, and nothing else is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

mod attacks;
mod manifests;
mod real_logs;
mod shards;

use crate::common;

use std::path::PathBuf;
use std::process::Output;

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::seal::{self, Manifest, SealVerified, VerifyOptions};
use common::{binlogsec, mixed, names};
use serde_json::Value;
use tempfile::TempDir;

/// The sealed logs of the fixture; the sixth is in use.
pub(crate) const CLOSED: [&str; 5] =
    ["binlog.000001", "binlog.000002", "binlog.000003", "binlog.000004", "binlog.000005"];
pub(crate) const SEAL: &str = "seal binlog.index -o m --hmac --keyring keyring";
pub(crate) const VERIFY: &str = "seal verify m binlog.index --keyring keyring";

/// A directory of real logs with their index, and `keyring`.
pub(crate) struct Lab(pub(crate) TempDir);

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        for name in names(&mixed()) {
            std::fs::copy(mixed().join(&name), lab.at(&name)).unwrap();
        }
        std::fs::rename(lab.at("component_keyring_file"), lab.at("keyring")).unwrap();
        lab
    }

    pub(crate) fn sealed() -> Self {
        let lab = Self::new();
        lab.done(SEAL);
        lab
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        let mut command = binlogsec();
        command.env("NO_COLOR", "1").current_dir(self.0.path());
        command.args(arguments.split(' ')).output().unwrap()
    }

    /// Runs a command that must end with 0.
    pub(crate) fn done(&self, arguments: &str) -> String {
        self.ends(arguments, 0).0
    }

    /// Runs a command that must end with this code; what it wrote, and what it said.
    pub(crate) fn ends(&self, arguments: &str, code: i32) -> (String, String) {
        let output = self.run(arguments);
        let said = common::said(&output, self.0.path());
        let written = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}\n{written}\n{said}");
        (written, said)
    }

    pub(crate) fn report(&self, arguments: &str, code: i32) -> Value {
        let (written, said) = self.ends(&format!("{arguments} --format json"), code);
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }

    pub(crate) fn keys(&self) -> Keyring {
        Keyring::open(self.at("keyring")).unwrap()
    }

    /// By the library, as thousands of attacks are tried.
    pub(crate) fn verify(&self, with_keys: bool) -> SealVerified {
        let keys = if with_keys { self.keys() } else { Keyring::new() };
        let manifest = Manifest::open(&self.at("m"), &[]).unwrap();
        let paths = [self.at("binlog.index")];
        seal::verify(&manifest, &paths, &keys, &VerifyOptions::default(), &NoProgress).unwrap()
    }

    /// The names that are findings, with and without a key.
    pub(crate) fn found(&self) -> Vec<String> {
        let [with, without] = [true, false].map(|with_keys| {
            let verified = self.verify(with_keys);
            let found = verified.logs.iter().filter(|log| log.standing.is_finding());
            found.map(|log| log.name.as_str().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(with, without);
        with
    }
}

pub(crate) fn standing(report: &Value, name: &str) -> String {
    let logs = report["logs"].as_array().unwrap();
    let log = logs.iter().find(|log| log["name"] == name);
    log.map_or("-", |log| log["status"].as_str().unwrap()).to_owned()
}
