//! The configuration files of key stores, told by content.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use binlogsec_core::secret::SecretBytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::json::Text;
use crate::kmip::{self, KmipSettings};
use crate::vault::{DEFAULT_TIMEOUT, EngineVersion, MAX_TIMEOUT, VaultSettings};
use crate::wire::ClientIdentity;

/// Where a server has its keys.
#[derive(Debug)]
pub enum Configuration {
    /// `component_keyring_file`: a file of keys.
    File {
        /// The keyring.
        path: PathBuf,
    },
    /// `component_percona_keyring_encrypted_file`, or Enterprise's file, which has the same members.
    EncryptedFile {
        /// The keyring.
        path: PathBuf,
        /// Its password.
        password: Password,
    },
    /// `component_keyring_vault`, and the `keyring_vault` plugin.
    Vault(VaultSettings),
    /// `component_keyring_kmip`.
    Kmip(KmipSettings),
    /// A store that is not read.
    Unread(Unread),
}

/// The password of a keyring file, as its configuration says it.
#[derive(Debug)]
pub enum Password {
    /// In the configuration itself.
    Given(SecretBytes),
    /// All bytes of a file of its own.
    File(PathBuf),
}

/// A store that is known and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The component or plugin.
    pub name: String,
    /// The way to its keys.
    pub way: &'static str,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not read here; {}", self.name, self.way)
    }
}

/// Why a configuration cannot be used. No value of it is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// JSON of another form.
    #[error("line {line}, column {column}: {expected} is expected")]
    Form {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
        /// What.
        expected: &'static str,
    },
    /// A member is missing.
    #[error("`{member}` is missing, without which the server does not start")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A member has a value that the server refuses.
    #[error("`{member}`: {problem}")]
    Value {
        /// Its name.
        member: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The global file of a component, which sends the server to its data directory.
    #[error(
        "it sends the server to the file of the same name in the data directory: name that, or the data directory by --datadir DIR"
    )]
    Local,
    /// The manifest.
    #[error(
        "it is the manifest, which names components alone: name the data directory by --datadir DIR"
    )]
    Manifest,
    /// A store that is known and not read.
    #[error("{0}")]
    Unread(Unread),
}

const MIGRATE: &str = "a server reads it: let it move the keys into a file by mysql_migrate_keyring \
                       (--destination-keyring=component_keyring_file) on a copy of its configuration, \
                       or print one key by --key-command (docs/keys.md)";
const MIGRATE_PLUGIN: &str = "a server reads it: let it move the keys into a file, by mysqld with its \
                              own options and --keyring-migration-to-component \
                              --keyring-migration-source=PLUGIN.so \
                              --keyring-migration-destination=component_keyring_file.so, or print one \
                              key by --key-command (docs/keys.md)";

/// Components and plugins whose stores are known and not read, by name without `component_`.
const UNREAD: [&str; 6] = [
    "keyring_kms",
    "keyring_encrypted_file",
    "keyring_okv",
    "keyring_oci",
    "keyring_aws",
    "keyring_hashicorp",
];

impl Unread {
    /// The store of a component or plugin, by its name as a server's configuration has it:
    /// `component_keyring_okv`, `keyring_aws.so`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let bare = name.trim_start_matches("component_").trim_end_matches(".so");
        let way = if name.starts_with("component_") { MIGRATE } else { MIGRATE_PLUGIN };
        UNREAD.contains(&bare).then(|| Self { name: name.to_owned(), way })
    }
}

impl Configuration {
    /// Reads a file of this path; `None` for what is no configuration of a key store. Relative paths
    /// in it are taken from `base`: the server takes them from its data directory.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn parse(
        bytes: &[u8],
        path: &Path,
        base: &Path,
    ) -> Option<Result<Self, ConfigurationError>> {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let unread = || Unread::named(stem).filter(|_| stem.starts_with("component_"));
        if bytes.trim_ascii_start().starts_with(b"{") {
            return parse_json(bytes, path, base, unread());
        }
        if is_plugin_text(bytes) {
            return Some(parse_plugin_text(bytes, path, base));
        }
        None
    }
}

