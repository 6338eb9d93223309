//! The part of an audit that takes files alone: option files, a data directory, certificates.

use std::path::{Path, PathBuf};

use super::certificates::{self, Files};
use super::facts::AuditFacts;
use super::facts::certificate::{CertificateFacts, CertificateRole};
use super::facts::settings::Settings;
use super::judge::{self, at_rest};
use super::{
    AuditOptions, AuditTargets, Work, data_directory, files, key_stores, options as option_settings,
};
use crate::check::{self, CheckOptions, CheckTargets};
use crate::config::server::{DATA_DIRECTORY, LogLocations};
use crate::finding::RuleId;
use crate::finding::rules::{self, Family};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::pipeline::Progress;
use binlogsec_core::keyring::Keyring;

/// Where a machine's own servers are configured.
const SYSTEM_CONFIGURATION: [&str; 3] = ["/etc", "/usr/etc", "/usr/local/etc"];
/// What MySQL calls the certificates that it makes itself, in the data directory.
const OWN_CERTIFICATE: &str = "server-cert.pem";
const OWN_KEY: &str = "server-key.pem";
const OWN_AUTHORITY: &str = "ca.pem";

/// Collects what files say.
pub(super) fn collect(
    work: &mut Work,
    targets: &AuditTargets,
    keys: &Keyring,
    options: &AuditOptions,
    progress: &dyn Progress,
) {
    if targets.options.is_none() && targets.data_directory.is_none() {
        return;
    }
    let locations = locations(targets);
    let directory = locations.as_ref().map(|it| it.data_directory.clone());
    let directory = directory.as_deref();
    settings(work, targets, options, directory);
    // Option files may be audited far from their server; a directory that is named must be there.
    if let Some(locations) = locations.filter(|it| it.data_directory.is_dir()) {
        let directory = locations.data_directory.clone();
        let logs = check_logs(work, locations, keys, options, progress);
        let settings = work.facts.options.as_ref();
        let is_here = is_of_this_machine(targets, &directory);
        let found = data_directory::read(&directory, settings, is_here, logs);
        work.facts.data_directory = Some(found);
    } else if let Some(named) = &targets.data_directory {
        let error = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        work.failures.push(TransferError::at(named, "examine")(error).into());
    }
    let named = targets.options.as_ref().map(|named| &named.file);
    work.facts.key_stores = key_stores::find(directory, named);
    let now = options.now.as_second();
    work.facts.certificates = all_certificates(&work.facts, directory, now);
}

/// Where the logs are. Option files from elsewhere that name no data directory do not mean the
/// one of the server that happens to be on this machine.
fn locations(targets: &AuditTargets) -> Option<LogLocations> {
    let directory = targets.data_directory.as_deref();
    let Some(named) = &targets.options else {
        return directory.map(|it| LogLocations::in_directory(it.to_owned()));
    };
    let is_known = directory.is_some()
        || LogLocations::are_named(&named.file)
        || is_system_configuration(&named.path);
    is_known.then(|| LogLocations::new(&named.file, directory))
}

/// Whether the server in question is the one that packages install on this machine.
fn is_of_this_machine(targets: &AuditTargets, directory: &Path) -> bool {
    directory == Path::new(DATA_DIRECTORY)
        || targets.options.as_ref().is_some_and(|named| is_system_configuration(&named.path))
}

fn is_system_configuration(path: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    SYSTEM_CONFIGURATION.iter().any(|it| path.starts_with(it))
}

fn settings(
    work: &mut Work,
    targets: &AuditTargets,
    options: &AuditOptions,
    directory: Option<&Path>,
) {
    let product = options.product.or_else(|| data_directory::product(directory?));
    let mut settings = match (&targets.options, directory) {
        (Some(named), _) => option_settings::settings(&named.file, &named.path, product),
        (None, directory) => Settings::empty(directory.unwrap_or(Path::new("")), product),
    };
    let persisted = directory.map(|it| option_settings::add_persisted(&mut settings, it));
    if let Some(Err(error)) = persisted {
        work.failures.push(error);
    }
    // Of a data directory alone nobody knows what is set elsewhere: nothing is taken for default.
    if targets.options.is_some() {
        option_settings::add_defaults(&mut settings);
    }
    work.facts.options = Some(settings);
}

