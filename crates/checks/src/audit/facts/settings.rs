//! The settings of one server, wherever they were seen: option files, or a live server. Judges
//! take them alike.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::server::{Flavour, ServerFacts};
use crate::audit::sql::written;
use crate::finding::rules::Language;
use crate::finding::{Evidence, Remedy, Subject};
use binlogsec_core::text::path_text;

/// Whose server in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The product of the server.
    pub flavour: Flavour,
    /// Major, minor and patch.
    pub version: (u16, u16, u16),
}

impl Product {
    /// Whether it is MariaDB.
    #[must_use]
    pub fn is_mariadb(self) -> bool {
        self.flavour == Flavour::Mariadb
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version;
        write!(f, "{} {major}.{minor}.{patch}", self.flavour.name())
    }
}

/// No version of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no version such as 8.4.3, 5.7.44 or 10.11.6-MariaDB")]
pub struct UnknownVersion {
    /// What was given.
    pub found: String,
}

/// As servers say it: `8.4.3`, `5.7.44-log`, `8.0.36-28` of Percona with its name in front
/// (`percona-8.0.36`), `10.11.6-MariaDB-0+deb12u1`, `5.5.5-10.4.7-MariaDB`; or shorter,
/// `mariadb-10.11`, `8.4`. Versions from 10 to 13 without a name are MariaDB's.
impl FromStr for Product {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownVersion { found: text.to_owned() };
        let lower = text.to_ascii_lowercase();
        // MariaDB puts this in front for old replicas.
        let plain = lower.strip_prefix("5.5.5-").unwrap_or(&lower);
        let start = plain.find(|c: char| c.is_ascii_digit()).ok_or_else(unknown)?;
        let number: String =
            plain.chars().skip(start).take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut parts = number.split('.').map(str::parse::<u16>);
        let mut next = || parts.next().transpose().map_err(|_| unknown());
        let major = next()?.ok_or_else(unknown)?;
        let version = (major, next()?.unwrap_or(0), next()?.unwrap_or(0));
        let flavour = match lower {
            name if name.contains("mariadb") => Flavour::Mariadb,
            name if name.contains("percona") => Flavour::Percona,
            name if name.contains("mysql") => Flavour::Mysql,
            _ if (10..=13).contains(&major) => Flavour::Mariadb,
            _ => Flavour::Mysql,
        };
        Ok(Self { flavour, version })
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of an option file.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
    },
    /// mysqld-auto.cnf, which SET PERSIST writes.
    Persisted(PathBuf),
    /// Not set anywhere.
    Default,
    /// A live server's variable.
    Server,
    /// An earlier report, with the source that it names.
    Reported(String),
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As it stands; `ON` where an option has no value, `OFF` behind `skip-`.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether a server that does not know it goes on without it (`loose-`).
    pub is_loose: bool,
}

/// The settings of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What findings are about: the option file, the data directory, the server.
    pub subject: Subject,
    /// Which server; `None` where nobody says.
    pub product: Option<Product>,
    /// By name in lower case with `_`. Of option files, also the options that are no variables.
    pub values: BTreeMap<String, Setting>,
}

impl Settings {
    /// Of a data directory without option files.
    #[must_use]
    pub fn empty(directory: &Path, product: Option<Product>) -> Self {
        Self { subject: Subject::file(directory), product, values: BTreeMap::new() }
    }

    /// The variables of a live server.
    #[must_use]
    pub fn of_server(facts: &ServerFacts) -> Self {
        let product: Option<Product> = facts.version.parse().ok();
        let values = facts.variables.iter().map(|(name, value)| {
            let setting = Setting { value: value.clone(), origin: Origin::Server, is_loose: false };
            (name.clone(), setting)
        });
        Self {
            subject: Subject::Server { server: facts.address.clone(), object: None },
            // The version alone does not tell Percona's.
            product: product.map(|product| Product { flavour: facts.flavour, ..product }),
            values: values.collect(),
        }
    }

