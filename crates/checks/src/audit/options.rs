//! Settings from option files: what is set, what was persisted, and what is default in this
//! version.
//!
//! Source: MySQL's reference manual, "Persisted System Variables"; for defaults, see `versions`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::facts::settings::{Origin, Product, Setting, Settings};
use super::versions;
use crate::config::option_file::{self, OptionFile};
use crate::finding::Subject;
use binlogsec_core::file::TransferError;
use binlogsec_core::log::error::Error;

/// Where SET PERSIST writes, in the data directory.
const PERSISTED: &str = "mysqld-auto.cnf";
/// More is no file of persisted variables.
const LARGEST_PERSISTED: u64 = 1 << 20;
/// Options that begin with `skip_` and are no negations.
const NO_NEGATIONS: [&str; 6] = [
    "skip_networking",
    "skip_name_resolve",
    "skip_grant_tables",
    "skip_show_database",
    "skip_replica_start",
    "skip_slave_start",
];
/// Options that add up where they stand more than once.
const CUMULATIVE: [&str; 1] = ["plugin_load_add"];
/// Old names and new ones.
const ALIASES: [(&str, &str); 4] = [
    ("slave_load_tmpdir", "replica_load_tmpdir"),
    ("ssl_ciphers", "ssl_cipher"),
    ("binlog_encrypt", "encrypt_binlog"),
    ("log_bin_basename", "log_bin"),
];

/// The settings that an option file gives a server.
pub(super) fn settings(file: &OptionFile, path: &Path, product: Option<Product>) -> Settings {
    let mut settings = Settings {
        subject: Subject::file(path),
        product: product.or_else(|| product_by_groups(file)),
        values: BTreeMap::new(),
    };
    let read = file.of_server().filter(|option| reads_group(settings.product, &option.group));
    for option in read {
        let value = option.value.as_deref().map(String::from_utf8_lossy);
        let (name, value) = normalized(&option.name, value.as_deref());
        let origin = Origin::File { path: option.path.clone(), line: option.line };
        let setting = Setting { value, origin, is_loose: option.is_loose };
        put(&mut settings.values, name, setting);
    }
    settings
}

fn put(values: &mut BTreeMap<String, Setting>, name: String, mut setting: Setting) {
    if let Some(earlier) = values.get(&name).filter(|_| CUMULATIVE.contains(&&*name)) {
        setting.value = format!("{};{}", earlier.value, setting.value);
    }
    values.insert(name, setting);
}

