//! What each server has: options, defaults, keyring plugins.
//!
//! Source of each line: S, the server itself (`--help --verbose`, or started with the option): MySQL
//! 9.7.4, MariaDB 10.11.19 and 11.8.9; M, the reference manuals of MySQL 5.7, 8.0, 8.4 and 9.x
//! ("Server Option, System Variable, and Status Variable Reference", "Features Removed"), of
//! Percona Server 5.7 and of MariaDB. What no source says is not in the table, and not judged.

use super::facts::settings::{Product, Settings};

type Version = (u16, u16, u16);

const FIRST: Version = (0, 0, 0);
/// Where nobody says, the server is taken for a current one.
const CURRENT: Version = (u16::MAX, 0, 0);

/// A value that holds where nobody sets one, from one version up to another.
struct DefaultValue(&'static str, &'static str, Version, Option<Version>);

const MYSQL_DEFAULTS: &[DefaultValue] = &[
    DefaultValue("binlog_encryption", "OFF", (8, 0, 14), None), // M, S
    DefaultValue("binlog_rotate_encryption_master_key_at_startup", "OFF", (8, 0, 14), None), // M, S
    DefaultValue("log_bin", "OFF", FIRST, Some((8, 0, 3))),     // M
    DefaultValue("log_bin", "ON", (8, 0, 3), None),             // M, S
    DefaultValue("require_secure_transport", "OFF", (5, 7, 8), None), // M, S
    DefaultValue("tls_version", "TLSv1,TLSv1.1,TLSv1.2", (5, 7, 10), Some((8, 0, 16))), // M
    DefaultValue("tls_version", "TLSv1,TLSv1.1,TLSv1.2,TLSv1.3", (8, 0, 16), Some((8, 0, 28))), // M
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (8, 0, 28), None), // M, S
    DefaultValue("binlog_format", "STATEMENT", FIRST, Some((5, 7, 7))), // M
    DefaultValue("binlog_format", "ROW", (5, 7, 7), None),      // M, S
    DefaultValue("binlog_row_metadata", "MINIMAL", (8, 0, 1), None), // M, S
    DefaultValue("binlog_transaction_compression", "OFF", (8, 0, 20), None), // M, S
    DefaultValue("master_info_repository", "FILE", FIRST, Some((8, 0, 2))), // M
    DefaultValue("master_info_repository", "TABLE", (8, 0, 2), Some((8, 3, 0))), // M
];

const MARIADB_DEFAULTS: &[DefaultValue] = &[
    DefaultValue("encrypt_binlog", "OFF", (10, 1, 7), None), // M, S
    DefaultValue("encrypt_tmp_files", "OFF", (10, 1, 7), None), // M, S
    DefaultValue("log_bin", "OFF", FIRST, None),             // M, S
    DefaultValue("require_secure_transport", "OFF", (10, 5, 2), None), // M, S
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (10, 4, 6), Some((10, 11, 7))), // M
    // In between, patch releases differ.
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (10, 11, 19), Some((11, 0, 0))), // S
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (11, 0, 0), Some((11, 4, 0))), // M
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (11, 4, 0), None),               // M, S (11.8)
    DefaultValue("binlog_format", "STATEMENT", FIRST, Some((10, 2, 4))),            // M
    DefaultValue("binlog_format", "MIXED", (10, 2, 4), None),                       // M, S
    DefaultValue("binlog_row_metadata", "NO_LOG", (10, 5, 0), None),                // M, S
];

/// What holds where nobody sets it.
pub(super) fn defaults(
    is_mariadb: bool,
    product: Option<Product>,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let version = product.map_or(CURRENT, |product| product.version);
    let table = if is_mariadb { MARIADB_DEFAULTS } else { MYSQL_DEFAULTS };
    let holds = move |it: &&DefaultValue| version >= it.2 && it.3.is_none_or(|end| version < end);
    table.iter().filter(holds).map(|it| (it.0, it.1))
}

