//! The rules over one file: what its first bytes and its metadata say.

use std::path::Path;
use std::sync::Arc;

use super::{Local, Scan};
use crate::check::content::Opened;
use crate::check::facts::{BodyMarks, EncryptionFacts, LogFacts, LogStatus, Mark};
use crate::check::judge::inspection;
use crate::finding::{Evidence, Finding, RuleId, Severity};
use binlogsec_core::event;
use binlogsec_core::event::format_description::FormatDescription;
use binlogsec_core::file::compressed::Compression;
use binlogsec_core::keyring::KeyringError;
use binlogsec_core::keyring::rotation::{RotationState, ServerKeys};
use binlogsec_core::log::archive;
use binlogsec_core::log::error::describe;
use binlogsec_core::log::kind::{LogKind, Magic};
use binlogsec_core::log::log_error::LogError;
use binlogsec_core::log::probe::{KeyStatus, Probe};
use binlogsec_core::mariadb::error::MariadbError;
use binlogsec_core::mysql::header::{self, EncryptionHeader};
use binlogsec_core::mysql::key_id::{KeyId, PREFIX};
use binlogsec_core::text::path_text;

/// Bytes of a body that are zero in no ciphertext.
const ZEROS: usize = 64;

/// A key id and its parts as text, shared by all logs that name it.
#[derive(Debug, Clone)]
pub(super) struct KeyTexts {
    id: KeyId,
    text: Arc<str>,
    server_uuid: Option<Arc<str>>,
    sequence_number: Option<u32>,
}

impl KeyTexts {
    fn new(id: &KeyId) -> Self {
        let parts = id.parts();
        Self {
            id: id.clone(),
            text: id.to_string().into(),
            server_uuid: parts.map(|parts| parts.server_uuid.into()),
            sequence_number: parts.map(|parts| parts.sequence_number),
        }
    }
}

/// Judges a log, or what should be one.
pub(in crate::check) fn apply(
    scan: &Scan<'_>,
    local: &mut Local,
    opened: &Opened<'_>,
    start: &[u8],
    compression: Option<Compression>,
) {
    let (size, mode) = opened.size_and_mode();
    let mut facts = LogFacts {
        path: opened.file_path(),
        kind: "".into(),
        status: LogStatus::Undetermined,
        size,
        mode,
        compression,
        encryption: None,
    };
    let beside = match compression {
        None => archive::beside(&opened.path(), start),
        Some(_) => Ok(None),
    };
    let probe = match beside {
        Ok(Some(sidecar)) => Ok(Probe::of_archive(sidecar, start, scan.keys)),
        // A JSON file that cannot be read is told as such a file: of the log nothing is known.
        Ok(None) | Err(_) => Probe::new(start, scan.keys),
    };
    let probe = match probe {
        Ok(probe) => probe,
        Err(error) => return key_failed(local, opened, start, facts, error),
    };
    let verdict = verdict(scan, opened, &probe, start);
    if probe.kind().is_log() || verdict.status == LogStatus::Plain {
        facts.kind = probe.kind().name().into();
        facts.status = verdict.status;
        facts.encryption = encryption(local, &probe, start);
        local.collected.counts.log_bytes = local.collected.counts.log_bytes.saturating_add(size);
        local.collected.facts.logs.push(facts);
    }
    if let Some(finding) = verdict.finding {
        local.find(within(finding, compression));
    }
}

/// In a compressed copy offsets count from the first byte that comes out.
fn within(mut finding: Finding, compression: Option<Compression>) -> Finding {
    let Some(compression) = compression else {
        return finding;
    };
    let name = compression.name();
    if finding.rule == RuleId::Bls001 {
        finding.rule = RuleId::Bls002;
        finding.severity = finding.rule().severity;
    }
    finding.message = format!("{name}-compressed: {}", finding.message);
    for evidence in &mut finding.evidence {
        if let Evidence::Bytes { meaning, .. } = evidence {
            meaning.to_mut().push_str(" (decompressed)");
        }
    }
    finding
}

/// A compressed copy of a log, by its name, of which too little comes out to tell what it is.
pub(in crate::check) fn silent_copy(path: &Path, compression: Compression) -> Finding {
    let name = compression.name();
    let message = format!(
        "{name}-compressed, and nothing can be read of it: empty, cut short, damaged, or made in a \
         way that is not read here"
    );
    Finding::new(RuleId::Bls009, path, message).seen_at(0, 4, "magic of the compression")
}

struct Verdict {
    status: LogStatus,
    finding: Option<Finding>,
}

impl Verdict {
    fn found(status: LogStatus, finding: Finding) -> Self {
        Self { status, finding: Some(finding) }
    }
}

