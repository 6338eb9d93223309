//! The part of an audit that takes files alone: option files, a data directory, certificates.

use std::path::{Path, PathBuf};

use super::certificates::{self, Files};
use super::facts::FileFacts;
use super::facts::certificate::{CertificateFacts, CertificateRole, RevocationListFacts};
use super::facts::settings::Settings;
use super::judge::{self, Judgement, at_rest};
use super::revocation::{self, Lists};
use super::{
    AuditOptions, FileTarget, NamedOptions, Work, data_directory, files, key_stores,
    options as option_settings,
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

/// Collects what the files of one server say, and judges it.
pub(super) fn examine(
    work: &mut Work,
    target: &FileTarget,
    keys: &Keyring,
    options: &AuditOptions,
    progress: &dyn Progress,
) {
    let mut files = FileFacts { of_server: target.of_server.clone(), ..FileFacts::default() };
    let begin = work.judgement.findings.len();
    collect(work, &mut files, target, (keys, options), progress);
    judge(&files, target, options, &mut work.judgement);
    let owner = files.name();
    for finding in work.judgement.findings.iter_mut().skip(begin) {
        finding.owner.clone_from(&owner);
    }
    work.facts.add_files(files);
}

fn collect(
    work: &mut Work,
    found: &mut FileFacts,
    target: &FileTarget,
    (keys, options): (&Keyring, &AuditOptions),
    progress: &dyn Progress,
) {
    if target.options.is_none() && target.data_directory.is_none() {
        return;
    }
    let locations = locations(target);
    let directory = locations.as_ref().map(|it| it.data_directory.clone());
    let directory = directory.as_deref();
    found.options = Some(settings(work, target, directory));
    // Option files may be audited far from their server; a directory that is named must be there.
    if let Some(locations) = locations.filter(|it| it.data_directory.is_dir()) {
        let directory = locations.data_directory.clone();
        let keys = target.keys.as_deref().unwrap_or(keys);
        let logs = check_logs(work, locations, keys, options, progress);
        let is_here = is_of_this_machine(target, &directory);
        let facts = data_directory::read(&directory, found.options.as_ref(), is_here, logs);
        found.data_directory = Some(facts);
    } else if let Some(named) = &target.data_directory {
        let error = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        work.failures.push(TransferError::at(named, "examine")(error).into());
    }
    let named = target.options.as_ref().map(|named| &named.file);
    found.key_stores = key_stores::find(directory, named);
    let now = options.now.as_second();
    found.certificates = all_certificates(found, directory, now);
    found.revocation_lists = all_revocation_lists(found, directory);
}

/// Where the logs are. Option files from elsewhere that name no data directory do not mean the
/// one of the server that happens to be on this machine.
fn locations(target: &FileTarget) -> Option<LogLocations> {
    let directory = target.data_directory.as_deref();
    let Some(named) = &target.options else {
        return directory.map(|it| LogLocations::in_directory(it.to_owned()));
    };
    let is_known = directory.is_some()
        || LogLocations::are_named(&named.file)
        || is_system_configuration(&named.path);
    is_known.then(|| LogLocations::new(&named.file, directory))
}

/// Whether the server in question is the one that packages install on this machine.
fn is_of_this_machine(target: &FileTarget, directory: &Path) -> bool {
    directory == Path::new(DATA_DIRECTORY)
        || target.options.as_ref().is_some_and(|named| is_system_configuration(&named.path))
}

fn is_system_configuration(path: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    SYSTEM_CONFIGURATION.iter().any(|it| path.starts_with(it))
}

fn settings(work: &mut Work, target: &FileTarget, directory: Option<&Path>) -> Settings {
    let product = target.product.or_else(|| data_directory::product(directory?));
    let mut settings = match (&target.options, directory) {
        (Some(named), _) => option_settings::settings(&named.file, &named.path, product),
        (None, directory) => Settings::empty(directory.unwrap_or(Path::new("")), product),
    };
    let persisted = directory.map(|it| option_settings::add_persisted(&mut settings, it));
    if let Some(Err(error)) = persisted {
        work.failures.push(error);
    }
    // Of a data directory alone nobody knows what is set elsewhere: nothing is taken for default.
    if target.options.is_some() {
        option_settings::add_defaults(&mut settings);
    }
    settings
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

/// Where a path of an option leads: a relative one begins in the data directory, and leads nowhere
/// without one.
fn place(directory: Option<&Path>, path: &str) -> Option<PathBuf> {
    match directory {
        Some(directory) => Some(directory.join(path)),
        None => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
    }
}

/// The server's certificates and their authorities, by its options or where it makes its own; those
/// that channels show to their sources.
fn all_certificates(
    facts: &FileFacts,
    directory: Option<&Path>,
    now: i64,
) -> Vec<CertificateFacts> {
    let mut found: Vec<CertificateFacts> = Vec::new();
    let Some(settings) = &facts.options else {
        return found;
    };
    let named = |name: &str| settings.given(name).and_then(|path| place(directory, path));
    let own = |name: &str| {
        let path = directory?.join(name);
        (!settings.is_mariadb() && path.is_file()).then_some(path)
    };
    let certificate = named("ssl_cert").or_else(|| own(OWN_CERTIFICATE));
    let key = named("ssl_key").or_else(|| own(OWN_KEY));
    let authority = named("ssl_ca").or_else(|| own(OWN_AUTHORITY));
    // The interface for administrators may show another one.
    let admin =
        named("admin_ssl_cert").map(|it| (it, named("admin_ssl_key"), named("admin_ssl_ca")));
    let servers =
        certificate.map(|it| (it, key, authority.clone())).into_iter().chain(admin.clone());
    for (certificate, key, authority) in servers {
        let files = Files {
            role: CertificateRole::Server,
            certificate: &certificate,
            key: key.as_deref(),
            authorities: authority.as_deref(),
        };
        found.extend(certificates::read(files, now));
    }
    for authority in authority.into_iter().chain(admin.and_then(|(_, _, authority)| authority)) {
        if !found.iter().any(|known| known.path == authority) {
            found.extend(certificates::read(authorities(&authority), now));
        }
    }
    let channels = facts.data_directory.iter().flat_map(|it| &it.replica_files);
    for file in channels {
        let path = |name: &Option<String>| name.as_deref().and_then(|path| place(directory, path));
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

/// The lists of revoked certificates that the server and its channels go by.
fn all_revocation_lists(facts: &FileFacts, directory: Option<&Path>) -> Vec<RevocationListFacts> {
    let Some(settings) = &facts.options else {
        return Vec::new();
    };
    let mut certificates: Vec<_> = facts.certificates.iter().map(|it| it.path.clone()).collect();
    certificates.dedup();
    let of_options = [
        ("ssl_crl", false, "ssl_ca"),
        ("ssl_crlpath", true, "ssl_ca"),
        ("admin_ssl_crl", false, "admin_ssl_ca"),
        ("admin_ssl_crlpath", true, "admin_ssl_ca"),
    ];
    let given = |name: &str| settings.given(name).map(str::to_owned);
    let mut named: Vec<_> = of_options
        .into_iter()
        .filter_map(|(name, is_directory, ca)| {
            Some((name.to_owned(), given(name)?, is_directory, given(ca)))
        })
        .collect();
    for file in facts.data_directory.iter().flat_map(|it| &it.replica_files) {
        let channel = &file.channel;
        let of = |what: &str| format!("{what} of the {}", judge::words::object(channel));
        let lists =
            [("SSL_CRL", &channel.ssl_crl, false), ("SSL_CRLPATH", &channel.ssl_crl_path, true)];
        named.extend(lists.into_iter().filter_map(|(name, value, is_directory)| {
            Some((of(name), value.clone()?, is_directory, channel.ssl_ca.clone()))
        }));
    }
    let read = |(named_by, path, is_directory, ca): (String, String, bool, Option<String>)| {
        let authorities = ca.and_then(|ca| place(directory, &ca));
        let lists = Lists {
            named_by,
            path: place(directory, &path)?,
            is_directory,
            authorities: authorities.as_deref(),
            certificates: &certificates,
        };
        Some(revocation::read(&lists))
    };
    named.into_iter().filter_map(read).flatten().collect()
}

const fn authorities(path: &Path) -> Files<'_> {
    Files { role: CertificateRole::Authority, certificate: path, key: None, authorities: None }
}

/// Judges what files said.
fn judge(
    facts: &FileFacts,
    target: &FileTarget,
    options: &AuditOptions,
    judgement: &mut Judgement,
) {
    let settings = facts.options.as_ref();
    if let (Some(settings), Some(named)) = (settings, &target.options) {
        judge::options::judge(settings, judgement);
        judge::files::judge(named, settings, facts.data_directory.is_some(), judgement);
        let has_certificate = !facts.certificates.is_empty();
        judge::certificates::judge_absence(settings, has_certificate, judgement);
        judge::files::client_groups(named, settings, judgement);
        secret_files(settings, named, judgement);
    }
    if let Some(named) = &target.cluster {
        super::cluster::judge(named, judgement);
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
    for list in &facts.revocation_lists {
        judge::revocation::judge(list, options.now, judgement);
    }
}

/// BLR012 and BLR007 of option files, and of the file that opens MariaDB's keys.
fn secret_files(settings: &Settings, named: &NamedOptions, judgement: &mut Judgement) {
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
