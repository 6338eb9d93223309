//! Is every log below a directory encrypted, as its bytes prove?
//!
//! `cargo run -p binlogsec-checks --example check_directory -- DIRECTORY [KEYRING]`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use binlogsec_checks::{CheckOptions, CheckTargets, check};
use binlogsec_core::Keyring;
use binlogsec_core::file::pipeline::NoProgress;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory: PathBuf = arguments.next().ok_or("check_directory DIRECTORY [KEYRING]")?.into();
    let keys = arguments.next().map(Keyring::open).transpose()?.unwrap_or_default();

    let targets = CheckTargets { paths: vec![directory], ..CheckTargets::default() };
    let outcome = check(&targets, &keys, &CheckOptions::default(), &NoProgress);
    let mut out = std::io::stdout().lock();
    for finding in &outcome.findings {
        writeln!(out, "{} {}", finding.rule, finding.message)?;
    }
    // Nothing looked at is no pass.
    let is_clean =
        outcome.findings.is_empty() && outcome.failures.is_empty() && !outcome.is_empty();
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