    /// A value, set or default; `None` where it is neither set nor known to this version.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|setting| &*setting.value)
    }

    /// A value that says something.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether a switch is on; `None` where it does not exist.
    #[must_use]
    pub fn is_on(&self, name: &str) -> Option<bool> {
        self.get(name).map(is_on)
    }

    /// Whether the values were asked of a server, and not read from files.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.subject, Subject::Server { .. })
    }

    /// Whether it is MariaDB's. Where nobody says, a setting that only MariaDB has does.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        const ONLY_MARIADB: [&str; 3] =
            ["encrypt_binlog", "file_key_management_filename", "encrypt_tmp_files"];
        match self.product {
            Some(product) => product.is_mariadb(),
            None => ONLY_MARIADB.iter().any(|name| self.values.contains_key(*name)),
        }
    }

    /// Whether the server is at least of this version; `true` where nobody says.
    #[must_use]
    pub fn since(&self, version: (u16, u16, u16)) -> bool {
        self.product.is_none_or(|product| product.version >= version)
    }

    /// What a finding about this setting is about: its line, where it stands in a file.
    #[must_use]
    pub fn subject_of(&self, name: &str) -> Subject {
        match self.values.get(name).map(|setting| &setting.origin) {
            Some(Origin::File { path, line }) => {
                Subject::File { path: path.clone(), line: Some(*line) }
            }
            Some(Origin::Persisted(path)) => Subject::file(path),
            _ => self.subject.clone(),
        }
    }

    /// A setting as evidence; without its value where that may be a secret.
    #[must_use]
    pub fn evidence(&self, name: &str) -> Evidence {
        let (value, source) = match self.values.get(name) {
            None => ("not set", self.subject.name()),
            Some(setting) => {
                let value = &*setting.value;
                let shown = if is_shown(name) { value } else { "not shown" };
                (shown, self.source(&setting.origin))
            }
        };
        Evidence::Value { name: name.to_owned(), value: value.to_owned(), source }
    }

    fn source(&self, origin: &Origin) -> String {
        match origin {
            Origin::File { path, line } => format!("{}:{line}", path_text::text(path)),
            Origin::Persisted(path) => path_text::text(path),
            Origin::Server => format!("asked of {}", self.subject.name()),
            Origin::Reported(source) => source.clone(),
            Origin::Default => self
                .product
                .map_or_else(|| "default".to_owned(), |product| format!("default of {product}")),
        }
    }

    /// What sets a variable that may be set while the server runs: a statement for a live server,
    /// a line for an option file.
    #[must_use]
    pub fn set(&self, name: &str, value: &str) -> Remedy {
        let has_persist = !self.is_mariadb() && self.since((8, 0, 11));
        let quoted = if value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            value.to_owned()
        } else {
            crate::audit::sql::quoted(value)
        };
        match (self.is_live(), has_persist) {
            (true, true) => {
                Remedy { language: Language::Sql, text: format!("SET PERSIST {name} = {quoted};") }
            }
            (true, false) => {
                Remedy { language: Language::Sql, text: format!("SET GLOBAL {name} = {quoted};") }
            }
            (false, _) => option_lines(&[&format!("{name} = {value}")]),
        }
    }
}

/// Lines for the group `[mysqld]`.
#[must_use]
pub fn option_lines(lines: &[&str]) -> Remedy {
    Remedy {
        language: Language::Options,
        text: format!(
            "[mysqld]\n{}",
            lines.iter().map(|line| written(line)).collect::<Vec<_>>().join("\n")
        ),
    }
}

/// Whether a switch's value is on.
#[must_use]
pub fn is_on(value: &str) -> bool {
    ["on", "1", "true", "yes"].iter().any(|on| value.eq_ignore_ascii_case(on))
}

/// Settings in reports.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettingsEntry {
    /// The option file, or the data directory.
    subject: String,
    /// Which server, where that is known.
    product: Option<String>,
    /// What is set or default, of settings that are known to hold no secret.
    values: Vec<Evidence>,
    /// What else is set, without the values: they may be secrets.
    withheld: Vec<WithheldSetting>,
}

/// A setting whose value is not shown.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WithheldSetting {
    /// Its name.
    name: String,
    /// Where it was seen.
    source: String,
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.values.keys().filter(|name| is_shown(name));
        // A line that is no option may be anything, such as a secret that slipped into the file.
        let is_name = |name: &str| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        };
        let withheld = self.values.iter().filter(|(name, _)| !is_shown(name) && is_name(name)).map(
            |(name, setting)| WithheldSetting {
                name: name.clone(),
                source: self.source(&setting.origin),
            },
        );
        SettingsEntry {
            subject: self.subject.name(),
            product: self.product.map(|product| product.to_string()),
            values: shown.map(|name| self.evidence(name)).collect(),
            withheld: withheld.collect(),
        }
        .serialize(serializer)
    }
}

/// As far as a report has them: values that it does not show stay unknown.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = SettingsEntry::deserialize(deserializer)?;
        let reported =
            |value, source| Setting { value, origin: Origin::Reported(source), is_loose: false };
        let shown = entry.values.into_iter().filter_map(|evidence| match evidence {
            Evidence::Value { name, value, source } => Some((name, reported(value, source))),
            Evidence::Bytes { .. } => None,
        });
        let withheld =
            entry.withheld.into_iter().map(|it| (it.name, reported(String::new(), it.source)));
        Ok(Self {
            subject: Subject::file(&path_text::parse(&entry.subject)),
            product: entry.product.and_then(|product| product.parse().ok()),
            values: shown.chain(withheld).collect(),
        })
    }
}