/// The members of all configurations that are read, and of no keyring.
#[derive(Deserialize)]
struct Members {
    read_local_config: Option<bool>,
    path: Option<String>,
    password: Option<Text>,
    password_file: Option<String>,
    vault_url: Option<String>,
    secret_mount_point: Option<String>,
    secret_mount_point_version: Option<Word>,
    vault_ca: Option<String>,
    token: Option<Text>,
    vault_namespace: Option<String>,
    timeout: Option<Word>,
    server_addr: Option<String>,
    server_port: Option<Word>,
    client_ca: Option<String>,
    client_key: Option<String>,
    server_ca: Option<String>,
    object_group: Option<String>,
    kmip_timeout_ms: Option<i64>,
    tls_hostname_verification: Option<bool>,
}

/// A number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u64),
    Text(String),
}

impl Word {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

/// What tells other stores, whatever their files are called: a member that theirs alone have.
const TELLTALES: &[(&str, &str)] = &[
    ("kms_key", "component_keyring_kms"),
    ("secret_access_key", "component_keyring_kms"),
    ("virtualVault", "component_keyring_oci"),
    ("tenancy", "component_keyring_oci"),
    ("cmk_id", "component_keyring_aws"),
    ("store_path", "component_keyring_hashicorp"),
    ("config_path", "component_keyring_okv"),
];

fn parse_json(
    bytes: &[u8],
    path: &Path,
    base: &Path,
    by_name: Option<Unread>,
) -> Option<Result<Configuration, ConfigurationError>> {
    let names: HashMap<String, IgnoredAny> = match serde_json::from_slice(bytes) {
        Ok(names) => names,
        // A damaged keyring is told as such by who reads those.
        Err(error) => return is_store_file(path).then(|| Err(form(&error))),
    };
    let has = |name: &str| names.contains_key(name);
    if has("elements") || has("keys") {
        return None;
    }
    if has("components") || has("read_local_manifest") {
        return Some(Err(ConfigurationError::Manifest));
    }
    let told = TELLTALES.iter().find(|(member, _)| has(member));
    let unread = by_name.or_else(|| told.and_then(|(_, name)| Unread::named(name)));
    let is_read = ["vault_url", "secret_mount_point", "server_addr", "path", "read_local_config"];
    let is_ours = is_read.into_iter().any(has);
    match unread {
        // Percona's file has Enterprise's members: the file that they name tells which it is.
        Some(unread) if unread.name != "component_keyring_encrypted_file" || !is_ours => {
            Some(Ok(Configuration::Unread(unread)))
        }
        _ if is_ours => Some(parse_members(bytes).and_then(|members| build(members, path, base))),
        _ => None,
    }
}

/// Whether a name is that of a component's configuration.
fn is_store_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("component_") && name.ends_with(".cnf")
}

fn parse_members(bytes: &[u8]) -> Result<Members, ConfigurationError> {
    serde_json::from_slice(bytes).map_err(|error| form(&error))
}

/// What serde says may quote a token.
fn form(error: &serde_json::Error) -> ConfigurationError {
    ConfigurationError::Form {
        line: error.line(),
        column: error.column(),
        expected: if error.is_data() { "a value of another type" } else { "a JSON object" },
    }
}

fn build(members: Members, path: &Path, base: &Path) -> Result<Configuration, ConfigurationError> {
    let under = |name: &String| base.join(name.trim());
    if members.server_addr.is_some() {
        return kmip(members, path, base).map(Configuration::Kmip);
    }
    if members.vault_url.is_some() || members.secret_mount_point.is_some() {
        let text = |value: Option<String>| value.map(|value| value.trim().to_owned());
        let mount_point = text(members.secret_mount_point)
            .ok_or(ConfigurationError::Missing { member: "secret_mount_point" })?;
        return Ok(Configuration::Vault(VaultSettings {
            path: path.to_owned(),
            url: text(members.vault_url).filter(|url| !url.is_empty()),
            mount_point: checked_mount_point(mount_point)?,
            version: version(
                members.secret_mount_point_version.map(|word| word.text()).as_deref(),
            )?,
            token: members.token.map(|Text(token)| token),
            namespace: text(members.vault_namespace),
            authority: members.vault_ca.as_ref().filter(|ca| !ca.trim().is_empty()).map(under),
            timeout: timeout(members.timeout.map(|word| word.text()))?,
        }));
    }
    let Some(keyring) = &members.path else {
        return Err(match members.read_local_config {
            Some(true) => ConfigurationError::Local,
            _ => ConfigurationError::Missing { member: "path" },
        });
    };
    let keyring = under(keyring);
    match (members.password, members.password_file) {
        (None, None) => Ok(Configuration::File { path: keyring }),
        (Some(Text(password)), None) => {
            Ok(Configuration::EncryptedFile { path: keyring, password: Password::Given(password) })
        }
        (None, Some(file)) => {
            let password = Password::File(under(&file));
            Ok(Configuration::EncryptedFile { path: keyring, password })
        }
        (Some(_), Some(_)) => Err(ConfigurationError::Value {
            member: "password",
            problem: "only one of it and `password_file` may be there",
        }),
    }
}

