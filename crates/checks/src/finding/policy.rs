//! What a site demands, from a TOML file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Finding;
use super::rules::{RuleId, Severity};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::location;
use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::file::source::FileSource;
use binlogsec_core::mysql::key_id::is_uuid;

/// More is no policy and no baseline.
const LARGEST_FILE: u64 = 16 << 20;
/// What servers give their logs.
const LOG_MODE: u32 = 0o640;
/// Its owner alone.
const KEYRING_MODE: u32 = 0o600;

/// Why a policy or a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It cannot be read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// No TOML, an unknown key, a value of another type.
    #[error("{}: {message}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
    },
    /// A value that cannot be.
    #[error("{}: {key}: {message}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong with its value.
        message: String,
    },
}

/// What a site demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Rules with another weight than their own; `None` is off.
    pub severities: BTreeMap<RuleId, Option<Severity>>,
    /// Encrypted logs must be proven.
    pub require_proof: bool,
    /// The servers whose keys logs may be under; empty for any.
    pub allowed_server_uuids: BTreeSet<String>,
    /// How far a log's key may be behind the current one.
    pub max_generations_behind: Option<u32>,
    /// How many days a key may be in use.
    pub max_key_age_days: Option<u32>,
    /// The most that a log's mode may allow.
    pub max_log_mode: u32,
    /// The most that a keyring's mode may allow.
    pub max_keyring_mode: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            severities: BTreeMap::new(),
            require_proof: false,
            allowed_server_uuids: BTreeSet::new(),
            max_generations_behind: None,
            max_key_age_days: None,
            max_log_mode: LOG_MODE,
            max_keyring_mode: KEYRING_MODE,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    rules: BTreeMap<String, Weight>,
    #[serde(default)]
    require_proof: bool,
    #[serde(default)]
    allowed_server_uuids: Vec<String>,
    max_generations_behind: Option<u32>,
    max_key_age_days: Option<u32>,
    max_log_mode: Option<String>,
    max_keyring_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Weight {
    Off,
    On,
    Note,
    Warning,
    Error,
}

impl Policy {
    /// Reads a policy from a file.
    ///
    /// # Errors
    /// [`PolicyError`]; an unknown key or rule is an error.
    pub fn open(path: &Path) -> Result<Self, PolicyError> {
        Self::parse(&read_text(path)?, path)
    }

    /// Reads a policy from text; `path` is what messages call it.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        let file: PolicyFile = from_toml(text, path)?;
        let mut policy = Self {
            require_proof: file.require_proof,
            max_generations_behind: file.max_generations_behind,
            max_key_age_days: file.max_key_age_days,
            ..Self::default()
        };
        for (name, weight) in file.rules {
            let rule: RuleId =
                name.parse().map_err(|error| bad_value(path, &format!("rules.{name}"), &error))?;
            let severity = match weight {
                Weight::Off => None,
                Weight::On => Some(rule.rule().severity),
                Weight::Note => Some(Severity::Note),
                Weight::Warning => Some(Severity::Warning),
                Weight::Error => Some(Severity::Error),
            };
            if policy.severities.insert(rule, severity).is_some() {
                let rule = rule.rule();
                let message = format!("{} and {} are one rule: name it once", rule.code, rule.name);
                return Err(bad_value(path, &format!("rules.{name}"), &message));
            }
        }
        if policy.require_proof && !policy.fails_on(RuleId::Bls009) {
            let message = "a log without proof is a finding BLS009, and [rules] says that those do \
                           not count: leave BLS009 at error or warning";
            return Err(bad_value(path, "require_proof", &message));
        }
        for uuid in file.allowed_server_uuids {
            if !is_uuid(&uuid) {
                let message = format!("{uuid:?} is no UUID");
                return Err(bad_value(path, "allowed_server_uuids", &message));
            }
            policy.allowed_server_uuids.insert(uuid.to_ascii_lowercase());
        }
        if let Some(text) = file.max_log_mode {
            policy.max_log_mode = mode(&text, path, "max_log_mode")?;
        }
        if let Some(text) = file.max_keyring_mode {
            policy.max_keyring_mode = mode(&text, path, "max_keyring_mode")?;
        }
        Ok(policy)
    }

    /// Whether a rule is on.
    #[must_use]
    pub fn has(&self, rule: RuleId) -> bool {
        self.severities.get(&rule) != Some(&None)
    }

    /// Whether findings of a rule count.
    fn fails_on(&self, rule: RuleId) -> bool {
        let own = Some(rule.rule().severity);
        let severity = self.severities.get(&rule).copied().unwrap_or(own);
        severity.is_some_and(|severity| severity != Severity::Note)
    }

    /// The finding with the policy's weight; `None` when its rule is off.
    pub(super) fn weigh(&self, mut finding: Finding) -> Option<Finding> {
        match self.severities.get(&finding.rule) {
            Some(None) => return None,
            Some(Some(severity)) => finding.severity = *severity,
            None => {}
        }
        Some(finding)
    }
}