/// Whether reports show this setting's value.
#[must_use]
pub fn is_shown(name: &str) -> bool {
    SHOWN.contains(&name)
}

/// The settings that say something about privacy, durability of the keys, or where things are, and
/// hold no secret: of option files and of live servers, reports show the values of these alone.
const SHOWN: &[&str] = &[
    "admin_address",
    "admin_ssl_ca",
    "admin_ssl_capath",
    "admin_ssl_cert",
    "admin_ssl_cipher",
    "admin_ssl_crl",
    "admin_ssl_crlpath",
    "admin_ssl_key",
    "admin_tls_ciphersuites",
    "admin_tls_version",
    "aria_encrypt_tables",
    "auto_generate_certs",
    "basedir",
    "bind_address",
    "binlog_encryption",
    "binlog_format",
    "binlog_rotate_encryption_master_key_at_startup",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_transaction_compression",
    "caching_sha2_password_auto_generate_rsa_keys",
    "cracklib_password_check_dictionary",
    "datadir",
    "default_authentication_plugin",
    "early_plugin_load",
    "encrypt_binlog",
    "encrypt_tmp_disk_tables",
    "encrypt_tmp_files",
    "file_key_management_encryption_algorithm",
    "file_key_management_filename",
    "group_replication_group_name",
    "group_replication_recovery_ssl_ca",
    "group_replication_recovery_ssl_verify_server_cert",
    "group_replication_recovery_use_ssl",
    "group_replication_ssl_mode",
    "gtid_mode",
    "have_openssl",
    "have_ssl",
    "hostname",
    "innodb_encrypt_log",
    "innodb_encrypt_tables",
    "keyring_encrypted_file_data",
    "keyring_file_data",
    "log_bin",
    "log_bin_basename",
    "log_bin_index",
    "log_replica_updates",
    "log_slave_updates",
    "master_info_repository",
    "ndb_log_bin",
    "ndb_mgm_tls",
    "ndbcluster",
    "performance_schema",
    "persisted_globals_load",
    "plugin_dir",
    "plugin_load",
    "plugin_load_add",
    "port",
    "relay_log",
    "relay_log_basename",
    "relay_log_index",
    "relay_log_info_repository",
    "relay_log_purge",
    "replica_load_tmpdir",
    "report_host",
    "report_port",
    "require_secure_transport",
    "server_id",
    "server_uuid",
    "simple_password_check_minimal_length",
    "skip_name_resolve",
    "skip_networking",
    "ssl",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_cipher",
    "ssl_crl",
    "ssl_crlpath",
    "ssl_key",
    "tls_ciphersuites",
    "tls_version",
    "tmpdir",
    "validate_password.length",
    "validate_password.policy",
    "validate_password_length",
    "validate_password_policy",
    "version_comment",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_as_servers_say_them() {
        for (text, expected) in [
            ("8.4.3", "MySQL 8.4.3"),
            ("5.7.44-log", "MySQL 5.7.44"),
            ("9.7", "MySQL 9.7.0"),
            ("mysql-8.0.36-ndb-8.0.36", "MySQL 8.0.36"),
            ("8.0.36-28.1", "MySQL 8.0.36"),
            ("10.11.6-MariaDB-0+deb12u1", "MariaDB 10.11.6"),
            ("5.5.5-10.4.7-MariaDB", "MariaDB 10.4.7"),
            ("mariadb-11.4", "MariaDB 11.4.0"),
            ("percona-8.0.36-28", "Percona Server 8.0.36"),
            ("11.8", "MariaDB 11.8.0"),
        ] {
            assert_eq!(text.parse::<Product>().unwrap().to_string(), expected);
        }
        for text in ["", "x", "8.x99999", "mysql-99999"] {
            assert!(text.parse::<Product>().is_err(), "{text}");
        }
    }

    #[test]
    fn remedies_fit_where_the_setting_was_seen() {
        let mut settings = Settings {
            subject: Subject::Server { server: "db:3306".to_owned(), object: None },
            product: "8.4".parse().ok(),
            values: BTreeMap::new(),
        };
        let text = |settings: &Settings| settings.set("tls_version", "TLSv1.2,TLSv1.3").text;
        assert_eq!(text(&settings), "SET PERSIST tls_version = 'TLSv1.2,TLSv1.3';");
        settings.product = "5.7.30".parse().ok();
        assert!(text(&settings).starts_with("SET GLOBAL "));
        settings.subject = Subject::file(Path::new("my.cnf"));
        assert_eq!(text(&settings), "[mysqld]\ntls_version = TLSv1.2,TLSv1.3");
    }
}