fn verdict(scan: &Scan<'_>, opened: &Opened<'_>, probe: &Probe, start: &[u8]) -> Verdict {
    let path = || opened.path();
    match probe.kind() {
        LogKind::MysqlPlain(description) | LogKind::MariadbPlain(description) => {
            Verdict::found(LogStatus::Plain, plain(&path(), description))
        }
        LogKind::Ancient(log) => {
            let (server, version) = (&log.server_version, log.binlog_version);
            let message = format!(
                "a plaintext log of server version {server:?}, which is older than 5.0 (binary \
                 log version {version})"
            );
            let finding = Finding::new(RuleId::Bls001, &path(), message);
            Verdict::found(LogStatus::Plain, finding.seen_at(0, 4, "magic of a plaintext log"))
        }
        LogKind::PlainDamaged(error) => {
            let message = format!("starts as a plaintext log, and is damaged behind that: {error}");
            let finding = Finding::new(RuleId::Bls001, &path(), message);
            Verdict::found(LogStatus::Plain, finding.seen_at(0, 4, "magic of a plaintext log"))
        }
        LogKind::MysqlEncrypted(_) => encrypted(scan, &path, probe, start),
        LogKind::MariadbEncrypted(..) => encrypted_by_mariadb(scan, &path, probe),
        LogKind::BinlogServerEncrypted(_) => archived(scan, &path, probe, start),
        LogKind::MariadbInnodb => {
            let message = "an InnoDB binary log of MariaDB 12.3 or later, which its server cannot encrypt: it is always plaintext";
            let finding = Finding::new(RuleId::Bls001, &path(), message).seen_at(
                0,
                4,
                "magic of an InnoDB binary log",
            );
            Verdict::found(LogStatus::Plain, finding)
        }
        LogKind::Percona57Encrypted(_) => {
            unproven(scan, &path, "no proof is possible for logs of its kind")
        }
        LogKind::Unknown if is_plain_but_for_magic(start) => {
            let message = "a plaintext log whose magic is damaged";
            let finding = Finding::new(RuleId::Bls001, &path(), message)
                .seen_at(0, 4, "no log's magic")
                .seen_at(event::FIRST_EVENT, 19, "header of a format description event");
            Verdict::found(LogStatus::Plain, finding)
        }
        kind => Verdict::found(LogStatus::Undetermined, undetermined(&path(), kind, probe, start)),
    }
}

fn plain(path: &Path, description: &FormatDescription) -> Finding {
    let role = if description.is_relay_log() { "relay log" } else { "binary log" };
    let server = &description.server_version;
    let message = format!("a plaintext {role} of server version {server:?}");
    let finding =
        Finding::new(RuleId::Bls001, path, message).seen_at(0, 4, "magic of a plaintext log");
    let header = "header of the format description event, in the clear";
    let finding = finding.seen_at(event::FIRST_EVENT, 19, header);
    if server.contains("MariaDB") { finding.remedied_by(BY_MARIADB.into()) } else { finding }
}

/// MariaDB takes the setting from its option file when it starts, and needs a plugin that has keys.
const BY_MARIADB: &str = "# first, in the option file of the MariaDB server, below [mariadb], and restart it:\n\
                          # plugin_load_add = file_key_management\n\
                          # file_key_management_filename = /etc/mysql/encryption/keyfile\n\
                          # encrypt_binlog = ON\n\
                          mariadb -e \"SELECT @@encrypt_binlog; FLUSH BINARY LOGS\"";

fn encrypted(
    scan: &Scan<'_>,
    path: &dyn Fn() -> std::path::PathBuf,
    probe: &Probe,
    start: &[u8],
) -> Verdict {
    let body = start.get(header::LENGTH..).unwrap_or_default();
    if let Some(what) = looks_plain(body) {
        let message = format!("the header says encrypted, and the body is {what}");
        let finding = Finding::new(RuleId::Bls003, &path(), message)
            .seen_at(0, 4, "magic of an encrypted log")
            .seen_at(header::BODY_OFFSET, 4, what);
        return Verdict::found(LogStatus::Refuted, finding);
    }
    if body.len() < event::MAGIC.len() {
        let message = "an encryption header and no log behind it";
        let finding = Finding::new(RuleId::Bls009, &path(), message).seen_at(
            header::BODY_OFFSET,
            0,
            "the end of the file",
        );
        return Verdict::found(LogStatus::Undetermined, finding);
    }
    match probe.obstacle() {
        None => Verdict { status: LogStatus::Proven, finding: None },
        Some(error @ LogError::WrongKey { .. }) => {
            let keyrings = scan.keys.files().iter().map(|file| file.path().to_owned());
            let keyrings: Vec<_> = keyrings.collect();
            let finding = Finding::new(RuleId::Bls003, &path(), describe(error))
                .seen_at(header::BODY_OFFSET, 23, "magic and first event, which do not come out")
                .remedied_by(inspection(&path(), &keyrings));
            Verdict::found(LogStatus::Refuted, finding)
        }
        Some(error @ LogError::KeyMissing { .. }) => {
            let finding = Finding::new(RuleId::Bls004, &path(), describe(error)).seen_at(
                5,
                507,
                "the key id among the fields of the encryption header",
            );
            Verdict::found(LogStatus::Unproven, finding)
        }
        Some(LogError::NoKeys { .. }) => unproven(scan, path, "no key was given"),
        Some(error) => {
            let finding = Finding::new(RuleId::Bls009, &path(), describe(error));
            Verdict::found(LogStatus::Undetermined, finding)
        }
    }
}

