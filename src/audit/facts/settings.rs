//! The settings of one server, wherever they were seen: option files, or a live server. Judges
//! take them alike.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::server::Flavour;
use crate::finding::rules::Language;
use crate::finding::{Evidence, Remedy, Subject, path_text};

/// Whose server in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Whose.
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
        let unknown = || UnknownVersion {
            found: text.to_owned(),
        };
        let lower = text.to_ascii_lowercase();
        // MariaDB puts this in front for old replicas.
        let plain = lower.strip_prefix("5.5.5-").unwrap_or(&lower);
        let start = plain
            .find(|c: char| c.is_ascii_digit())
            .ok_or_else(unknown)?;
        let number: String = plain
            .chars()
            .skip(start)
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
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
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As it stands; `ON` where an option has no value, `OFF` behind `skip-`.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
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
        Self {
            subject: Subject::file(directory),
            product,
            values: BTreeMap::new(),
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
        const ONLY_MARIADB: [&str; 3] = [
            "encrypt_binlog",
            "file_key_management_filename",
            "encrypt_tmp_files",
        ];
        match self.product {
            Some(product) => product.is_mariadb(),
            None => ONLY_MARIADB
                .iter()
                .any(|name| self.values.contains_key(*name)),
        }
    }

    /// Whether the server is at least of this version; `true` where nobody says.
    #[must_use]
    pub fn since(&self, version: (u16, u16, u16)) -> bool {
        self.product
            .is_none_or(|product| product.version >= version)
    }

    /// What a finding about this setting is about: its line, where it stands in a file.
    #[must_use]
    pub fn subject_of(&self, name: &str) -> Subject {
        match self.values.get(name).map(|setting| &setting.origin) {
            Some(Origin::File { path, line }) => Subject::File {
                path: path.clone(),
                line: Some(*line),
            },
            Some(Origin::Persisted(path)) => Subject::file(path),
            _ => self.subject.clone(),
        }
    }

    /// A setting as evidence.
    #[must_use]
    pub fn evidence(&self, name: &str) -> Evidence {
        let (value, source) = match self.values.get(name) {
            None => ("not set".to_owned(), self.subject.name()),
            Some(Setting { value, origin }) => {
                let source = match origin {
                    Origin::File { path, line } => format!("{}:{line}", path_text::text(path)),
                    Origin::Persisted(path) => path_text::text(path),
                    Origin::Server => format!("asked of {}", self.subject.name()),
                    Origin::Default => self.product.map_or_else(
                        || "default".to_owned(),
                        |product| format!("default of {product}"),
                    ),
                };
                (value.clone(), source)
            }
        };
        Evidence::Value {
            name: name.to_owned(),
            value,
            source,
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
            format!("'{}'", value.replace('\'', "''"))
        };
        match (self.is_live(), has_persist) {
            (true, true) => Remedy {
                language: Language::Sql,
                text: format!("SET PERSIST {name} = {quoted};"),
            },
            (true, false) => Remedy {
                language: Language::Sql,
                text: format!("SET GLOBAL {name} = {quoted};"),
            },
            (false, _) => option_lines(&[&format!("{name} = {value}")]),
        }
    }
}

/// Lines for the group `[mysqld]`.
#[must_use]
pub fn option_lines(lines: &[&str]) -> Remedy {
    Remedy {
        language: Language::Options,
        text: format!("[mysqld]\n{}", lines.join("\n")),
    }
}

/// Whether a switch's value is on.
#[must_use]
pub fn is_on(value: &str) -> bool {
    ["on", "1", "true", "yes"]
        .iter()
        .any(|on| value.eq_ignore_ascii_case(on))
}

/// Settings in reports.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SettingsEntry {
    /// The option file, or the data directory.
    subject: String,
    /// Which server, where that is known.
    product: Option<String>,
    /// What is set or default, without secrets.
    values: Vec<Evidence>,
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.values.keys().filter(|name| !is_secret(name));
        SettingsEntry {
            subject: self.subject.name(),
            product: self.product.map(|product| product.to_string()),
            values: values.map(|name| self.evidence(name)).collect(),
        }
        .serialize(serializer)
    }
}

/// Whether an option's value is a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    name.contains("password") || name.ends_with("filekey") || name.contains("secret")
}

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
            subject: Subject::Server {
                server: "db:3306".to_owned(),
                object: None,
            },
            product: "8.4".parse().ok(),
            values: BTreeMap::new(),
        };
        let text = |settings: &Settings| settings.set("tls_version", "TLSv1.2,TLSv1.3").text;
        assert_eq!(
            text(&settings),
            "SET PERSIST tls_version = 'TLSv1.2,TLSv1.3';"
        );
        settings.product = "5.7.30".parse().ok();
        assert!(text(&settings).starts_with("SET GLOBAL "));
        settings.subject = Subject::file(Path::new("my.cnf"));
        assert_eq!(text(&settings), "[mysqld]\ntls_version = TLSv1.2,TLSv1.3");
    }
}