fn kmip(members: Members, path: &Path, base: &Path) -> Result<KmipSettings, ConfigurationError> {
    let text = |value: Option<String>, member| {
        let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        value.ok_or(ConfigurationError::Missing { member })
    };
    let file = |value, member| text(value, member).map(|name| base.join(name));
    let port = members.server_port.ok_or(ConfigurationError::Missing { member: "server_port" })?;
    let port = port.text().parse().ok().filter(|port| *port > 0_u16);
    let port = port.ok_or(ConfigurationError::Value {
        member: "server_port",
        problem: "a port, 1 to 65535, is expected",
    })?;
    let timeout = members.kmip_timeout_ms.and_then(|milliseconds| u64::try_from(milliseconds).ok());
    let timeout = timeout.filter(|it| *it > 0).map(Duration::from_millis);
    Ok(KmipSettings {
        path: path.to_owned(),
        host: text(members.server_addr, "server_addr")?,
        port,
        identity: ClientIdentity {
            certificate: file(members.client_ca, "client_ca")?,
            key: file(members.client_key, "client_key")?,
        },
        authority: file(members.server_ca, "server_ca")?,
        any_name: members.tls_hostname_verification == Some(false),
        object_group: members.object_group.filter(|group| !group.is_empty()),
        timeout: timeout.unwrap_or(kmip::DEFAULT_TIMEOUT).min(MAX_TIMEOUT),
    })
}

fn checked_mount_point(mount_point: String) -> Result<String, ConfigurationError> {
    let is_bad =
        mount_point.is_empty() || mount_point.starts_with('/') || mount_point.ends_with('/');
    if is_bad {
        return Err(ConfigurationError::Value {
            member: "secret_mount_point",
            problem: "a path without a slash at either end is expected",
        });
    }
    Ok(mount_point)
}

fn version(text: Option<&str>) -> Result<EngineVersion, ConfigurationError> {
    match text {
        None | Some("AUTO") => Ok(EngineVersion::Auto),
        Some("1") => Ok(EngineVersion::V1),
        Some("2") => Ok(EngineVersion::V2),
        Some(_) => Err(ConfigurationError::Value {
            member: "secret_mount_point_version",
            problem: "AUTO, 1 or 2 is expected",
        }),
    }
}

/// Seconds; 0 sets no limit to the server, and the default here.
///
/// # Errors
/// [`ConfigurationError::Value`].
pub fn timeout(text: Option<String>) -> Result<Duration, ConfigurationError> {
    let Some(text) = text else { return Ok(DEFAULT_TIMEOUT) };
    let seconds = text.parse().map(Duration::from_secs).ok().filter(|it| *it <= MAX_TIMEOUT);
    let seconds = seconds.ok_or(ConfigurationError::Value {
        member: "timeout",
        problem: "seconds, 0 to 86400, are expected",
    })?;
    Ok(if seconds.is_zero() { DEFAULT_TIMEOUT } else { seconds })
}

/// Lines `name = value` with a name that the plugin's file alone has.
fn is_plugin_text(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 64 << 10;
    let start = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let is_group = |line: &[u8]| line.first() == Some(&b'[');
    let names = [&b"vault_url"[..], b"secret_mount_point"];
    let mut lines = start.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.clone().find(|line| !line.is_empty());
    !first.is_some_and(is_group)
        && lines.any(|line| {
            let mut halves = line.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default().trim_ascii();
            halves.next().is_some() && names.contains(&name)
        })
}