/// A name without its prefix, and the value that the prefix stands for.
fn normalized(name: &str, value: Option<&str>) -> (String, String) {
    let name = name.to_ascii_lowercase();
    let is_whole = NO_NEGATIONS.contains(&&*name);
    let negated = ["skip_", "disable_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .filter(|_| !is_whole);
    let (plain, value) = match negated {
        Some(plain) => {
            let undone = value.is_some_and(|value| !super::facts::settings::is_on(value));
            (plain, if undone { "ON" } else { "OFF" })
        }
        None => (name.strip_prefix("enable_").unwrap_or(&name), value.unwrap_or("ON")),
    };
    let alias = ALIASES.iter().find(|(old, _)| *old == plain);
    let plain = alias.map_or(plain, |(_, new)| new);
    (plain.to_owned(), value.to_owned())
}

/// Groups of MariaDB alone tell whose file it is.
fn product_by_groups(file: &OptionFile) -> Option<Product> {
    let groups = file.of_server().map(|option| &*option.group);
    let mut own = groups.filter(|group| option_file::is_mariadb_group(group)).peekable();
    own.peek()?;
    let version = own.find_map(option_file::group_version);
    let version = version.map_or("11", |(_, version)| version);
    format!("mariadb-{version}").parse().ok()
}

/// Whether this server reads a group, which may be for a version or for the other product.
fn reads_group(product: Option<Product>, group: &str) -> bool {
    let Some(product) = product else { return true };
    let is_foreign = if product.is_mariadb() {
        group == option_file::MYSQL_CLUSTER
    } else {
        option_file::is_mariadb_group(group)
    };
    let (major, minor, _) = product.version;
    let fits = option_file::group_version(group)
        .is_none_or(|(_, version)| version == format!("{major}.{minor}"));
    fits && !is_foreign
}

/// Adds what SET PERSIST wrote, which outweighs option files. MariaDB has no such file, and an
/// option makes MySQL pass over it.
///
/// # Errors
/// The file is there and cannot be read, or is no such file.
pub(super) fn add_persisted(settings: &mut Settings, data_directory: &Path) -> Result<(), Error> {
    if settings.is_mariadb() || settings.is_on("persisted_globals_load") == Some(false) {
        return Ok(());
    }
    let path = data_directory.join(PERSISTED);
    let text = match super::files::read(&path, LARGEST_PERSISTED) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let file: Persisted = serde_json::from_slice(&text)
        .map_err(|error| TransferError::at(&path, "read")(error.into()))?;
    for (name, variable) in file.variables() {
        let origin = Origin::Persisted(path.clone());
        let value = variable.value;
        settings.values.insert(name, Setting { value, origin, is_loose: true });
    }
    Ok(())
}

/// `mysqld-auto.cnf`, versions 1 (8.0.0) and 2 (8.0.29).
#[derive(Deserialize)]
struct Persisted {
    #[serde(default)]
    mysql_server: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    mysql_dynamic_parse_early_variables: BTreeMap<String, PersistedVariable>,
    #[serde(default)]
    mysql_static_parse_early_variables: BTreeMap<String, PersistedVariable>,
    #[serde(default)]
    mysql_dynamic_variables: BTreeMap<String, PersistedVariable>,
    #[serde(default)]
    mysql_static_variables: BTreeMap<String, PersistedVariable>,
}

#[derive(Deserialize)]
struct PersistedVariable {
    #[serde(rename = "Value")]
    value: String,
}

impl Persisted {
    fn variables(self) -> impl Iterator<Item = (String, PersistedVariable)> {
        // Version 1 has one object, with the static ones within.
        let mut old = BTreeMap::new();
        let mut pending: Vec<_> = self.mysql_server.into_iter().collect();
        while let Some((name, value)) = pending.pop() {
            match value {
                serde_json::Value::Object(inner) if inner.contains_key("Value") => {
                    let value = serde_json::Value::Object(inner);
                    if let Ok(variable) = serde_json::from_value(value) {
                        old.insert(name, variable);
                    }
                }
                serde_json::Value::Object(inner) => pending.extend(inner),
                _ => {}
            }
        }
        old.into_iter()
            .chain(self.mysql_dynamic_parse_early_variables)
            .chain(self.mysql_static_parse_early_variables)
            .chain(self.mysql_dynamic_variables)
            .chain(self.mysql_static_variables)
    }
}

/// Fills in what nobody set.
pub(super) fn add_defaults(settings: &mut Settings) {
    let defaults = versions::defaults(settings.is_mariadb(), settings.product);
    for (name, value) in defaults {
        settings.values.entry(name.to_owned()).or_insert_with(|| Setting {
            value: value.to_owned(),
            origin: Origin::Default,
            is_loose: false,
        });
    }
}

/// Options with a password in files that others may read: path, line and mode.
pub(super) fn passwords(file: &OptionFile) -> impl Iterator<Item = &option_file::Setting> {
    file.settings.iter().filter(|option| {
        let name = option.name.to_ascii_lowercase();
        let has_value = option.value.as_deref().is_some_and(|it| !it.is_empty());
        has_value && matches!(&*name, "password" | "pass" | "master_password" | "password1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, version: Option<&str>) -> Settings {
        let path = Path::new("my.cnf");
        let file = OptionFile::parse(text.as_bytes(), path).unwrap();
        let product = version.map(|version| version.parse().unwrap());
        let mut settings = settings(&file, path, product);
        add_defaults(&mut settings);
        settings
    }

    #[test]
    fn names_are_taken_as_the_server_takes_them() {
        for (line, name, value) in [
            ("binlog-encryption", "binlog_encryption", "ON"),
            ("skip-ssl", "ssl", "OFF"),
            ("skip_ssl=0", "ssl", "ON"),
            ("disable-log-bin", "log_bin", "OFF"),
            ("enable-ssl", "ssl", "ON"),
            ("loose-binlog_encryption=1", "binlog_encryption", "1"),
            ("skip-networking", "skip_networking", "ON"),
            ("slave-load-tmpdir=/t", "replica_load_tmpdir", "/t"),
            ("log-bin=a\nlog_bin=b", "log_bin", "b"),
        ] {
            let settings = of(&format!("[mysqld]\n{line}\n"), None);
            assert_eq!(settings.get(name), Some(value), "{line}");
        }
        let added = of("[mysqld]\nplugin_load_add=a\nplugin-load-add=b\n", None);
        assert_eq!(added.get("plugin_load_add"), Some("a;b"));
    }

    #[test]
    fn groups_are_for_a_version_and_a_product() {
        let text = "[mysqld]\nport=1\n[mysqld-5.7]\nport=2\n[mariadb]\nport=3\n[mysqld-8.0]\nx=1\n\
                    [mysql_cluster]\ny=1\n[client-server]\nz=1\n[galera]\nz=2\n";
        for (version, port, x, y, z) in [
            ("8.0.36", "1", Some("1"), Some("1"), None),
            ("5.7.44", "2", None, Some("1"), None),
            ("mariadb-10.11", "3", None, None, Some("2")),
        ] {
            let settings = of(text, Some(version));
            let found = ["port", "x", "y", "z"].map(|name| settings.get(name));
            assert_eq!(found, [Some(port), x, y, z], "{version}");
        }
        for (text, version) in [
            ("[mariadb-10.6]\nx=1\n", (10, 6, 0)),
            ("[client-server]\nx=1\n", (11, 0, 0)),
            ("[galera]\nx=1\n[mariadbd-10.11]\nx=1\n", (10, 11, 0)),
        ] {
            let settings = of(text, None);
            assert!(settings.is_mariadb(), "{text}");
            assert_eq!(settings.product.unwrap().version, version, "{text}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_version() {
        for (version, name, value) in [
            ("5.7.44", "binlog_encryption", None),
            ("8.0.13", "binlog_encryption", None),
            ("8.0.14", "binlog_encryption", Some("OFF")),
            ("5.7.44", "log_bin", Some("OFF")),
            ("8.4.0", "log_bin", Some("ON")),
            ("8.0.20", "tls_version", Some("TLSv1,TLSv1.1,TLSv1.2,TLSv1.3")),
            ("9.7.0", "tls_version", Some("TLSv1.2,TLSv1.3")),
            ("5.7.44", "master_info_repository", Some("FILE")),
            ("8.4.0", "master_info_repository", None),
            ("mariadb-10.11", "encrypt_binlog", Some("OFF")),
            ("10.11.19-MariaDB", "tls_version", Some("TLSv1.2,TLSv1.3")),
            ("10.11.5-MariaDB", "tls_version", Some("TLSv1.1,TLSv1.2,TLSv1.3")),
            ("10.6.16-MariaDB", "tls_version", Some("TLSv1.2,TLSv1.3")),
            ("mariadb-10.11", "binlog_encryption", None),
        ] {
            assert_eq!(of("", Some(version)).get(name), value, "{version} {name}");
        }
    }

    #[test]
    fn persisted_variables_outweigh_the_option_file() {
        let directory = tempfile::tempdir().unwrap();
        for text in [
            r#"{"Version":2,"mysql_dynamic_variables":{"binlog_encryption":{"Value":"ON"}}}"#,
            r#"{"Version":1,"mysql_server":{"binlog_encryption":{"Value":"ON","Metadata":{}}}}"#,
            r#"{"Version":1,"mysql_server":{"mysql_server_static_options":{"binlog_encryption":{"Value":"ON"}}}}"#,
        ] {
            std::fs::write(directory.path().join(PERSISTED), text).unwrap();
            let mut settings = of("[mysqld]\nbinlog_encryption=OFF\n", None);
            add_persisted(&mut settings, directory.path()).unwrap();
            assert_eq!(settings.is_on("binlog_encryption"), Some(true), "{text}");
        }
        for (option, version) in [
            ("persisted_globals_load=OFF", "8.4.0"),
            ("skip-persisted-globals-load", "8.4.0"),
            ("port=1", "mariadb-10.11"),
        ] {
            let mut settings = of(&format!("[mysqld]\n{option}\n"), Some(version));
            add_persisted(&mut settings, directory.path()).unwrap();
            assert_ne!(settings.is_on("binlog_encryption"), Some(true), "{option}");
        }
        std::fs::write(directory.path().join(PERSISTED), "{").unwrap();
        assert!(add_persisted(&mut of("", None), directory.path()).is_err());
    }
}