/// A log of Percona Binlog Server's archive, by the JSON file beside it.
fn archived(
    scan: &Scan<'_>,
    path: &dyn Fn() -> std::path::PathBuf,
    probe: &Probe,
    start: &[u8],
) -> Verdict {
    if let Some(what) = looks_plain(start) {
        let message = format!("the JSON file beside it says encrypted, and the file is {what}");
        let finding = Finding::new(RuleId::Bls003, &path(), message).seen_at(0, 4, what);
        return Verdict::found(LogStatus::Refuted, finding);
    }
    let finding = |rule, error: &LogError| Finding::new(rule, &path(), describe(error));
    match probe.obstacle() {
        None => Verdict { status: LogStatus::Proven, finding: None },
        Some(LogError::NoKeys { .. }) => unproven(scan, path, "no key was given"),
        Some(LogError::Unsupported { .. }) => unproven(scan, path, "its cipher is not read here"),
        Some(error @ LogError::KeyMissing { .. }) => {
            Verdict::found(LogStatus::Unproven, finding(RuleId::Bls004, error))
        }
        Some(error @ LogError::WrongWrappingKey { .. }) => {
            let meaning = "magic and first event, which do not come out";
            let finding = finding(RuleId::Bls003, error).seen_at(0, 23, meaning);
            Verdict::found(LogStatus::Refuted, finding)
        }
        Some(error) => Verdict::found(LogStatus::Undetermined, finding(RuleId::Bls009, error)),
    }
}

/// A log says which key version it wants and not which key: a key of another server and damage
/// cannot be told apart.
fn encrypted_by_mariadb(
    scan: &Scan<'_>,
    path: &dyn Fn() -> std::path::PathBuf,
    probe: &Probe,
) -> Verdict {
    let Some(error) = probe.obstacle() else {
        return match probe.key_status() {
            KeyStatus::Present => Verdict { status: LogStatus::Proven, finding: None },
            _ => unproven(scan, path, "no event is encrypted yet"),
        };
    };
    let finding = |rule| Finding::new(rule, &path(), describe(error));
    match error {
        LogError::Mariadb(MariadbError::NoKeys) => unproven(scan, path, "no key was given"),
        LogError::Mariadb(MariadbError::Ambiguous { .. }) => {
            unproven(scan, path, "more than one key or cipher fits")
        }
        LogError::Mariadb(MariadbError::NotEncrypted { offset }) => {
            let meaning = "header of an event, in the clear";
            let finding = finding(RuleId::Bls003).seen_at(*offset, 19, meaning);
            Verdict::found(LogStatus::Refuted, finding)
        }
        LogError::Mariadb(MariadbError::WrongKey { offset, .. }) => {
            let meaning = "header of the first encrypted event, which does not come out";
            let finding = finding(RuleId::Bls003).seen_at(*offset, 19, meaning);
            Verdict::found(LogStatus::Refuted, finding)
        }
        LogError::Mariadb(
            MariadbError::KeyVersion { .. } | MariadbError::VersionMissing { .. },
        ) => Verdict::found(LogStatus::Unproven, finding(RuleId::Bls004)),
        _ => Verdict::found(LogStatus::Undetermined, finding(RuleId::Bls009)),
    }
}

fn unproven(scan: &Scan<'_>, path: &dyn Fn() -> std::path::PathBuf, why: &str) -> Verdict {
    let demanded = || {
        let message = format!("the policy demands proof of encryption, and {why}");
        Finding::new(RuleId::Bls009, &path(), message)
    };
    Verdict {
        status: LogStatus::Unproven,
        finding: scan.options.policy.require_proof.then(demanded),
    }
}