/// The logs, through `check`; the baseline is held against all findings at the end.
fn check_logs(
    work: &mut Work,
    locations: LogLocations,
    keys: &Keyring,
    options: &AuditOptions,
    progress: &dyn Progress,
) -> check::Facts {
    let targets = CheckTargets { paths: Vec::new(), locations: Some(locations) };
    let check_options = CheckOptions { policy: options.policy.clone(), ..CheckOptions::default() };
    let outcome = check::check(&targets, keys, &check_options, progress);
    work.failures.extend(outcome.failures);
    work.judgement.findings.extend(outcome.findings);
    let applied = rules::of_family(Family::Logs).map(|rule| rule.id);
    work.judgement.applied.extend(applied);
    outcome.facts
}

/// The server's certificate and its authority, by its options or where it makes its own; those
/// that channels show to their sources.
fn all_certificates(
    facts: &AuditFacts,
    directory: Option<&Path>,
    now: i64,
) -> Vec<CertificateFacts> {
    let mut found = Vec::new();
    let Some(settings) = &facts.options else {
        return found;
    };
    // A relative path begins in the data directory: without one, it leads nowhere.
    let place = |path: &str| match directory {
        Some(directory) => Some(directory.join(path)),
        None => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
    };
    let named = |name: &str| settings.given(name).and_then(place);
    let own = |name: &str| {
        let path = directory?.join(name);
        (!settings.is_mariadb() && path.is_file()).then_some(path)
    };
    let certificate = named("ssl_cert").or_else(|| own(OWN_CERTIFICATE));
    let key = named("ssl_key").or_else(|| own(OWN_KEY));
    let authority = named("ssl_ca").or_else(|| own(OWN_AUTHORITY));
    if let Some(certificate) = &certificate {
        let files = Files {
            role: CertificateRole::Server,
            certificate,
            key: key.as_deref(),
            authorities: authority.as_deref(),
        };
        found.extend(certificates::read(files, now));
    }
    if let Some(authority) = &authority {
        found.extend(certificates::read(authorities(authority), now));
    }
    let channels = facts.data_directory.iter().flat_map(|it| &it.replica_files);
    for file in channels {
        let path = |name: &Option<String>| name.as_deref().and_then(place);
        let known = |path: &PathBuf, found: &[CertificateFacts]| {
            found.iter().any(|known| known.path == *path)
        };
        if let Some(certificate) = path(&file.channel.ssl_cert).filter(|it| !known(it, &found)) {
            let key = path(&file.channel.ssl_key);
            let files = Files {
                role: CertificateRole::Client,
                certificate: &certificate,
                key: key.as_deref(),
                authorities: None,
            };
            found.extend(certificates::read(files, now));
        }
        if let Some(authority) = path(&file.channel.ssl_ca).filter(|it| !known(it, &found)) {
            found.extend(certificates::read(authorities(&authority), now));
        }
    }
    found
}

const fn authorities(path: &Path) -> Files<'_> {
    Files { role: CertificateRole::Authority, certificate: path, key: None, authorities: None }
}

/// Judges what files said.
pub(super) fn judge(work: &mut Work, targets: &AuditTargets, options: &AuditOptions) {
    let Work { facts, judgement, .. } = work;
    let settings = facts.options.as_ref();
    if let (Some(settings), Some(named)) = (settings, &targets.options) {
        judge::options::judge(settings, judgement);
        judge::files::judge(named, settings, facts.data_directory.is_some(), judgement);
        let has_certificate = !facts.certificates.is_empty();
        judge::certificates::judge_absence(settings, has_certificate, judgement);
        for password in option_settings::passwords(&named.file) {
            if let Some((mode, _)) = files::mode(&password.path) {
                let (rule, line) = (RuleId::Blr012, Some(password.line));
                at_rest::judge_secret_file(rule, &password.path, line, mode, judgement);
            }
        }
        let opens_keys = settings.given("file_key_management_filekey");
        let opens_keys = opens_keys.and_then(|value| value.strip_prefix("FILE:"));
        if let Some((path, (mode, _))) =
            opens_keys.and_then(|path| Some((path, files::mode(Path::new(path))?)))
        {
            at_rest::judge_secret_file(RuleId::Blr007, Path::new(path), None, mode, judgement);
        }
    }
    if let Some(data_directory) = &facts.data_directory {
        at_rest::judge(data_directory, settings, &options.policy, judgement);
    }
    for store in &facts.key_stores {
        judge::key_store::judge(store, judgement);
    }
    let hosts: Vec<_> = settings
        .and_then(|settings| settings.given("report_host"))
        .map(str::to_owned)
        .into_iter()
        .collect();
    for certificate in &facts.certificates {
        judge::certificates::judge(certificate, &hosts, options.now, judgement);
    }
}
