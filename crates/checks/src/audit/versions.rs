//! What each server has: options, defaults, keyring plugins. What no source says is not in the table, and
//! not judged.
//!
//! The source of each line stands behind it. What a server says of itself (`--help --verbose`, or what it
//! did when it was started so):
//!
//! - S97: MySQL 9.7.4; S1011: MariaDB 10.11.19; S118: MariaDB 11.8.9 (Debian)
//! - S80: MySQL 8.0.41, S57: MySQL 5.7.18, as their own tests have recorded it
//!   (`mysql-test/r/mysqld--help-notwin.result` of these versions' sources)
//!
//! What the makers' documents say:
//!
//! - V80, V82, V84: dev.mysql.com/doc/mysqld-version-reference, "Option and Variable Changes for MySQL
//!   8.0" (`optvar-changes-8-0.html`), 8.2, 8.4
//! - ENC: MySQL's reference manual, "Encrypting Binary Log Files and Relay Log Files"
//! - TLS: MySQL's reference manuals 5.7, 8.0 and 8.4, "Encrypted Connection TLS Protocols and Ciphers"
//! - LOG: MySQL 8.0's reference manual, "Setting The Binary Log Format" (the log is on by default)
//! - W10474: dev.mysql.com/worklog, WL#10474; KEY: the same manual's pages of the keyring plugins
//! - P84: docs.percona.com, Percona Server 8.4, "Compatibility and removed items in 8.4"; P80: Percona
//!   Server 8.0, "Encrypt Binary Log Files and Relay Log Files"
//! - NDB: MySQL 8.4's reference manual, "options and parameters added in NDB 8.4"
//! - MSSL: MariaDB's documentation, "SSL/TLS System Variables"; M101: "System Variables Added in
//!   MariaDB 10.1"; MVAR: the pages of single variables, with the releases that have them
//! - M114: MariaDB's documentation, "Zero-Configuration SSL", and the commit of MDEV-31855

use super::facts::settings::{Product, Settings};

type Version = (u16, u16, u16);

const FIRST: Version = (0, 0, 0);
/// Where nobody says, the server is taken for a current one.
const CURRENT: Version = (u16::MAX, 0, 0);

/// A value that holds where nobody sets one, from one version up to another.
struct DefaultValue(&'static str, &'static str, Version, Option<Version>);

#[rustfmt::skip]
const MYSQL_DEFAULTS: &[DefaultValue] = &[
    DefaultValue("binlog_encryption", "OFF", (8, 0, 14), None), // ENC, S80, S97
    DefaultValue("binlog_rotate_encryption_master_key_at_startup", "OFF", (8, 0, 14), None), // S80, S97
    DefaultValue("log_bin", "OFF", FIRST, Some((8, 0, 0))), // S57
    DefaultValue("log_bin", "ON", (8, 0, 0), None), // LOG, S97
    DefaultValue("require_secure_transport", "OFF", FIRST, None), // S57, S80, S97
    DefaultValue("tls_version", "TLSv1,TLSv1.1,TLSv1.2", (5, 7, 0), Some((8, 0, 16))), // TLS, S57
    DefaultValue("tls_version", "TLSv1,TLSv1.1,TLSv1.2,TLSv1.3", (8, 0, 16), Some((8, 0, 28))), // TLS
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (8, 0, 28), None), // TLS, S97
    DefaultValue("admin_tls_version", "TLSv1,TLSv1.1,TLSv1.2,TLSv1.3", (8, 0, 21), Some((8, 0, 28))), // V80, TLS
    DefaultValue("admin_tls_version", "TLSv1.2,TLSv1.3", (8, 0, 28), None), // V80, S97
    DefaultValue("binlog_format", "ROW", (5, 7, 18), None), // S57, S80, S97
    DefaultValue("binlog_row_metadata", "MINIMAL", (8, 0, 0), None), // S80, S97; not S57
    DefaultValue("binlog_transaction_compression", "OFF", (8, 0, 0), None), // S80, S97; not S57
    DefaultValue("master_info_repository", "FILE", FIRST, Some((8, 0, 0))), // S57
    DefaultValue("master_info_repository", "TABLE", (8, 0, 0), Some((8, 4, 0))), // W10474, S80
];

#[rustfmt::skip]
const MARIADB_DEFAULTS: &[DefaultValue] = &[
    DefaultValue("encrypt_binlog", "OFF", (10, 1, 7), None), // M101, S1011, S118
    DefaultValue("encrypt_tmp_files", "OFF", (10, 1, 5), None), // M101, S1011, S118
    DefaultValue("log_bin", "OFF", FIRST, None), // S1011, S118
    DefaultValue("require_secure_transport", "OFF", (10, 5, 2), None), // MVAR, S1011, S118
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (10, 4, 6), Some((10, 4, 32))), // MSSL
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (10, 4, 32), Some((10, 5, 0))), // MSSL
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (10, 5, 0), Some((10, 5, 23))), // MSSL
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (10, 5, 23), Some((10, 6, 0))), // MSSL
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (10, 6, 0), Some((10, 6, 16))), // MSSL
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (10, 6, 16), Some((10, 7, 0))), // MSSL
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (10, 7, 0), Some((10, 11, 6))), // MSSL
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (10, 11, 6), Some((11, 0, 0))), // MSSL, S1011
    DefaultValue("tls_version", "TLSv1.1,TLSv1.2,TLSv1.3", (11, 0, 0), Some((11, 0, 4))), // MSSL
    DefaultValue("tls_version", "TLSv1.2,TLSv1.3", (11, 0, 4), None), // MSSL, S118
    DefaultValue("binlog_format", "MIXED", (10, 11, 0), None), // S1011, S118
    DefaultValue("binlog_row_metadata", "NO_LOG", (10, 5, 0), None), // MVAR, S1011, S118
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