/// An option, from its first version up to one that refuses it. A server that does not know an
/// option does not start, unless that says `loose-`.
struct Known(&'static str, Version, Option<Version>);

const NEVER: Version = CURRENT;

const MYSQL_OPTIONS: &[Known] = &[
    Known("binlog_encryption", (8, 0, 14), None), // M, S
    Known("binlog_rotate_encryption_master_key_at_startup", (8, 0, 14), None), // M, S
    Known("binlog_transaction_compression", (8, 0, 20), None), // M, S
    Known("binlog_row_metadata", (8, 0, 1), None), // M, S
    Known("require_secure_transport", (5, 7, 8), None), // M, S
    Known("tls_version", (5, 7, 10), None),       // M, S
    Known("tls_ciphersuites", (8, 0, 16), None),  // M, S
    Known("ndb_mgm_tls", (8, 3, 0), None),        // M, S
    Known("master_info_repository", FIRST, Some((8, 3, 0))), // M, S: "unknown variable"
    Known("relay_log_info_repository", FIRST, Some((8, 3, 0))), // M, S
    Known("ssl", FIRST, Some((8, 4, 0))),         // M, S: "unknown option"
    Known("keyring_file_data", (5, 7, 11), Some((8, 4, 0))), // M, S: of a plugin that is gone
    Known("keyring_encrypted_file_data", (5, 7, 21), Some((8, 4, 0))), // M, S
    Known("keyring_encrypted_file_password", (5, 7, 21), Some((8, 4, 0))), // M, S
    Known("default_authentication_plugin", (5, 7, 2), Some((8, 4, 0))), // M, S
    Known("expire_logs_days", FIRST, Some((8, 4, 0))), // M, S
    Known("encrypt_binlog", NEVER, None),         // M (Percona's: see `refuses`), S
    Known("encrypt_tmp_files", NEVER, None),      // M, S
    Known("file_key_management_filename", NEVER, None), // S
];

const MARIADB_OPTIONS: &[Known] = &[
    Known("encrypt_binlog", (10, 1, 7), None),           // M, S
    Known("encrypt_tmp_files", (10, 1, 7), None),        // M, S
    Known("require_secure_transport", (10, 5, 2), None), // M, S
    Known("tls_version", (10, 4, 6), None),              // M, S
    Known("binlog_row_metadata", (10, 5, 0), None),      // M, S
    Known("binlog_encryption", NEVER, None),             // S: "unknown variable"
    Known("binlog_rotate_encryption_master_key_at_startup", NEVER, None), // S
    Known("early_plugin_load", NEVER, None),             // S
    Known("keyring_file_data", NEVER, None),             // S
    Known("tls_ciphersuites", NEVER, None),              // S
    Known("master_info_repository", NEVER, None),        // S
    Known("binlog_transaction_compression", NEVER, None), // S
];

/// Whether this server, by what is known of it, does not know an option at all.
pub(super) fn refuses(product: Product, name: &str) -> bool {
    let table = if product.is_mariadb() { MARIADB_OPTIONS } else { MYSQL_OPTIONS };
    let is_percona = product.flavour == super::facts::server::Flavour::Percona;
    if is_percona && name == "encrypt_binlog" {
        return !((5, 7, 20)..(8, 0, 0)).contains(&product.version);
    }
    table
        .iter()
        .find(|it| it.0 == name)
        .is_some_and(|it| product.version < it.1 || it.2.is_some_and(|end| product.version >= end))
}

/// MySQL's keyring plugins, with the first version that has them no more.
const PLUGINS: [(&str, Version); 4] = [
    ("keyring_file", (8, 4, 0)),           // M, S: no keyring_file.so in 9.7
    ("keyring_encrypted_file", (8, 4, 0)), // M, S
    ("keyring_oci", (8, 4, 0)),            // M
    ("keyring_vault", (8, 4, 0)),          // M: Percona's; a component from there on
];

/// The file's name of a plugin, without path and ending: `keyring_file.so` -> `keyring_file`.
pub(super) fn plugin_name(item: &str) -> &str {
    let file = item.rsplit(['=', '/']).next().unwrap_or(item).trim();
    file.strip_suffix(".so").unwrap_or(file)
}

/// Why a plugin that is to be loaded is not there; `None` where it may be.
pub(super) fn plugin_is_missing(product: Option<Product>, item: &str) -> Option<String> {
    let name = plugin_name(item);
    if name.starts_with("component_") {
        return Some(format!(
            "{name} is a component: plugin options cannot load it (the server says \"Can't find symbol\" \
             and stops); the manifest mysqld.my does"
        ));
    }
    let (_, gone) = PLUGINS.iter().find(|(plugin, _)| *plugin == name)?;
    let product = product.filter(|it| !it.is_mariadb() && it.version >= *gone)?;
    Some(format!("{product} has no plugin {name}: the server does not start"))
}

/// TLS versions that a server does not take in `tls_version`.
pub(super) fn refused_tls_versions<'a>(settings: &Settings, versions: &'a str) -> Vec<&'a str> {
    let listed = versions.split(',').map(str::trim).filter(|it| !it.is_empty());
    let Some(product) = settings.product.filter(|it| !it.is_mariadb()) else {
        return Vec::new();
    };
    let refused = |version: &&str| match version.to_ascii_uppercase().as_str() {
        // M ("TLSv1 and TLSv1.1 … removed in 8.0.28"), S: "invalid value", Aborting.
        "TLSV1" | "TLSV1.0" | "TLSV1.1" => product.version >= (8, 0, 28),
        "TLSV1.3" => product.version < (8, 0, 16), // M
        "TLSV1.2" => false,
        _ => true,
    };
    listed.filter(refused).collect()
}

/// From here on MariaDB verifies a certificate that nobody signed by the account's password, and
/// needs no authority for that: M, S (11.8).
pub(super) const MARIADB_VERIFIES_WITHOUT_AUTHORITY: Version = (11, 4, 0);