fn parse_plugin_text(
    bytes: &[u8],
    path: &Path,
    base: &Path,
) -> Result<Configuration, ConfigurationError> {
    let mut texts: HashMap<&str, String> = HashMap::new();
    let mut token = None;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let form = |expected| ConfigurationError::Form {
            line: number.saturating_add(1),
            column: 1,
            expected,
        };
        let line = std::str::from_utf8(line).map_err(|_| form("text"))?;
        let (name, value) = line.split_once('=').ok_or_else(|| form("`name = value`"))?;
        let (name, value) = (name.trim(), value.trim());
        if name == "token" {
            token = Some(SecretBytes::new(value.as_bytes().to_vec()));
        } else {
            texts.insert(name, value.to_owned());
        }
    }
    let mut take = |name: &str| texts.remove(name);
    let mount_point = take("secret_mount_point")
        .ok_or(ConfigurationError::Missing { member: "secret_mount_point" })?;
    Ok(Configuration::Vault(VaultSettings {
        path: path.to_owned(),
        url: take("vault_url").filter(|url| !url.is_empty()),
        mount_point: checked_mount_point(mount_point)?,
        version: version(take("secret_mount_point_version").as_deref())?,
        token,
        namespace: take("vault_namespace"),
        authority: take("vault_ca").filter(|ca| !ca.is_empty()).map(|ca| base.join(ca)),
        timeout: timeout(take("timeout"))?,
    }))
}

/// Whether the bytes of a keyring file are of the form that Percona's component writes: Enterprise's
/// file, whose configuration looks the same, is another one, and its form is not published.
#[must_use]
pub fn is_of_percona(start: &[u8]) -> bool {
    start.is_empty() || start.first() == Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8], name: &str) -> Option<Result<Configuration, ConfigurationError>> {
        Configuration::parse(text, Path::new(name), Path::new("/data"))
    }

    const VAULT: &str = "{\"vault_url\": \" https://v \", \"secret_mount_point\": \"a/b\", \
                         \"vault_ca\": \"ca.pem\", \"token\": \" hvs.SECRET\\n\", \"timeout\": 7}";

    #[test]
    fn a_configuration_of_vault_is_read_as_the_server_reads_it() {
        let text = "# the plugin's\nvault_url = https://v\nsecret_mount_point = a/b\n\
                    vault_ca = ca.pem\ntoken = hvs.SECRET\ntimeout = 7\n";
        for content in [VAULT, text] {
            let Some(Ok(Configuration::Vault(settings))) = parse(content.as_bytes(), "x.cnf")
            else {
                panic!("{content}");
            };
            assert_eq!(settings.url.as_deref(), Some("https://v"));
            assert_eq!(settings.mount_point, "a/b");
            assert_eq!(settings.version, EngineVersion::Auto);
            assert_eq!(settings.authority.as_deref(), Some(Path::new("/data/ca.pem")));
            assert_eq!(settings.timeout, Duration::from_secs(7));
            assert_eq!(settings.token.as_ref().unwrap().expose(), b"hvs.SECRET");
            assert!(!format!("{settings:?}").contains("SECRET"));
        }
    }

    #[test]
    fn what_is_no_configuration_is_left_to_others() {
        for content in [
            &b""[..],
            b"{\"version\":\"1.0\",\"elements\":[]}",
            b"{\"version\":1,\"keys\":[]}",
            b"{\"x\":1}",
            b"{",
            b"1;770A8A65DA156D24EE2A093277530142\n",
            b"[mysqld]\nvault_url=x\n",
            b"Keyring file version:2.0",
            b"\xFDbin\x01",
        ] {
            assert!(parse(content, "keyring").is_none(), "{}", content.escape_ascii());
        }
    }

    #[test]
    fn no_cut_or_changed_configuration_panics_or_shows_its_token() {
        let text = VAULT.as_bytes();
        for end in 0..text.len() {
            for byte in [0, b'"', b'{', b'\\', 0xFF] {
                let mut changed = text.to_vec();
                changed[end] = byte;
                for content in [&text[..end], &changed] {
                    if let Some(Err(error)) = parse(content, "component_keyring_vault.cnf") {
                        let said = format!("{error} {error:?}");
                        assert!(!said.contains("SECRET"), "{said}");
                    }
                }
            }
        }
    }
}