fn mode(text: &str, path: &Path, key: &str) -> Result<u32, PolicyError> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| bad_value(path, key, &format!("{text:?} is no mode such as \"0640\"")))
}

/// An error about one key of a file.
pub fn bad_value(path: &Path, key: &str, message: &dyn std::fmt::Display) -> PolicyError {
    PolicyError::Value { path: path.to_owned(), key: key.to_owned(), message: message.to_string() }
}

/// What a TOML file says.
///
/// # Errors
/// [`PolicyError::Toml`], with the line, and no more of it than the name that is set there.
pub fn from_toml<T: for<'de> Deserialize<'de>>(text: &str, path: &Path) -> Result<T, PolicyError> {
    toml::from_str(text).map_err(|error| PolicyError::Toml {
        path: path.to_owned(),
        message: toml_message(text, &error),
    })
}

/// In one line, with the number of the line that it is about, and what is set there if it has the form
/// of a name here. No more of that line is shown: the file may be another one than was meant, and
/// hold keys.
fn toml_message(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end().replace('\n', "; ");
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else {
        return message;
    };
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default();
    let name = line.split_once('=').map(|(name, _)| name.trim());
    let is_name = |name: &&str| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
    let name = name.filter(is_name).map(|name| format!(": {name}"));
    let number = number.saturating_add(1);
    format!("line {number}: {message}{}", name.unwrap_or_default())
}

/// The text of a file of settings.
///
/// # Errors
/// [`PolicyError`] when it cannot be read, is too large, or is no UTF-8.
pub fn read_text(path: &Path) -> Result<String, PolicyError> {
    let bytes = match location::is_url(path) {
        true => FileSource::open(path)?.read_whole(LARGEST_FILE)?,
        false => small::read(&location::local(path), LARGEST_FILE, Pipes::Refused)?.to_vec(),
    };
    let invalid = |kind| TransferError::at(path, "read")(std::io::Error::from(kind));
    String::from_utf8(bytes).map_err(|_| invalid(std::io::ErrorKind::InvalidData).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse(text, Path::new("policy.toml"))
    }

    #[test]
    fn everything_can_be_said() {
        let policy = parse(
            "require_proof = true\nmax_generations_behind = 2\nmax_log_mode = \"0600\"\n\
             allowed_server_uuids = [\"2BC92730-e533-11f1-b7bc-02fc00000001\"]\n\
             [rules]\nBLS010 = \"error\"\nrotation-interrupted = \"off\"\nBLS005 = \"on\"\n",
        )
        .unwrap();
        assert!(policy.require_proof && policy.max_generations_behind == Some(2));
        assert_eq!((policy.max_log_mode, policy.max_keyring_mode), (0o600, 0o600));
        assert!(policy.allowed_server_uuids.contains("2bc92730-e533-11f1-b7bc-02fc00000001"));
        assert!(!policy.has(RuleId::Bls014) && policy.has(RuleId::Bls005));
        let proof = "require_proof = true\n[rules]\nBLS009 = \"warning\"\nBLS001 = \"off\"";
        assert!(parse(proof).is_ok());
        let finding = || Finding::new(RuleId::Bls010, Path::new("x"), "");
        assert_eq!(policy.weigh(finding()).unwrap().severity, Severity::Error);
        assert_eq!(parse("").unwrap(), Policy::default());
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for (text, word) in [
            ("require_prof = true", "require_prof"),
            ("[rules]\nBLS099 = \"off\"", "BLS099"),
            ("[rules]\nBLS001 = \"fatal\"", "fatal"),
            ("allowed_server_uuids = [\"x\"]", "UUID"),
            ("max_log_mode = \"888\"", "mode"),
            ("max_generations_behind = -1", "max_generations_behind"),
            ("no toml", "policy.toml"),
            ("\n\nno toml", "line 3"),
            // Keys that were named as a policy.
            ("1;770A8A65DA156D24EE2A093277530142", "line 1"),
            ("x=1\n770A8A65DA156D24EE2A093277530142=", "line 2"),
            (
                "[rules]\nBLS001 = \"error\"\nplaintext-log = \"off\"",
                "BLS001 and plaintext-log are one rule",
            ),
            ("require_proof = true\n[rules]\nBLS009 = \"off\"", "require_proof"),
            ("require_proof = true\n[rules]\nundetermined = \"note\"", "require_proof"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains('\n'), "{text}: {error}");
            assert!(!error.contains("770A8A65"), "{error}");
        }
    }
}