fn undetermined(path: &Path, kind: &LogKind, probe: &Probe, start: &[u8]) -> Finding {
    if matches!(kind, LogKind::Unknown) && is_encrypted_but_for_magic(start) {
        let message = "an encrypted log whose magic or version is damaged";
        return Finding::new(RuleId::Bls009, path, message)
            .seen_at(0, 5, "no log's magic and version")
            .seen_at(7, 20, "the start of a key id, as in an encryption header");
    }
    let message = probe.obstacle().map(ToString::to_string).unwrap_or_default();
    let finding = Finding::new(RuleId::Bls009, path, message);
    match kind {
        LogKind::MysqlEncryptedUnknownVersion { .. } => finding.seen_at(4, 1, "header version"),
        LogKind::Truncated { magic: Some(Magic::Plain), .. } => {
            finding.seen_at(0, 4, "magic of a plaintext log")
        }
        LogKind::Truncated { magic: Some(Magic::MysqlEncrypted), .. }
        | LogKind::MysqlEncryptedDamaged(_) => finding.seen_at(0, 4, "magic of an encrypted log"),
        _ => finding,
    }
}

/// A key's source failed: of the log nothing is known, and the run is no whole one, unless it is
/// the key alone that cannot be used.
fn key_failed(
    local: &mut Local,
    opened: &Opened<'_>,
    start: &[u8],
    mut facts: LogFacts,
    error: KeyringError,
) {
    let (rule, status) = match error {
        KeyringError::WrongLength { .. } | KeyringError::WrongType { .. } => {
            (RuleId::Bls004, LogStatus::Unproven)
        }
        _ => (RuleId::Bls009, LogStatus::Undetermined),
    };
    let finding = Finding::new(rule, &opened.path(), describe(&error));
    local.find(within(finding, facts.compression));
    facts.kind = LogKind::classify(start).name().into();
    facts.status = status;
    local.collected.facts.logs.push(facts);
    if rule == RuleId::Bls009 {
        local.collected.failures.push(error.into());
    }
}

fn encryption(local: &mut Local, probe: &Probe, start: &[u8]) -> Option<Box<EncryptionFacts>> {
    let LogKind::MysqlEncrypted(header) = probe.kind() else {
        return None;
    };
    let texts = key_texts(local, header);
    Some(Box::new(EncryptionFacts {
        key_id: Arc::clone(&texts.text),
        server_uuid: texts.server_uuid.clone(),
        key_seqno: texts.sequence_number,
        wrapping: Mark::of_wrapping(header),
        file_key: probe.stream().map(Mark::of_stream),
        body: BodyMarks::new(start),
    }))
}

fn key_texts<'a>(local: &'a mut Local, header: &EncryptionHeader) -> &'a KeyTexts {
    let is_last = local.last_key.as_ref().is_some_and(|texts| texts.id == header.key_id);
    if !is_last {
        local.last_key = None;
    }
    local.last_key.get_or_insert_with(|| KeyTexts::new(&header.key_id))
}

/// What a body is that is no ciphertext.
fn looks_plain(body: &[u8]) -> Option<&'static str> {
    if body.starts_with(&event::MAGIC) {
        Some("the magic of a plaintext log")
    } else if is_plain_but_for_magic(body) || FormatDescription::parse(body).is_ok() {
        Some("a plaintext log without its magic")
    } else if body.get(..ZEROS).is_some_and(|start| start.iter().all(|&byte| byte == 0)) {
        Some("zeros")
    } else {
        None
    }
}

/// A whole format description event where a plaintext log has it, whatever stands before it.
pub(in crate::check) fn is_plain_but_for_magic(start: &[u8]) -> bool {
    let events = start.get(event::MAGIC.len()..).unwrap_or_default();
    has_description_but_for_magic(start) && FormatDescription::parse(events).is_ok()
}

/// The type of a format description event where a log has it, however much of it there is.
pub(in crate::check) fn has_description_but_for_magic(start: &[u8]) -> bool {
    const AT: usize = event::MAGIC.len() + 4;
    start.get(AT) == Some(&event::header::event_type::FORMAT_DESCRIPTION)
}

/// The prefix of the server's key ids where a header has it, whatever stands before it.
pub(in crate::check) fn is_encrypted_but_for_magic(start: &[u8]) -> bool {
    const KEY_ID_OFFSET: usize = 7;
    start.get(KEY_ID_OFFSET..).is_some_and(|rest| rest.starts_with(PREFIX.as_bytes()))
}

/// BLS014.
pub(in crate::check) fn rotation(keyring: &Path, server: &ServerKeys) -> Option<Finding> {
    let severity = match server.state {
        // A keyring put together by hand has no number; nothing was interrupted.
        RotationState::Clean | RotationState::NoCurrentNumber => return None,
        RotationState::Interrupted(_) => RuleId::Bls014.rule().severity,
        _ => Severity::Warning,
    };
    let message = format!("server {}: {}", server.server_uuid, server.state);
    let message = path_text::text(Path::new(&message));
    Some(Finding::new(RuleId::Bls014, keyring, message).weighing(severity))
}