#[rustfmt::skip]
const MYSQL_OPTIONS: &[Known] = &[
    Known("binlog_encryption", (8, 0, 14), None), // ENC; not S57
    Known("binlog_rotate_encryption_master_key_at_startup", (8, 0, 14), None), // S80, S97; not S57
    Known("binlog_transaction_compression", (8, 0, 0), None), // S80, S97; not S57
    Known("binlog_row_metadata", (8, 0, 0), None), // S80, S97; not S57
    Known("tls_ciphersuites", (8, 0, 16), None), // TLS (1.3 begins there), S80, S97; not S57
    Known("admin_address", (8, 0, 14), None), // V80
    Known("admin_ssl_ca", (8, 0, 21), None), // V80
    Known("admin_ssl_cert", (8, 0, 21), None), // V80
    Known("admin_ssl_key", (8, 0, 21), None), // V80
    Known("admin_tls_version", (8, 0, 21), None), // V80
    Known("ndb_mgm_tls", (8, 3, 0), None), // NDB
    Known("master_info_repository", FIRST, Some((8, 4, 0))), // S57, S80; P84, S97: "unknown variable"
    Known("relay_log_info_repository", FIRST, Some((8, 4, 0))), // S57, S80; P84, S97
    Known("ssl", FIRST, Some((8, 4, 0))), // S97: "unknown option"; V84 has its like (`admin-ssl`, `have_ssl`)
    Known("keyring_file_data", FIRST, Some((8, 4, 0))), // V84, KEY; S97: the plugin is gone
    Known("keyring_encrypted_file_data", FIRST, Some((8, 4, 0))), // V84
    Known("keyring_encrypted_file_password", FIRST, Some((8, 4, 0))), // V84
    Known("default_authentication_plugin", FIRST, Some((8, 4, 0))), // S57, S80; V84, P84
    Known("expire_logs_days", FIRST, Some((8, 2, 0))), // S57, S80; V82, P84
    Known("encrypt_binlog", NEVER, None), // not S57, S80, S97 (Percona's: see `refuses`)
    Known("encrypt_tmp_files", NEVER, None), // not S57, S80, S97
    Known("file_key_management_filename", NEVER, None), // not S57, S80, S97
];

#[rustfmt::skip]
const MARIADB_OPTIONS: &[Known] = &[
    Known("encrypt_binlog", (10, 1, 7), None), // M101
    Known("encrypt_tmp_files", (10, 1, 5), None), // M101
    Known("require_secure_transport", (10, 5, 2), None), // MVAR
    Known("tls_version", (10, 4, 6), None), // MSSL
    Known("binlog_row_metadata", (10, 5, 0), None), // MVAR
    Known("binlog_encryption", NEVER, None), // not S1011 ("unknown variable"), S118
    Known("binlog_rotate_encryption_master_key_at_startup", NEVER, None), // not S1011, S118
    Known("early_plugin_load", NEVER, None), // not S1011, S118
    Known("keyring_file_data", NEVER, None), // not S1011, S118
    Known("tls_ciphersuites", NEVER, None), // not S1011, S118
    Known("master_info_repository", NEVER, None), // not S1011, S118
    Known("binlog_transaction_compression", NEVER, None), // not S1011, S118
];

/// Whether this server, by what is known of it, does not know an option at all.
pub(super) fn refuses(product: Product, name: &str) -> bool {
    let table = if product.is_mariadb() { MARIADB_OPTIONS } else { MYSQL_OPTIONS };
    let is_percona = product.flavour == super::facts::server::Flavour::Percona;
    // P80: gone from 8.0.15 on; since when it was there no source at hand says.
    if is_percona && name == "encrypt_binlog" {
        return product.version >= (8, 0, 15);
    }
    table
        .iter()
        .find(|it| it.0 == name)
        .is_some_and(|it| product.version < it.1 || it.2.is_some_and(|end| product.version >= end))
}

/// MySQL's keyring plugins, with the first version that has them no more.
const PLUGINS: [(&str, Version); 4] = [
    ("keyring_file", (8, 4, 0)), // S97: no keyring_file.so, "Can't open shared library"; V84
    ("keyring_encrypted_file", (8, 4, 0)), // V84: its variables are gone
    ("keyring_oci", (8, 4, 0)),  // KEY: deprecated since 8.0.31; S97: not there
    ("keyring_vault", (8, 4, 0)), // S97: not there; a component of Percona's from there on
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
        // TLS ("As of MySQL 8.0.28, MySQL no longer supports"), S97: "invalid value", Aborting.
        "TLSV1" | "TLSV1.0" | "TLSV1.1" => product.version >= (8, 0, 28),
        "TLSV1.3" => product.version < (8, 0, 16), // TLS
        "TLSV1.2" => false,
        _ => true,
    };
    listed.filter(refused).collect()
}

/// From here on MariaDB verifies a certificate that nobody signed by the account's password, and
/// needs no authority for that: M114, S118.
pub(super) const MARIADB_VERIFIES_WITHOUT_AUTHORITY: Version = (11, 4, 0);
